/*
 * Keeps the sentinels one epoch ahead of the configuration, so that a vote costs each of them one write to its file instead of two:
 * a sentinel that is asked for its vote at an epoch it has not reached saves that first (sentinel.c, sentinelVoteLeader). The epoch
 * travels as in every hello of a sentinel, with the master and the config-epoch that it names already; nothing else changes by it.
 *
 * A convenience: where it does not work (another implementation, a sentinel without acquaintances), votes take longer.
 */
#ifndef INSTANCE_PRIMER_H
#define INSTANCE_PRIMER_H

struct primer;
struct watcher;

/* `watcher` and `name`, Sentinel's master name, are borrowed and outlive the primer. */
struct primer *primer_new(struct watcher *watcher, const char *name);
void primer_free(struct primer **p);
/* All is well: the sentinels that can be reached are brought ahead; nothing is asked of those that are already. */
void primer_run(struct primer *p);

#endif
