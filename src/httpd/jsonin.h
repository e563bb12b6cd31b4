/* Commands as JSON: an array of strings, numbers and {"base64":TEXT} for exact bytes is one command. Bytes in, RESP out. */
#ifndef HTTPD_JSONIN_H
#define HTTPD_JSONIN_H

#include <jansson.h>

#include "base/buf.h"
#include "base/defs.h"
#include "base/slice.h"

/* The document, or NULL when the text is no JSON. Depth and size are bounded by the library and the caller. */
json_t *jsonin_load(struct slice text);
/* Appends the command. 0; -EINVAL: not an array of strings and numbers, empty, or too long; or buf.h's errors. */
int jsonin_add_command(struct buf *resp, const json_t *doc) ATTR_WARN_UNUSED;

#endif
