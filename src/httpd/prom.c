#include "httpd/prom.h"

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "httpd/api.h"
#include "httpd/api_ask.h"

#define ASK_MS 10000
/* Every second of the workers' bounds: each is four times the one before it. */
#define BOUNDS_STEP 2

/* What is written, and the first fault; nothing more is written then. */
struct prom {
	struct buf *out; /* borrowed */
	json_t *status;  /* borrowed */
	int err;
};

static void ATTR_PRINTF(2, 3) put(struct prom *p, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (p->err == 0) {
		p->err = buf_vaddf(p->out, fmt, ap);
	}
	va_end(ap);
}

static void
put_head(struct prom *p, const char *name, const char *type, const char *help)
{
	put(p, "# HELP %s %s\n# TYPE %s %s\n", name, help, name, type);
}

/* name="value", the value escaped. */
static void
put_label(struct prom *p, const char *comma, const char *name, const char *value)
{
	put(p, "%s%s=\"", comma, name);
	for (; value != NULL && *value != '\0'; value++) {
		if (*value == '\n') {
			put(p, "\\n");
		} else {
			put(p, *value == '"' || *value == '\\' ? "\\%c" : "%c", *value);
		}
	}
	put(p, "\"");
}

static const char *
text_at(const json_t *doc, const char *name)
{
	const char *text = json_string_value(json_object_get(doc, name));

	return text != NULL ? text : "";
}

/* The labels that every figure of an instance has; more may follow. */
static void
put_labels(struct prom *p, const json_t *instance)
{
	const char *role = text_at(instance, "role");

	put_label(p, "", "instance_name", text_at(instance, "name"));
	put_label(p, ",", "kind", text_at(instance, "kind"));
	if (role[0] != '\0') {
		put_label(p, ",", "role", role);
	}
	put_label(p, ",", "node", text_at(p->status, "node"));
	put_label(p, ",", "cluster", text_at(p->status, "name"));
}

/* Through "a.b.c". */
static const json_t *
find(const json_t *doc, const char *path)
{
	while (doc != NULL && *path != '\0') {
		size_t len = strcspn(path, ".");

		doc = json_object_getn(doc, path, len);
		path += len + (path[len] == '.');
	}
	return doc;
}

static bool
is_kind(const json_t *instance, const char *kinds)
{
	const char *kind = text_at(instance, "kind");

	return kind[0] != '\0' && strchr(kinds, kind[0] - 'a' + 'A') != NULL;
}

/* ---- figures of instances ---- */

static const struct row {
	const char *name, *type, *kinds, *path;
	double scale;
	const char *help;
} rows[] = {
#define PROM(name, type, kinds, path, scale, help) {name, type, kinds, path, scale, help},
#include "httpd/prom.def"
#undef PROM
};

static void
add_row(struct prom *p, const struct row *row, json_t *instances)
{
	bool begun = false;
	json_t *one;
	size_t i;

	json_array_foreach(instances, i, one)
	{
		const json_t *value = is_kind(one, row->kinds) ? find(one, row->path) : NULL;

		if (!json_is_number(value)) {
			continue;
		}
		if (!begun) {
			put_head(p, row->name, row->type, row->help);
			begun = true;
		}
		put(p, "%s{", row->name);
		put_labels(p, one);
		put(p, "} %.15g\n", json_number_value(value) * row->scale);
	}
}

static void
add_states(struct prom *p, json_t *instances)
{
	json_t *one;
	size_t i;

	put_head(p, "holdfast_instance_ready", "gauge", "1 while the instance serves");
	json_array_foreach(instances, i, one)
	{
		const char *state = text_at(one, "state");

		put(p, "holdfast_instance_ready{");
		put_labels(p, one);
		put(p, "} %d\n", strcmp(state, "ready") == 0 || strcmp(state, "adopted") == 0);
	}
	put_head(p, "holdfast_instance_wanted", "gauge",
	    "1 unless somebody stopped the instance on purpose");
	json_array_foreach(instances, i, one)
	{
		put(p, "holdfast_instance_wanted{");
		put_labels(p, one);
		put(p, "} %d\n", strcmp(text_at(one, "wanted"), "up") == 0);
	}
}

/* ---- histograms, and what is counted by a name ---- */

/* name_suffix{labels,label="value" and no brace yet. */
static void
put_series(struct prom *p, const char *name, const char *suffix, const json_t *instance,
    const char *label, const char *value)
{
	put(p, "%s%s{", name, suffix);
	put_labels(p, instance);
	put_label(p, ",", label, value);
}

/* `record` has us and latency; the bounds are in µs. */
static void
put_histogram(struct prom *p, const char *name, const json_t *instance, const char *label,
    const char *value, const json_t *record)
{
	const json_t *bounds = find(instance, "stats.latency_le_us");
	const json_t *counts = json_object_get(record, "latency");
	size_t count = json_array_size(bounds);
	double all = 0;

	for (size_t i = 0; i <= count; i++) {
		all += json_number_value(json_array_get(counts, i));
		if (i < count && i % BOUNDS_STEP == 0) {
			put_series(p, name, "_bucket", instance, label, value);
			put(p, ",le=\"%.9g\"} %.15g\n",
			    json_number_value(json_array_get(bounds, i)) / 1e6, all);
		}
	}
	put_series(p, name, "_bucket", instance, label, value);
	put(p, ",le=\"+Inf\"} %.15g\n", all);
	put_series(p, name, "_sum", instance, label, value);
	put(p, "} %.15g\n", json_number_value(json_object_get(record, "us")) / 1e6);
	put_series(p, name, "_count", instance, label, value);
	put(p, "} %.15g\n", all);
}

/* What is told of each of a group of records. */
static const struct group {
	const char *kinds, *path, *label, *name, *help;
	const char *
	    member; /* of a record; "": it is the number itself; NULL: its histogram, once there is one */
	double scale;
} groups[] = {
    {"PH", "stats.commands", "command", "holdfast_commands_total", "commands that clients sent",
	"calls", 1},
    {"PH", "stats.commands", "command", "holdfast_command_errors_total",
	"commands that were answered with an error", "errors", 1},
    {"PH", "stats.commands", "command", "holdfast_commands_held_total",
	"commands that waited for a master", "held", 1},
    {"PH", "stats.commands", "command", "holdfast_hold_seconds_total",
	"time that commands waited for a master", "held_us", 1e-6},
    {"PH", "stats.commands", "command", "holdfast_command_duration_seconds",
	"from when a command arrived to its reply", NULL, 0},
    {"H", "stats.requests.statuses", "status", "holdfast_http_responses_total",
	"responses by status", "", 1},
    {"H", "stats.requests.routes", "route", "holdfast_http_route_requests_total",
	"requests by what they are for", "calls", 1},
    {"H", "stats.requests.routes", "route", "holdfast_http_request_duration_seconds",
	"from when a request was read to its response", NULL, 0},
};

static void
put_record(struct prom *p, const struct group *g, const json_t *instance, const char *key,
    const json_t *record)
{
	const json_t *number;

	if (g->member == NULL) {
		put_histogram(p, g->name, instance, g->label, key, record);
		return;
	}
	number = g->member[0] == '\0' ? record : json_object_get(record, g->member);
	put_series(p, g->name, "", instance, g->label, key);
	put(p, "} %.15g\n", json_number_value(number) * g->scale);
}

static void
add_group(struct prom *p, const struct group *g, json_t *instances)
{
	json_t *one, *record;
	bool begun = false;
	const char *key;
	size_t i;

	json_array_foreach(instances, i, one)
	{
		json_t *group =
		    is_kind(one, g->kinds) ? (json_t *)(uintptr_t)find(one, g->path) : NULL;

		json_object_foreach(group, key, record)
		{
			if (g->member == NULL &&
			    json_array_size(json_object_get(record, "latency")) == 0) {
				continue;
			}
			if (!begun) {
				put_head(p, g->name, g->member == NULL ? "histogram" : "counter",
				    g->help);
				begun = true;
			}
			put_record(p, g, one, key, record);
		}
	}
}

static void
add_groups(struct prom *p, json_t *instances)
{
	for (size_t i = 0; i < ARRAY_LEN(groups); i++) {
		add_group(p, &groups[i], instances);
	}
}

/* ---- the cluster ---- */

static void
add_one(struct prom *p, const char *name, const char *type, const char *help, double value)
{
	put_head(p, name, type, help);
	put(p, "%s{", name);
	put_label(p, "", "node", text_at(p->status, "node"));
	put_label(p, ",", "cluster", text_at(p->status, "name"));
	put(p, "} %.15g\n", value);
}

static void
add_cluster(struct prom *p)
{
	static const char *const states[] = {"starting", "ready", "degraded", "stopping"};
	const json_t *master = json_object_get(p->status, "master");
	const char *state = text_at(p->status, "state");

	put_head(p, "holdfast_build_info", "gauge", "1, with the version as a label");
	put(p, "holdfast_build_info{");
	put_label(p, "", "version", text_at(p->status, "version"));
	put_label(p, ",", "node", text_at(p->status, "node"));
	put_label(p, ",", "cluster", text_at(p->status, "name"));
	put(p, "} 1\n");
	put_head(p, "holdfast_state", "gauge", "1 for the state that the whole is in");
	for (size_t i = 0; i < ARRAY_LEN(states); i++) {
		put(p, "holdfast_state{");
		put_label(p, "", "state", states[i]);
		put_label(p, ",", "node", text_at(p->status, "node"));
		put_label(p, ",", "cluster", text_at(p->status, "name"));
		put(p, "} %d\n", strcmp(state, states[i]) == 0);
	}
	add_one(p, "holdfast_supervisor_uptime_seconds", "gauge", "since the supervisor began",
	    json_number_value(json_object_get(p->status, "uptime_ms")) / 1000);
	if (json_is_object(master)) {
		add_one(p, "holdfast_master_epoch", "gauge",
		    "configuration epoch of the present master: grows with each failover",
		    json_number_value(json_object_get(master, "epoch")));
	}
}

static void
add_failovers(struct prom *p, const json_t *f)
{
	static const char name[] = "holdfast_failover_duration_seconds";
	const json_t *bounds = json_object_get(f, "le_s"), *counts = json_object_get(f, "counts");
	const char *node = text_at(p->status, "node"), *cluster = text_at(p->status, "name");
	double all = 0;

	add_one(p, "holdfast_failovers_failed_total", "counter",
	    "failovers that were given up since the supervisor began",
	    json_number_value(json_object_get(f, "failed")));
	put_head(p, name, "histogram",
	    "from the decision of a failover until the new master took writes, since the "
	    "supervisor began");
	for (size_t i = 0; i <= json_array_size(bounds); i++) {
		all += json_number_value(json_array_get(counts, i));
		put(p, "%s_bucket{", name);
		put_label(p, "", "node", node);
		put_label(p, ",", "cluster", cluster);
		if (i < json_array_size(bounds)) {
			put(p, ",le=\"%.9g\"} %.15g\n",
			    json_number_value(json_array_get(bounds, i)), all);
		} else {
			put(p, ",le=\"+Inf\"} %.15g\n", all);
		}
	}
	put(p, "%s_sum{", name);
	put_label(p, "", "node", node);
	put_label(p, ",", "cluster", cluster);
	put(p, "} %.15g\n%s_count{", json_number_value(json_object_get(f, "seconds")), name);
	put_label(p, "", "node", node);
	put_label(p, ",", "cluster", cluster);
	put(p, "} %.15g\n", all);
}

int
prom_add(struct buf *out, json_t *doc)
{
	struct prom p = {.out = out, .status = json_object_get(doc, "status")};
	json_t *instances = json_object_get(p.status, "instances"),
	       *servers = json_object_get(doc, "servers"), *one;
	size_t i;

	json_array_foreach(instances, i, one)
	{
		json_t *server = json_object_get(servers, text_at(one, "name"));

		if (server != NULL) {
			(void)json_object_set(one, "server", server);
		}
	}
	add_cluster(&p);
	add_failovers(&p, json_object_get(doc, "failovers"));
	add_states(&p, instances);
	for (i = 0; i < ARRAY_LEN(rows); i++) {
		add_row(&p, &rows[i], instances);
	}
	add_groups(&p, instances);
	return p.err;
}

/* ---- the row of the interface ---- */

static void
answer(struct api *a, json_t *lines, json_t *reply)
{
	(void)lines;
	a->type = SLICE_LIT("text/plain; version=0.0.4; charset=utf-8");
	if (prom_add(&a->out, reply) < 0) {
		api_fail(a, 507, "the figures are too large for one answer");
	} else {
		api_zip(a);
		api_done(a, 200);
	}
}

void
api_prometheus(struct api *a)
{
	api_ask(a, "metrics", json_pack("{s:b}", "all", 1), ASK_MS, 503, answer);
}
