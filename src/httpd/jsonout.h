/*
 * A RESP reply as JSON text, element by element as it comes (resp/reader.h calls it), straight into an
 * output buffer. Bytes that are no UTF-8 become U+FFFD each; the text is valid JSON whatever the reply
 * holds, once the reply is whole. With base64 every bulk string, which may be any bytes, is given exactly.
 */
#ifndef HTTPD_JSONOUT_H
#define HTTPD_JSONOUT_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "httpd/shape.h"
#include "httpd/walk.h"
#include "resp/reader.h"

/* Embedded; large, so not wiped as a whole. */
struct jsonout {
	struct buf *out; /* borrowed */
	int err;       /* the first of buf.h's errors, or -EBADMSG; nothing more is written then */
	bool bracket;  /* the present string is followed by "]": a status or an error */
	bool is_key;   /* … by ":" */
	bool collects; /* … goes to `scratch` (INFO) */
	bool skips;    /* … is not written */
	bool base64;   /* strings of data are given so */
	bool encodes;  /* the present one is */
	uint8_t carry[4]; /* the beginning of a UTF-8 sequence that a run ended in */
	size_t carried;
	struct buf scratch; /* owned */
	struct walk walk;
};

void jsonout_init(struct jsonout *j, struct buf *out, const struct shape *shape, bool base64);
void jsonout_fini(struct jsonout *j);
/* For resp_reader_feed, with the jsonout as `arg`. */
extern const struct resp_reader_ops jsonout_ops;

#endif
