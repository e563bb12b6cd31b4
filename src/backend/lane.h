/*
 * A lane carries requests to the current master, whichever that is, in the name of one user,
 * database and protocol, and brings the replies back in order.
 *
 *   requester ─┐                       ┌ kept: bytes of requests without a reply ┐
 *   requester ─┼─ lane_send ─→ lane ── │ answered … │ sent, in flight │ not sent │ ─→ link → master
 *   requester ─┘      on_reply ←────── └─────────────────────────────────────────┘ ←─ raw replies
 *
 * A shared lane serves many requesters over one pipelined connection; what they send is drained
 * before the one write at the end of the turn. An own lane serves one requester (a session with
 * state: transactions, blocking commands, subscriptions, streamed requests). Lanes outlive their
 * link: when the master is lost, unsent requests wait and go to the next one, sent reads are sent
 * again, sent writes are answered -UNCERTAIN, and what waited longer than hold_ms -MASTERDOWN. In a
 * planned switchover (backend_hold) the old master lives: what is in flight there is answered by it.
 * READONLY, LOADING and MASTERDOWN from a server are not answers: the request waits and goes again.
 *
 * Setup (AUTH or HELLO, SELECT) is the lane's business. If the server refuses it, every request
 * waiting on the lane gets the server's own error; the next request tries again. So to log in, send
 * AUTH itself over the lane with these credentials: the answer is the server's.
 *
 * A requester has unanswered requests on one lane at a time: it waits for its replies before it
 * changes lanes. Callbacks never come from inside lane_send.
 */
#ifndef BACKEND_LANE_H
#define BACKEND_LANE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/backend.h"
#include "backend/requester.h"
#include "base/defs.h"
#include "base/slice.h"

struct lane;

/* As whom. Borrowed; lanes keep a copy. */
struct lane_key {
	struct slice user;     /* empty: `default` */
	struct slice password; /* empty and no user: nothing is authenticated */
	uint32_t database;
	uint8_t protocol; /* 2 or 3 */
};

/* The shared lane of that key; made when there is none. Release it with lane_release. */
struct lane *lane_shared(struct backend *b, const struct lane_key *key);
/* A lane for this requester alone, drawn from those that were returned clean. */
struct lane *lane_own(struct backend *b, const struct lane_key *key, struct requester *r);
/* Gives the reference back; *lane is NULL afterwards. An own lane is closed. */
void lane_release(struct lane **lane);
/* An own lane whose server-side state is as after setup goes back for the next; nothing may be
 * unanswered. */
void lane_return(struct lane **lane);
/* The own lane's link was told AUTH, HELLO or SELECT: the next link is set up like this. */
void lane_set_key(struct lane *lane, const struct lane_key *key);
/* More that the own lane's next links are told when they are set up: `count` requests; none of them empties it. */
void lane_set_more(struct lane *lane, struct slice requests, unsigned count);
bool lane_is_own(const struct lane *lane);

enum lane_flags {
	LANE_READ = 1 << 0,      /* may be sent again */
	LANE_WHOLE = 1 << 1,     /* wants replies up to LANE_WHOLE_MAX as one slice */
	LANE_SILENT = 1 << 2,    /* the reply is dropped */
	LANE_UNCOUNTED = 1 << 4, /* no client asked for it: metrics.h */
	LANE_AS_IS = 1 << 3, /* errors such as LOADING are answers here (INFO, PING of a monitor) */
	LANE_BLOCKS = 1 << 5, /* own lanes: it may wait there for long; see lane_blocked_id */
};

/* The flags' bits from there on are the request's metrics_command, for the counters. */
#define LANE_COMMAND_SHIFT 16

#define LANE_WHOLE_MAX ((size_t)1024 * 1024)
#define LANE_LARGE     ((size_t)1024 * 1024)

/*
 * Queues one request, given as complete RESP. lane_is_full must have said false since the last
 * callback. 0, or -ENOBUFS: too much is held already, or -ENOMEM: nothing is queued then, the owner
 * answers for itself.
 */
int lane_send(
    struct requester *r, struct lane *lane, struct slice raw, unsigned flags) ATTR_WARN_UNUSED;
/*
 * A request in pieces, on own lanes only: begin with the first, go on until `last`. The lane must
 * be connected (lane_may_stream, else wait for on_room). When the link is lost the reply says whether
 * it may have happened; pieces that still come are swallowed.
 */
int lane_send_piece(struct requester *r, struct lane *lane, struct slice raw, bool first, bool last,
    unsigned flags) ATTR_WARN_UNUSED;
bool lane_is_ready(const struct lane *lane);
/* Also ready to begin a request in pieces: not while a planned switchover is near, which would cost it. */
bool lane_may_stream(const struct lane *lane);
/* Connects the lane although nothing is to be sent yet; on_room follows when it is ready. */
void lane_want(struct requester *r, struct lane *lane);
/*
 * Ask before each lane_send. True: too much is unanswered, or the requester's earlier requests are
 * still out on a link that takes no more; on_room follows.
 */
bool lane_is_full(struct requester *r, struct lane *lane);

/* Own lanes. Pinned: the server keeps state for us that dies with the link (on_lost). */
void lane_set_pinned(struct lane *lane, bool pinned);
/*
 * The reply just given says that this server is no proper master: what is unanswered on the link cannot
 * be of use any more. As if the link had broken, so on_lost comes from within.
 */
void lane_abandon(struct lane *lane);
/*
 * What the server calls the link of an own lane on which a LANE_BLOCKS request is unanswered, and in *ret_at the address of
 * that server. It is asked once for each link, right before the first such request, which costs no way there and back. 0: no
 * server has the request, or this one has not said so yet.
 */
uint64_t lane_blocked_id(const struct lane *lane, struct endpoint *ret_at);
/* Raw: the server sends what it likes (subscriptions, MONITOR); requests are not counted. */
void lane_set_raw(struct lane *lane, bool raw);

#endif
