#include "supervisor/history.h"

#include <assert.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"

#define EVENTS_DEFAULT 50
#define EVENTS_MOST    10000
#define WRITE_AFTER_S  0.005

struct follower {
	struct list link;
	struct history *history;
	struct ctl_request *req; /* borrowed; on_gone removes us before it goes */
};

/* An event that is not in the database yet. */
struct pending {
	struct list link;
	uint64_t time_ms;
	enum event_kind kind;
	char *subject, *text, *detail; /* owned */
};

struct history {
	struct loop *loop;     /* borrowed (outlives us) */
	struct store *store;   /* borrowed (closed after us); NULL: none yet */
	struct list pending;   /* struct pending, owned, in order */
	ev_timer timer;        /* they are written */
	struct list followers; /* struct follower, owned */
	bool store_failing;    /* said so once */
	history_told_fn *told; /* NULL: nobody */
	void *told_arg;        /* borrowed */
};

static void on_timer(struct ev_loop *ev, ev_timer *w, int revents);

struct history *
history_new(struct loop *loop)
{
	struct history *h = xcalloc(1, sizeof(*h));

	h->loop = loop;
	list_init(&h->followers);
	list_init(&h->pending);
	ev_init(&h->timer, on_timer);
	h->timer.data = h;
	return h;
}

void
history_attach(struct history *h, struct store *store)
{
	h->store = store;
}

void
history_on_told(struct history *h, history_told_fn *told, void *arg)
{
	h->told = told;
	h->told_arg = arg;
}

static void
tell_followers(struct history *h, const struct store_event *event)
{
	list_for_each_safe (it, next, &h->followers) {
		struct follower *f = CONTAINER_OF(it, struct follower, link);
		/* a follower that cannot take it is dropped by the server; its on_gone follows */
		json_t *line = json_pack("{s:o}", "event", store_event_json(event));

		(void)ctl_send(f->req, line);
	}
	if (h->told != NULL) {
		h->told(h->told_arg, event);
	}
}

/* Into the database, and to the followers, who get it also when it cannot be written. */
static void
write_one(struct history *h, const struct pending *p)
{
	struct errmsg err = ERRMSG_NONE;
	struct store_event event;

	if (store_event_add(
		h->store, p->time_ms, p->kind, p->subject, p->text, p->detail, &event, &err) == 0) {
		h->store_failing = false;
	} else {
		event = (struct store_event){.time_ms = p->time_ms,
		    .kind = event_kind_name(p->kind),
		    .subject = p->subject,
		    .text = p->text,
		    .detail = p->detail};
		if (!h->store_failing) {
			log_error(
			    "events cannot be stored, they are in this log only: %s", err.text);
			h->store_failing = true;
		}
	}
	tell_followers(h, &event);
}

static void
free_pending(struct pending *p)
{
	free(p->subject);
	free(p->text);
	free(p->detail);
	free(p);
}

void
history_flush(struct history *h)
{
	struct list *item;

	ev_timer_stop(loop_ev(h->loop), &h->timer);
	while (h->store != NULL && (item = list_shift(&h->pending)) != NULL) {
		struct pending *p = CONTAINER_OF(item, struct pending, link);

		write_one(h, p);
		free_pending(p);
	}
}

void
history_free(struct history **hp)
{
	struct history *h = *hp;
	struct list *item;

	*hp = NULL;
	if (h == NULL) {
		return;
	}
	history_flush(h);
	while ((item = list_shift(&h->pending)) != NULL) {
		free_pending(CONTAINER_OF(item, struct pending, link));
	}
	while ((item = list_shift(&h->followers)) != NULL) {
		free(CONTAINER_OF(item, struct follower, link));
	}
	free(h);
}

static void
on_timer(struct ev_loop *ev, ev_timer *w, int revents)
{
	history_flush(w->data);
}

void
history_add(struct history *h, enum event_kind kind, const char *subject, json_t *detail,
    const char *fmt, ...)
{
	struct pending *p = xcalloc(1, sizeof(*p));
	char text[STORE_EVENT_TEXT_MAX];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_line((enum log_level)event_kind_level(kind), "%s: %s kind=%s", subject, text,
	    event_kind_name(kind));
	*p = (struct pending){
	    .time_ms = clock_wall_ms(),
	    .kind = kind,
	    .subject = xstrdup(subject),
	    .text = xstrdup(text),
	    .detail = detail != NULL ? json_dumps(detail, JSON_COMPACT) : xstrdup("{}"),
	};
	json_decref(detail);
	list_init(&p->link);
	list_push(&h->pending, &p->link);
	if (!ev_is_active(&h->timer)) {
		ev_timer_set(&h->timer, WRITE_AFTER_S, 0.);
		ev_timer_start(loop_ev(h->loop), &h->timer);
	}
}

static void
on_follower_gone(struct ctl_request *req, void *arg)
{
	struct follower *f = arg;

	list_del(&f->link);
	free(f);
}

static bool
collect(void *arg, const struct store_event *event)
{
	(void)json_array_append_new(arg, json_pack("{s:o}", "event", store_event_json(event)));
	return true;
}

void
history_on_events(struct history *h, struct ctl_request *req, const json_t *args)
{
	size_t n = MIN(ctl_arg_count(args, "n", EVENTS_DEFAULT), (uint64_t)EVENTS_MOST), count;
	const char *kind = ctl_arg_text(args, "kind");
	struct errmsg err = ERRMSG_NONE;
	json_t *events = json_array();
	struct follower *f;
	bool more;

	if (h->store == NULL) {
		json_decref(events);
		ctl_fail(req, CTL_EXIT_FAILED, "the history is not open");
		return;
	}
	history_flush(h);
	/* one more than asked for: are there more? */
	if (n > 0 && store_events_page(h->store, (int64_t)ctl_arg_count(args, "after", 0),
			 (int64_t)ctl_arg_count(args, "before", INT64_MAX),
			 kind != NULL ? kind : "", n + 1, collect, events, &err) < 0) {
		json_decref(events);
		ctl_fail(req, CTL_EXIT_FAILED, "%s", err.text);
		return;
	}
	count = json_array_size(events);
	more = count > n;
	for (size_t i = more ? 1 : 0; i < count; i++) {
		(void)ctl_send(req, json_incref(json_array_get(events, i)));
	}
	json_decref(events);
	if (!ctl_arg_bool(args, "follow")) {
		ctl_done(req, json_pack("{s:b}", "more", (int)more));
		return;
	}
	f = xcalloc(1, sizeof(*f));
	*f = (struct follower){.history = h, .req = req};
	list_push(&h->followers, &f->link);
	ctl_on_gone(req, on_follower_gone, f);
}
