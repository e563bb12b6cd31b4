#include "httpd/live.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/worker.h"
#include "base/list.h"
#include "base/mem.h"
#include "ctl/call.h"
#include "ctl/place.h"
#include "httpd/api.h"
#include "httpd/exchange.h"
#include "httpd/sse.h"

#define PAGES_MAX     256 /* of one worker */
#define AGAIN_S       0.5 /* until the supervisor is asked again, when it was away */
#define PING_S        15.
#define MISSED_EVENTS 1000 /* that a page may get at once */
#define CATCH_UP_MS   10000

enum topic {
	TOPIC_STATUS = 1 << 0,
	TOPIC_EVENTS = 1 << 1,
	TOPIC_METRICS = 1 << 2,
	TOPIC_LOGS = 1 << 3
};

struct feed {
	struct httpd *httpd; /* borrowed (its owner) */
	struct list pages;   /* struct live.link */
	size_t count;
	struct ctl_call *watch, *logs; /* owned; NULL: not asked at the moment */
	char *status; /* owned: the last one, as text; NULL: the supervisor is away */
	char *away;   /* owned: … and why */
	ev_timer again, ping;
};

/* One page. */
struct live {
	struct list link;
	struct api *api;   /* borrowed (its owner) */
	struct feed *feed; /* borrowed */
	unsigned topics;
	char logs[65]; /* name of an instance, or "*" */
	json_t *had;   /* owned: up to which event of each host it has them; NULL: not known yet */
	struct ctl_call *missed; /* owned: what it does not have yet is asked for; NULL */
	bool more;               /* … and meanwhile there is more */
};

/* ---- to the pages ---- */

static char *
text_of(const json_t *doc)
{
	return json_dumps(doc, JSON_COMPACT | JSON_ENCODE_ANY | JSON_REAL_PRECISION(12));
}

static void
tell_all(struct feed *f, enum topic topic, const char *event, const char *text)
{
	list_for_each_safe (it, next, &f->pages) {
		struct live *l = CONTAINER_OF(it, struct live, link);

		/* the page may be gone after it */
		if ((l->topics & topic) != 0 && !sse_is_busy(l->api)) {
			(void)sse_send(l->api, event, NULL, slice_str(text));
		}
	}
}

static int64_t
id_of(const json_t *event)
{
	return json_integer_value(json_object_get(event, "id"));
}

/* With one host a place is its id. */
static char *
id_text(const json_t *had)
{
	if (json_object_size(had) == 1) {
		json_int_t id = json_integer_value(
		    json_object_iter_value(json_object_iter((json_t *)(uintptr_t)had)));

		return xasprintf("%lld", (long long)id);
	}
	return place_text(had);
}

/* False: the page is gone. */
static bool
tell_event(struct live *l, const json_t *event, const char *text)
{
	const char *host = json_string_value(json_object_get(event, "host"));
	int64_t id = id_of(event);
	char *place = NULL;
	bool is_there;

	if (host == NULL || (id != 0 && id <= place_get(l->had, host, 0))) {
		return true;
	}
	if (id != 0) {
		place_set(l->had, host, id);
		place = id_text(l->had);
	}
	is_there = sse_send(l->api, "event", place, slice_str(text));
	free(place);
	return is_there;
}

static void
tell_all_event(struct feed *f, const json_t *event)
{
	char *text = text_of(event);

	list_for_each_safe (it, next, &f->pages) {
		struct live *l = CONTAINER_OF(it, struct live, link);

		if ((l->topics & TOPIC_EVENTS) == 0) {
			continue;
		}
		if (l->missed != NULL) {
			l->more = true; /* it comes in its turn */
			continue;
		}
		l->had = l->had != NULL ? l->had : json_object();
		(void)tell_event(l, event, text);
	}
	free(text);
}

static void
tell_all_line(struct feed *f, const json_t *line)
{
	const char *name = json_string_value(json_object_get(line, "name"));
	char *text = text_of(line);

	list_for_each_safe (it, next, &f->pages) {
		struct live *l = CONTAINER_OF(it, struct live, link);

		if ((l->topics & TOPIC_LOGS) != 0 && name != NULL &&
		    (strcmp(l->logs, "*") == 0 || strcmp(l->logs, name) == 0) &&
		    !sse_is_busy(l->api)) {
			(void)sse_send(l->api, "log", NULL, slice_str(text));
		}
	}
	free(text);
}

/* ---- events that a page does not have ---- */

static void catch_up(struct live *l);

static void
on_missed_line(void *owner, json_t *line)
{
	struct live *l = owner;
	const json_t *event = json_object_get(line, "event");
	char *text;

	if (event == NULL || l->had == NULL) {
		return; /* it wants those from here on */
	}
	text = text_of(event);
	(void)tell_event(l, event, text);
	free(text);
}

/* Where it is now, as the answer says: of hosts without an event in it, too. */
static void
take_place(struct live *l, const char *newer)
{
	json_t *place = newer != NULL ? place_parse(slice_str(newer), "x") : NULL, *id;
	const char *host;

	if (l->had == NULL) {
		l->had = json_object();
	}
	json_object_foreach(place, host, id)
	{
		place_set(l->had, host, MAX(json_integer_value(id), place_get(l->had, host, 0)));
	}
	json_decref(place);
}

static void
on_missed_end(void *owner, int error, json_t *reply, const char *why)
{
	struct live *l = owner;

	(void)why;
	l->missed = NULL;
	if (error == 0) {
		take_place(l, json_string_value(json_object_get(reply, "newer")));
	}
	if (error == 0 && l->more) {
		catch_up(l);
	}
}

static const struct ctl_call_ops missed_ops = {.on_line = on_missed_line, .on_end = on_missed_end};

static void
catch_up(struct live *l)
{
	struct errmsg err = ERRMSG_NONE;
	char *newer;
	json_t *args;

	l->more = l->missed != NULL;
	if (l->missed != NULL) {
		return;
	}
	newer = l->had != NULL ? place_text(l->had) : NULL;
	args = newer == NULL ? json_pack("{s:i}", "n", 1)
			     : json_pack("{s:i,s:s*}", "n", MISSED_EVENTS, "newer",
				   newer[0] != '\0' ? newer : NULL);
	free(newer);
	l->missed = ctl_call_begin(l->feed->httpd->loop, API_CONTROL_PATH, "events", args, NULL,
	    CATCH_UP_MS, &missed_ops, l, &err);
}

/* ---- from the supervisor ---- */

static void
ask_again(struct feed *f)
{
	struct ev_loop *ev = loop_ev(f->httpd->loop);

	if (!ev_is_active(&f->again)) {
		ev_timer_set(&f->again, AGAIN_S, 0.);
		ev_timer_start(ev, &f->again);
	}
}

static void
set_away(struct feed *f, const char *why)
{
	json_t *doc = json_pack("{s:s}", "error", why);
	bool news = f->away == NULL;

	free(f->away);
	f->away = text_of(doc);
	json_decref(doc);
	free(f->status);
	f->status = NULL;
	if (news) {
		tell_all(f, TOPIC_STATUS, "offline", f->away);
	}
}

static void
take_status(struct feed *f, const json_t *status)
{
	bool back = f->status == NULL;

	free(f->status);
	f->status = text_of(status);
	free(f->away);
	f->away = NULL;
	tell_all(f, TOPIC_STATUS, "status", f->status);
	if (!back) {
		return;
	}
	list_for_each (it, &f->pages) {
		struct live *l = CONTAINER_OF(it, struct live, link);

		if ((l->topics & TOPIC_EVENTS) != 0) {
			catch_up(l);
		}
	}
}

static void
on_watch_line(void *owner, json_t *line)
{
	struct feed *f = owner;
	json_t *one;
	char *text;

	if ((one = json_object_get(line, "status")) != NULL) {
		take_status(f, one);
	} else if ((one = json_object_get(line, "event")) != NULL) {
		tell_all_event(f, one);
	} else if ((one = json_object_get(line, "metrics")) != NULL) {
		text = text_of(one);
		tell_all(f, TOPIC_METRICS, "metrics", text);
		free(text);
	}
}

static void
on_watch_end(void *owner, int error, json_t *reply, const char *why)
{
	struct feed *f = owner;

	(void)error;
	(void)reply;
	f->watch = NULL;
	set_away(f, why);
	ask_again(f);
}

static const struct ctl_call_ops watch_ops = {.on_line = on_watch_line, .on_end = on_watch_end};

static void
on_log_line(void *owner, json_t *line)
{
	const json_t *log = json_object_get(line, "log");

	if (log != NULL) {
		tell_all_line(owner, log);
	}
}

static void
on_log_end(void *owner, int error, json_t *reply, const char *why)
{
	struct feed *f = owner;

	(void)error;
	(void)reply;
	(void)why;
	f->logs = NULL;
	ask_again(f);
}

static const struct ctl_call_ops log_ops = {.on_line = on_log_line, .on_end = on_log_end};

static bool
anybody_wants_logs(const struct feed *f)
{
	list_for_each (it, &f->pages) {
		if ((CONTAINER_OF(it, struct live, link)->topics & TOPIC_LOGS) != 0) {
			return true;
		}
	}
	return false;
}

/* Asks what is wanted and not asked. */
static void
ask(struct feed *f)
{
	struct loop *loop = f->httpd->loop;
	struct errmsg err = ERRMSG_NONE;

	if (f->watch == NULL) {
		f->watch = ctl_call_begin(
		    loop, API_CONTROL_PATH, "watch", NULL, NULL, 0, &watch_ops, f, &err);
		if (f->watch == NULL) {
			set_away(f, "no supervisor runs at the moment");
			ask_again(f);
			return;
		}
	}
	if (f->logs == NULL && anybody_wants_logs(f)) {
		f->logs = ctl_call_begin(loop, API_CONTROL_PATH, "logs",
		    json_pack("{s:i,s:b}", "n", 0, "follow", 1), NULL, 0, &log_ops, f, &err);
	} else if (f->logs != NULL && !anybody_wants_logs(f)) {
		ctl_call_cancel(&f->logs);
	}
}

static void
on_again(struct ev_loop *ev, ev_timer *w, int revents)
{
	(void)ev;
	(void)revents;
	ask(w->data);
}

static void
on_ping(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct feed *f = w->data;

	(void)ev;
	(void)revents;
	list_for_each_safe (it, next, &f->pages) {
		(void)sse_comment(CONTAINER_OF(it, struct live, link)->api);
	}
}

static struct feed *
feed_new(struct httpd *h)
{
	struct feed *f = xcalloc(1, sizeof(*f));

	f->httpd = h;
	list_init(&f->pages);
	ev_init(&f->again, on_again);
	f->again.data = f;
	ev_timer_init(&f->ping, on_ping, PING_S, PING_S);
	f->ping.data = f;
	ev_timer_start(loop_ev(h->loop), &f->ping);
	return f;
}

/* Nobody looks any more. */
static void
rest(struct feed *f)
{
	ctl_call_cancel(&f->watch);
	ctl_call_cancel(&f->logs);
	ev_timer_stop(loop_ev(f->httpd->loop), &f->again);
	free(f->status);
	free(f->away);
	f->status = f->away = NULL;
}

void
feed_free(struct feed **fp)
{
	struct feed *f = *fp;

	*fp = NULL;
	if (f != NULL) {
		rest(f);
		ev_timer_stop(loop_ev(f->httpd->loop), &f->ping);
		free(f);
	}
}

/* ---- a page ---- */

static void
drop_live(void *work)
{
	struct live *l = work;
	struct feed *f = l->feed;

	ctl_call_cancel(&l->missed);
	json_decref(l->had);
	list_del(&l->link);
	f->count--;
	free(l);
	if (f->count == 0) {
		rest(f);
	} else {
		ask(f); /* lines may not be wanted any more */
	}
}

/* False: the request was failed. */
static bool
read_topics(struct api *a, unsigned *ret_topics)
{
	static const struct {
		const char *word;
		enum topic topic;
	} words[] = {
	    {"status", TOPIC_STATUS}, {"events", TOPIC_EVENTS}, {"metrics", TOPIC_METRICS}};
	struct slice list = api_param(a, "topics", 0), word;

	*ret_topics = list.ptr == NULL ? TOPIC_STATUS | TOPIC_EVENTS | TOPIC_METRICS : 0;
	while (http_next_item(&list, ',', &word)) {
		unsigned topic = 0;

		for (size_t i = 0; i < ARRAY_LEN(words); i++) {
			topic |= slice_eq(word, words[i].word) ? (unsigned)words[i].topic : 0;
		}
		if (topic == 0) {
			api_fail(
			    a, 400, "'topics' is a list by commas of: status, events, metrics");
			return false;
		}
		*ret_topics |= topic;
	}
	return true;
}

void
api_live(struct api *a)
{
	struct httpd *h = a->x->httpd;
	struct slice logs = api_param(a, "logs", 0);
	unsigned topics;
	struct live *l;

	if (!worker_is_supervised(h->worker)) {
		api_fail(a, 503,
		    "this HTTP front end runs alone, without a supervisor to ask: use the one of "
		    "`holdfast run`");
		return;
	}
	if (!read_topics(a, &topics)) {
		return;
	}
	if (logs.len > sizeof(l->logs) - 1 || (logs.ptr != NULL && logs.len == 0)) {
		api_fail(a, 400, "'logs' is the name of an instance, or * for all");
		return;
	}
	if (h->feed != NULL && h->feed->count >= PAGES_MAX) {
		api_fail(a, 503, "%d pages look at this worker already: close some", PAGES_MAX);
		return;
	}
	if (!sse_begin(a)) {
		return;
	}
	if (h->feed == NULL) {
		h->feed = feed_new(h);
	}
	l = xcalloc(1, sizeof(*l));
	*l = (struct live){.api = a,
	    .feed = h->feed,
	    .topics = topics | (logs.len > 0 ? (unsigned)TOPIC_LOGS : 0),
	    .had = a->last_id != NULL ? place_parse(slice_str(a->last_id), h->conf->holdfast_node)
				      : NULL};
	memcpy(l->logs, logs.len > 0 ? (const char *)logs.ptr : "", logs.len);
	list_init(&l->link);
	list_push(&h->feed->pages, &l->link);
	h->feed->count++;
	api_set_work(a, l, drop_live);
	if (h->feed->status != NULL && (topics & TOPIC_STATUS) != 0 &&
	    !sse_send(a, "status", NULL, slice_str(h->feed->status))) {
		return;
	}
	if (h->feed->status != NULL && (topics & TOPIC_EVENTS) != 0) {
		catch_up(l); /* else with the first status */
	}
	ask(h->feed);
}
