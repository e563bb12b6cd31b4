/*
 * A change of the master, from the decision to the agreement of all sentinels: a planned switchover,
 * or a takeover from a master that is dead.
 *
 * Two ways, chosen by what the sentinels can do:
 *   led       the sentinels vote for a new epoch, the target has all writes, it is promoted, the
 *             sentinels are told in the words of their own protocol
 *   sentinel  SENTINEL FAILOVER to one of them; in a switchover steered by replica-priority
 * Never both at once: the second is taken only while nothing was changed by the first.
 *
 * Switchover: writes are paused first. Each abort before the promotion unpauses the old master and
 * leaves everything as it was; after the promotion there is no way back, only forward. No
 * acknowledged write is lost: the pause lives in the old master itself, so whatever becomes of us,
 * it takes no write while the target may be promoted, and it is made a replica before it is let go.
 *
 * Takeover: once the epoch is won, each replica reads what the dead master had still sent to it; the
 * one with the highest offset is promoted. So a write that any replica has confirmed (WAIT) is kept,
 * as long as that replica answers. A master that dies during a switchover turns it into a takeover.
 *
 * The machine is a table (failover_fsm). It owns nothing but its timers: links, watcher and topo
 * are borrowed. One runs at a time; the caller sees to that.
 */
#ifndef INSTANCE_FAILOVER_H
#define INSTANCE_FAILOVER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/errmsg.h"
#include "base/fsm.h"
#include "net/endpoint.h"
#include "net/loop.h"
#include "topo/topo.h"

#define FAILOVER_MAX_NODES 64
/* Where nobody listens: a replica that follows it keeps its data, its offset, and what it needs for a partial copy later. */
#define FAILOVER_NOWHERE_HOST "127.0.0.1"
#define FAILOVER_NOWHERE_PORT "1"

struct acquaint;
struct claim;
struct failover;
struct link;
struct watcher;

struct failover_node {
	const char *name;   /* redis-1; borrowed, as `link` (both outlive the failover) */
	struct endpoint at; /* as Sentinel names it */
	struct link *link;  /* NULL or not up: the node is left out */
	bool
	    synced; /* takeover: it had all of the master's data until a moment ago, or (barred) may have had: it must answer; others never take over */
	bool
	    known; /* barred, takeover: likewise, and that was seen here: what has another history than it is left out */
	bool
	    on_disk; /* takeover: its files have all of that, too; of two equals the one whose files have it */
	const char *
	    unfit; /* why it must not take over, for reasons that it does not know itself; borrowed likewise; NULL */
};

/* Zero in a number means the default. */
struct failover_spec {
	const char *master_name; /* Sentinel's; borrowed */
	struct watcher *watcher; /* borrowed */
	/* Whose epoch and id are used; NULL: an election of its own. Borrowed during failover_start. */
	const struct claim *claim;
	/* In whose names the sentinels can be told; NULL, or not known: they are asked. Borrowed during failover_start. */
	const struct acquaint *acquaint;
	const struct failover_node *nodes; /* copied */
	size_t count;
	size_t master;       /* index of the present master */
	const char *to;      /* name of the wanted node, or NULL for the best */
	uint64_t pause_ms;   /* 5000: longest time that writes are held up */
	uint64_t timeout_ms; /* 30000: the whole of it */
	uint64_t tell_ms;    /* 15000: until the sentinels agree, after the promotion */
	bool sentinel_only;  /* only the second way */
	bool
	    dry; /* only looks, changes nothing, and ends with on_plan, or with on_done when it could not look */
	bool dead; /* the master has ended, or can run no more code: a takeover */
	uint64_t
	    epoch; /* takeover: the config-epoch that is known, should no sentinel say a higher one */
	/*
	 * Takeover: the dead master's replication offset when it was last seen, a second before its end at
	 * most. A replica that has less now, all that was on its way being read, was not in step: it may
	 * have been cut off, or in its first second after a full copy, when redis sends it nothing yet.
	 */
	uint64_t seen_offset;
	/*
	 * 5000: Sentinel's down-after. A takeover that has not promoted anybody within half of it
	 * leaves the matter to Sentinel, whose own detection is near then.
	 */
	uint64_t down_after_ms;
	/*
	 * Takeover: the master is on another host and was not seen to die: votes first, then nobody may follow it any more, then all that had
	 * its data must answer (failover_freeze.c). Without votes it is given up: others may lead. Then it may be tried again in:
	 */
	bool remote;
	/*
	 * Sentinel promotes nobody by itself here (supervisor_priv.h, hosts_bar_sentinel): it is not asked to, and what it tries is not waited for. A
	 * replica's replica-announced says whether it may become master, since all have priority 0. A replica that has all of the master's data is never
	 * passed over: a takeover that it does not answer comes to nothing, and may be tried again.
	 */
	bool barred;
	bool
	    all; /* remote, barred: who was in step is not known, so every node must answer, and be fit */
	uint64_t
	    retry_ms; /* between two attempts at the votes; another for each host, or they split them for ever */
};

/* What was seen of a node; borrowed. */
struct failover_candidate {
	const char *name;
	const char *why; /* why it cannot take over; NULL: it can */
	bool answered;   /* the rest is known */
	uint64_t offset;
	unsigned priority;
};

struct failover_plan {
	const struct failover_candidate *candidates; /* all but the master */
	size_t count;
	size_t target;          /* index of who would become master; `count`: nobody */
	const char *why;        /* then: why */
	uint64_t master_offset; /* 0: it does not answer */
};

struct failover_ops {
	/* Writes are about to be paused for at most `ms`: the workers should hold. 0: they are not
	 * paused any more and nothing changed. May be NULL. */
	void (*on_hold)(void *owner, uint64_t ms);
	/*
	 * Node `i` takes writes now: the workers should route there. The old master is a replica by
	 * then, if it could be told, and has refused what was still on its way. May be NULL.
	 */
	void (*on_promoted)(void *owner, size_t i, const struct topo_master *master);
	/*
	 * The end: 0 and the new master, or a negative errno and `text`: what went wrong and how
	 * things stand (-ENOENT: a takeover found no replica that could take over). `master` is NULL
	 * when nothing changed, set when the node was promoted but the rest failed. The failover is
	 * gone after this: the owner drops its pointer.
	 */
	void (*on_done)(void *owner, int error, const struct topo_master *master, const char *text);
	/* Instead of on_done, with spec.dry. The failover is gone after it. */
	void (*on_plan)(void *owner, const struct failover_plan *plan);
	/* Asked before writes are paused, again and again for a second at most: is everybody prepared
	 * for it? NULL: always. */
	bool (*may_pause)(void *owner);
	/* spec.remote: asked before each step that cannot be taken back. NULL: always. */
	bool (*is_still_dead)(void *owner);
};

/*
 * Begins; on_done follows, never before this returns. NULL with the reason when it cannot even
 * begin: the target is unknown or is the master, there is no other node, no sentinel answers.
 */
struct failover *failover_start(struct loop *loop, const struct failover_spec *spec,
    const struct failover_ops *ops, void *owner, struct errmsg *err);
/* The master has died meanwhile (in a takeover: nothing new). What is not promoted yet becomes a takeover. */
void failover_master_died(struct failover *f);
/* Gives up: unpauses if nothing was promoted. on_done does not run. NULL is fine. */
void failover_cancel(struct failover **f);
/* State for status and logs: "pausing", "voting", … */
const char *failover_state(const struct failover *f);

extern const struct fsm failover_fsm;

#endif
