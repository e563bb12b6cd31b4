/*
 * Who is master: the one snapshot of a process, and those who want to know when it changes.
 *
 * Offers come from the sentinel watcher, from the supervisor (over its channel) and from the
 * supervisor itself. The higher config epoch wins; with an equal epoch the later offer of a
 * sentinel wins, since Sentinel may show an epoch just before the address that goes with it
 * (sentinel.c, sentinelRefreshInstanceInfo). topo only remembers and tells: whether the address
 * really is a master is checked with ROLE by whoever connects to it.
 */
#ifndef TOPO_TOPO_H
#define TOPO_TOPO_H

#include <stdbool.h>
#include <stdint.h>

#include "base/list.h"
#include "net/endpoint.h"

struct topo;

struct topo_master {
	struct endpoint at; /* kind TCP, numeric address */
	uint64_t epoch;     /* Sentinel's config-epoch */
};

enum topo_source { TOPO_FROM_STATE, TOPO_FROM_SENTINEL, TOPO_FROM_SUPERVISOR };

/* Embedded in its owner; called once at topo_watch if a master is known, then at each change of
 * address or epoch. */
struct topo_observer {
	struct list link;
	void (*on_master)(void *arg, const struct topo_master *master);
	void *arg; /* borrowed */
};

struct topo *topo_new(void);
void topo_free(struct topo **t);
/* False while no master is known. */
bool topo_master(const struct topo *t, struct topo_master *ret_master);
/* True when it changed the snapshot (observers were told before this returns). */
bool topo_offer(struct topo *t, const struct topo_master *master, enum topo_source source);
/*
 * Takes `master` although its epoch is lower: the sentinels were set up anew and count from the
 * start again. Only for who knows that a majority of them says so. True when it changed the
 * snapshot.
 */
bool topo_restart(struct topo *t, const struct topo_master *master);
/* Observers may come, go, and offer inside on_master. */
void topo_watch(struct topo *t, struct topo_observer *o);
void topo_unwatch(struct topo_observer *o);

#endif
