/*
 * Writes that count only when so many replicas have them: proxy.durability.
 *
 *   reply to a write (its owner keeps it) → confirm_add → ticket
 *                                              at the end of the turn: PING, WAIT n, for all tickets so far
 *   its owner sends it, or an error instead  ← on_outcome ← the answer
 *
 * WAIT goes over a link of its own. So nothing stands behind it: reads go on, the writes of the next batch are carried
 * out while this one is being confirmed, and it is all the same over which connection a write went. PING before it
 * makes the server take all that it has carried out so far for what is waited for.
 *
 * That link must lead to the very process that answered the write, for a server that was started again in its place
 * knows nothing of a write that was lost with its memory: processes are told apart by run_id (lane_reply.process). When
 * the master hands over and lives, its successor is asked for what was written there. (A master that pauses for that
 * does not ask its replicas what they have: redis, beforeSleep().)
 */
#ifndef BACKEND_CONFIRM_H
#define BACKEND_CONFIRM_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/backend.h"
#include "base/list.h"

struct confirm;

enum confirm_outcome {
	CONFIRM_KEPT, /* enough replicas have it */
	CONFIRM_FEW,  /* they have not in wait_ms */
	CONFIRM_LOST, /* the server is gone, or has become a replica: nobody can tell */
};

/* Embedded in its owner; on the list while it waits for an outcome. */
struct confirm_watcher {
	struct list link;
	/* All tickets up to `upto` that were given for that server process are decided. It may add and remove watchers. */
	void (*on_outcome)(
	    void *arg, unsigned process, uint64_t upto, enum confirm_outcome outcome);
	void *arg; /* borrowed */
};

/* `b` outlives it. */
struct confirm *confirm_new(struct backend *b);
/* No callback after this; whoever still waits must be gone. */
void confirm_free(struct confirm **c);
/* replicas 0: nothing is to be confirmed from now on. wait_ms: how long replicas have for it. */
void confirm_configure(struct confirm *c, unsigned replicas, uint64_t wait_ms);
unsigned confirm_replicas(const struct confirm *c);
uint64_t confirm_wait_ms(const struct confirm *c);
/*
 * A write was answered by that process just now. The outcome comes to those that watch then, never from inside this.
 * 0: it cannot be confirmed any more, as with CONFIRM_LOST.
 */
uint64_t confirm_add(struct confirm *c, unsigned process);
void confirm_watch(struct confirm *c, struct confirm_watcher *w);
void confirm_unwatch(struct confirm_watcher *w);

#endif
