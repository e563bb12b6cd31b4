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

struct follower {
	struct list link;
	struct history *history;
	struct ctl_request *req; /* borrowed; on_gone removes us before it goes */
};

struct history {
	struct store *store;   /* borrowed (closed after us); NULL: none yet */
	struct list followers; /* struct follower, owned */
	bool store_failing;    /* said so once */
};

struct history *
history_new(void)
{
	struct history *h = xcalloc(1, sizeof(*h));

	list_init(&h->followers);
	return h;
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
	while ((item = list_shift(&h->followers)) != NULL) {
		free(CONTAINER_OF(item, struct follower, link));
	}
	free(h);
}

void
history_attach(struct history *h, struct store *store)
{
	h->store = store;
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
}

void
history_add(struct history *h, enum event_kind kind, const char *subject, json_t *detail,
    const char *fmt, ...)
{
	char text[STORE_EVENT_TEXT_MAX], *detail_text;
	struct errmsg err = ERRMSG_NONE;
	struct store_event event;
	va_list ap;
	int rc;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	log_line((enum log_level)event_kind_level(kind), "%s: %s kind=%s", subject, text,
	    event_kind_name(kind));

	detail_text = detail != NULL ? json_dumps(detail, JSON_COMPACT) : xstrdup("{}");
	json_decref(detail);
	rc = h->store == NULL
		 ? -1
		 : store_event_add(h->store, kind, subject, text, detail_text, &event, &err);
	if (rc == 0) {
		tell_followers(h, &event);
		h->store_failing = false;
	} else if (h->store != NULL) {
		event = (struct store_event){.time_ms = clock_wall_ms(),
		    .kind = event_kind_name(kind),
		    .subject = subject,
		    .text = text,
		    .detail = detail_text};
		tell_followers(h, &event);
		if (!h->store_failing) {
			log_error(
			    "events cannot be stored, they are in this log only: %s", err.text);
			h->store_failing = true;
		}
	}
	free(detail_text);
}

static void
on_follower_gone(struct ctl_request *req, void *arg)
{
	struct follower *f = arg;

	list_del(&f->link);
	free(f);
}

static bool
send_event(void *arg, const struct store_event *event)
{
	return ctl_send(arg, json_pack("{s:o}", "event", store_event_json(event))) == 0;
}

void
history_on_events(struct history *h, struct ctl_request *req, const json_t *args)
{
	size_t n = ctl_arg_count(args, "n", EVENTS_DEFAULT);
	struct errmsg err = ERRMSG_NONE;
	struct follower *f;

	if (h->store == NULL) {
		ctl_fail(req, CTL_EXIT_FAILED, "the history is not open");
		return;
	}
	if (n > 0 && store_events_each(h->store, STORE_LAST_IN_ORDER, 0,
			 MIN(n, (size_t)EVENTS_MOST), send_event, req, &err) < 0) {
		ctl_fail(req, CTL_EXIT_FAILED, "%s", err.text);
		return;
	}
	if (!ctl_arg_bool(args, "follow")) {
		ctl_done(req, NULL);
		return;
	}
	f = xcalloc(1, sizeof(*f));
	*f = (struct follower){.history = h, .req = req};
	list_push(&h->followers, &f->link);
	ctl_on_gone(req, on_follower_gone, f);
}
