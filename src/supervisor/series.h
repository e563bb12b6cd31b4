/*
 * Figures over time in bounded memory: for each name one value a second for ten minutes, the means of ten seconds for three hours, and
 * those of a minute for a day; about 13 KB a name. A second without a value is a gap and stays one. Pure: it knows no clock.
 *
 *   series_set(name, value) … series_close(second) ─► each level's ring
 */
#ifndef SUPERVISOR_SERIES_H
#define SUPERVISOR_SERIES_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#define SERIES_MAX      256 /* names; what would be more is not kept */
#define SERIES_NAME_MAX 48
#define SERIES_DAY_S    86400

struct series;

struct series *series_new(void);
void series_free(struct series **s);

/* The value of the second that is under way; NAN: none. */
void series_set(struct series *s, const char *name, double value);
/*
 * That second (since 1970) is over. One that is not after the last is thrown away; those that were left out are gaps. Gives the
 * minute (since 1970) that has become whole by it; 0: none.
 */
uint64_t series_close(struct series *s, uint64_t second);
/* Means of a minute of an earlier life, in order, before the first series_close. */
void series_restore(struct series *s, uint64_t minute, const char *name, double value);

size_t series_count(const struct series *s);
/* Borrowed. */
const char *series_name(const struct series *s, size_t i);
/* The value of the last second that was closed; NAN: none. */
double series_last(const struct series *s, size_t i);
/* The mean of that minute, while it is among those that are kept; NAN: none. */
double series_minute(const struct series *s, size_t i, uint64_t minute);

/* Plain data: which points to give. */
struct series_range {
	unsigned step_s;
	uint64_t first; /* second of the first point */
	size_t count;
	size_t level; /* by which of the three */
};

/* The last `seconds` before `now` in at most `points` points. */
struct series_range series_range(uint64_t now, uint64_t seconds, size_t points);
/* Point `k` of that range; NAN: a gap. */
double series_point(const struct series *s, size_t i, const struct series_range *range, size_t k);

#endif
