/*
 * One HTTP client: reads its requests, carries them out in order, ends it in the right way.
 *
 *   conn ─► http_reader ─► exchange … exchange (queue) ─► lanes
 *     ▲                        │ first: its response
 *     └────────────────────────┘
 *
 * The life of the connection is the table in session.c. The session owns its conn and its exchanges
 * and frees itself when the connection ends.
 */
#ifndef HTTPD_SESSION_H
#define HTTPD_SESSION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ev.h>

#include "backend/lane.h"
#include "base/list.h"
#include "http/reader.h"
#include "httpd/httpd_priv.h"
#include "net/conn.h"

#define SESSION_MAGIC 0x48534553U

struct exchange;
struct ws;

struct session {
	uint32_t magic;
	struct list link;          /* httpd.sessions */
	struct httpd *httpd;       /* borrowed (outlives all sessions) */
	struct conn *conn;         /* owned; NULL once it ended */
	const struct endpoint *at; /* borrowed: where it came in */
	unsigned state;            /* enum session_state */
	struct http_reader reader;
	struct list queue; /* struct exchange.link, owned */
	size_t queued;
	size_t unsent; /* of them, those whose requests are still here */
	struct lane
	    *lane; /* borrowed from the exchange that was sent last: where unanswered ones are */
	struct requester requester;
	struct ev_timer timer;
	struct ev_timer limit; /* the first of the exchanges' limit_ms */
	double due;           /* when the state's time is over, in clock_mono's seconds; 0: never */
	uint64_t sent_before; /* conn_sent_total when that was last looked at */
	uint64_t body_before; /* bytes of a body when its time began anew */
	size_t kept;          /* bytes of replies that wait for the client to read */
	size_t lingered;      /* bytes thrown away at the end */
	size_t pending_in;    /* bytes that the conn keeps for us */
	size_t held;          /* our part of httpd.held_bytes */
	struct acl_address peer; /* asked for when there are rules */
	bool peer_known;
	bool streams; /* the first of the queue is a stream that has begun */
	/* WebSockets */
	struct ws *ws;                     /* owned; NULL: HTTP is spoken */
	bool upgrading;                    /* what follows is not HTTP any more */
	struct buf authorization;          /* owned: the header of the upgrade */
	uint32_t database;                 /* SELECT */
	struct lane *state_lane;           /* owned: while there is state of ours on the server */
	bool in_multi, watching, selected; /* what will be there when all that was asked is done */
	bool owes_continue;                /* "100 Continue" when the answers before it are out */
	bool eof;
	bool broken; /* a response could not be written: it ends */
};

/* A client came. The conn is the session's from here. */
void session_open(struct httpd *h, struct conn *c, const struct endpoint *at);
/* Take no more requests, answer what was asked, then end. May end it before this returns. */
void session_wind_up(struct session *s);
/* Ends it at once. */
void session_kill(struct session *s);
/* The same for one that does not read, however much waits for it: that is thrown away in the kernel, too. */
void session_abort(struct session *s);

/* Sends what may be sent, answers what can be answered. May end the session. */
void session_go_on(struct session *s);
/* Gives the present state its time anew. */
void session_renew(struct session *s);
/* After a request with a limit was queued. */
void session_arm_limit(struct session *s);
/* Is this the last response? */
bool session_is_last(const struct session *s, const struct exchange *x);
/* So many replies wait for the client that no more should be asked for. */
bool session_is_full(const struct session *s);
/* Counts what the session holds; false when all clients together hold too much. */
bool session_account(struct session *s);

/* ---- WebSockets ---- */

/* The upgrade is answered. */
void session_upgraded(struct session *s);
/* Takes the exchange over as the last of the queue. May end the session. */
void session_queue(struct session *s, struct exchange *x);
/* Not too much is asked, or waits for the client. */
bool session_takes_more(const struct session *s);
/* Nothing more is read; what was asked is answered, then it ends. May end it at once. */
void session_finish(struct session *s);
/* A command about the connection's state: decides how it travels, and remembers what it will have done. */
void session_note_state(struct exchange *x);
/* Nothing is left on the state lane once all is answered; `clean`: it may serve others. */
void session_state_over(struct session *s, bool clean);

#endif
