/* What the files of a session know of each other: session.c has its life, session_io.c what it reads and writes. */
#ifndef HTTPD_SESSION_PRIV_H
#define HTTPD_SESSION_PRIV_H

#include <assert.h>

#include "base/fsm.h"
#include "base/mem.h"
#include "httpd/exchange.h"
#include "httpd/session.h"

#define IN_SLACK_BYTES ((size_t)64 * 1024)
#define OUT_HIGH_BYTES ((size_t)1024 * 1024)

enum session_state {
	SESSION_IDLE,      /* nothing asked */
	SESSION_READING,   /* a request is arriving */
	SESSION_SERVING,   /* requests wait for their answers; more may arrive */
	SESSION_WEBSOCKET, /* no HTTP any more: messages both ways */
	SESSION_CLOSING,   /* the same, but no more is read; then the end */
	SESSION_LINGERING, /* all is sent, we said so; what still comes is thrown away */
	SESSION_GONE,
	SESSION_STATES,
};

enum session_event {
	SESSION_BYTES,    /* a part of a request */
	SESSION_REQUEST,  /* a whole one was queued */
	SESSION_ANSWERED, /* the queue is empty */
	SESSION_UPGRADED, /* to a WebSocket */
	SESSION_FINAL,    /* the last of the queue is the last of this connection */
	SESSION_SENT,     /* the client's socket took everything */
	SESSION_EOF,      /* the client sends no more */
	SESSION_LATE,     /* the state's time is over */
	SESSION_DROP,     /* the connection is gone, or we give it up */
	SESSION_EVENTS,
};

extern const struct conn_ops session_conn_ops;
extern const struct requester_ops session_requester_ops;

static inline struct session *
session_of(void *obj)
{
	return OBJ_CAST((struct session *)obj, SESSION_MAGIC);
}

/* The first of the queue, or NULL. */
static inline struct exchange *
session_first(struct session *s)
{
	return list_is_empty(&s->queue) ? NULL : CONTAINER_OF(s->queue.next, struct exchange, link);
}

/* One step of its table. May end the session. */
void session_tell(struct session *s, enum session_event event);
/* An answer of our own, in the order of requests; `last`: the connection ends after it. */
void session_push_fault(struct session *s, struct http_fault fault, bool last);

#endif
