#include "supervisor/usage.h"

#include <math.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/defs.h"
#include "base/mem.h"

#define COMMANDS_MAX 1000

struct command {
	char name[48];
	struct usage_sum now, total;
};

struct usage {
	struct command *all; /* owned */
	size_t count;
	double bounds[USAGE_BUCKETS_MAX];
	size_t bound_count;
};

struct usage *
usage_new(void)
{
	struct usage *u = xcalloc(1, sizeof(*u));

	u->all = xcalloc(COMMANDS_MAX, sizeof(*u->all));
	return u;
}

void
usage_free(struct usage **up)
{
	struct usage *u = *up;

	*up = NULL;
	if (u != NULL) {
		free(u->all);
		free(u);
	}
}

double
usage_number(const json_t *doc, const char *one, const char *two)
{
	const json_t *v = json_object_get(doc, one);

	v = two != NULL ? json_object_get(v, two) : v;
	return json_is_number(v) ? json_number_value(v) : 0;
}

void
usage_begin(struct usage *u)
{
	u->count = 0;
}

static void
read_bounds(struct usage *u, const json_t *stats)
{
	const json_t *list = json_object_get(stats, "latency_le_us");

	if (json_array_size(list) > 0 && json_array_size(list) < USAGE_BUCKETS_MAX) {
		u->bound_count = json_array_size(list);
		for (size_t i = 0; i < u->bound_count; i++) {
			u->bounds[i] = json_number_value(json_array_get(list, i));
		}
	}
}

/* NULL: it is one too many. */
static struct command *
find(struct usage *u, const char *name)
{
	struct command *c;

	for (size_t i = 0; i < u->count; i++) {
		if (strcmp(u->all[i].name, name) == 0) {
			return &u->all[i];
		}
	}
	if (u->count == COMMANDS_MAX) {
		return NULL;
	}
	c = &u->all[u->count++];
	*c = (struct command){0};
	(void)snprintf(c->name, sizeof(c->name), "%s", name);
	return c;
}

/* Adds `sign` times what stands there. */
static void
add_record(struct usage_sum *to, const json_t *record, double sign)
{
	const json_t *latency = json_object_get(record, "latency");

	to->calls += sign * usage_number(record, "calls", NULL);
	to->errors += sign * usage_number(record, "errors", NULL);
	to->held += sign * usage_number(record, "held", NULL);
	to->held_us += sign * usage_number(record, "held_us", NULL);
	to->us += sign * usage_number(record, "us", NULL);
	for (size_t i = 0; i < json_array_size(latency) && i < USAGE_BUCKETS_MAX; i++) {
		to->counts[i] += sign * json_number_value(json_array_get(latency, i));
	}
}

void
usage_sum_add(struct usage_sum *to, const struct usage_sum *more)
{
	to->calls += more->calls;
	to->errors += more->errors;
	to->held += more->held;
	to->held_us += more->held_us;
	to->us += more->us;
	for (size_t i = 0; i < USAGE_BUCKETS_MAX; i++) {
		to->counts[i] += more->counts[i];
	}
}

void
usage_add(
    struct usage *u, const json_t *before, const json_t *after, double scale, struct usage_sum *sum)
{
	const json_t *was = json_object_get(before, "commands"), *record;
	const char *name;

	read_bounds(u, after);
	json_object_foreach(json_object_get((json_t *)(uintptr_t)after, "commands"), name, record)
	{
		struct command *c = find(u, name);
		struct usage_sum one = {0};

		if (c == NULL) {
			break;
		}
		add_record(&c->total, record, 1);
		if (before == NULL) {
			continue;
		}
		add_record(&one, record, scale);
		add_record(&one, json_object_get(was, name), -scale);
		/* less than before: a worker that was started anew */
		if (one.calls >= 0) {
			usage_sum_add(&c->now, &one);
			usage_sum_add(sum, &one);
		}
	}
}

double
usage_percentile(const struct usage *u, const struct usage_sum *sum, double share)
{
	double all = 0, seen = 0;

	for (size_t i = 0; i <= u->bound_count; i++) {
		all += sum->counts[i];
	}
	if (all <= 0 || u->bound_count == 0) {
		return NAN;
	}
	for (size_t i = 0; i < u->bound_count; i++) {
		double low = i > 0 ? u->bounds[i - 1] : 0, count = sum->counts[i];

		if (seen + count >= share * all && count > 0) {
			return low + (u->bounds[i] - low) * (share * all - seen) / count;
		}
		seen += count;
	}
	return u->bounds[u->bound_count - 1];
}

static int
compare(double a, double b)
{
	return a > b ? -1 : a < b ? 1 : 0;
}

static int
by_use(const void *a, const void *b)
{
	const struct command *x = *(struct command *const *)a, *y = *(struct command *const *)b;
	int now = compare(x->now.calls, y->now.calls);

	return now != 0 ? now : compare(x->total.calls, y->total.calls);
}

static json_t *
number(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

json_t *
usage_commands(const struct usage *u)
{
	struct command **order = xcalloc(u->count + 1, sizeof(struct command *));
	json_t *list = json_array();

	for (size_t i = 0; i < u->count; i++) {
		order[i] = &u->all[i];
	}
	qsort(order, u->count, sizeof(struct command *), by_use);
	for (size_t i = 0; i < u->count; i++) {
		const struct usage_sum *now = &order[i]->now, *total = &order[i]->total;

		(void)json_array_append_new(list,
		    json_pack("{s:s,s:I,s:I,s:f,s:o,s:o,s:o,s:I}", "name", order[i]->name, "calls",
			(json_int_t)total->calls, "errors", (json_int_t)total->errors, "per_s",
			now->calls, "mean_us", number(now->calls > 0 ? now->us / now->calls : NAN),
			"p50_us", number(usage_percentile(u, now, 0.5)), "p99_us",
			number(usage_percentile(u, now, 0.99)), "held", (json_int_t)total->held));
	}
	free(order);
	return list;
}
