/* Base64 (RFC 4648 section 4), over OpenSSL's. */
#ifndef HTTP_BASE64_H
#define HTTP_BASE64_H

#include <sys/types.h>

#include "base/buf.h"
#include "base/defs.h"
#include "base/slice.h"

/* Appends `bytes`, padded at its end: a run in pieces of threes is the same as the whole. 0 or buf.h's errors. */
int base64_add(struct buf *out, struct slice bytes) ATTR_WARN_UNUSED;
/* The length of what `text` stands for, written to `into` (3 bytes for each 4), or -EINVAL: no base64. */
ssize_t base64_decode(struct slice text, uint8_t *into) ATTR_WARN_UNUSED;

#endif
