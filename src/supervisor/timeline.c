/*
 * The events of all hosts, merged by time: `holdfast events`, and what the page shows. Each host keeps its own (history.c); those of the others are
 * asked for (remote.c) when somebody wants them. A host that does not answer is named and not waited for longer than that takes.
 *
 *   events ─▸ a part for each host: own history │ question … question ─▸ merged, the last n ─▸ lines, more, older, newer
 *   then, to follow: own events as they are written; those of others when their picture says that there are any
 *
 * Ids count on one host each. Where an answer ends is told as a place in every host's history, "a:120,b:97": `older` and `newer` go on from there. Within a
 * host events are in the order of ids, also where its clock was set back.
 *
 * Bounds: n events, PART_BYTES of each other host, COLLECT_MS; what they leave out is named as missing. Followers get at most FETCH_EVENTS at once.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "ctl/place.h"
#include "supervisor/hosts_priv.h"
#include "supervisor/supervisor_priv.h"

#define EVENTS_DEFAULT 50
#define EVENTS_MOST    10000
#define FETCH_EVENTS   500
#define PART_BYTES     ((size_t)4 * 1024 * 1024)
#define COLLECT_MS     3000

/* The events of one host. */
struct part {
	struct timeline *timeline; /* borrowed (its owner) */
	char host[65];
	json_t *events;     /* owned: oldest first */
	size_t bytes, left; /* left: not taken by the merge yet, from the front */
	int64_t after, before;
	bool more;
	struct remote_call *call; /* owned; NULL: not asked at the moment */
	char why[240];            /* why it is not all there; "" */
};

struct timeline {
	struct list link; /* supervisor.timelines */
	struct supervisor *sup;
	struct ctl_request *req; /* borrowed; on_gone ends us before it goes */
	size_t n;
	char *kind;             /* owned; "": all */
	char host[65];          /* ""; all */
	json_t *older, *newer;  /* owned: {"a":120,…}; NULL: not given */
	bool follow, beginning; /* beginning: no end yet, others are still to be asked */
	struct part *parts;     /* owned */
	size_t part_count;
	ev_timer limit;
};

struct follower {
	struct list link; /* supervisor.event_followers */
	struct ctl_request *req;
	char host[65]; /* ""; all */
	json_t *had;   /* owned: the last id of each host that it has */
};

/* New events of another host, for those who follow. */
struct fetch {
	struct list link; /* supervisor.event_fetches */
	struct supervisor *sup;
	char host[65];
	struct remote_call *call;
};

/* ---- an event ---- */

static int64_t
id_of(const json_t *event)
{
	return json_integer_value(json_object_get(event, "id"));
}

static const char *
time_of(const json_t *event)
{
	const char *text = json_string_value(json_object_get(event, "time"));

	return text != NULL ? text : "";
}

/* ---- those who follow ---- */

static bool
anybody_follows(const struct supervisor *s)
{
	return !list_is_empty(&s->event_followers) || watch_is_on(s);
}

static void
tell(struct supervisor *s, const char *host, json_t *event)
{
	int64_t id = id_of(event);

	watch_event(s, event);
	list_for_each_safe (it, next, &s->event_followers) {
		struct follower *f = CONTAINER_OF(it, struct follower, link);

		/* an event that could not be written has no id */
		if ((f->host[0] != '\0' && strcmp(f->host, host) != 0) ||
		    (id != 0 && id <= place_get(f->had, host, 0))) {
			continue;
		}
		if (id != 0) {
			place_set(f->had, host, id);
		}
		/* one that cannot take it is dropped by the server; its on_gone follows */
		(void)ctl_send(f->req, json_pack("{s:O}", "event", event));
	}
}

void
timeline_on_event(struct supervisor *s, const struct store_event *event)
{
	json_t *doc;

	if (anybody_follows(s)) {
		doc = history_json(s->history, event);
		tell(s, s->node, doc);
		json_decref(doc);
	}
}

static void
free_fetch(struct fetch *f)
{
	remote_cancel(&f->call);
	list_del(&f->link);
	free(f);
}

static void
on_fetched(void *owner, int error, json_t *lines, json_t *reply, bool cut, const char *why)
{
	struct fetch *f = owner;
	struct supervisor *s = f->sup;
	struct host *h = hosts_named(s, f->host);
	json_t *line;
	size_t i;

	(void)reply;
	(void)cut;
	(void)why; /* the next picture has it asked for again */
	f->call = NULL;
	free_fetch(f);
	json_array_foreach(lines, i, line)
	{
		json_t *event = json_object_get(line, "event");

		if (error == 0 && h != NULL && event != NULL) {
			h->told_event = MAX(h->told_event, id_of(event));
			tell(s, h->name, event);
		}
	}
}

static bool
is_fetching(const struct supervisor *s, const struct host *h)
{
	list_for_each (it, &s->event_fetches) {
		if (strcmp(CONTAINER_OF(it, struct fetch, link)->host, h->name) == 0) {
			return true;
		}
	}
	return false;
}

/* Another run of its supervisor: has its history begun anew, too, so that ids count from the start again? */
void
timeline_on_boot(struct host *h)
{
	int64_t last = json_integer_value(json_object_get(h->picture, "last_event"));

	if (last >= h->told_event) {
		return;
	}
	list_for_each (it, &h->sup->event_followers) {
		(void)json_object_del(CONTAINER_OF(it, struct follower, link)->had, h->name);
	}
	h->told_event = last;
}

void
timeline_on_picture(struct host *h)
{
	struct supervisor *s = h->sup;
	int64_t last = json_integer_value(json_object_get(h->picture, "last_event"));
	struct errmsg err = ERRMSG_NONE;
	struct fetch *f;

	if (!anybody_follows(s)) {
		h->told_event = 0;
		return;
	}
	h->told_event = h->told_event == 0 ? last : h->told_event;
	if (last <= h->told_event || is_fetching(s, h)) {
		return;
	}
	f = xcalloc(1, sizeof(*f));
	f->sup = s;
	(void)snprintf(f->host, sizeof(f->host), "%s", h->name);
	list_init(&f->link);
	f->call = remote_ask(s, h, "events",
	    json_pack("{s:s,s:i,s:I}", "host", h->name, "n", FETCH_EVENTS, "after",
		(json_int_t)h->told_event),
	    "", on_fetched, f, &err);
	if (f->call == NULL) {
		free(f);
		return;
	}
	list_push(&s->event_fetches, &f->link);
}

static void
on_follower_gone(struct ctl_request *req, void *arg)
{
	struct follower *f = arg;

	(void)req;
	list_del(&f->link);
	json_decref(f->had);
	free(f);
}

/* ---- an answer ---- */

static void
free_timeline(struct timeline *t)
{
	list_del(&t->link);
	ev_timer_stop(loop_ev(t->sup->loop), &t->limit);
	for (size_t i = 0; i < t->part_count; i++) {
		remote_cancel(&t->parts[i].call);
		json_decref(t->parts[i].events);
	}
	free(t->parts);
	free(t->kind);
	json_decref(t->older);
	json_decref(t->newer);
	free(t);
}

static void
follow(struct timeline *t, const json_t *newer)
{
	struct supervisor *s = t->sup;
	struct follower *f = xcalloc(1, sizeof(*f));

	f->req = t->req;
	f->had = json_copy((json_t *)(uintptr_t)newer);
	(void)snprintf(f->host, sizeof(f->host), "%s", t->host);
	list_push(&s->event_followers, &f->link);
	ctl_on_gone(t->req, on_follower_gone, f);
	for (size_t i = 0; i < s->host_count; i++) {
		struct host *h = &s->hosts[i];
		int64_t had = place_get(newer, h->name, 0);

		if (h->self || h->picture == NULL) {
			continue;
		}
		if (had > 0) {
			h->told_event = h->told_event == 0 ? had : MIN(h->told_event, had);
		}
		timeline_on_picture(h);
	}
}

/* The part with the latest event that is not taken yet; NULL: none is left. */
static struct part *
latest(struct timeline *t)
{
	struct part *best = NULL;

	for (size_t i = 0; i < t->part_count; i++) {
		struct part *p = &t->parts[i];

		if (p->left > 0 &&
		    (best == NULL ||
			strcmp(time_of(json_array_get(p->events, p->left - 1)),
			    time_of(json_array_get(best->events, best->left - 1))) > 0)) {
			best = p;
		}
	}
	return best;
}

/* Where one goes on from here, in the history of this part's host. */
static void
set_places(const struct timeline *t, const struct part *p, json_t *older, json_t *newer)
{
	size_t count = json_array_size(p->events);
	int64_t bound = place_get(t->older, p->host, 0), last = place_get(t->newer, p->host, 0);

	if (count > 0) {
		last = MAX(last, id_of(json_array_get(p->events, count - 1)));
		bound = p->left < count ? id_of(json_array_get(p->events, p->left)) : last + 1;
	}
	if (count > 0 || p->why[0] == '\0' || json_object_get(t->older, p->host) != NULL) {
		place_set(older, p->host, bound);
	}
	if (count > 0 || p->why[0] == '\0' || json_object_get(t->newer, p->host) != NULL) {
		place_set(newer, p->host, last);
	}
}

/* Several: each event is to be shown with its host. */
static void
send_hosts(const struct timeline *t)
{
	json_t *hosts = json_array();

	for (size_t i = 0; i < t->part_count; i++) {
		(void)json_array_append_new(hosts, json_string(t->parts[i].host));
	}
	(void)ctl_send(t->req, json_pack("{s:o}", "hosts", hosts));
}

static void
end(struct timeline *t)
{
	struct ctl_request *req = t->req;
	json_t *taken = json_array(), *older = json_object(), *newer = json_object();
	struct part *p;
	bool more = false;

	for (size_t i = 0; i < t->part_count; i++) {
		t->parts[i].left = json_array_size(t->parts[i].events);
	}
	while (json_array_size(taken) < t->n && (p = latest(t)) != NULL) {
		(void)json_array_append(taken, json_array_get(p->events, --p->left));
	}
	if (t->part_count > 1) {
		send_hosts(t);
	}
	for (size_t i = 0; i < t->part_count; i++) {
		p = &t->parts[i];
		more = more || p->more || p->left > 0;
		set_places(t, p, older, newer);
		if (p->why[0] != '\0') {
			(void)ctl_send(req,
			    json_pack("{s:{s:s,s:s}}", "missing", "host", p->host, "why", p->why));
		}
	}
	for (size_t i = json_array_size(taken); i > 0; i--) {
		(void)ctl_send(req, json_pack("{s:O}", "event", json_array_get(taken, i - 1)));
	}
	json_decref(taken);
	if (t->follow) {
		follow(t, newer);
	} else {
		char *before = place_text(older), *after = place_text(newer);

		ctl_done(req,
		    json_pack("{s:b,s:s,s:s}", "more", (int)more, "older", before, "newer", after));
		free(before);
		free(after);
	}
	json_decref(older);
	json_decref(newer);
	free_timeline(t);
}

static void
end_if_complete(struct timeline *t)
{
	if (t->beginning) {
		return;
	}
	for (size_t i = 0; i < t->part_count; i++) {
		if (t->parts[i].call != NULL) {
			return;
		}
	}
	end(t);
}

static void
on_limit(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct timeline *t = w->data;

	(void)ev;
	(void)revents;
	for (size_t i = 0; i < t->part_count; i++) {
		struct part *p = &t->parts[i];

		if (p->call != NULL) {
			remote_cancel(&p->call);
			(void)snprintf(p->why, sizeof(p->why), "host %s was too slow: %s", p->host,
			    json_array_size(p->events) > 0 ? "older events of it are missing"
							   : "its events are missing");
		}
	}
	end(t);
}

static void ask_part(struct part *p);

static void
on_part(void *owner, int error, json_t *lines, json_t *reply, bool cut, const char *why)
{
	struct part *p = owner;
	struct timeline *t = p->timeline;
	size_t count = 0, i;
	json_t *line;

	p->call = NULL;
	if (error != 0) {
		(void)snprintf(p->why, sizeof(p->why), "%s", why);
	}
	json_array_foreach(lines, i, line)
	{
		json_t *event = json_object_get(line, "event");

		if (event != NULL && json_array_insert(p->events, count, event) == 0) {
			count++;
			p->bytes += json_dumpb(event, NULL, 0, JSON_COMPACT);
		}
	}
	p->more = cut || json_is_true(json_object_get(reply, "more"));
	if (p->more && count > 0 && json_array_size(p->events) < t->n) {
		if (p->bytes < PART_BYTES) {
			p->before = id_of(json_array_get(p->events, 0));
			ask_part(p);
		} else {
			(void)snprintf(p->why, sizeof(p->why),
			    "host %s has more than is fetched at once: older events of it are "
			    "missing",
			    p->host);
		}
	}
	end_if_complete(t);
}

static void
ask_part(struct part *p)
{
	struct timeline *t = p->timeline;
	struct host *h = hosts_named(t->sup, p->host);
	size_t n = MIN(t->n - json_array_size(p->events), (size_t)FETCH_EVENTS);
	struct errmsg err = ERRMSG_NONE;
	json_t *args;

	if (h == NULL) {
		(void)snprintf(
		    p->why, sizeof(p->why), "host %s is none of the cluster any more", p->host);
		return;
	}
	args = json_pack(
	    "{s:s,s:I,s:I}", "host", p->host, "n", (json_int_t)n, "after", (json_int_t)p->after);
	if (p->before != INT64_MAX) {
		(void)json_object_set_new(args, "before", json_integer(p->before));
	}
	if (t->kind[0] != '\0') {
		(void)json_object_set_new(args, "kind", json_string(t->kind));
	}
	p->call = remote_ask(t->sup, h, "events", args, ctl_request_by(t->req), on_part, p, &err);
	if (p->call == NULL) {
		(void)snprintf(p->why, sizeof(p->why), "%s", err.text);
	}
}

static void
on_gone(struct ctl_request *req, void *arg)
{
	(void)req;
	free_timeline(arg);
}

static struct part *
add_part(struct timeline *t, const char *host, const json_t *args)
{
	struct part *p;

	if (t->host[0] != '\0' && strcmp(t->host, host) != 0) {
		return NULL;
	}
	if (t->older != NULL && json_object_get(t->older, host) == NULL) {
		return NULL; /* it did not answer when the first page was asked for */
	}
	p = &t->parts[t->part_count++];
	*p = (struct part){.timeline = t, .events = json_array()};
	(void)snprintf(p->host, sizeof(p->host), "%s", host);
	p->after = MAX((int64_t)ctl_arg_count(args, "after", 0), place_get(t->newer, host, 0));
	p->before = MIN((int64_t)ctl_arg_count(args, "before", INT64_MAX),
	    place_get(t->older, host, INT64_MAX));
	return p;
}

/* Ours at once; the others are asked. False: the request was failed. */
static bool
collect(struct timeline *t, const json_t *args)
{
	struct supervisor *s = t->sup;
	struct errmsg err = ERRMSG_NONE;
	struct part *p = add_part(t, s->node, args);

	if (p != NULL) {
		json_decref(p->events);
		p->events = NULL;
		if (history_page(s->history, p->after, p->before, t->kind, t->n, &p->events,
			&p->more, &err) < 0) {
			ctl_fail(t->req, CTL_EXIT_FAILED, "%s", err.text);
			free_timeline(t);
			return false;
		}
	}
	for (size_t i = 0; i < s->host_count; i++) {
		struct host *h = &s->hosts[i];

		p = h->self ? NULL : add_part(t, h->name, args);
		if (p != NULL && t->n > 0 && p->before > p->after + 1) {
			ask_part(p);
		}
	}
	return true;
}

/* Whose events are wanted? False: the request was failed. */
static bool
read_which(struct timeline *t, const json_t *args)
{
	struct supervisor *s = t->sup;
	const char *host = ctl_arg_text(args, "host"), *older = ctl_arg_text(args, "older"),
		   *newer = ctl_arg_text(args, "newer");

	if (host != NULL && strcmp(host, s->node) != 0 && hosts_named(s, host) == NULL) {
		ctl_fail(t->req, CTL_EXIT_FAILED,
		    "there is no host '%s': `holdfast status --json` names them", host);
		return false;
	}
	if (host == NULL &&
	    (json_object_get(args, "before") != NULL || json_object_get(args, "after") != NULL)) {
		host = s->node; /* ids are one host's */
	}
	(void)snprintf(t->host, sizeof(t->host), "%s", host != NULL ? host : "");
	if ((older != NULL && (t->older = place_parse(slice_str(older), s->node)) == NULL) ||
	    (newer != NULL && (t->newer = place_parse(slice_str(newer), s->node)) == NULL)) {
		ctl_fail(t->req, CTL_EXIT_FAILED,
		    "a place in the history is HOST:ID,HOST:ID,... as an answer gave it");
		return false;
	}
	return true;
}

void
timeline_on_events(struct ctl_request *req, const json_t *args, void *owner)
{
	struct supervisor *s = owner;
	const char *kind = ctl_arg_text(args, "kind");
	struct timeline *t = xcalloc(1, sizeof(*t));

	*t = (struct timeline){.sup = s,
	    .req = req,
	    .n = MIN(ctl_arg_count(args, "n", EVENTS_DEFAULT), (uint64_t)EVENTS_MOST),
	    .kind = xstrdup(kind != NULL ? kind : ""),
	    .follow = ctl_arg_bool(args, "follow"),
	    .beginning = true};
	list_init(&t->link);
	ev_timer_init(&t->limit, on_limit, COLLECT_MS / 1000., 0.);
	t->limit.data = t;
	if (!read_which(t, args)) {
		free_timeline(t);
		return;
	}
	t->parts = xcalloc(s->host_count + 1, sizeof(*t->parts));
	if (!collect(t, args)) {
		return;
	}
	t->beginning = false;
	for (size_t i = 0; i < t->part_count; i++) {
		if (t->parts[i].call != NULL) {
			list_push(&s->timelines, &t->link);
			ctl_on_gone(req, on_gone, t);
			ev_timer_start(loop_ev(s->loop), &t->limit);
			return;
		}
	}
	end(t);
}

void
timeline_init(struct supervisor *s)
{
	list_init(&s->timelines);
	list_init(&s->event_followers);
	list_init(&s->event_fetches);
}

void
timeline_fini(struct supervisor *s)
{
	while (!list_is_empty(&s->timelines)) {
		free_timeline(CONTAINER_OF(s->timelines.next, struct timeline, link));
	}
	while (!list_is_empty(&s->event_fetches)) {
		free_fetch(CONTAINER_OF(s->event_fetches.next, struct fetch, link));
	}
	while (!list_is_empty(&s->event_followers)) {
		on_follower_gone(
		    NULL, CONTAINER_OF(s->event_followers.next, struct follower, link));
	}
}
