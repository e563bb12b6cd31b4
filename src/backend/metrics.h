/*
 * What a worker counts: for each command calls, errors, a histogram of the time from its arrival to its reply, and the
 * time that it was held for want of a master. Memory is bounded: one small record for each command of the table that
 * was ever asked, and one for all others. Counting costs no clock of its own: times are those of the turn's reads.
 *
 * It goes to the supervisor as JSON (ipc/channel.h, `stats`), from there into `holdfast status --json`.
 */
#ifndef BACKEND_METRICS_H
#define BACKEND_METRICS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/backend.h"
#include "backend/confirm.h"
#include "base/buf.h"
#include "base/defs.h"

struct command;
struct metrics;

/* Bounds of the histograms: 16 µs, doubled each time, up to 67 s; the last bucket has what is above. */
#define METRICS_FIRST_US 16
#define METRICS_BUCKETS  24

/* Plain data, all zero to begin with. */
struct metrics_histogram {
	uint64_t us; /* sum */
	uint64_t counts[METRICS_BUCKETS];
};
void metrics_observe(struct metrics_histogram *h, uint64_t us);
/* "[0,0,3]", up to the last bucket that is not 0. 0 or buf.h's errors. */
int metrics_add_histogram(struct buf *out, const struct metrics_histogram *h) ATTR_WARN_UNUSED;

struct metrics *metrics_new(void);
void metrics_free(struct metrics **m);

/* By which requests name their command (LANE_COMMAND_SHIFT). NULL, or not in the table: 0. */
unsigned metrics_command(const struct command *cmd);
/* One was answered after so many µs. */
void metrics_add(struct metrics *m, unsigned command, bool error, uint64_t latency_us);
/* One was answered without a server. */
void metrics_add_local(struct metrics *m, unsigned command, bool error);
/* One was held for want of a master, or of a connection to it. */
void metrics_add_held(struct metrics *m, unsigned command, uint64_t us);
/* So many writes at once, replicas were asked for: that took so long, and this came of them. */
void metrics_add_confirm(
    struct metrics *m, enum confirm_outcome outcome, uint64_t writes, uint64_t us);
/* Grows with each of these calls. */
uint64_t metrics_total(const struct metrics *m);
/*
 * "latency_le_us":[…],"commands":{"GET":{"calls":1,"errors":0,"us":52,"held":0,"held_us":0,"latency":[0,0,1]}},
 * "confirm":{"kept":9,"few":0,"lost":0,"us":812,"latency":[0,0,3]}; a histogram ends with its last bucket that is not 0.
 * What would not fit into the cap of `out` is summed up under "(more)". 0 or buf.h's errors.
 */
int metrics_add_json(const struct metrics *m, struct buf *out) ATTR_WARN_UNUSED;
/* "backend":{"lanes":1,…}, with the comma. 0 or buf.h's errors. */
int metrics_add_backend(const struct backend_stats *b, struct buf *out) ATTR_WARN_UNUSED;

#endif
