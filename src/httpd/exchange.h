/*
 * One request and its response, from when the request was read to when its response is queued to the
 * client. A session has a queue of them, in the order of requests, and that is the order of responses.
 *
 *   API ─────────────────────────────────────────────► by itself (api.h), when it is the first of the queue
 *   LOCAL ───────────────────────────────────────────► answered when it is the first of the queue
 *   WAITING ─► SENT ──────► first of the queue, reply whole: rendered straight into the output
 *      └─► SENDING ─┘  └──► REPLYING (in pieces, or not its turn) ─► REPLIED ─► pumped into the output
 *
 * A client's requests are carried out in its order: one that needs another connection than those
 * before it waits for their replies.
 */
#ifndef HTTPD_EXCHANGE_H
#define HTTPD_EXCHANGE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/list.h"
#include "http/md5.h"
#include "http/parser.h"
#include "http/response.h"
#include "httpd/call.h"
#include "httpd/httpd_priv.h"

struct api;
struct asset;
struct route;
struct batch;
struct events;
struct session;
struct stream;

#define EXCHANGE_MAGIC 0x58434847U

enum exchange_state {
	EXCHANGE_LOCAL,    /* the answer is made here: `answer` */
	EXCHANGE_API,      /* the operator's interface: `api` */
	EXCHANGE_WAITING,  /* the request is in `request` and `body` */
	EXCHANGE_SENDING,  /* … and on its way in pieces */
	EXCHANGE_SENT,     /* the reply is to come */
	EXCHANGE_REPLYING, /* a part of it came */
	EXCHANGE_STREAMING, /* it goes on without an end: `stream`, once it is the first of the queue */
	EXCHANGE_REPLIED, /* it is whole, in `kept`; what was sent of it is consumed */
};

/* A reply that is kept until the client takes it. */
struct kept_reply {
	struct buf body; /* owned */
	struct md5 md5;  /* of the first `summed` bytes of it */
	size_t summed;
	struct render render;
	bool renders; /* `render` is in use */
	bool began;   /* the head of the response is out */
};

struct exchange {
	uint32_t magic;
	struct list link;        /* session.queue or httpd.spares */
	struct httpd *httpd;     /* borrowed */
	struct session *session; /* borrowed; NULL in a spare */
	enum exchange_state state;
	enum http_verb verb;
	bool old_keep_alive;        /* HTTP/1.0 that asked to stay: it wants to be told */
	bool last;                  /* the connection ends after it */
	const char *allow;          /* static: the methods of its path */
	bool wants_cors;            /* its page is welcome by http.cors_origin */
	struct slice if_none_match; /* in `text` */
	struct buf text;            /* owned: what `call` and the slices above point into */
	/* LOCAL */
	void (*answer)(struct exchange *x);
	struct http_fault fault;
	const struct route *route;
	struct api *api;           /* owned; NULL: another request */
	const struct asset *asset; /* static: of the page */
	bool quiet_401;            /* no window for name and password */
	/* commands */
	struct call call;
	struct lane *lane;      /* owned reference, or that of `home` */
	struct home_lane *home; /* one of its users; NULL: none */
	struct buf request;     /* owned: RESP that is not sent yet */
	struct buf body;        /* owned: bytes of a large last argument, then CRLF */
	bool borrows;           /* `lane` is the session's, for CALL_SESSION */
	bool ends_state;        /* behind it nothing of the session is left on that lane */
	bool pieces;            /* it is large: sent bit by bit over an own lane */
	bool piece_sent, end_sent;
	uint64_t give_up_ms; /* SENDING, STREAMING: nothing has begun by then: 503 */
	struct batch *batch; /* owned: of a JSON body; NULL: one command */
	bool is_batch;       /* it was one */
	struct buf secret;   /* owned: user and password of Redis; empty: nobody's */
	size_t user_len;
	struct slice authorization; /* borrowed, while the request is read */
	uint64_t began_us, bytes; /* for log and counters: since when, how large its body is … */
	unsigned answered;        /* … and the status of the response; 0: there was none */
	bool wants_gzip;          /* and it is text */
	bool has_ranges;          /* GET or HEAD of what reads a value, which is given alone */
	bool wants_range;         /* … by GET: bytes `range_from` to `range_to` of it; or, with */
	bool range_is_tail;       /* this, the last `range_to` bytes */
	uint64_t range_from, range_to;
	bool range_has_tag; /* If-Range: only while it is the value that has `range_tag` */
	char range_tag[MD5_HEX_BYTES];
	uint64_t limit_ms;       /* ?timeout_ms: when it is over; 0: never */
	struct stream *stream;   /* owned; NULL: none, or not begun */
	struct events *events;   /* owned: XREAD as events; NULL: none */
	bool wants_events;       /* Accept: text/event-stream */
	bool old_version;        /* HTTP/1.0: it knows no chunks */
	struct kept_reply *kept; /* owned; NULL while nothing is kept */
	unsigned status;         /* of the response to a reply */
	unsigned failed;         /* the status to answer instead of the reply */
	const char *failed_why;  /* static */
};

/* From the pool of spares. */
struct exchange *exchange_new(struct httpd *h, struct session *s);
/* Releases lane and memory, back to the spares. Must be on no queue. */
void exchange_free(struct exchange **x);
/* Bytes it holds beyond a small request's. */
size_t exchange_held(const struct exchange *x);
/* Of these, bytes of a reply. */
size_t exchange_kept(const struct exchange *x);

/* Keeps what of a request is needed for its answer. 0 or buf.h's errors. Called after call_read, which
 * clears `text`. */
int exchange_take(struct exchange *x, const struct http_request *req) ATTR_WARN_UNUSED;
/* GET or HEAD of a command that is not known to change anything: 304 and parts of its answer are true answers (RFC 9110 section 13.1.2). */
bool exchange_only_reads(const struct exchange *x);

/* ---- the way out (send.c) ---- */

/* The shared lane of the call's database. */
void exchange_find_lane(struct exchange *x);
/* Sends a new exchange's request at once if nothing before it is in the way. False: it must wait. */
bool exchange_send_now(struct exchange *x, struct slice raw);
/* A sent one waits again as if it had not been sent: what was sent of it is known to have done nothing. */
void exchange_send_again(struct exchange *x);
/* Sends what may be sent of a session's queue. True when one could not be and has an answer of ours now. */
bool exchange_send_waiting(struct session *s);
/* Does it wait for a connection, until give_up_ms? */
bool exchange_may_expire(const struct exchange *x);
/* Gives up a large request that found no connection in time; true when there was one. */
bool exchange_expire(struct session *s);
/* Instead of the reply. Nothing happens when the response is on its way already. */
void exchange_give_up(struct exchange *x, unsigned status, const char *why);

/* ---- and back ---- */

/* What to do for a part of a reply: renders it, or keeps it. */
void exchange_on_reply(struct exchange *x, const struct lane_reply *reply, bool is_first);
/* For the first of the queue: brings its response out as far as it can be; true when all of it is. */
bool exchange_pump(struct exchange *x);
/* Whether no reply is to come over the session's lanes. */
bool exchange_is_answered(const struct exchange *x);

/* For replies that are made of several: the body so far, the end of it, and a reason why there is none. */
struct kept_reply *exchange_keep(struct exchange *x);
void exchange_sum(struct exchange *x);
void exchange_fail(struct exchange *x, int err);

/* As whom, and where. */
struct lane_key exchange_key(const struct exchange *x);
/* A transaction whose link broke amid it: 502. */
void exchange_lose(struct exchange *x);
/* Closes its own lane, whatever is on its way there. */
void exchange_drop_lane(struct exchange *x);
/* Answers 504 to those whose time is over; true when there was one. */
bool exchange_time_out(struct session *s);

/* Begins a response with what all responses have. 0 or buf.h's errors. */
int exchange_respond(struct exchange *x, struct http_response *r, unsigned status,
    struct slice content_type) ATTR_WARN_UNUSED;
/* The rest of it, unless `err` says that it has failed already: without memory there is none, and the connection ends. */
void exchange_respond_whole(
    struct exchange *x, struct http_response *r, int err, struct slice body);

#endif
