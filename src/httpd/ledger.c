#include "httpd/ledger.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "backend/worker.h"
#include "ctl/call.h"
#include "httpd/api.h"
#include "httpd/httpd_priv.h"

#define USERS_MAX    32
#define COMMANDS_MAX 12
#define FIRST_MS     500   /* what comes together is one event … */
#define AGAIN_MS     15000 /* … and then there is none of this user for so long */
#define TELL_MS      5000

struct entry {
	char by[80], target[64];
	struct {
		char name[40];
		unsigned long count;
	} commands[COMMANDS_MAX];
	size_t command_count;
	unsigned long all, others; /* of those that have no place */
	char about[80];            /* of the first */
	uint64_t due_ms;           /* 0: nothing to tell */
	uint64_t told_ms;          /* 0: never */
};

/* An event on its way to the supervisor. */
struct note {
	struct list link;
	struct ctl_call *call; /* owned */
};

struct ledger {
	struct httpd *httpd; /* borrowed (outlives us) */
	struct entry entries[USERS_MAX];
	struct list notes; /* struct note, owned */
	ev_timer timer;
};

static void
on_noted(void *owner, int error, json_t *reply, const char *why)
{
	struct note *n = owner;

	(void)reply;
	if (error != 0) {
		log_peer(LOG_WARN,
		    "a change over the operator's interface could not be told to the supervisor: "
		    "%s",
		    why);
	}
	list_del(&n->link);
	free(n);
}

static const struct ctl_call_ops call_ops = {.on_end = on_noted};

static void
tell(struct ledger *l, struct entry *e)
{
	char text[800];
	size_t used = 0;
	struct note *n = xcalloc(1, sizeof(*n));
	struct errmsg err = ERRMSG_NONE;

	for (size_t i = 0; i < e->command_count; i++) {
		int len =
		    e->all == 1
			? snprintf(text, sizeof(text), "%s %s", e->commands[i].name, e->about)
			: snprintf(text + used, sizeof(text) - used, "%s%s ×%lu",
			      used > 0 ? ", " : "", e->commands[i].name, e->commands[i].count);

		used += len > 0 ? MIN((size_t)len, sizeof(text) - used - 1) : 0;
	}
	if (e->others > 0) {
		(void)snprintf(text + used, sizeof(text) - used, ", and others ×%lu", e->others);
	}
	log_notice("%s changed %s: %s", e->by, e->target, text);
	list_init(&n->link);
	if (worker_is_supervised(l->httpd->worker)) {
		n->call = ctl_call_begin(l->httpd->loop, API_CONTROL_PATH, "note",
		    json_pack("{s:s,s:s}", "text", text, "subject", e->target), e->by, TELL_MS,
		    &call_ops, n, &err);
	}
	if (n->call == NULL) {
		free(n); /* the log has it */
	} else {
		list_push(&l->notes, &n->link);
	}
	e->command_count = 0;
	e->all = e->others = 0;
	e->due_ms = 0;
	e->told_ms = clock_mono_ms();
}

static void
arm(struct ledger *l)
{
	uint64_t first = UINT64_MAX, now = clock_mono_ms();

	for (size_t i = 0; i < USERS_MAX; i++) {
		if (l->entries[i].due_ms != 0) {
			first = MIN(first, l->entries[i].due_ms);
		}
	}
	ev_timer_stop(loop_ev(l->httpd->loop), &l->timer);
	if (first != UINT64_MAX) {
		ev_timer_set(&l->timer, first > now ? (double)(first - now) / 1000. : 0., 0.);
		ev_timer_start(loop_ev(l->httpd->loop), &l->timer);
	}
}

static void
on_timer(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct ledger *l = w->data;
	uint64_t now = clock_mono_ms();

	(void)ev;
	(void)revents;
	for (size_t i = 0; i < USERS_MAX; i++) {
		if (l->entries[i].due_ms != 0 && l->entries[i].due_ms <= now) {
			tell(l, &l->entries[i]);
		}
	}
	arm(l);
}

struct ledger *
ledger_new(struct httpd *h)
{
	struct ledger *l = xcalloc(1, sizeof(*l));

	l->httpd = h;
	list_init(&l->notes);
	ev_init(&l->timer, on_timer);
	l->timer.data = l;
	return l;
}

void
ledger_free(struct ledger **lp)
{
	struct ledger *l = *lp;

	*lp = NULL;
	if (l == NULL) {
		return;
	}
	ev_timer_stop(loop_ev(l->httpd->loop), &l->timer);
	for (size_t i = 0; i < USERS_MAX; i++) {
		if (l->entries[i].due_ms != 0) {
			tell(l, &l->entries[i]); /* into the log at least: our loop ends */
		}
	}
	while (!list_is_empty(&l->notes)) {
		struct note *n = CONTAINER_OF(list_shift(&l->notes), struct note, link);

		ctl_call_cancel(&n->call);
		free(n);
	}
	free(l);
}

/* That of this user and target; else the one that was told longest ago, what it has being told first. */
static struct entry *
entry_of(struct ledger *l, const char *by, const char *target)
{
	struct entry *oldest = &l->entries[0];

	for (size_t i = 0; i < USERS_MAX; i++) {
		struct entry *e = &l->entries[i];

		if (strcmp(e->by, by) == 0 && strcmp(e->target, target) == 0) {
			return e;
		}
		if (e->told_ms < oldest->told_ms) {
			oldest = e;
		}
	}
	if (oldest->due_ms != 0) {
		tell(l, oldest);
	}
	*oldest = (struct entry){0};
	(void)snprintf(oldest->by, sizeof(oldest->by), "%s", by);
	(void)snprintf(oldest->target, sizeof(oldest->target), "%s", target);
	return oldest;
}

void
ledger_add(
    struct ledger *l, const char *by, const char *target, const char *command, struct slice about)
{
	struct entry *e = entry_of(l, by, target);
	uint64_t now = clock_mono_ms();
	size_t i = 0;

	while (i < e->command_count && strcmp(e->commands[i].name, command) != 0) {
		i++;
	}
	if (i == COMMANDS_MAX) {
		e->others++;
	} else {
		if (i == e->command_count) {
			(void)snprintf(
			    e->commands[i].name, sizeof(e->commands[i].name), "%s", command);
			e->commands[i].count = 0;
			e->command_count++;
		}
		e->commands[i].count++;
	}
	if (e->all++ == 0) {
		e->about[0] = '\0';
		if (about.len > 0) {
			(void)log_quote(about, e->about, sizeof(e->about));
		}
	}
	if (e->due_ms == 0) {
		e->due_ms =
		    e->told_ms != 0 ? MAX(now + FIRST_MS, e->told_ms + AGAIN_MS) : now + FIRST_MS;
		arm(l);
	}
}
