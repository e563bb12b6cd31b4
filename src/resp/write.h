/* Writes RESP into a buffer. Each returns 0 or buf.h's errors, with part of it possibly appended.
 */
#ifndef RESP_WRITE_H
#define RESP_WRITE_H

#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/defs.h"
#include "base/slice.h"

/* A request: "*N", then each argument as a bulk string. */
int resp_add_command(struct buf *b, const struct slice *argv, size_t argc) ATTR_WARN_UNUSED;
/* The same from C strings; the last is NULL. */
int resp_add_command_str(struct buf *b, ...) __attribute__((sentinel)) ATTR_WARN_UNUSED;
/* "*N", ">N", "%N", "~N": the header of an aggregate. */
int resp_add_header(struct buf *b, char type, uint64_t count) ATTR_WARN_UNUSED;
int resp_add_bulk(struct buf *b, struct slice s) ATTR_WARN_UNUSED;
/* "-TEXT": the text begins with a word such as ERR; CR and LF in it become blanks. */
int resp_add_error(struct buf *b, const char *fmt, ...) ATTR_PRINTF(2, 3) ATTR_WARN_UNUSED;
int resp_add_int(struct buf *b, int64_t value) ATTR_WARN_UNUSED;
/* Null in the protocol's own form (RESP2: a null bulk string). */
int resp_add_null(struct buf *b, int protocol) ATTR_WARN_UNUSED;

#endif
