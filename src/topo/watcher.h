/*
 * Watches the sentinels: who is master in their eyes, and whether they agree.
 *
 *   sentinel ──events──▸ listener link ─┐
 *            ◂─ questions ─ command link ┴▸ view of this sentinel ──▸ topo_offer, observers
 *
 * Each sentinel has two links. On connect, at each event that may mean a change, and every poll_ms,
 * the same two questions go in one packet: SENTINEL MASTER, then GET-MASTER-ADDR-BY-NAME. In this
 * order a change between the two can only pair the new address with the old epoch, which the next
 * answer mends; the other way round the old address would travel under the new epoch.
 *
 * What a sentinel says is offered to topo (TOPO_FROM_SENTINEL). Whether they say the same is
 * for the owner to ask (watcher_get, watcher_majority). One case cannot be settled by the higher epoch: sentinels
 * that were set up anew begin at epoch 0 again. When a majority, none contradicting, has named one
 * master at a lower epoch for restart_ms, topo is told to start again from there.
 *
 * The watcher owns its links, borrows the topo, and logs nothing above debug.
 */
#ifndef TOPO_WATCHER_H
#define TOPO_WATCHER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/slice.h"
#include "net/endpoint.h"
#include "net/loop.h"
#include "topo/topo.h"

#define WATCHER_MAX_SENTINELS 64

struct link;
struct watcher;

/* One sentinel's view. Plain data. */
struct watcher_sentinel {
	struct endpoint at;
	bool connected; /* its command link stands */
	bool refused;   /* it does not, since user and password were not taken */
	bool hears;     /* its events arrive */
	bool
	    knows; /* it has answered on this link and knows the master's name; the rest is valid */
	struct topo_master names; /* the master by it, and its config-epoch */
	char id[41];              /* its own id; "" until told */
	unsigned others;          /* other sentinels that it knows */
	unsigned replicas;        /* replicas that it knows, dead ones included */
	unsigned quorum;
	uint64_t down_after_ms; /* what silence of the master it waits for; 0: it does not say */
	bool s_down, o_down;    /* the master, by it */
	bool failover;          /* a failover is running, by it */
	uint64_t answered_ms;   /* clock_mono_ms of its last answer; 0: never */
	char why[160];          /* the last fault in words, "" while all is well */
};

/* All pointers are borrowed; `name`, `user` and `password` must outlive the watcher. */
struct watcher_spec {
	const char *name; /* Sentinel's master name */
	const struct endpoint *sentinels;
	size_t count;         /* at most WATCHER_MAX_SENTINELS */
	const char *user;     /* of the sentinels; NULL: default */
	const char *password; /* NULL: none */
	uint64_t poll_ms;     /* 0: 1000 */
	uint64_t restart_ms;  /* 0: 5000; see above */
};

/*
 * Somebody who wants to know. Embedded in its owner; either function may be NULL. In them the
 * watcher may be asked, other observers may come and go, but the watcher is not freed
 * (nor in an observer of its topo).
 */
struct watcher_observer {
	struct list link;
	/* Something in the view of sentinel `i` changed, answered_ms apart. Topo was told before.
	 */
	void (*on_change)(void *arg, size_t i, const struct watcher_sentinel *view);
	/* Sentinel `i` published an event, e.g. "+switch-master": untrusted bytes. */
	void (*on_event)(void *arg, size_t i, struct slice channel, struct slice text);
	void *arg; /* borrowed */
};

/* `topo` may be NULL: then nothing is offered. It must outlive the watcher. */
struct watcher *watcher_new(struct loop *loop, struct topo *topo, const struct watcher_spec *spec);
void watcher_free(struct watcher **w);
void watcher_watch(struct watcher *w, struct watcher_observer *o);
void watcher_unwatch(struct watcher_observer *o);

/* As whom the sentinels are asked from now on: all links begin anew. Borrowed, as in the spec. */
void watcher_set_user(struct watcher *w, const char *user, const char *password);
/* Another list of sentinels; those in both lists keep their links and views. */
void watcher_set_sentinels(struct watcher *w, const struct endpoint *sentinels, size_t count);
size_t watcher_count(const struct watcher *w);
/* The view of sentinel `i` < watcher_count, borrowed until the next turn. */
const struct watcher_sentinel *watcher_get(const struct watcher *w, size_t i);
/* Its command link, to send SENTINEL commands of one's own; borrowed. */
struct link *watcher_link(const struct watcher *w, size_t i);
/* Asks all of them now; kicks links that are waiting. */
void watcher_ask(struct watcher *w);

/* More than half of the list name this master and epoch. */
bool watcher_majority(const struct watcher *w, struct topo_master *ret_master);

#endif
