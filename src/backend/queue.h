/*
 * Requests in order, each with its bytes until it is answered: what a lane holds, and what is in
 * flight on a wire.
 *
 *   flights:  | A | B | C | …        bytes: |AAAAAA|BBB|CCCCC…
 *
 * Bytes of a streamed request are counted but not kept. A flight whose requester went away stays in
 * its place with `who` NULL.
 */
#ifndef BACKEND_QUEUE_H
#define BACKEND_QUEUE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/defs.h"
#include "base/slice.h"

struct requester;
struct wire;

/* Beside enum lane_flags. */
enum flight_flags {
	FLIGHT_STREAM = 1 << 8,     /* its bytes are not kept */
	FLIGHT_OPEN = 1 << 9,       /* more pieces are to come */
	FLIGHT_UNCERTAIN = 1 << 10, /* to be answered here: it may have happened */
	FLIGHT_CUT = 1 << 11,       /* to be answered here: it did not happen */
	FLIGHT_NO_STALL = 1 << 13,  /* its reader had its time */
	FLIGHT_BEGUN = 1 << 12,     /* a part of the reply was handed on */
	FLIGHT_COUNTED = 1 << 14,   /* the time that it was held was */
	FLIGHT_ID = 1 << 15,        /* the wire's own: what the server calls it */
};

#define FLIGHT_LOCAL (FLIGHT_UNCERTAIN | FLIGHT_CUT)

struct flight {
	struct requester *who; /* borrowed; NULL: nobody waits for the reply */
	uint64_t len;          /* bytes of the request */
	uint64_t since;        /* when it was first held; 0: it was not */
	uint32_t flags;        /* enum lane_flags and enum flight_flags */
	uint32_t arrived_us;   /* backend_now_us, the lower half */
};

/* Embedded object. */
struct queue {
	struct flight *ring; /* owned */
	size_t cap, head, count;
	struct buf bytes;
	struct wire *wire; /* borrowed (contains the queue); NULL: what a lane holds */
};

void queue_init(struct queue *q);
void queue_fini(struct queue *q);

static inline struct flight *
queue_at(struct queue *q, size_t i)
{
	return &q->ring[(q->head + i) & (q->cap - 1)];
}

static inline bool
flight_is_kept(const struct flight *f)
{
	return (f->flags & (FLIGHT_STREAM | FLIGHT_LOCAL)) == 0;
}

/* Adds `f`, whose bytes are `raw` (not kept when f's flags say so). 0 or -ENOMEM. */
int queue_push(struct queue *q, const struct flight *f, struct slice raw) ATTR_WARN_UNUSED;
/* Drops the first flight and its bytes. */
void queue_pop(struct queue *q);
/* Gives the memory back when nothing is queued. */
void queue_release(struct queue *q);
/* The bytes of the first flight; empty when they are not kept. */
struct slice queue_front_bytes(struct queue *q);
/* Nobody waits any more for what `who` asked; returns how many. */
size_t queue_forget(struct queue *q, const struct requester *who);

#endif
