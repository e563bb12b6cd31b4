/*
 * The way to the master, one for each worker process: follows the topology, checks ROLE, and owns
 * the lanes (lane.h) over which requests travel.
 *
 *   topo → new master → probe link: connect, authenticate as our own user, ROLE says master →
 * routing lanes connect and send what they hold probe or a lane lost, ROLE says otherwise →
 * holding: lanes keep what comes until there is a master
 *
 * Nothing is sent to a server that has not said `master` since the link to it was made. While a
 * master is known but not reachable, it is tried again after 2, 4, 8 … 250 ms. The pool logs
 * nothing above debug; who wants to know watches it.
 */
#ifndef BACKEND_BACKEND_H
#define BACKEND_BACKEND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/defs.h"
#include "base/slice.h"
#include "net/endpoint.h"
#include "net/loop.h"
#include "topo/topo.h"

struct backend;
struct metrics;
struct scripts;

/* A server that also listens on a unix socket, on this host. */
struct backend_near {
	struct endpoint at;     /* as whoever names the master says it */
	struct endpoint socket; /* the same server */
};

/* Plain data. */
struct backend_conf {
	uint64_t hold_ms;      /* how long a request waits for a master */
	size_t held_bytes_max; /* of all requests that wait; 0: 64 MiB */
	size_t held_count_max; /* 0: 100000 */
	uint64_t stall_ms;     /* how long one slow reader may keep others waiting; 0: 1000 */
	/*
	 * Several hosts: the master takes writes only while it has so many replicas (min-replicas-to-write); until then it is none. 0: it is not
	 * looked at.
	 */
	unsigned fence;
	bool any_role;           /* a replica will do: what is sent only reads */
	struct metrics *metrics; /* borrowed: shared with another backend; NULL: its own */
	struct scripts *scripts; /* likewise */
	const struct backend_near *
	    near; /* requests go there over the socket if that can be; borrowed (outlives the backend) */
	size_t near_count;
	const char *client_name; /* what our links are called in CLIENT LIST; borrowed, static */
};

struct backend_watcher {
	struct list link;
	/* Requests go to `master` now (ROLE checked). */
	void (*on_route)(void *arg, const struct endpoint *master);
	/* They are held: `why` is text for a person. */
	void (*on_noroute)(void *arg, const char *why);
	/* Another master was named. Planned: the old one lives and has nothing that the new one has not. May be NULL. */
	void (*on_move)(void *arg, bool planned);
	/* A master that will be routed to as soon as it reaches enough replicas: time to connect. May be NULL. */
	void (*on_expected)(void *arg);
	/* Since backend_prepare no request is under way in pieces any more. May be NULL. */
	void (*on_prepared)(void *arg);
	void *arg; /* borrowed */
};

struct backend *backend_new(
    struct loop *loop, struct topo *topo, const struct backend_conf *conf); /* topo outlives it */
/* All requesters must be finished, all lanes released. */
void backend_free(struct backend **b);
void backend_configure(struct backend *b, const struct backend_conf *conf);
/* Our own user on the servers, for ROLE and probes. Without it they are asked as nobody. */
void backend_set_secret(struct backend *b, const char *user, const char *password);

/* Told at once when there is a route, then at each change. The watcher is embedded in its owner. */
void backend_watch(struct backend *b, struct backend_watcher *w);
void backend_unwatch(struct backend_watcher *w);
/* False while requests are held. */
bool backend_master(const struct backend *b, struct endpoint *ret_master);

/*
 * A planned switchover is near: a request in pieces could not be sent again, so none is begun, for at
 * most `ms`, and those that have begun may end meanwhile (on_prepared). ms 0 ends it, and so does the next
 * master.
 */
void backend_prepare(struct backend *b, uint64_t ms);
/*
 * Planned switchover: what is in flight is finished, what comes is held until topo names the next
 * master, or for at most `ms`. Called again it begins anew; ms 0 ends it.
 */
void backend_hold(struct backend *b, uint64_t ms);
/*
 * The same because this host hears no majority of the others: who is master afterwards may lack what the present one has. Ended by
 * backend_hold(b, 0), or after `ms`.
 */
void backend_isolate(struct backend *b, uint64_t ms);

/*
 * Is that (lane_reply.process) the present master's process, and this its run_id, as INFO on the same connection said? A
 * number alone does not tell: a connection may lead to the next process before it is known that there is one.
 */
bool backend_is_process(const struct backend *b, unsigned process, struct slice run_id);

struct backend_stats {
	uint64_t sent, answered, sent_again, uncertain, expired; /* requests */
	uint64_t connects, losses;                               /* links */
	uint64_t in_bytes, out_bytes;                            /* of replies, of requests */
	size_t held_bytes, held_count, lanes;                    /* now */
};
void backend_stats(const struct backend *b, struct backend_stats *ret_stats);
/* Borrowed. */
struct metrics *backend_metrics(const struct backend *b);
/* What the next master is to know, borrowed: whoever sees a script puts it there. */
struct scripts *backend_scripts(const struct backend *b);
/* Whoever begins to handle what arrived calls it once: what is sent from there on has arrived now. Gives clock_mono_us. */
uint64_t backend_tick(struct backend *b);
/* When that was last called. */
uint64_t backend_now_us(const struct backend *b);

#endif
