/*
 * Replies that a client may not have yet: each write's until replicas have it, and whatever comes behind it, since
 * replies keep the order of requests.
 *
 *   | plain | write, ticket 7 | plain | write, ticket 9 | write, its reply still comes |
 *     gone    decided: next     behind  asked for
 *
 * Pure data: what is written, and instead of what, is the session's (durable.c).
 */
#ifndef PROXY_HELD_H
#define PROXY_HELD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/confirm.h"
#include "base/buf.h"
#include "base/defs.h"
#include "base/slice.h"

enum held_state {
	HELD_PLAIN,
	HELD_OPEN, /* a write's, of which more is to come */
	HELD_ASKED,
	HELD_DECIDED,
};

struct held_entry {
	uint64_t ticket;
	size_t len;
	unsigned process;
	uint8_t state;   /* enum held_state */
	uint8_t outcome; /* enum confirm_outcome */
};

/* Embedded object. */
struct held {
	struct buf bytes;
	struct held_entry *entries; /* owned; from `head` on */
	size_t head, count, cap;
};

void held_init(struct held *h, size_t bytes_max);
void held_fini(struct held *h);
/* Each 0, or buf.h's errors. */
int held_add_plain(struct held *h, struct slice raw) ATTR_WARN_UNUSED;
/* A write's reply or, until `last`, a part of it. Then it waits for `ticket`; 0: it is lost already. */
int held_add_write(struct held *h, struct slice raw, bool last, uint64_t ticket,
    unsigned process) ATTR_WARN_UNUSED;
void held_decide(struct held *h, unsigned process, uint64_t upto, enum confirm_outcome outcome);
/* The first, if it may go: its bytes (until the next change) and, of a write, the outcome. */
bool held_first(struct held *h, struct slice *ret_raw, enum confirm_outcome *ret_outcome);
void held_pop(struct held *h);

static inline bool
held_is_empty(const struct held *h)
{
	return h->head == h->count;
}

#endif
