/* What the files of this room know of each other. */
#ifndef PROXY_PROXY_PRIV_H
#define PROXY_PROXY_PRIV_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/command.h"
#include "backend/confirm.h"
#include "backend/lane.h"
#include "backend/metrics.h"
#include "backend/readers.h"
#include "backend/worker.h"
#include "base/buf.h"
#include "net/conn.h"
#include "resp/reply.h"
#include "resp/request.h"

#define PROXY_MAGIC   0x50524f58U
#define SESSION_MAGIC 0x53455353U

/* A reply of at least so many bytes goes to the socket without a copy. */
#define PROXY_DIRECT_BYTES ((size_t)16 * 1024)
#define SESSION_OUT_HIGH   ((size_t)1024 * 1024)
/* More than that waits for replicas: its client is not read on. */
#define SESSION_HELD_HIGH ((size_t)1024 * 1024)
/* After a large reply, so many reads go over an own lane at once: the next may well be large. */
#define SESSION_LARGE_READS 8

/* Indices into the doors of proxy.c. */
enum proxy_door {
	DOOR_LISTEN,  /* proxy.listen */
	DOOR_DURABLE, /* proxy.durable_listen */
	DOOR_READ,    /* proxy.read_listen */
	DOOR_COUNT,
};

struct proxy {
	uint32_t magic;
	struct worker *worker;   /* borrowed (outlives the proxy) */
	struct loop *loop;       /* borrowed, likewise */
	struct backend *backend; /* borrowed, likewise */
	struct list sessions;    /* struct session.link: owned */
	size_t session_count;
	uint64_t next_id;
	struct resp_limits limits;
	struct buf inline_buf; /* shared by all scanners */
	ev_timer idle_timer;
	unsigned connects; /* in this second */
	bool paused;       /* these were too many */
	/* owned: how writes that come in there are acknowledged; NULL: as they are */
	struct confirm *confirms[DOOR_COUNT];
	struct readers *readers; /* owned: for DOOR_READ; NULL: there is none */
	bool draining;
	struct share *share; /* borrowed: of all workers; NULL: this is the only one */
	unsigned slot;       /* ours there */
	struct {
		uint64_t accepted, refused;
		uint64_t idle, slow, violations; /* clients closed for that */
		uint64_t in_bytes, out_bytes;
	} stats;
	uint64_t reported; /* what was counted when it was last reported */
	struct {
		size_t max_clients;
		uint64_t client_timeout_ms;
		size_t max_output_bytes, max_memory_bytes;
		uint64_t output_timeout_s;
		unsigned max_connects_per_s;
		const char *const *allow; /* borrowed from the worker's conf */
		size_t allow_count;
	} conf;
};

/* Why a session does not read on. */
enum session_wait {
	WAIT_NOTHING,
	WAIT_REPLIES, /* all that was asked must be answered first */
	WAIT_ROOM,    /* the lane takes no more */
	WAIT_CLIENT,  /* the client does not read its replies */
	WAIT_OTHERS,  /* the other workers are asked */
};

/* What its own lane is for. */
enum session_own {
	OWN_NONE,   /* there is none: requests go over the shared lane */
	OWN_ONCE,   /* one request that blocks, or comes in pieces */
	OWN_WATCH,  /* keys are watched */
	OWN_MULTI,  /* in a transaction */
	OWN_RAW,    /* subscriptions, MONITOR: the server speaks when it likes */
	OWN_ALWAYS, /* something that is not known may have left state on the connection */
};

/* Of a transaction: what it has queued about the connection itself. */
struct queued {
	struct buf raw; /* owned: the requests … */
	size_t *at;     /* owned: … and which of the transaction's each of them is */
	size_t count;
	bool lost; /* there were more than are kept */
	/* EXEC's reply, as far as it came */
	struct resp_reply_scanner scan; /* of the present element … */
	size_t element;                 /* … the transaction's command of that number … */
	struct buf mine;   /* owned: … and, if it is about the connection, that itself */
	size_t next, used; /* of `at` and, in bytes, of `raw` */
};

struct holding;
struct lasting;
struct lesson;
struct client_filter;
struct login;
struct multi;
struct raw;
struct unblocking;

struct identity {
	char *user, *password; /* owned; NULL: not given */
	uint32_t database;
	uint8_t protocol;
};

/* What an idle client does not need: there may be many of them. */
struct session_rare {
	struct login *login;     /* owned: AUTH, HELLO or SELECT waits for its reply */
	struct raw *raw;         /* owned: OWN_RAW's state */
	struct multi *multi;     /* owned: OWN_MULTI's, from MULTI on */
	struct holding *holding; /* owned: replies that wait for replicas; NULL: none */
	struct lasting
	    *lasting; /* owned: what the own lane's next links are to be told; NULL: nothing */
	struct lesson *lesson; /* owned: a script of which the reply says whether it was taken */
	const char *instead;   /* borrowed (static): replaces the next reply; NULL: nothing does */
	char *name;            /* owned: CLIENT SETNAME */
	char *lib_name, *lib_version;  /* owned: CLIENT SETINFO */
	struct client_filter *filter;  /* owned: of the CLIENT LIST or KILL that is due */
	struct unblocking *unblocking; /* owned: of the CLIENT UNBLOCK that is due */
	uint64_t wait_for; /* how many replicas the WAIT that is due asked for; 0: none is due */
	unsigned
	    wait_at; /* lane_reply.process of who took the writes and may count for WAIT, or 0 */
};

/* All zero: nothing of that is there. */
extern const struct session_rare session_no_rare;

struct session {
	uint32_t magic;
	unsigned written_at; /* lane_reply.process of a write that no WAIT has confirmed, or 0 */
	struct list link;
	struct proxy *proxy; /* borrowed (outlives its sessions) */
	struct backend
	    *backend;      /* borrowed (outlives it): the proxy's, or a place of its readers */
	struct conn *conn; /* owned */
	struct requester requester;
	struct resp_request_scanner scan;
	struct lane *lane;               /* ref: the shared one, or NULL until it is needed */
	struct lane *own;                /* owned, or NULL */
	const struct session_rare *rare; /* owned, or session_no_rare; changed by session_rare() */
	struct identity id;
	uint64_t number;    /* CLIENT ID */
	uint32_t created_s; /* clock_mono_ms … */
	uint32_t active_s;
	uint32_t sent_seen;  /* conn_sent_total, its lower half, a second ago … */
	uint32_t stuck_s;    /* … since when it has not grown, although something waits */
	uint16_t asked;      /* the present request's command: metrics_command */
	uint8_t door;        /* enum proxy_door */
	uint8_t wait;        /* enum session_wait */
	uint8_t own_mode;    /* enum session_own */
	uint8_t large_reads; /* to come, see SESSION_LARGE_READS */
	bool eof : 1;        /* the client sends no more */
	bool in_reply : 1;   /* it has a part of one */
	bool closing : 1;    /* gone after the replies that are due */
	bool ending : 1;     /* gone once those that wait for replicas are written */
	bool watch_lost : 1; /* EXEC must fail: what was watched is not known any more */
	bool multi_lost : 1; /* EXEC must fail: the transaction's connection is gone */
	bool own_ends : 1;   /* with the reply that is due the own lane is done with */
	bool own_sticky : 1; /* it may not go back */
	bool
	    unknown_asked : 1; /* the last request is a command that the table does not know, and all that keeps the own lane */
	bool multi_asked : 1; /* the next reply is MULTI's */
	bool exec_sent : 1;   /* the last request of the own lane is EXEC */
	bool blocks : 1;      /* the last request of the own lane may wait at the server for long */
	bool no_evict : 1;    /* CLIENT NO-EVICT: to be shown only */
	bool info_due : 1;    /* the next reply is INFO's for the client */
	bool multi_dirty : 1; /* EXEC must fail: something in it was refused here */
	bool waits_for_aof : 1; /* the WAIT that is due is WAITAOF */
	bool info_asked : 1;    /* the next reply is INFO's, for it: see wait_at */
	bool reply_off : 1;     /* CLIENT REPLY OFF … */
	bool skip_next : 1;     /* … SKIP: of the next request … */
	bool skip_now : 1;      /* … that is the last one taken */
	bool is_push : 1;       /* what comes now answers nothing: it is heard all the same */
};

enum dispatch {
	DISPATCH_DONE,  /* the request was taken */
	DISPATCH_LATER, /* not now: show it again */
	DISPATCH_CLOSED,
};

/* --- own.c --- */
/* The reply of WAIT or WAITAOF as the client may have it: what it wrote to another master is not confirmed by this one. */
/* The reply of INFO before it. */
void session_wait_info(struct session *s, const struct lane_reply *reply);
struct slice session_wait_answer(struct session *s, const struct lane_reply *reply);

/* --- session.c --- */
/* A client came through `door`; the conn is the session's from here. */
void session_new(struct proxy *p, struct conn *c, enum proxy_door door);
void session_close(struct session *s);
/* To change it. */
struct session_rare *session_rare(struct session *s);
/* Answers as Redis would and closes once the reply is sent. */
void session_close_with(struct session *s, const char *reply);
/* No more requests; ends when all is answered. */
void session_drain(struct session *s);
void session_reply(struct session *s, const char *reply);
void session_replyf(struct session *s, const char *fmt, ...) ATTR_PRINTF(2, 3);
/* The present request is answered without a server. */
void session_count_local(struct session *s, bool error);
/* Stops reading until that has come about. */
enum dispatch session_wait_for(struct session *s, enum session_wait what);
/* The key of an identity, borrowed from it. */
struct lane_key session_key(const struct identity *id);
/* Puts the request on the lane that the session uses now. */
enum dispatch session_forward(struct session *s, struct slice raw, unsigned flags);
/* One request over an own lane, then back. */
enum dispatch session_send_once(struct session *s, struct slice raw, unsigned flags);

/* Reads on, if there is nothing else to wait for. */
void session_read_on(struct session *s);

/* --- state.c: the commands that are about the connection itself --- */
enum dispatch session_state_command(
    struct session *s, const struct command *cmd, const struct resp_request *req);
/* A reply to AUTH, HELLO or SELECT came. */
void session_login_answered(struct session *s, bool ok);
void session_write_login(struct session *s, struct slice raw);
/* HELLO's reply without the digits of the connection's id. False: it is none. */
bool session_split_hello(struct slice raw, struct slice *ret_head, struct slice *ret_tail);
/* CLIENT GETNAME's reply. */
int session_add_name(const struct session *s, struct buf *out) ATTR_WARN_UNUSED;
void identity_fini(struct identity *id);
/* As Redis demands of names: no blanks, nothing that is not printable. */
bool session_is_good_name(struct slice name);

/* Of CLIENT's: the server says whether they are allowed, and counts them so. */
bool session_is_about_others(struct slice sub);

/* --- clients.c: the clients as tools see them --- */
/* CLIENT INFO's reply. */
int session_add_info(const struct session *s, struct buf *out) ATTR_WARN_UNUSED;
/* CLIENT LIST and KILL: the server is asked whether they are allowed. */
enum dispatch session_clients_command(struct session *s, const struct resp_request *req);
void session_clients_answer(struct session *s, const struct lane_reply *reply);
void session_filter_fini(struct session *s);
bool session_is_blocked(const struct session *s);
/* Of all workers. */
size_t proxy_clients(const struct proxy *p);
size_t proxy_blocked(struct proxy *p);
/* There are more sessions here, or fewer. */
void proxy_count(struct proxy *p);
/* Another worker's client asks for the clients: worker_ops.asked. */
void proxy_asked(void *state, const char *const *words, size_t count, struct buf *out);
/* INFO's reply, with our clients in place of the server's. */
void session_info_answer(struct session *s, const struct lane_reply *reply);

/* --- unblock.c: CLIENT UNBLOCK --- */
enum dispatch session_unblock_command(struct session *s, const struct resp_request *req);
/* The server's answer to it. */
void session_unblock_answer(struct session *s, const struct lane_reply *reply);
void session_unblock_fini(struct session *s);
/* proxy_asked's for that. */
void proxy_asked_blocked(struct proxy *p, const char *number, struct buf *out);

/* --- own.c: the own lane --- */
/* A lane of its own from here on. */
void session_take_own(struct session *s, enum session_own mode);
/* Back to the shared lane; the own one is clean, or is closed. */
void session_drop_own(struct session *s, bool clean);
/* `cmd` NULL: not known. `begin`: the first piece of a streamed request. */
enum dispatch session_own_command(
    struct session *s, const struct command *cmd, const struct resp_request *req, bool begin);
void session_own_answered(struct session *s, const struct lane_reply *reply);
/* The last `unsent` requests on it were not sent whole: they are sure not to have happened. */
void session_own_lost(struct session *s, unsigned unsent);

/* --- multi.c: transactions --- */
enum dispatch session_multi_begin(struct session *s, const struct resp_request *req);
enum dispatch session_multi_command(
    struct session *s, const struct command *cmd, const struct resp_request *req);
/* A request in pieces was sent within one. */
void session_multi_streamed(struct session *s);
/* True when the reply is not for the client. */
bool session_multi_hides(struct session *s, const struct lane_reply *reply);
void session_multi_lost(struct session *s, unsigned unsent);
/* It waits for the next master; nothing may be asked meanwhile. */
bool session_multi_is_away(const struct session *s);
/* For how long; 0: it does not. */
uint64_t session_multi_away_ms(const struct session *s, uint64_t now_ms);
void session_multi_give_up(struct session *s);
/* The lane may be there again. */
void session_multi_room(struct session *s);
void session_multi_fini(struct session *s);
/* Commands that are queued; -1: there is no transaction. */
int session_multi_queued(const struct session *s);

/* It has something about the connection itself. */
bool session_multi_changes(const struct session *s);
/* Is this a part of the array that says what EXEC of such a one has done? queued_executed's results. */
bool session_multi_is_executed(const struct session *s, const struct lane_reply *reply);
int session_multi_read(
    struct session *s, const struct lane_reply *reply, struct buf *out) ATTR_WARN_UNUSED;
/* All of it has come: what was queued about the connection is the session's from here on. */
void session_multi_executed(struct session *s);

/* --- queued.c: what a transaction changes about the connection --- */
bool queued_is_about_session(const struct command *cmd);
/* The transaction's command number `at`, counted from 0, was sent. */
void queued_add(struct queued *q, size_t at, struct slice raw);
/*
 * A part of EXEC's array. What was done takes effect, and `out` gets the same as the client may have it: with its own id and name in place of
 * the link's. 0, or what buf.h or -EPROTO says: nobody can tell any more who the client is.
 */
int queued_executed(struct session *s, struct queued *q, const struct lane_reply *reply,
    struct buf *out) ATTR_WARN_UNUSED;
void queued_fini(struct queued *q);

/* --- lasting.c: what the server keeps for the connection and the next one is to keep, too --- */
/* CLIENT TRACKING and CLIENT NO-TOUCH, on the own lane. */
enum dispatch session_lasting_command(
    struct session *s, const struct command *cmd, const struct resp_request *req);
void session_lasting_answered(struct session *s, bool ok);
/* EXEC did it: `raw` is the request. 0 or -ENOMEM. */
int session_lasting_queued(
    struct session *s, const struct command *cmd, bool is_on, struct slice raw) ATTR_WARN_UNUSED;
/* It would have another client told. */
bool session_redirects(const struct command *cmd, const struct resp_request *req);
/* The own lane's link is gone, or the next one is there. */
void session_lasting_lost(struct session *s);
void session_lasting_room(struct session *s);
void session_lasting_fini(struct session *s);

/* --- script.c: scripts that the next master is to know --- */
enum dispatch session_script_command(
    struct session *s, const struct command *cmd, const struct resp_request *req);
/* The reply to it came. */
void session_lesson_answered(struct session *s, bool ok);
void session_lesson_fini(struct session *s);

/* --- raw.c: subscriptions and MONITOR, where replies are not one for each request --- */
enum dispatch session_raw_command(
    struct session *s, const struct command *cmd, const struct resp_request *req);
/* DONE once no reply is on its way any more; until then LATER. */
enum dispatch session_raw_settle(struct session *s);
/* Nothing is subscribed: any other command may end this mode. LATER: it will have ended by then, unless
 * a subscription was still on its way. */
bool session_raw_may_leave(const struct session *s);
enum dispatch session_raw_leave(struct session *s);
/* Beside what is subscribed or watched other commands are possible, and their replies can be told apart. */
bool session_raw_is_apart(const struct session *s);
/* DONE once nothing is due and something may be sent. Then, of AUTH, HELLO, SELECT, CLIENT TRACKING: its reply is awaited. */
enum dispatch session_raw_alone(struct session *s);
enum dispatch session_raw_ask(struct session *s, struct slice raw);
void session_raw_reply(struct session *s, const struct lane_reply *reply);
/* Everything that was asked has been answered. */
bool session_raw_is_settled(const struct session *s);
void session_raw_lost(struct session *s);
/* The lane may be there again. */
void session_raw_room(struct session *s);
/* For how long nothing has come, for want of a master; 0: all is well. */
uint64_t session_raw_lost_ms(const struct session *s, uint64_t now_ms);
void session_raw_fini(struct session *s);
/* Subscriptions of a kind (enum subs_kind), or with SUBS_KINDS of all. */
size_t session_sub_count(const struct session *s, unsigned kind);
bool session_is_monitor(const struct session *s);
/* The bytes go to the client, behind those that wait for replicas. */
void session_write(struct session *s, struct slice bytes);
/* DONE once all that was asked is answered; until then LATER. */
enum dispatch session_settle(struct session *s);
/* At once. */
void session_put(struct session *s, struct slice bytes);
/* Nothing waits for replicas any more. */
void session_held_are_out(struct session *s);

/* --- durable.c: writes that are acknowledged only when replicas have them --- */
bool session_is_durable(const struct session *s);
/* `bytes` wait behind what waits. */
void session_hold(struct session *s, struct slice bytes);
/* A write's reply, or a part of it. */
void session_hold_write(struct session *s, const struct lane_reply *reply);
bool session_holds_much(const struct session *s);
size_t session_held_bytes(const struct session *s);
void session_holding_fini(struct session *s);

#endif
