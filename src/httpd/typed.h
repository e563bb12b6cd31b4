/*
 * A reply as JSON that loses nothing, for the operator's interface: what is text is a string, other bytes are {"base64"}, and each
 * type of RESP3 has a form of its own (etc/openapi.json, Reply). Unlike jsonout.h, whose form is Webdis'.
 */
#ifndef HTTPD_TYPED_H
#define HTTPD_TYPED_H

#include "base/buf.h"
#include "base/defs.h"
#include "base/slice.h"

/* Appends one whole reply. 0; -EBADMSG: it is none, or deeper than 30 levels; or buf.h's errors. What was appended then is no JSON. */
int typed_add_reply(struct buf *out, struct slice raw) ATTR_WARN_UNUSED;
/* A text, or {"base64"}. */
int typed_add_bytes(struct buf *out, struct slice bytes) ATTR_WARN_UNUSED;
/* {"error":TEXT} */
int typed_add_error(struct buf *out, const char *text) ATTR_WARN_UNUSED;

#endif
