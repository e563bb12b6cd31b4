#include "supervisor/history.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"

#define WRITE_AFTER_S 0.005
#define TRIED         "history.tried"

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
	const char *node;      /* borrowed likewise */
	int64_t last_id;       /* of the last one that was written */
	bool store_failing;    /* said so once */
	char fault[256];       /* why; "": it can be written, as far as is known */
	history_told_fn *told; /* NULL: nobody */
	void *told_arg;        /* borrowed */
};

static void on_timer(struct ev_loop *ev, ev_timer *w, int revents);

struct history *
history_new(struct loop *loop, const char *node)
{
	struct history *h = xcalloc(1, sizeof(*h));

	h->loop = loop;
	h->node = node;
	list_init(&h->pending);
	ev_init(&h->timer, on_timer);
	h->timer.data = h;
	return h;
}

static bool
take_last(void *arg, const struct store_event *event)
{
	((struct history *)arg)->last_id = event->id;
	return false;
}

void
history_attach(struct history *h, struct store *store)
{
	struct errmsg err = ERRMSG_NONE;

	h->store = store;
	if (store_events_page(store, 0, INT64_MAX, "", 1, take_last, h, &err) < 0) {
		log_warn("the last event cannot be read: %s", err.text);
	}
}

int64_t
history_last_id(const struct history *h)
{
	return h->last_id;
}

const char *
history_fault(const struct history *h)
{
	return h->fault[0] != '\0' ? h->fault : NULL;
}

bool
history_try_again(struct history *h)
{
	struct errmsg err = ERRMSG_NONE;

	if (h->fault[0] == '\0' || store_meta_put(h->store, TRIED, "yes", false, &err) < 0) {
		return false;
	}
	h->fault[0] = '\0';
	return true;
}

json_t *
history_json(const struct history *h, const struct store_event *event)
{
	json_t *doc = store_event_json(event);

	(void)json_object_set_new(doc, "host", json_string(h->node));
	return doc;
}

void
history_on_told(struct history *h, history_told_fn *told, void *arg)
{
	h->told = told;
	h->told_arg = arg;
}

/* Into the database, and to those who are told, also when it cannot be written. */
static void
write_one(struct history *h, const struct pending *p)
{
	struct errmsg err = ERRMSG_NONE;
	struct store_event event;

	if (store_event_add(
		h->store, p->time_ms, p->kind, p->subject, p->text, p->detail, &event, &err) == 0) {
		h->store_failing = false;
		h->fault[0] = '\0';
		h->last_id = event.id;
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
			(void)snprintf(h->fault, sizeof(h->fault), "%s", err.text);
		}
	}
	if (h->told != NULL) {
		h->told(h->told_arg, &event);
	}
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

struct page {
	const struct history *history;
	json_t *events;
};

static bool
collect(void *arg, const struct store_event *event)
{
	const struct page *p = arg;

	(void)json_array_append_new(p->events, history_json(p->history, event));
	return true;
}

int
history_page(struct history *h, int64_t after, int64_t before, const char *kind, size_t n,
    json_t **ret_events, bool *ret_more, struct errmsg *err)
{
	struct page p = {.history = h, .events = json_array()};
	int rc;

	if (h->store == NULL) {
		json_decref(p.events);
		errmsg_set(err, "the history is not open");
		return -ENOTCONN;
	}
	history_flush(h);
	/* one more than asked for: are there more? */
	rc = n > 0 ? store_events_page(h->store, after, before, kind, n + 1, collect, &p, err) : 0;
	if (rc < 0) {
		json_decref(p.events);
		return rc;
	}
	*ret_more = json_array_size(p.events) > n;
	if (*ret_more) {
		(void)json_array_remove(p.events, 0);
	}
	*ret_events = p.events;
	return 0;
}
