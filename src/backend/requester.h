/*
 * Who sends requests over lanes (lane.h) and is told their replies: a session of a client, or whoever else asks the
 * master. Embedded in its owner.
 */
#ifndef BACKEND_REQUESTER_H
#define BACKEND_REQUESTER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/list.h"
#include "base/slice.h"

struct lane;
struct queue;

/* A reply or a part of one, as the server sent it. */
struct lane_reply {
	struct slice raw; /* borrowed until the callback returns */
	bool first, last; /* both: the complete reply */
	char type;        /* its first byte: '+', '-', '$' … */
	bool local;       /* made here (-MASTERDOWN, -UNCERTAIN …): no server said it */
	bool read;        /* it was asked with LANE_READ */
	unsigned
	    process; /* which server process said it: another number, another one, if only a restarted one */
};

struct requester_ops {
	/* Replies come in the order of requests. With pushes and raw lanes also unasked. */
	void (*on_reply)(void *owner, const struct lane_reply *reply);
	/*
	 * Only with LANE_READ over a shared lane, when nothing else of this requester is unanswered:
	 * the reply is LANE_LARGE bytes or more. It is thrown away and counts as answered; `raw` is
	 * the request, to be sent again over an own lane, where nobody waits behind a slow reader.
	 * NULL: large replies come like others.
	 */
	void (*on_large)(void *owner, struct slice raw);
	/*
	 * Raw lanes, when a planned switchover would end the link: has all that was asked been
	 * answered? Asked again after each reply. NULL: always.
	 */
	bool (*is_settled)(void *owner);
	/* lane_is_full was true and no longer is. */
	void (*on_room)(void *owner);
	/*
	 * An own lane lost its link, and with it the server's state. Pinned: its `dropped`
	 * unanswered requests are forgotten, their replies are the owner's to make up; of the last
	 * `unsent` of them it is sure that no server has carried them out. Otherwise 0: they are
	 * treated as ever. The lane connects again when it is next used. May be NULL.
	 */
	void (*on_lost)(void *owner, struct lane *lane, unsigned dropped, unsigned unsent);
};

/* Embedded in a session. */
struct requester {
	const struct requester_ops *ops; /* borrowed (static) */
	void *owner;                     /* borrowed (contains the requester) */
	uint32_t unanswered;             /* requests; read only */
	/* the room's own, not to be touched */
	uint32_t pass;
	uint32_t kept_bytes; /* or the most that fits */
	bool slow;
	struct queue
	    *queue; /* borrowed: where its unanswered requests are; NULL when there are none */
	struct lane *own;    /* borrowed: its own lane, if it has one */
	struct list waiting; /* for room */
};

void requester_init(struct requester *r, const struct requester_ops *ops, void *owner);
/* Its outstanding replies will be dropped; nobody else is affected. No callback after this. */
void requester_fini(struct requester *r);
/*
 * The owner cannot take more replies for now (its client reads slowly), or can again. An own lane
 * stops reading at once. A shared one takes no more requests (others get a fresh link) and waits
 * stall_ms at most for this reader if somebody is behind it; then the rest of the reply comes all
 * the same, and how much of it the owner keeps is the owner's business.
 */
void requester_set_slow(struct requester *r, bool slow);

#endif
