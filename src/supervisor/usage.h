/*
 * What workers counted of each command, from one of their reports (`stats` of a proxy or HTTP worker) to the next, of all workers together.
 * Pure: it knows no clock and no worker.
 *
 *   usage_begin ─► usage_add, a worker after the other ─► usage_commands, usage_percentile
 */
#ifndef SUPERVISOR_USAGE_H
#define SUPERVISOR_USAGE_H

#include <stddef.h>

#include <jansson.h>

#define USAGE_BUCKETS_MAX 40

/* Plain data: calls, and how long they took. */
struct usage_sum {
	double calls, errors, held, held_us, us, counts[USAGE_BUCKETS_MAX];
};

struct usage;

struct usage *usage_new(void);
void usage_free(struct usage **u);

/* Another sample: nobody has reported yet. */
void usage_begin(struct usage *u);
/*
 * A worker's report and the one before it, whose difference times `scale` (to make it one of a second) is what it did; NULL: there was none,
 * and it did nothing that is known. Adds what it did to `sum`.
 */
void usage_add(struct usage *u, const json_t *before, const json_t *after, double scale,
    struct usage_sum *sum);
void usage_sum_add(struct usage_sum *to, const struct usage_sum *more);

/* Below how many µs a share of them was, evenly spread within a bucket; what is above the last bound is that bound. NAN: there was nothing. */
double usage_percentile(const struct usage *u, const struct usage_sum *sum, double share);
/* The commands, most used first, as the interface shows them. */
json_t *usage_commands(const struct usage *u);

/* The number at `one`, or at `two` in the object there; 0: there is none. */
double usage_number(const json_t *doc, const char *one, const char *two);

#endif
