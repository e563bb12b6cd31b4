/* What pool, lanes and wires of this room know of each other. */
#ifndef BACKEND_BACKEND_PRIV_H
#define BACKEND_BACKEND_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/backend.h"
#include "backend/lane.h"
#include "backend/metrics.h"
#include "backend/queue.h"
#include "net/conn.h"
#include "net/loop.h"
#include "resp/reply.h"
#include "topo/topo.h"

#define BACKEND_MAGIC 0x424b4e44U
#define LANE_MAGIC    0x4c414e45U
#define WIRE_MAGIC    0x57495245U

struct link;

struct backend {
	uint32_t magic;
	struct loop *loop; /* borrowed (outlives all) */
	struct topo *topo; /* borrowed (outlives the backend) */
	struct topo_observer observer;
	struct backend_conf conf;
	struct link *probe; /* owned; NULL while no master is known */
	char *user;         /* owned; our own, NULL: nobody */
	char *secret;       /* owned */
	unsigned state;     /* enum backend_state */
	struct topo_master master;
	unsigned generation;   /* of the master's address: wires of an older one are cut */
	unsigned process;      /* counts the server processes that were master, by their run_id */
	char run_id[48];       /* of the last of them; empty: it does not tell */
	unsigned learnt;       /* the process that was last asked for its commands … */
	uint64_t commands;     /* … and how many it had */
	unsigned scripts_at;   /* the process that has been given the scripts; 0: none has … */
	uint64_t scripts_upto; /* … and the last of them */
	bool isolated;         /* paused, and not for a planned switchover */
	bool fenced;           /* it has fewer replicas than conf.fence */
	bool not_serving;      /* PING said LOADING */
	bool
	    expected; /* it is a master and lacks only that: connections are made, nothing is sent */
	bool role_asked, role_stale; /* ROLE is on its way; something happened since */
	uint64_t role_ms;            /* to the next question */
	uint64_t probing_since_ms;
	bool paused;       /* a planned switchover runs */
	uint64_t leave_ms; /* how long what is in flight then may take */
	bool preparing;    /* one is near: no request in pieces is begun */
	bool prepared;     /* told so */
	struct loop_hook look_streams;
	ev_timer prepare_timer; /* it did not come */
	char why[160];          /* nothing is routed: the reason last told */
	ev_timer hold_timer;    /* the planned hold ends */
	ev_timer give_up_timer; /* a silent server has had its time */
	ev_timer role_timer;    /* ROLE is asked again */
	ev_timer reap_timer;    /* idle lanes go */
	struct list lanes;      /* struct lane.link: shared and own, in use */
	struct list spares;     /* struct lane.link: own ones that nobody has */
	size_t spare_count;
	struct list watchers; /* struct backend_watcher.link */
	uint32_t pass;
	struct backend_stats stats;
	struct metrics *metrics; /* owned, unless conf.metrics is given */
	struct scripts *scripts; /* owned, unless conf.scripts is given */
	uint64_t now_us;         /* backend_tick's */
};

enum backend_state { B_NONE, B_PROBING, B_ROUTING, B_PAUSED, B_STATES };

struct lane {
	uint32_t magic;
	struct list link;
	struct backend *backend; /* borrowed (outlives all lanes) */
	char *user, *password;   /* owned; NULL: not given */
	size_t user_len, password_len;
	uint8_t *more; /* owned: see lane_set_more; or NULL */
	size_t more_len;
	unsigned more_count;
	uint32_t database;
	uint8_t protocol;
	bool is_own, pinned, raw;
	unsigned refs;
	uint64_t idle_since_ms;      /* refs fell to 0, or it became a spare */
	struct requester *requester; /* borrowed; own lanes: theirs, NULL in a spare */
	struct wire *wire;           /* owned: where requests go, or NULL */
	struct list wires;           /* struct wire.link: owned, that one and those that drain */
	struct queue pending;        /* not on any wire */
	struct list waiting;         /* struct requester.waiting */
	ev_timer expire;             /* the first of `pending` has waited long enough */
	ev_timer retry;              /* the next attempt to connect */
	uint64_t retry_ms;
};

struct wire {
	uint32_t magic;
	struct list link;
	struct lane *lane; /* borrowed (ends its wires before it goes) */
	struct conn *conn; /* owned; NULL when it ended */
	unsigned state;    /* enum wire_state */
	unsigned generation;
	unsigned process;   /* the backend's when it was begun: it cannot lead to an earlier one */
	struct queue queue; /* in flight, and what this turn adds */
	struct queue retry; /* refused by a server that is no proper master: to be sent again */
	uint32_t pass;      /* requesters with something in `retry` bear this mark */
	struct resp_reply_scanner scan;
	size_t scanned; /* bytes of the kept partial reply that the scanner has seen */
	bool in_reply;  /* a part of the present reply was handed on */
	bool was_up;
	bool streaming;      /* the last flight is a streamed request that goes on */
	bool stalled;        /* the reader of the first reply is slow */
	unsigned setup_left; /* replies of the setup to come */
	bool setup_name;     /* the last of them is CLIENT SETNAME's: it may be refused */
	size_t flushed;      /* bytes of `queue` that the conn has */
	uint64_t setup_bytes, popped_bytes; /* before those */
	uint64_t sent_bytes;                /* all that the conn had sent when it ended */
	struct loop_hook flush;
	ev_timer timer;      /* stalled */
	ev_timer drain;      /* draining */
	bool heard;          /* something came since it was armed */
	bool rest_is_undone; /* the server ends the link and carries out nothing more */
	bool id_asked;
	uint64_t server_id; /* as CLIENT ID says there; 0: not known yet */
};

/* --- backend.c --- */
bool backend_is_routing(const struct backend *b);
/* Connections to the master may be made: it is routed to, or will be as soon as it has its replicas. */
bool backend_is_expected(const struct backend *b);
/* A wire broke or a server said that it is no master: look again. */
void backend_suspect(struct backend *b, const char *why);
/* What the server at the master's address says of itself: it is the master and serves (NULL), or why not. */
void backend_on_role(struct backend *b, const char *why_not);
/*
 * It is the master, and lacks replicas only: what takes several ways there and back, connections and their handshakes, is begun, for its replicas need
 * as many to connect to it.
 */
void backend_expect(struct backend *b);
/* A request in pieces has its answer, or none to come. */
void backend_stream_ended(struct backend *b);

/* --- master_probe.c --- */
void master_probe_init(struct backend *b);
void master_probe_fini(struct backend *b);
/* The master has this address, or our own user is another: the link is made anew. */
void master_probe_begin(struct backend *b);
/* Asks now; backend_on_role follows, unless the link is down, which is asked as soon as it is up. */
void master_probe_ask(struct backend *b);
/* After a time that depends on the state. */
void master_probe_ask_later(struct backend *b);

/* --- requester.c --- */
/* The flight's requester has its answer (or none comes). */
void requester_settle(struct requester *r, uint64_t len);
/* Answers a flight here, in place of its server. */
void requester_answer(
    struct backend *b, struct requester *r, const struct flight *f, const char *error);
/* Counts a flight that has its answer. */
void flight_answered(struct backend *b, const struct flight *f, bool error);
const char *flight_local_error(const struct flight *f);

/* --- lane.c --- */
/* There is a route: what is held may go. */
void lane_go(struct lane *lane);
/* The wire takes requests now. */
void lane_on_wire_up(struct lane *lane, struct wire *w);
/* It takes none any more, or it ended. */
void lane_on_wire_closed(struct lane *lane, struct wire *w);
/* The wire is gone: answers or takes back what it had in flight. `sent` bytes were taken by the
 * socket. */
void lane_take_back(struct lane *lane, struct wire *w, uint64_t sent);
/* Room may be there for those who wait. */
void lane_wake(struct lane *lane);
/* Cuts the wires to an older master. */
void lane_cut(struct lane *lane);
/* The same in a planned switchover: what is in flight there has its time to be answered. */
void lane_leave(struct lane *lane);
void lane_free(struct lane **lane);

/* --- pending.c --- */
void pending_init(struct lane *lane);
/* Forgets all: nobody is answered. */
void pending_clear(struct lane *lane);
/* Holds one more. 0, -ENOMEM, or -ENOBUFS: too much is held in all. */
int pending_push(struct lane *lane, const struct flight *f, struct slice raw) ATTR_WARN_UNUSED;
/* The lane's wire is up: what is held goes. */
void pending_release(struct lane *lane);
/* The server refused the setup with this error. */
void pending_refuse(struct lane *lane, struct slice error);
/* The wire is gone: what it had in flight is answered or comes before what is held. `sent` as in lane_take_back. */
void pending_take_back(struct lane *lane, struct wire *w, uint64_t sent);

/* --- wire.c --- */
enum wire_state { WIRE_CONNECTING, WIRE_SETUP, WIRE_UP, WIRE_DRAINING, WIRE_ENDED, WIRE_STATES };
enum wire_event {
	WIRE_OPENED,
	WIRE_SET_UP,
	WIRE_REFUSED,
	WIRE_TURNED,
	WIRE_STALLED,
	WIRE_LEFT,
	WIRE_EMPTY,
	WIRE_LOST,
	WIRE_EVENTS
};

/* NULL when it could not even begin. */
struct wire *wire_new(struct lane *lane);
/* May end it: `conn` is NULL then. */
void wire_step(struct wire *w, enum wire_event event);
/* All that was asked on it is answered. */
bool wire_is_idle(const struct wire *w);
/* Ends it at once, taking back what is in flight. */
void wire_cut(struct wire *w);
/* Its server hands over and lives: ends once what is in flight is answered, or after leave_ms. */
void wire_leave(struct wire *w);
/* Something said there makes one doubt the master, if it still is that one. */
void wire_suspect(struct wire *w, const char *why);
/* Ends it without a word: its lane goes. */
void wire_drop(struct wire *w);
void wire_ask_flush(struct wire *w);
/* Once for each: server_id comes ahead of the replies to what is asked next. */
void wire_ask_id(struct wire *w);
void wire_set_slow(struct wire *w, struct requester *r, bool slow);
/* A streamed request begins, or has ended. */
void wire_set_streaming(struct wire *w, bool streaming);
/* A part of a streamed request. 0 or -ENOMEM. */
int wire_stream(struct wire *w, struct slice raw) ATTR_WARN_UNUSED;

/* --- replies.c --- */
/* Brings what came over the wire to those who asked; returns how much of it is done with. May end the wire. */
size_t replies_read(struct wire *w, struct slice in);

#endif
