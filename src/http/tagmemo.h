/*
 * The MD5s of bodies that were asked for lately. A value that is read again and again, and the one word of most writes, is compared with
 * what it was the last time, which costs a twentieth of hashing it; what it answers is always the body's MD5. Bounded: TAGMEMO_SLOTS
 * bodies of TAGMEMO_MAX bytes, and TAGMEMO_SMALL_SLOTS of TAGMEMO_SMALL, which those do not push out.
 */
#ifndef HTTP_TAGMEMO_H
#define HTTP_TAGMEMO_H

#include "base/slice.h"
#include "http/md5.h"

#define TAGMEMO_SLOTS       16
#define TAGMEMO_SMALL_SLOTS 64
#define TAGMEMO_MIN         ((size_t)8)
#define TAGMEMO_SMALL       ((size_t)256)
#define TAGMEMO_MAX         ((size_t)64 * 1024)

struct tagmemo;

struct tagmemo *tagmemo_new(void);
void tagmemo_free(struct tagmemo **m);
/* As md5_hex; `m` NULL: that. */
void tagmemo_hex(struct tagmemo *m, struct slice body, char out[static MD5_HEX_BYTES]);

#endif
