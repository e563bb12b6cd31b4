/*
 * Readiness and health of one redis or sentinel process, over a link of its own.
 *
 *   every interval, at once on a new link, or when asked:
 *     redis     PING, ROLE                                      ┐
 *     sentinel  PING, SENTINEL MYID (once), SENTINEL MASTER     ┴▸ struct probe_view ──▸ on_change
 *
 * "Answering" is proven, not assumed: the process has answered PING with PONG on the present link,
 * and since then nothing was missed. Whether a silent process is dead is for the owner to judge:
 * link_silent_ms (of probe_link) and view.missed say how long and how often it has not answered.
 */
#ifndef INSTANCE_PROBE_H
#define INSTANCE_PROBE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/endpoint.h"
#include "net/loop.h"
#include "topo/topo.h"

struct link;
struct probe;

enum probe_kind { PROBE_REDIS, PROBE_SENTINEL };
enum probe_role { PROBE_UNKNOWN, PROBE_MASTER, PROBE_REPLICA };
/* A replica's link to its master, in ROLE's words. */
enum probe_sync {
	PROBE_SYNC_NONE,
	PROBE_SYNC_CONNECT,
	PROBE_SYNC_CONNECTING,
	PROBE_SYNC_TRANSFER,
	PROBE_SYNC_CONNECTED
};

/* Plain data. */
struct probe_view {
	bool connected;  /* the link stands, user and password taken */
	bool refused;    /* not connected: it did not take user and password */
	bool answering;  /* see above */
	bool loading;    /* redis: reads its data in; answers, but serves nothing yet */
	bool busy;       /* redis: answers that a script runs and that it serves nothing else */
	unsigned missed; /* rounds in a row without an answer in time; 0 once it answers */
	char why[160];   /* the last fault in words, "" while all is well */

	/* redis */
	enum probe_role role;
	struct endpoint master; /* replica: whom it follows */
	enum probe_sync sync;   /* replica */
	uint64_t offset;        /* replication offset, own */
	unsigned replicas;      /* master: replicas connected */

	/* sentinel */
	char id[41]; /* "" until told */
	bool knows;  /* it monitors the name; the rest is valid */
	struct topo_master
	    names; /* address by SENTINEL MASTER, which lags in a failover; see watcher.h */
	unsigned others, known_replicas, quorum, down_after_ms;
};

struct probe_spec {
	enum probe_kind kind;
	struct endpoint at;
	const char *user, *password; /* borrowed (outlive the probe); NULL: none */
	const char *master_name;     /* sentinel: borrowed likewise */
	uint64_t interval_ms;        /* 0: 1000 */
	uint64_t answer_ms;          /* 0: as the interval; an answer later than this is missed */
};

struct probe_ops {
	/* Anything in the view changed, offsets apart. The owner may free the probe in it. */
	void (*on_change)(struct probe *p, void *owner, const struct probe_view *view);
};

struct probe *probe_new(
    struct loop *loop, const struct probe_spec *spec, const struct probe_ops *ops, void *owner);
void probe_free(struct probe **p);

/* Borrowed until the next turn. */
const struct probe_view *probe_get(const struct probe *p);
/* Asks now; connects now if the link was waiting. */
void probe_ask(struct probe *p);
/*
 * Another pace from the next round on. After a missed round the next one follows at once, so that view.missed grows by one every
 * answer_ms while the process is silent.
 */
void probe_set_interval(struct probe *p, uint64_t interval_ms, uint64_t answer_ms);
/* The process is down on purpose: no questions, the view is cleared. False: begins again at once.
 */
void probe_rest(struct probe *p, bool resting);
void probe_move(struct probe *p, const struct endpoint *at);
/* The link, for commands of one's own (CONFIG SET, SHUTDOWN, SENTINEL SET …); borrowed. */
struct link *probe_link(const struct probe *p);

/* "master", "replica" or NULL. */
const char *probe_role_name(enum probe_role role);
/* redis: serves as what it is: not loading, and a replica is connected to its master. sentinel:
 * answers and monitors the name. */
bool probe_is_ready(const struct probe_view *view, enum probe_kind kind);

#endif
