/* What the interface asks of the supervisor: state, history, logs, and what an operator may have done. */
#include "httpd/api_ask.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/worker.h"
#include "base/jsontext.h"
#include "base/mem.h"
#include "ctl/call.h"
#include "httpd/exchange.h"
#include "httpd/httpd_priv.h"

#define ASK_MS     10000
#define PAGE_MS    60000
#define NAME_BYTES ((size_t)130) /* "host/redis-1" */

struct ask {
	struct api *api;       /* borrowed (its owner) */
	struct httpd *httpd;   /* borrowed (outlives all) */
	struct ctl_call *call; /* owned */
	json_t *lines;         /* owned */
	api_answer_fn *fn;
	unsigned refused;
};

static void
drop_ask(void *work)
{
	struct ask *ask = work;

	ask->httpd->api_calls--;
	ctl_call_cancel(&ask->call);
	json_decref(ask->lines);
	free(ask);
}

static void
on_line(void *owner, json_t *line)
{
	struct ask *ask = owner;

	(void)json_array_append(ask->lines, line);
}

static void
on_end(void *owner, int error, json_t *reply, const char *why)
{
	struct ask *ask = owner;
	struct api *a = ask->api;
	json_t *lines = ask->lines;
	api_answer_fn *fn = ask->fn;
	unsigned refused = ask->refused;

	ask->lines = NULL;
	ask->call = NULL;
	a->work = NULL;
	drop_ask(ask);
	if (error == 0) {
		fn(a, lines, reply);
	} else if (error == -EREMOTEIO) {
		/* what it cannot do now it may do later */
		api_fail(a, json_integer_value(json_object_get(reply, "exit")) == 3 ? 503 : refused,
		    "%s", why);
	} else {
		api_fail(a, error == -ETIMEDOUT ? 504 : 503, "%s", why);
	}
	json_decref(lines);
}

static const struct ctl_call_ops call_ops = {.on_line = on_line, .on_end = on_end};

void
api_ask(struct api *a, const char *cmd, json_t *args, uint64_t timeout_ms, unsigned refused,
    api_answer_fn *fn)
{
	struct httpd *h = a->x->httpd;
	struct errmsg err = ERRMSG_NONE;
	struct ask *ask;

	if (!worker_is_supervised(h->worker)) {
		json_decref(args);
		api_fail(a, 503,
		    "this HTTP front end runs alone, without a supervisor to ask: use the one of "
		    "`holdfast run`");
		return;
	}
	if (h->api_calls >= API_CALLS_MAX) {
		json_decref(args);
		api_fail(a, 503, "%d questions to the supervisor are under way already: try again",
		    API_CALLS_MAX);
		return;
	}
	ask = xcalloc(1, sizeof(*ask));
	*ask = (struct ask){.api = a, .httpd = h, .fn = fn, .refused = refused};
	ask->call = ctl_call_begin(
	    h->loop, API_CONTROL_PATH, cmd, args, a->who.by, timeout_ms, &call_ops, ask, &err);
	if (ask->call == NULL) {
		free(ask);
		api_fail(a, 503, "no supervisor runs at the moment: %s", err.text);
		return;
	}
	ask->lines = json_array();
	h->api_calls++;
	api_set_work(a, ask, drop_ask);
}

/* ---- what is ---- */

static void
answer_status(struct api *a, json_t *lines, json_t *reply)
{
	(void)lines;
	api_done_json(a, 200, json_incref(json_object_get(reply, "status")));
}

void
api_status(struct api *a)
{
	api_ask(a, "status", NULL, ASK_MS, 503, answer_status);
}

static json_t *
find_instance(const json_t *instances, struct slice name)
{
	json_t *one;
	size_t i;

	json_array_foreach(instances, i, one)
	{
		const char *text = json_string_value(json_object_get(one, "name"));

		if (text != NULL && slice_eq(name, text)) {
			return one;
		}
	}
	return NULL;
}

json_t *
api_pick_instance(struct api *a, json_t *reply, struct slice name, bool *ret_remote)
{
	json_t *status = json_object_get(reply, "status"), *host, *one;
	size_t i;

	*ret_remote = false;
	one = find_instance(json_object_get(status, "instances"), name);
	json_array_foreach(json_object_get(status, "hosts"), i, host)
	{
		const char *its = json_string_value(json_object_get(host, "name"));
		size_t len = its != NULL ? strlen(its) : 0;

		if (len > 0 && slice_begins(name, its) && name.len > len + 1 &&
		    name.ptr[len] == '/') {
			*ret_remote = !json_is_true(json_object_get(host, "self"));
			one =
			    find_instance(json_object_get(*ret_remote ? host : status, "instances"),
				(struct slice){name.ptr + len + 1, name.len - len - 1});
		}
	}
	if (one == NULL) {
		api_fail(
		    a, 404, "there is no instance of that name: GET /api/v1/status names them");
	}
	return one;
}

static void
answer_instance(struct api *a, json_t *lines, json_t *reply)
{
	bool remote;
	json_t *one = api_pick_instance(a, reply, a->words[0], &remote);

	(void)lines;
	if (one != NULL) {
		api_done_json(a, 200, json_incref(one));
	}
}

void
api_instance(struct api *a)
{
	api_ask(a, "status", NULL, ASK_MS, 503, answer_instance);
}

static void
answer_modules(struct api *a, json_t *lines, json_t *reply)
{
	(void)lines;
	api_done_json(a, 200, json_incref(json_object_get(reply, "modules")));
}

void
api_modules(struct api *a)
{
	api_ask(a, "modules", NULL, ASK_MS, 503, answer_modules);
}

/* The documents under `key` of each line. */
static json_t *
pick(json_t *lines, const char *key)
{
	json_t *all = json_array(), *line;
	size_t i;

	json_array_foreach(lines, i, line)
	{
		json_t *one = json_object_get(line, key);

		if (one != NULL) {
			(void)json_array_append(all, one);
		}
	}
	return all;
}

static void
answer_events(struct api *a, json_t *lines, json_t *reply)
{
	api_done_json(a, 200,
	    json_pack("{s:o,s:b,s:O?,s:O?,s:o}", "events", pick(lines, "event"), "more",
		json_is_true(json_object_get(reply, "more")), "older",
		json_object_get(reply, "older"), "newer", json_object_get(reply, "newer"),
		"missing", pick(lines, "missing")));
}

/* A text of the query as one of a document; false: it was refused. */
static bool
add_text(struct api *a, json_t *args, const char *name)
{
	struct slice value = api_param(a, name, 0);

	if (value.ptr == NULL) {
		return true;
	}
	if (value.len == 0 || value.len > 1024 || !jsontext_is_utf8(value) ||
	    memchr(value.ptr, 0, value.len) != NULL) {
		api_fail(a, 400, "'%s' must be a text of 1 to 1024 bytes", name);
		return false;
	}
	(void)json_object_set_new(args, name, json_stringn((const char *)value.ptr, value.len));
	return true;
}

static void
add_number(json_t *args, const char *name, uint64_t value)
{
	(void)json_object_set_new(args, name, json_integer((json_int_t)value));
}

#define ID_MAX (((uint64_t)1 << 53) - 1)

void
api_events(struct api *a)
{
	json_t *args = json_object();
	uint64_t n, before, after;

	if (!api_number(a, "n", 1, 1000, 100, &n) ||
	    !api_number(a, "before", 1, ID_MAX, 0, &before) ||
	    !api_number(a, "after", 0, ID_MAX, 0, &after) || !add_text(a, args, "kind") ||
	    !add_text(a, args, "host") || !add_text(a, args, "older") ||
	    !add_text(a, args, "newer")) {
		json_decref(args);
		return;
	}
	add_number(args, "n", n);
	if (before > 0) {
		add_number(args, "before", before);
	}
	if (api_param(a, "after", 0).ptr != NULL) {
		add_number(args, "after", after);
	}
	api_ask(a, "events", args, PAGE_MS, 400, answer_events);
}

static void
answer_logs(struct api *a, json_t *lines, json_t *reply)
{
	(void)reply;
	api_done_json(a, 200, json_pack("{s:o}", "lines", pick(lines, "log")));
}

void
api_logs(struct api *a)
{
	json_t *args = json_object();
	uint64_t n;

	if (!api_number(a, "n", 1, 1000, 100, &n) || !add_text(a, args, "name")) {
		json_decref(args);
		return;
	}
	add_number(args, "n", n);
	api_ask(a, "logs", args, PAGE_MS, 404, answer_logs);
}

/* ---- what an operator may have done ---- */

static void
answer_done(struct api *a, json_t *lines, json_t *reply)
{
	const json_t *master = json_object_get(reply, "master");
	const char *name = json_string_value(json_object_get(master, "name"));
	char text[200];

	(void)lines;
	if (name != NULL) {
		(void)snprintf(text, sizeof(text), "%.130s is master", name);
	} else {
		(void)snprintf(text, sizeof(text), "%.*s: %.*s is done",
		    (int)MIN(a->words[0].len, NAME_BYTES), (const char *)a->words[0].ptr,
		    (int)MIN(a->words[1].len, (size_t)16), (const char *)a->words[1].ptr);
	}
	api_done_json(a, 200, json_pack("{s:b,s:s}", "ok", 1, "text", text));
}

void
api_instance_do(struct api *a)
{
	static const struct {
		const char *word;
		uint64_t ms; /* a second more than ctl/commands.def */
	} actions[] = {{"start", 121000}, {"stop", 181000}, {"restart", 301000}};

	if (!api_only(a, "")) {
		return;
	}
	if (a->words[0].len > NAME_BYTES || !jsontext_is_utf8(a->words[0])) {
		api_fail(
		    a, 404, "there is no instance of that name: GET /api/v1/status names them");
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(actions); i++) {
		if (slice_eq(a->words[1], actions[i].word)) {
			json_t *args = json_object();

			(void)json_object_set_new(args, "name",
			    json_stringn((const char *)a->words[0].ptr, a->words[0].len));
			api_ask(a, actions[i].word, args, actions[i].ms, 409, answer_done);
			return;
		}
	}
	api_fail(a, 404, "an instance can be told start, stop or restart");
}

static void
answer_begun(struct api *a, json_t *lines, json_t *reply)
{
	(void)lines;
	(void)reply;
	api_done_json(
	    a, 202, json_pack("{s:b,s:s}", "ok", 1, "text", "it has begun; events tell each step"));
}

void
api_restart(struct api *a)
{
	if (!api_only(a, "rolling")) {
		return;
	}
	if (!json_is_true(json_object_get(a->body, "rolling"))) {
		api_fail(a, 400, "the body must be {\"rolling\":true}");
		return;
	}
	api_ask(a, "rolling", json_pack("{s:b}", "detach", 1), ASK_MS, 409, answer_begun);
}

void
api_failover(struct api *a)
{
	json_t *to = json_object_get(a->body, "to"), *args;

	if (!api_only(a, "to")) {
		return;
	}
	if (to != NULL && !json_is_null(to) &&
	    (!json_is_string(to) || json_string_length(to) == 0 ||
		json_string_length(to) > NAME_BYTES)) {
		api_fail(a, 400, "'to' must be the name of a redis instance");
		return;
	}
	args = json_object();
	if (json_is_string(to)) {
		(void)json_object_set(args, "to", to);
	}
	api_ask(a, "failover", args, 181000, 409, answer_done);
}

static void
answer_plan(struct api *a, json_t *lines, json_t *reply)
{
	(void)lines;
	api_done_json(a, 200, json_incref(json_object_get(reply, "plan")));
}

void
api_failover_plan(struct api *a)
{
	json_t *args = json_pack("{s:b}", "dry", 1);

	if (!add_text(a, args, "to")) {
		json_decref(args);
		return;
	}
	api_ask(a, "failover", args, ASK_MS, 404, answer_plan);
}

/* ---- figures ---- */

static void
answer_metrics(struct api *a, json_t *lines, json_t *reply)
{
	(void)lines;
	api_done_json(a, 200, json_incref(json_object_get(reply, "metrics")));
}

void
api_metrics(struct api *a)
{
	uint64_t commands;

	if (api_number(a, "commands", 0, 1000, 50, &commands)) {
		api_ask(a, "metrics", json_pack("{s:I}", "commands", (json_int_t)commands), ASK_MS,
		    503, answer_metrics);
	}
}

static void
answer_history(struct api *a, json_t *lines, json_t *reply)
{
	json_int_t step = json_integer_value(json_object_get(reply, "step_s"));
	json_int_t first = json_integer_value(json_object_get(reply, "first"));
	json_int_t count = json_integer_value(json_object_get(reply, "count"));
	json_t *t = json_array(), *series = json_object(), *line;
	size_t i;

	for (json_int_t k = 0; k < count; k++) {
		(void)json_array_append_new(t, json_integer(first + k * step));
	}
	json_array_foreach(lines, i, line)
	{
		(void)json_object_set(series, json_string_value(json_object_get(line, "series")),
		    json_object_get(line, "values"));
	}
	api_done_json(a, 200,
	    json_pack("{s:I,s:o,s:o,s:O}", "step_s", step, "t", t, "series", series, "marks",
		json_object_get(reply, "marks")));
}

void
api_history(struct api *a)
{
	json_t *args = json_object();
	uint64_t seconds, points;

	if (!api_number(a, "seconds", 60, 86400, 3600, &seconds) ||
	    !api_number(a, "points", 10, 2000, 600, &points) || !add_text(a, args, "series")) {
		json_decref(args);
		return;
	}
	add_number(args, "seconds", seconds);
	add_number(args, "points", points);
	api_ask(a, "history", args, PAGE_MS, 400, answer_history);
}
