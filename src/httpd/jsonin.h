/* Commands as JSON: an array of strings, numbers and {"base64":TEXT} for exact bytes is one command. Bytes in, RESP out. */
#ifndef HTTPD_JSONIN_H
#define HTTPD_JSONIN_H

#include <jansson.h>

#include "base/buf.h"
#include "base/defs.h"
#include "base/slice.h"

/* What is said to -ERANGE. */
#define JSONIN_BEYOND "a number is beyond what 64 bits hold: send it as a string"

/*
 * Reads a document. A value of two bytes costs a hundred in memory, so there may be one for each 128 bytes of `body_max` (the largest
 * body that is taken), at least 65,536 and at most as many as a command has arguments. 0; -E2BIG: more; -ERANGE: with a number beyond 64
 * bits; -EBADMSG: no JSON.
 */
int jsonin_load(struct slice text, size_t body_max, json_t **ret_doc) ATTR_WARN_UNUSED;
/* Appends the command. 0; -EINVAL: not an array of strings and numbers, empty, or too long; or buf.h's errors. */
int jsonin_add_command(struct buf *resp, const json_t *doc) ATTR_WARN_UNUSED;

#endif
