#include "supervisor/series.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/defs.h"
#include "base/mem.h"

static const struct level {
	unsigned step_s;
	unsigned count;
} levels[] = {{1, 600}, {10, 1080}, {60, 1440}};

#define LEVELS ARRAY_LEN(levels)
#define MINUTE (LEVELS - 1)

/* The mean that is being made of one bucket. */
struct mean {
	double sum;
	unsigned count;
};

struct one {
	char name[SERIES_NAME_MAX];
	double now;
	struct mean means[LEVELS];
	float *rings[LEVELS]; /* owned */
};

struct series {
	struct one *all[SERIES_MAX]; /* owned */
	size_t count;
	uint64_t last; /* second that was closed; 0: none yet */
	uint64_t newest
	    [LEVELS]; /* bucket (second / step) that is in the ring; what is newer is not known yet */
};

struct series *
series_new(void)
{
	return xcalloc(1, sizeof(struct series));
}

void
series_free(struct series **sp)
{
	struct series *s = *sp;

	*sp = NULL;
	if (s == NULL) {
		return;
	}
	for (size_t i = 0; i < s->count; i++) {
		for (size_t l = 0; l < LEVELS; l++) {
			free(s->all[i]->rings[l]);
		}
		free(s->all[i]);
	}
	free(s);
}

static struct one *
find(struct series *s, const char *name)
{
	struct one *one;

	for (size_t i = 0; i < s->count; i++) {
		if (strcmp(s->all[i]->name, name) == 0) {
			return s->all[i];
		}
	}
	if (s->count == SERIES_MAX) {
		return NULL;
	}
	one = xcalloc(1, sizeof(*one));
	(void)snprintf(one->name, sizeof(one->name), "%s", name);
	one->now = NAN;
	for (size_t l = 0; l < LEVELS; l++) {
		one->rings[l] = xcalloc(levels[l].count, sizeof(float));
		for (size_t k = 0; k < levels[l].count; k++) {
			one->rings[l][k] = NAN;
		}
	}
	s->all[s->count++] = one;
	return one;
}

void
series_set(struct series *s, const char *name, double value)
{
	struct one *one = find(s, name);

	if (one != NULL) {
		one->now = value;
	}
}

/* Writes `value` as bucket `at`, and gaps for those between it and the newest. */
static void
put(const struct series *s, struct one *one, size_t l, uint64_t at, double value)
{
	uint64_t from = s->newest[l] == 0 || at - s->newest[l] > levels[l].count
			    ? at - levels[l].count + 1
			    : s->newest[l] + 1;

	for (uint64_t b = from; b < at; b++) {
		one->rings[l][b % levels[l].count] = NAN;
	}
	one->rings[l][at % levels[l].count] = (float)value;
}

/* The seconds of the bucket before `second` are all there: their mean. */
static void
close_bucket(struct series *s, size_t l, uint64_t at)
{
	for (size_t i = 0; i < s->count; i++) {
		struct mean *m = &s->all[i]->means[l];

		put(s, s->all[i], l, at, m->count > 0 ? m->sum / m->count : NAN);
		*m = (struct mean){0};
	}
	s->newest[l] = at;
}

uint64_t
series_close(struct series *s, uint64_t second)
{
	uint64_t minute = s->newest[MINUTE];

	if (second <= s->last) {
		return 0; /* the clock was set back: what is known stays until it has caught up */
	}
	for (size_t l = 0; l < LEVELS; l++) {
		uint64_t before = s->last / levels[l].step_s;

		if (s->last > 0 && second / levels[l].step_s != before && before > s->newest[l]) {
			close_bucket(s, l, before);
		}
	}
	for (size_t i = 0; i < s->count; i++) {
		struct one *one = s->all[i];

		for (size_t l = 0; l < LEVELS && !isnan(one->now); l++) {
			one->means[l].sum += one->now;
			one->means[l].count++;
		}
	}
	/* a second is whole as it comes */
	close_bucket(s, 0, second);
	for (size_t i = 0; i < s->count; i++) {
		s->all[i]->now = NAN;
	}
	s->last = second;
	return s->newest[MINUTE] != minute ? s->newest[MINUTE] : 0;
}

void
series_restore(struct series *s, uint64_t minute, const char *name, double value)
{
	struct one *one = find(s, name);

	if (one == NULL || minute < s->newest[MINUTE]) {
		return;
	}
	if (minute > s->newest[MINUTE]) {
		for (size_t i = 0; i < s->count; i++) {
			put(s, s->all[i], MINUTE, minute, NAN);
		}
		s->newest[MINUTE] = minute;
	}
	one->rings[MINUTE][minute % levels[MINUTE].count] = (float)value;
}

size_t
series_count(const struct series *s)
{
	return s->count;
}

const char *
series_name(const struct series *s, size_t i)
{
	return s->all[i]->name;
}

static double
look(const struct series *s, size_t i, size_t l, uint64_t at)
{
	if (at > s->newest[l] || at + levels[l].count <= s->newest[l]) {
		return NAN;
	}
	return (double)s->all[i]->rings[l][at % levels[l].count];
}

double
series_last(const struct series *s, size_t i)
{
	return s->last > 0 ? look(s, i, 0, s->last) : NAN;
}

double
series_minute(const struct series *s, size_t i, uint64_t minute)
{
	return look(s, i, MINUTE, minute);
}

/* The finest level that goes back so far. */
static size_t
level_for(uint64_t seconds)
{
	size_t l = 0;

	while (l + 1 < LEVELS && (uint64_t)levels[l].step_s * levels[l].count < seconds) {
		l++;
	}
	return l;
}

struct series_range
series_range(uint64_t now, uint64_t seconds, size_t points)
{
	struct series_range r = {.level = level_for(seconds)};
	unsigned step = levels[r.level].step_s;

	while ((seconds + step - 1) / step > points) {
		step += levels[r.level].step_s;
	}
	r.step_s = step;
	r.count = (size_t)MAX((seconds + step - 1) / step, (uint64_t)1);
	r.first = now / step * step - (uint64_t)(r.count - 1) * step;
	return r;
}

double
series_point(const struct series *s, size_t i, const struct series_range *range, size_t k)
{
	size_t l = range->level;
	uint64_t from = range->first + (uint64_t)k * range->step_s;
	double sum = 0;
	unsigned count = 0;

	for (uint64_t at = from / levels[l].step_s; at < (from + range->step_s) / levels[l].step_s;
	     at++) {
		double value = look(s, i, l, at);

		/* a bucket that is not whole yet: what there is of it */
		if (isnan(value) && at > s->newest[l] && at == s->last / levels[l].step_s &&
		    s->all[i]->means[l].count > 0) {
			value = s->all[i]->means[l].sum / s->all[i]->means[l].count;
		}
		if (!isnan(value)) {
			sum += value;
			count++;
		}
	}
	return count > 0 ? sum / count : NAN;
}
