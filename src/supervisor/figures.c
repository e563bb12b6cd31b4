/*
 * What is measured each second: the key figures of every server (INFO, over the link of its probe) and what the workers have counted
 * (their `stats`), as named values: "redis-1.memory_bytes", "proxy-1.p99_us", "cluster.ops". The last day of them is kept (series.c);
 * minutes also in the state database, so that they outlive us.
 *
 *   tick ─► INFO to each server ─► all have answered, or the next tick ─► one sample ─► series, watchers
 */
#include <math.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "supervisor/series.h"
#include "supervisor/supervisor_priv.h"
#include "supervisor/usage.h"
#include "topo/link.h"
#include "topo/reply.h"

#define INFO_MS        900
#define COMMANDS_SHOWN 50
#define POINTS_MAX     200000 /* of all series of one answer together */
#define MARKS_MAX      500
#define STATS_OLD_US   1600000
#define SERVER_OLD_US  5000000

/* Counters of a server when they were seen last. */
enum counter { C_COMMANDS, C_HITS, C_MISSES, C_EXPIRED, C_EVICTED, C_IN, C_OUT, C_CPU, C_COUNT };

struct source {
	char name[32];
	struct figures *figures; /* borrowed (its owner) */
	bool asked;              /* INFO is under way */
	bool fresh;              /* it has answered since the last sample */
	bool known;              /* `counters` are */
	uint64_t at_us;          /* … since then */
	char run_id[48];
	double counters[C_COUNT], rates[C_COUNT];
	double values[10]; /* by gauges[] */
	double keys;
	json_t *stats; /* owned: a worker's, as seen last … */
	uint64_t stats_us;
	double ops, errors, in, out; /* … and what came of it */
	double p50, p99;
};

struct figures {
	struct supervisor *sup;             /* borrowed (outlives us) */
	struct series *series;              /* owned */
	struct source *sources[SERIES_MAX]; /* owned */
	size_t source_count;
	unsigned waiting;
	bool due; /* a sample is to be taken */
	bool storing_fails;
	json_t *commands;    /* owned: of the last sample, most used first */
	struct usage *usage; /* owned */
};

static const struct {
	const char *field, *figure;
} gauges[] = {
    {"connected_clients", "clients"},
    {"blocked_clients", "blocked"},
    {"used_memory", "memory_bytes"},
    {"used_memory_rss", "rss_bytes"},
    {"used_memory_peak", "peak_bytes"},
    {"maxmemory", "maxmemory_bytes"},
    {"mem_fragmentation_ratio", "fragmentation"},
    {"connected_slaves", "replicas"},
};

static const struct {
	const char *field, *figure;
} counters[C_COUNT] = {
    [C_COMMANDS] = {"total_commands_processed", "ops"},
    [C_HITS] = {"keyspace_hits", "hits"},
    [C_MISSES] = {"keyspace_misses", "misses"},
    [C_EXPIRED] = {"expired_keys", "expired"},
    [C_EVICTED] = {"evicted_keys", "evicted"},
    [C_IN] = {"total_net_input_bytes", "in_bytes"},
    [C_OUT] = {"total_net_output_bytes", "out_bytes"},
    [C_CPU] = {"used_cpu_sys", "cpu"}, /* and used_cpu_user */
};

/* ---- sources ---- */

static struct source *
source_of(struct figures *f, const char *name)
{
	struct source *src;

	for (size_t i = 0; i < f->source_count; i++) {
		if (strcmp(f->sources[i]->name, name) == 0) {
			return f->sources[i];
		}
	}
	if (f->source_count == ARRAY_LEN(f->sources)) {
		return NULL;
	}
	src = xcalloc(1, sizeof(*src));
	(void)snprintf(src->name, sizeof(src->name), "%s", name);
	src->figures = f;
	f->sources[f->source_count++] = src;
	return src;
}

static void
set(struct figures *f, const char *subject, const char *figure, double value)
{
	char name[SERIES_NAME_MAX];

	(void)snprintf(name, sizeof(name), "%.30s.%.16s", subject, figure);
	series_set(f->series, name, value);
}

/* ---- servers ---- */

static double
info_number(const struct redisReply *info, const char *field)
{
	struct slice text = reply_info(info, field);
	char copy[32], *end;
	double value;

	if (text.len == 0 || text.len >= sizeof(copy)) {
		return NAN;
	}
	memcpy(copy, text.ptr, text.len);
	copy[text.len] = '\0';
	value = strtod(copy, &end);
	return *end == '\0' && isfinite(value) ? value : NAN;
}

/* "db0:keys=12,expires=3,avg_ttl=0" and so on. */
static double
info_keys(const struct redisReply *info)
{
	double keys = 0;

	for (unsigned db = 0; db < 64; db++) {
		char field[8];
		struct slice text;
		uint64_t count;

		(void)snprintf(field, sizeof(field), "db%u", db);
		text = reply_info(info, field);
		if (text.len > 5 && memcmp(text.ptr, "keys=", 5) == 0) {
			const uint8_t *comma = memchr(text.ptr, ',', text.len);
			struct slice digits = {text.ptr + 5,
			    (comma != NULL ? (size_t)(comma - text.ptr) : text.len) - 5};

			keys += slice_to_u64(digits, &count) ? (double)count : 0;
		}
	}
	return keys;
}

static void
read_counters(struct source *src, const struct redisReply *info)
{
	struct slice run_id = reply_info(info, "run_id");
	uint64_t now = clock_mono_us();
	double elapsed = (double)(now - src->at_us) / 1e6;
	bool same = src->known && run_id.len < sizeof(src->run_id) &&
		    slice_eq(run_id, src->run_id) && elapsed > 0;

	for (size_t i = 0; i < C_COUNT; i++) {
		double value = info_number(info, counters[i].field);

		if (i == C_CPU) {
			value += info_number(info, "used_cpu_user");
		}
		/* CONFIG RESETSTAT sets them back */
		src->rates[i] =
		    same && value >= src->counters[i] ? (value - src->counters[i]) / elapsed : NAN;
		src->counters[i] = value;
	}
	(void)snprintf(src->run_id, sizeof(src->run_id), "%.*s",
	    (int)MIN(run_id.len, sizeof(src->run_id) - 1), (const char *)run_id.ptr);
	src->known = true;
	src->at_us = now;
}

static void take_sample(struct figures *f);

static void
on_info(void *arg, const struct redisReply *reply, int error)
{
	struct source *src = arg;
	struct figures *f = src->figures;

	src->asked = false;
	if (error == 0 && !reply_is_error(reply)) {
		src->fresh = true;
		for (size_t i = 0; i < ARRAY_LEN(gauges); i++) {
			src->values[i] = info_number(reply, gauges[i].field);
		}
		src->keys = info_keys(reply);
		read_counters(src, reply);
	}
	if (--f->waiting == 0 && f->due) {
		take_sample(f);
	}
}

static void
ask_servers(struct figures *f)
{
	const struct supervisor *s = f->sup;

	for (size_t i = 0; i < s->unit_count; i++) {
		struct unit *u = s->units[i];
		struct source *src;

		if (u->kind != UNIT_REDIS || u->probe == NULL ||
		    !link_is_up(probe_link(u->probe))) {
			continue;
		}
		src = source_of(f, u->name);
		if (src != NULL && !src->asked &&
		    link_send(probe_link(u->probe), INFO_MS, on_info, src, "INFO", NULL) == 0) {
			src->asked = true;
			f->waiting++;
		}
	}
}

void
figures_forget(struct figures *f, const struct unit *u)
{
	struct source *src;

	if (f == NULL || u->kind != UNIT_REDIS || u->probe == NULL) {
		return;
	}
	src = source_of(f, u->name);
	if (src != NULL && src->asked) {
		link_forget(probe_link(u->probe), src);
		src->asked = false;
		f->waiting--;
	}
}

static void
sample_server(struct figures *f, const struct unit *u)
{
	struct source *src = source_of(f, u->name);
	bool fresh = src != NULL && src->fresh;
	int64_t lag = health_lag(f->sup, u);

	for (size_t i = 0; i < ARRAY_LEN(gauges); i++) {
		set(f, u->name, gauges[i].figure, fresh ? src->values[i] : NAN);
	}
	for (size_t i = 0; i < C_COUNT; i++) {
		set(f, u->name, counters[i].figure, fresh ? src->rates[i] : NAN);
	}
	set(f, u->name, "keys", fresh ? src->keys : NAN);
	set(f, u->name, "lag_bytes", lag >= 0 ? (double)lag : NAN);
	if (src != NULL) {
		src->fresh = false;
	}
}

/* ---- workers ---- */

static double
rate_of(const json_t *before, const json_t *after, const char *one, const char *two, double scale)
{
	return MAX(usage_number(after, one, two) - usage_number(before, one, two), 0.0) * scale;
}

static void
sample_worker(struct figures *f, const struct unit *u, struct usage_sum *cluster)
{
	struct source *src = source_of(f, u->name);
	bool is_new = src != NULL && u->stats != src->stats;
	struct usage_sum sum = {0};
	double scale;

	if (src == NULL || u->stats == NULL) {
		if (src != NULL) {
			json_decref(src->stats);
			src->stats = NULL;
		}
		return;
	}
	scale =
	    is_new && u->stats_us > src->stats_us ? 1e6 / (double)(u->stats_us - src->stats_us) : 0;
	usage_add(f->usage, is_new ? src->stats : u->stats, u->stats, scale, &sum);
	if (is_new && src->stats != NULL) {
		src->ops = sum.calls;
		src->errors = sum.errors;
		src->in = rate_of(src->stats, u->stats, "clients", "in_bytes", scale);
		src->out = rate_of(src->stats, u->stats, "clients", "out_bytes", scale);
		src->p50 = usage_percentile(f->usage, &sum, 0.5);
		src->p99 = usage_percentile(f->usage, &sum, 0.99);
	} else if (clock_mono_us() - u->stats_us > STATS_OLD_US || src->stats == NULL) {
		/* it reports each second while it counts anything: nothing happened */
		src->ops = src->errors = src->in = src->out = 0;
		src->p50 = src->p99 = NAN;
	}
	if (is_new) {
		json_decref(src->stats);
		src->stats = json_incref(u->stats);
		src->stats_us = u->stats_us;
	}
	set(f, u->name, "ops", src->ops);
	set(f, u->name, "errors", src->errors);
	set(f, u->name, "in_bytes", src->in);
	set(f, u->name, "out_bytes", src->out);
	set(f, u->name, "p50_us", src->p50);
	set(f, u->name, "p99_us", src->p99);
	set(f, u->name, "clients", usage_number(u->stats, "clients", "now"));
	set(f, u->name, "held", usage_number(u->stats, "backend", "held_count"));
	usage_sum_add(cluster, &sum);
}

/* ---- the whole ---- */

static json_t *
json_number(double value)
{
	return isfinite(value) ? json_real(value) : json_null();
}

static json_t *
sample_json(const struct figures *f, size_t commands)
{
	json_t *figures = json_object(), *list = json_array();

	for (size_t i = 0; i < series_count(f->series); i++) {
		(void)json_object_set_new(
		    figures, series_name(f->series, i), json_number(series_last(f->series, i)));
	}
	for (size_t i = 0; i < MIN(commands, json_array_size(f->commands)); i++) {
		(void)json_array_append(list, json_array_get(f->commands, i));
	}
	return json_pack("{s:f,s:o,s:o}", "time", (double)clock_wall_ms() / 1000., "figures",
	    figures, "commands", list);
}

static void
store_minute(struct figures *f, uint64_t minute)
{
	json_t *doc = json_object();
	struct errmsg err = ERRMSG_NONE;
	char *text;

	for (size_t i = 0; i < series_count(f->series); i++) {
		double value = series_minute(f->series, i, minute);

		if (isfinite(value)) {
			(void)json_object_set_new(doc, series_name(f->series, i), json_real(value));
		}
	}
	text = json_dumps(doc, JSON_COMPACT | JSON_REAL_PRECISION(6));
	json_decref(doc);
	if (f->sup->store != NULL && text != NULL &&
	    store_sample_put(f->sup->store, minute, text, &err) < 0) {
		if (!f->storing_fails) {
			log_warn("figures of the last minutes are not stored, they end with this "
				 "process: %s",
			    err.text);
		}
		f->storing_fails = true;
	} else {
		f->storing_fails = false;
	}
	free(text);
}

static void
sample_cluster(struct figures *f, const struct usage_sum *cluster)
{
	const struct supervisor *s = f->sup;
	unsigned in_step = 0;
	double held = 0;

	for (size_t i = 0; i < s->unit_count; i++) {
		const struct unit *u = s->units[i];

		in_step += u->kind == UNIT_REDIS && u != s->master && u->probe != NULL &&
			   servers_is_synced(u);
		held += u->stats != NULL ? usage_number(u->stats, "backend", "held_count") : 0;
	}
	set(f, "cluster", "ops", cluster->calls);
	set(f, "cluster", "p50_us", usage_percentile(f->usage, cluster, 0.5));
	set(f, "cluster", "p99_us", usage_percentile(f->usage, cluster, 0.99));
	set(f, "cluster", "held", held);
	set(f, "cluster", "hold_ms",
	    cluster->held > 0 ? cluster->held_us / cluster->held / 1000 : NAN);
	set(f, "cluster", "replicas_in_step", in_step);
}

static void
take_sample(struct figures *f)
{
	struct supervisor *s = f->sup;
	struct usage_sum cluster = {0};
	uint64_t minute;

	f->due = false;
	usage_begin(f->usage);
	for (size_t i = 0; i < s->unit_count; i++) {
		const struct unit *u = s->units[i];

		if (u->leaving) {
			continue;
		}
		if (u->kind == UNIT_REDIS) {
			sample_server(f, u);
		} else if (u->kind != UNIT_SENTINEL) {
			sample_worker(f, u, &cluster);
		}
	}
	sample_cluster(f, &cluster);
	json_decref(f->commands);
	f->commands = usage_commands(f->usage);
	minute = series_close(f->series, clock_wall_ms() / 1000);
	if (minute != 0) {
		store_minute(f, minute);
	}
	if (watch_is_on(s)) {
		watch_sample(s, sample_json(f, COMMANDS_SHOWN));
	}
}

void
figures_tick(struct figures *f)
{
	if (f->due) {
		take_sample(f); /* somebody has not answered: a gap */
	}
	f->due = true;
	ask_servers(f);
	if (f->waiting == 0) {
		take_sample(f);
	}
}

/* ---- life ---- */

struct figures *
figures_new(struct supervisor *s)
{
	struct figures *f = xcalloc(1, sizeof(*f));

	f->sup = s;
	f->series = series_new();
	f->usage = usage_new();
	f->commands = json_array();
	return f;
}

void
figures_free(struct figures **fp)
{
	struct figures *f = *fp;

	*fp = NULL;
	for (size_t i = 0; i < f->sup->unit_count; i++) {
		figures_forget(f, f->sup->units[i]);
	}
	for (size_t i = 0; i < f->source_count; i++) {
		json_decref(f->sources[i]->stats);
		free(f->sources[i]);
	}
	series_free(&f->series);
	json_decref(f->commands);
	usage_free(&f->usage);
	free(f);
}

static void
restore(void *arg, uint64_t minute, const char *text)
{
	struct figures *f = arg;
	json_t *doc = json_loads(text, 0, NULL), *value;
	const char *name;

	json_object_foreach(doc, name, value)
	{
		if (json_is_number(value)) {
			series_restore(f->series, minute, name, json_number_value(value));
		}
	}
	json_decref(doc);
}

void
figures_attach(struct figures *f)
{
	uint64_t minute = clock_wall_ms() / 60000;
	struct errmsg err = ERRMSG_NONE;

	if (store_samples_each(f->sup->store, minute - STORE_SAMPLES_KEPT, restore, f, &err) < 0) {
		log_warn("figures from before cannot be read: %s", err.text);
	}
}

/* ---- the control commands ---- */

static const double failover_bounds_s[FAILOVER_BOUNDS] = {
    0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 5, 15};

void
figures_count_failover(struct supervisor *s, double writes_ms)
{
	struct failover_tally *t = &s->tally;
	size_t i = 0;

	if (writes_ms < 0) {
		t->failed++;
		return;
	}
	while (i < FAILOVER_BOUNDS && writes_ms / 1000 > failover_bounds_s[i]) {
		i++;
	}
	t->counts[i]++;
	t->done++;
	t->seconds += writes_ms / 1000;
}

static json_t *
failovers_json(const struct failover_tally *t)
{
	json_t *bounds = json_array(), *counts = json_array();

	for (size_t i = 0; i <= FAILOVER_BOUNDS; i++) {
		if (i < FAILOVER_BOUNDS) {
			(void)json_array_append_new(bounds, json_real(failover_bounds_s[i]));
		}
		(void)json_array_append_new(counts, json_integer((json_int_t)t->counts[i]));
	}
	return json_pack("{s:I,s:I,s:f,s:o,s:o}", "done", (json_int_t)t->done, "failed",
	    (json_int_t)t->failed, "seconds", t->seconds, "le_s", bounds, "counts", counts);
}

/* What INFO said last of each server that answers: gauges, and counters as they are. */
static json_t *
servers_json(const struct figures *f)
{
	const struct supervisor *s = f->sup;
	json_t *all = json_object();

	for (size_t i = 0; i < s->unit_count; i++) {
		const struct unit *u = s->units[i];
		struct source *src = u->kind == UNIT_REDIS ? source_of(s->figures, u->name) : NULL;
		json_t *one;

		if (src == NULL || !src->known || clock_mono_us() - src->at_us > SERVER_OLD_US) {
			continue;
		}
		one = json_object();
		for (size_t k = 0; k < ARRAY_LEN(gauges); k++) {
			(void)json_object_set_new(
			    one, gauges[k].figure, json_number(src->values[k]));
		}
		for (size_t k = 0; k < C_COUNT; k++) {
			(void)json_object_set_new(
			    one, counters[k].figure, json_number(src->counters[k]));
		}
		(void)json_object_set_new(one, "keys", json_number(src->keys));
		(void)json_object_set_new(all, u->name, one);
	}
	return all;
}

void
figures_on_metrics(struct ctl_request *req, const json_t *args, void *owner)
{
	struct supervisor *s = owner;

	if (ctl_arg_bool(args, "all")) {
		ctl_done(
		    req, json_pack("{s:o,s:o,s:o}", "status", health_status(s), "servers",
			     servers_json(s->figures), "failovers", failovers_json(&s->tally)));
		return;
	}

	ctl_done(
	    req, json_pack("{s:o}", "metrics",
		     sample_json(s->figures, ctl_arg_count(args, "commands", COMMANDS_SHOWN))));
}

/* Is `name` one of a list by commas, in which "redis-1.*" is all that begins so? */
static bool
is_wanted(const char *list, const char *name)
{
	if (list == NULL) {
		return true;
	}
	while (*list != '\0') {
		size_t len = strcspn(list, ",");

		if (len > 0 && list[len - 1] == '*'
			? strncmp(name, list, len - 1) == 0
			: strlen(name) == len && strncmp(name, list, len) == 0) {
			return true;
		}
		list += len + (list[len] == ',');
	}
	return false;
}

struct marks {
	json_t *list;
	uint64_t from_ms;
};

static bool
add_mark(void *arg, const struct store_event *event)
{
	struct marks *m = arg;

	if (event->time_ms >= m->from_ms) {
		(void)json_array_append_new(
		    m->list, json_pack("{s:f,s:I,s:s,s:s,s:s}", "t", (double)event->time_ms / 1000.,
				 "id", (json_int_t)event->id, "kind", event->kind, "subject",
				 event->subject, "text", event->text));
	}
	return true;
}

static json_t *
marks_json(struct supervisor *s, uint64_t from_s)
{
	static const char *const kinds[] = {"failover", "master.elected", "master.lost"};
	struct marks m = {.list = json_array(), .from_ms = from_s * 1000};

	history_flush(s->history);
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (store_events_page(
			s->store, 0, INT64_MAX, kinds[i], MARKS_MAX, add_mark, &m, NULL) < 0) {
			break; /* figures without marks are better than none */
		}
	}
	return m.list;
}

void
figures_on_history(struct ctl_request *req, const json_t *args, void *owner)
{
	struct supervisor *s = owner;
	const struct figures *f = s->figures;
	const char *wanted = ctl_arg_text(args, "series");
	uint64_t seconds =
	    MAX(MIN(ctl_arg_count(args, "seconds", 3600), (uint64_t)SERIES_DAY_S), (uint64_t)1);
	size_t points =
		   MAX((size_t)MIN(ctl_arg_count(args, "points", 600), (uint64_t)2000), (size_t)1),
	       chosen = 0;
	struct series_range range;

	for (size_t i = 0; i < series_count(f->series); i++) {
		chosen += is_wanted(wanted, series_name(f->series, i));
	}
	points = MIN(points, MAX(POINTS_MAX / MAX(chosen, (size_t)1), (size_t)1));
	range = series_range(clock_wall_ms() / 1000, seconds, points);
	for (size_t i = 0; i < series_count(f->series); i++) {
		json_t *values;

		if (!is_wanted(wanted, series_name(f->series, i))) {
			continue;
		}
		values = json_array();
		for (size_t k = 0; k < range.count; k++) {
			(void)json_array_append_new(
			    values, json_number(series_point(f->series, i, &range, k)));
		}
		(void)ctl_send(req,
		    json_pack("{s:s,s:o}", "series", series_name(f->series, i), "values", values));
	}
	ctl_done(req, json_pack("{s:i,s:I,s:I,s:o}", "step_s", (int)range.step_s, "first",
			  (json_int_t)range.first, "count", (json_int_t)range.count, "marks",
			  marks_json(s, range.first)));
}
