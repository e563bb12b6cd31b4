/*
 * The next epoch, won in advance. A vote is a write to disk in each sentinel, and on a disk that a dying master has kept busy that takes
 * as long as it takes. So the sentinels are asked for their votes while all is well: when the master dies they only repeat what they have
 * saved (sentinel.c, sentinelVoteLeader), and nothing of the takeover waits for a disk.
 *
 * It is the election that Sentinel itself holds, at the epoch after the present one, and nobody else can win that epoch any more. Until it
 * is used it changes nothing, apart from this: a sentinel that has just voted for another begins no failover of its own for twice
 * sentinel.failover_timeout_ms. A failover of Sentinel's own takes a higher epoch, and the next claim is for the one after that.
 */
#ifndef INSTANCE_CLAIM_H
#define INSTANCE_CLAIM_H

#include <stdint.h>

#define CLAIM_ID_SIZE 41

struct claim;
struct watcher;

/*
 * `watcher` is borrowed and outlives the claim. `id`: 40 hexadecimal digits, under which votes are given; the same one for all the life of a
 * cluster's node, or the votes of before are somebody else's.
 */
struct claim *claim_new(struct watcher *watcher, const char *id);
void claim_free(struct claim **c);
/* All is well: asks those sentinels for their vote that have not given it yet. Costs nothing when all have. */
void claim_run(struct claim *c);
const char *claim_id(const struct claim *c);
/* The epoch that votes were asked for, or 0: none yet. It may be lower than the present one. */
uint64_t claim_epoch(const struct claim *c);

#endif
