/*
 * The one place that turns bytes into a JSON string literal. Used where documents are hot (HTTP
 * replies) or memory must not be shared with a document library (log lines); control documents are
 * built with jansson.
 */
#ifndef BASE_JSONTEXT_H
#define BASE_JSONTEXT_H

#include "base/buf.h"
#include "base/slice.h"

/*
 * Appends `s` as a quoted JSON string (RFC 8259 section 7). Bytes that are not valid UTF-8 become
 * U+FFFD each, NUL becomes \u0000: the result is always valid JSON. 0, or buf.h's errors, with part
 * of the literal possibly appended.
 */
int jsontext_add_string(struct buf *b, struct slice s) ATTR_WARN_UNUSED;

/* The same without the quotes: for a string that is put together from pieces. A piece must not end amid a UTF-8
 * sequence. */
int jsontext_add_escaped(struct buf *b, struct slice s) ATTR_WARN_UNUSED;

/* Length in bytes of the UTF-8 sequence at `p` (1-4, RFC 3629), or 0 when the bytes there are not
 * one. */
size_t jsontext_utf8_len(const uint8_t *p, size_t len);
/* Is all of it UTF-8? */
bool jsontext_is_utf8(struct slice s);

#endif
