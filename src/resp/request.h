/*
 * Finds requests in what a client sends: RESP arrays of bulk strings and inline commands.
 *
 *   in: |*2 $3 GET $1 k|*3 $3 SET $1 k $268435456 aaaa…        → WHOLE, then BEGIN, PIECE …
 * PIECE(last)
 *
 * A request that fits into whole_max bytes is shown as one slice with its arguments; a larger one
 * is handed on in pieces as it comes, so that nothing large is ever held. Works on borrowed bytes,
 * allocates nothing (inline commands are rewritten as RESP into a buffer of the caller, shared by
 * all its clients). Every violation is worded as Redis words it; after RESP_REQUEST_BAD the scanner
 * is of no more use: the client is to be closed. It is stricter than Redis in one thing: Redis skips
 * the two bytes where CRLF belongs without a look; here they must be CRLF, for what is sent on goes
 * over a connection that others share. A scanner that waits holds a few words only, so ten thousand
 * idle clients cost nothing.
 */
#ifndef RESP_REQUEST_H
#define RESP_REQUEST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/defs.h"
#include "base/slice.h"

#define RESP_ARGV_KEPT  16 /* arguments of a request that are shown as slices */
#define RESP_INLINE_MAX ((size_t)64 * 1024)
#define RESP_WHOLE_MAX  ((size_t)32 * 1024)
#define RESP_BULK_MAX   ((uint64_t)512 * 1024 * 1024)
#define RESP_ARGS_MAX   ((uint64_t)INT32_MAX) /* as of Redis 7 */
/* What a reader must be able to hold unconsumed for the scanner (conn_set_limits). */
#define RESP_REQUEST_HELD (RESP_INLINE_MAX + RESP_WHOLE_MAX + 1024)

struct resp_limits {
	size_t whole_max;   /* a larger request comes in pieces; at most RESP_WHOLE_MAX */
	uint64_t bulk_max;  /* of one argument: Redis' proto-max-bulk-len */
	uint64_t args_max;  /* of one request */
	uint64_t total_max; /* of one request, in bytes as sent */
};

#define RESP_LIMITS_DEFAULT                                                                        \
	((struct resp_limits){RESP_WHOLE_MAX, RESP_BULK_MAX, RESP_ARGS_MAX, UINT64_MAX})

enum resp_request_status {
	RESP_REQUEST_MORE,  /* `used` bytes are done with; the rest must be shown again with more */
	RESP_REQUEST_WHOLE, /* a complete request */
	RESP_REQUEST_BEGIN, /* the first part of one that comes in pieces */
	RESP_REQUEST_PIECE, /* a further part; `last` ends the request */
	RESP_REQUEST_BAD,   /* `error` says why, in Redis' words */
};

/* What one call found. Slices are borrowed from `in` (inline: from the shared buffer). */
struct resp_request {
	struct slice raw; /* as RESP, to be sent on as it is */
	bool last;        /* no more of this request follows (always so with WHOLE) */
	uint64_t argc;    /* arguments announced */
	size_t kept;      /* arguments in argv: min(argc, RESP_ARGV_KEPT); BEGIN: those complete */
	size_t used;      /* bytes of `in` done with, blank lines included */
	struct slice argv[RESP_ARGV_KEPT];
	char error[64]; /* BAD only: "Protocol error: …", to be sent behind "-ERR " */
};

/* Embedded in the session. */
struct resp_request_scanner {
	uint64_t bulk_left; /* in pieces: bytes to come of the present one, its CRLF included */
	uint64_t total;     /* in pieces: bytes so far */
	uint32_t args_left; /* in pieces: arguments not begun yet; at most RESP_ARGS_MAX */
	uint32_t need : 31; /* not worth looking before so many bytes are there */
	uint32_t streaming : 1;
};

void resp_request_init(struct resp_request_scanner *s);
/* The next request in `in`. Call it again with what follows `used` until it says MORE or BAD. */
enum resp_request_status resp_request_scan(struct resp_request_scanner *s,
    const struct resp_limits *limits, struct slice in, struct buf *inline_buf,
    struct resp_request *ret_req) ATTR_WARN_UNUSED;
/* True between BEGIN and the last PIECE. */
static inline bool
resp_request_is_streaming(const struct resp_request_scanner *s)
{
	return s->streaming;
}

#endif
