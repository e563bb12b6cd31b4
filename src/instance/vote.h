/*
 * A request for a sentinel's vote and its answer: SENTINEL IS-MASTER-DOWN-BY-ADDR with the asker's id instead of "*" (sentinel.c,
 * sentinelCommand and sentinelVoteLeader). The sentinel votes once for each epoch, saves that, and repeats it to whoever asks.
 */
#ifndef INSTANCE_VOTE_H
#define INSTANCE_VOTE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "net/endpoint.h"
#include "topo/link.h"

/* Plain data; `leader` is borrowed from the reply. */
struct vote {
	struct slice leader; /* the id that it votes for, or "*" */
	uint64_t epoch;      /* of that vote */
};

/* As link_send. `master` is who it knows as master now. */
int vote_ask(struct link *l, const struct endpoint *master, uint64_t epoch, const char *id,
    uint64_t timeout_ms, link_reply_fn *fn, void *arg);
/* False: that is no answer to such a request. */
bool vote_read(const struct redisReply *reply, struct vote *ret_vote);
bool vote_is_for(const struct vote *v, const char *id, uint64_t epoch);

#endif
