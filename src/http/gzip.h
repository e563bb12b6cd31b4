/* Content-Encoding: gzip (RFC 9110 section 8.4.1.3), of a body that is there, over zlib. */
#ifndef HTTP_GZIP_H
#define HTTP_GZIP_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/defs.h"
#include "base/slice.h"

/* Appends `body`, compressed. 0, -ENOMEM, or buf.h's errors. */
int gzip_add(struct buf *out, struct slice body) ATTR_WARN_UNUSED;
/* Appends what a body compressed that way was: exactly `bytes`. 0; -EBADMSG: it is not that; -ENOMEM, or buf.h's errors. */
int gzip_undo(struct buf *out, struct slice gzip, size_t bytes) ATTR_WARN_UNUSED;
/* Does an Accept-Encoding header name gzip, and not with a weight of 0? */
bool gzip_is_accepted(struct slice header);

#endif
