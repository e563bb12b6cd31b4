/*
 * Finds the end of one reply (RESP2 and RESP3) in what a server sends, byte run by byte run,
 * without building anything: the bytes go on to the client as they are. It can stop at every byte
 * and go on with the next run; nothing needs to be shown twice.
 *
 * Attributes (`|`) belong to the reply they precede. Pushes (`>`) are replies of their own that
 * answer no request: `type` tells. Streamed types (`$?`), which Redis never sends, are refused.
 */
#ifndef RESP_REPLY_H
#define RESP_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/defs.h"
#include "base/slice.h"

enum resp_reply_status {
	RESP_REPLY_MORE, /* all of `in` belongs to this reply and it goes on */
	RESP_REPLY_DONE, /* it ends after *ret_used bytes; the scanner is ready for the next one */
	RESP_REPLY_BAD,  /* this is no RESP */
};

/* Embedded in the connection. */
struct resp_reply_scanner {
	uint64_t elements; /* still to come, the present one included */
	uint64_t bytes;    /* still to come of the present string, its CRLF included */
	uint64_t number;   /* of the header line, so far */
	uint8_t state;
	uint8_t element; /* type byte of the present element */
	uint8_t digits;
	bool negative;
	uint8_t type; /* first byte of the reply (behind attributes); 0 before it came */
};

void resp_reply_init(struct resp_reply_scanner *s);
enum resp_reply_status resp_reply_scan(
    struct resp_reply_scanner *s, struct slice in, size_t *ret_used) ATTR_WARN_UNUSED;

#endif
