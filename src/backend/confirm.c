#include "backend/confirm.h"

#include <assert.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/backend_priv.h"
#include "base/clock.h"
#include "base/mem.h"
#include "topo/link.h"
#include "topo/reply.h"

#define CONFIRM_MAGIC 0x434f4e46U
#define VOUCH_MAGIC   0x564f5543U
#define GRACE_MS      1000 /* beyond wait_ms, for the answer to come */
#define LOOK_MS       100
#define STALL_MS      2000

/* The way to one server process. */
struct vouch {
	uint32_t magic;
	struct list link;
	struct confirm *confirm; /* borrowed (frees it) */
	struct link *to;         /* owned */
	unsigned process;
	char run_id[48];
	char *user, *secret;             /* owned: the link's */
	bool ready;                      /* the link stands and leads to that process */
	struct vouch *heir;              /* borrowed: whom WAIT is asked of in its stead, or NULL */
	bool asking;                     /* WAIT is on its way … */
	uint64_t asked;                  /* … for the tickets up to this one … */
	uint64_t asked_us, asked_writes; /* … since when, and how many are pending of these */
	uint64_t writes;                 /* pending of all */
	uint64_t last;                   /* the newest ticket; those up to `done` are decided */
	uint64_t done;
	uint64_t since_ms;   /* when the first that is not decided and not asked for was added */
	uint64_t leaving_ms; /* since when it hands over to another; 0: it does not */
	bool yields; /* it lives and is no master any more: its successor has all that it had */
};

struct confirm {
	uint32_t magic;
	struct backend *backend; /* borrowed (outlives it) */
	struct backend_watcher route;
	struct list vouches; /* struct vouch.link: the present master's first */
	struct list watchers;
	struct loop_hook ask;
	ev_timer look;
	unsigned replicas;
	uint64_t wait_ms;
	uint64_t next;
};

static bool
is_pending(const struct vouch *v)
{
	return v->last > v->done;
}

static void
free_now(void *obj)
{
	struct vouch *v = obj;

	if (v->secret != NULL) {
		explicit_bzero(v->secret, strlen(v->secret));
	}
	free(v->user);
	free(v->secret);
	v->magic = 0;
	free(v);
}

static void
vouch_free(struct vouch *v)
{
	list_for_each (item, &v->confirm->vouches) {
		struct vouch *u = CONTAINER_OF(item, struct vouch, link);

		u->heir = u->heir == v ? NULL : u->heir;
	}
	link_free(&v->to);
	list_del(&v->link);
	loop_bury(v->confirm->backend->loop, free_now, v);
}

/* Tells all that wait. */
static void
decide(struct vouch *v, uint64_t upto, enum confirm_outcome outcome)
{
	struct confirm *c = v->confirm;
	struct list todo, *item;

	uint64_t writes = upto == v->last ? v->writes : MIN(v->asked_writes, v->writes);

	metrics_add_confirm(c->backend->metrics, outcome, writes,
	    v->asked_us != 0 ? clock_mono_us() - v->asked_us : 0);
	v->writes -= writes;
	v->asked_us = v->asked_writes = 0;
	list_init(&todo);
	v->done = MAX(v->done, upto);
	list_move(&todo, &c->watchers);
	while ((item = list_shift(&todo)) != NULL) {
		struct confirm_watcher *w = CONTAINER_OF(item, struct confirm_watcher, link);

		list_push(&c->watchers, &w->link);
		w->on_outcome(w->arg, v->process, upto, outcome);
	}
}

static void
give_up(struct vouch *v)
{
	if (is_pending(v)) {
		decide(v, v->last, CONFIRM_LOST);
	}
	vouch_free(v);
}

/* ---- the question ---- */

static void
on_wait(void *arg, const redisReply *reply, int error)
{
	struct vouch *v = OBJ_CAST((struct vouch *)arg, VOUCH_MAGIC);
	struct confirm *c = v->confirm;
	uint64_t copies;

	v->asking = false;
	if (reply == NULL) {
		v->ready = false; /* the link comes again, if the process lives */
		return;
	}
	loop_hook_ask(c->backend->loop, &c->ask);
	if (!reply_u64(reply, &copies)) {
		v->yields = true; /* UNBLOCKED: it became a replica */
		return;
	}
	v->since_ms = clock_mono_ms();
	decide(v, v->asked, copies >= c->replicas ? CONFIRM_KEPT : CONFIRM_FEW);
	list_for_each_safe (item, next, &c->vouches) {
		struct vouch *u = CONTAINER_OF(item, struct vouch, link);

		if (u->heir == v && u->asked > u->done) {
			decide(u, u->asked, copies >= c->replicas ? CONFIRM_KEPT : CONFIRM_FEW);
		}
	}
}

/* It answers after another was made master in its stead: it did not die before it had handed over. */
static void
on_lives(void *arg, const redisReply *reply, int error)
{
	struct vouch *v = OBJ_CAST((struct vouch *)arg, VOUCH_MAGIC);

	v->yields = v->yields || reply != NULL;
	loop_hook_ask(v->confirm->backend->loop, &v->confirm->ask);
}

/* Is anything to be asked of `v`, for itself or for one that handed over to it? Those are taken note of. */
static bool
is_asked(struct vouch *v)
{
	bool any = is_pending(v);

	list_for_each (item, &v->confirm->vouches) {
		struct vouch *u = CONTAINER_OF(item, struct vouch, link);

		if (u->leaving_ms != 0 && u->yields && is_pending(u)) {
			u->heir = v;
			u->asked = u->last;
			u->asked_writes = u->writes;
			any = true;
		}
	}
	return any;
}

static void
ask(struct vouch *v)
{
	struct confirm *c = v->confirm;
	char replicas[12], ms[24];

	(void)snprintf(replicas, sizeof(replicas), "%u", c->replicas);
	(void)snprintf(ms, sizeof(ms), "%llu", (unsigned long long)MAX(c->wait_ms, (uint64_t)1));
	v->asked = v->last;
	v->asked_writes = v->writes;
	v->asked_us = clock_mono_us();
	v->asking =
	    link_send(v->to, 0, NULL, v, "PING", NULL) == 0 &&
	    link_send(v->to, c->wait_ms + GRACE_MS, on_wait, v, "WAIT", replicas, ms, NULL) == 0;
}

static void
on_ask(void *arg)
{
	struct confirm *c = OBJ_CAST((struct confirm *)arg, CONFIRM_MAGIC);

	list_for_each (item, &c->vouches) {
		struct vouch *v = CONTAINER_OF(item, struct vouch, link);

		if (v->ready && !v->asking && !v->yields &&
		    (v->leaving_ms != 0 ? is_pending(v) : is_asked(v))) {
			ask(v);
		}
		if (is_pending(v) && !ev_is_active(&c->look)) {
			ev_timer_start(loop_ev(c->backend->loop), &c->look);
		}
	}
}

/* Whom nobody answers for is not to be waited for. */
static void
on_look(struct ev_loop *ev, ev_timer *timer, int revents)
{
	struct confirm *c = OBJ_CAST((struct confirm *)timer->data, CONFIRM_MAGIC);
	uint64_t now = clock_mono_ms();
	bool any = false;

	list_for_each_safe (item, next, &c->vouches) {
		struct vouch *v = CONTAINER_OF(item, struct vouch, link);

		if (v->leaving_ms != 0 && now - v->leaving_ms > c->wait_ms + GRACE_MS) {
			give_up(v);
			continue;
		}
		if (is_pending(v) && !v->asking && now - v->since_ms > c->wait_ms + GRACE_MS) {
			decide(v, v->last, CONFIRM_LOST);
		}
		any = any || is_pending(v) || v->leaving_ms != 0;
	}
	if (!any) {
		ev_timer_stop(ev, timer);
	}
}

/* ---- the links ---- */

static void
on_info(void *arg, const redisReply *reply, int error)
{
	struct vouch *v = OBJ_CAST((struct vouch *)arg, VOUCH_MAGIC);

	if (reply == NULL) {
		return;
	}
	v->ready = v->run_id[0] != '\0' && slice_eq(reply_info(reply, "run_id"), v->run_id);
	if (v->ready) {
		loop_hook_ask(v->confirm->backend->loop, &v->confirm->ask);
	} else if (is_pending(v)) {
		decide(v, v->last, CONFIRM_LOST);
	}
}

static void
on_up(struct link *l, void *owner)
{
	struct vouch *v = OBJ_CAST((struct vouch *)owner, VOUCH_MAGIC);

	v->asking = false;
	(void)link_send(l, 0, on_info, v, "INFO", "server", NULL);
}

static void
on_down(struct link *l, void *owner, int error, const char *why)
{
	struct vouch *v = OBJ_CAST((struct vouch *)owner, VOUCH_MAGIC);

	v->ready = v->asking = false;
	if (v->leaving_ms != 0 && !v->yields) {
		give_up(v);
	}
}

static struct vouch *
find(struct confirm *c, unsigned process)
{
	list_for_each (item, &c->vouches) {
		struct vouch *v = CONTAINER_OF(item, struct vouch, link);

		if (v->process == process) {
			return v;
		}
	}
	return NULL;
}

/*
 * Another process is master. If it was handed over to, and its predecessor is seen to live after that, it has all that
 * was written there: it is asked how many replicas have it, for the other, which has paused, gets no answers from them.
 * Of one that was replaced no word counts: a replica that has not heard of it yet would confirm what the new master
 * never saw.
 */
static void
retire(struct vouch *v, bool planned)
{
	if (planned) {
		v->leaving_ms = clock_mono_ms();
		if (v->ready) {
			(void)link_send(v->to, 0, on_lives, v, "PING", NULL);
		}
		ev_timer_start(loop_ev(v->confirm->backend->loop), &v->confirm->look);
	} else {
		give_up(v);
	}
}

/* For the present master. */
static struct vouch *
vouch_new(struct confirm *c)
{
	static const struct link_ops ops = {.on_up = on_up, .on_down = on_down};
	struct backend *b = c->backend;
	struct link_spec spec = {.at = b->master.at,
	    .connect_ms = 1000,
	    .stall_ms = STALL_MS,
	    .retry_min_ms = 2,
	    .retry_max_ms = 250};
	struct vouch *v = xcalloc(1, sizeof(*v));

	v->magic = VOUCH_MAGIC;
	v->confirm = c;
	v->process = b->process;
	(void)snprintf(v->run_id, sizeof(v->run_id), "%s", b->run_id);
	v->user = xstrdup(b->user);
	v->secret = xstrdup(b->secret);
	spec.user = v->user;
	spec.password = v->secret;
	v->to = link_new(b->loop, &spec, &ops, v);
	list_unshift(&c->vouches, &v->link);
	return v;
}

/* The way to the next master is there when the first write needs it. */
static void
on_expected(void *arg)
{
	struct confirm *c = OBJ_CAST((struct confirm *)arg, CONFIRM_MAGIC);

	if (c->replicas > 0 && find(c, c->backend->process) == NULL) {
		(void)vouch_new(c);
	}
}

static void
on_route(void *arg, const struct endpoint *master)
{
	struct confirm *c = OBJ_CAST((struct confirm *)arg, CONFIRM_MAGIC);
	bool restarted = false;

	list_for_each (item, &c->vouches) {
		const struct vouch *v = CONTAINER_OF(item, struct vouch, link);

		restarted = restarted || (v->process != c->backend->process && v->leaving_ms == 0);
	}
	list_for_each_safe (item, next, &c->vouches) {
		struct vouch *v = CONTAINER_OF(item, struct vouch, link);

		/* started again in its place, it may have lost what was handed over to it, too */
		if (v->process != c->backend->process && restarted) {
			retire(v, false);
		}
	}
	on_expected(c);
}

static void
on_move(void *arg, bool planned)
{
	struct confirm *c = OBJ_CAST((struct confirm *)arg, CONFIRM_MAGIC);

	list_for_each_safe (item, next, &c->vouches) {
		struct vouch *v = CONTAINER_OF(item, struct vouch, link);

		if (v->leaving_ms == 0 || !planned) {
			retire(v, planned);
		}
	}
}

static void
on_noroute(void *arg, const char *why)
{
}

/* ---- for its users ---- */

uint64_t
confirm_add(struct confirm *c, unsigned process)
{
	struct vouch *v = find(c, process);

	if (v == NULL && process == c->backend->process && backend_is_routing(c->backend)) {
		v = vouch_new(c);
	}
	if (v == NULL) {
		return 0;
	}
	if (!is_pending(v)) {
		v->since_ms = clock_mono_ms();
	}
	v->last = ++c->next;
	v->writes++;
	loop_hook_ask(c->backend->loop, &c->ask);
	return v->last;
}

void
confirm_watch(struct confirm *c, struct confirm_watcher *w)
{
	list_push(&c->watchers, &w->link);
}

void
confirm_unwatch(struct confirm_watcher *w)
{
	list_del(&w->link);
}

void
confirm_configure(struct confirm *c, unsigned replicas, uint64_t wait_ms)
{
	struct endpoint at;

	c->replicas = replicas;
	c->wait_ms = wait_ms;
	if (backend_master(c->backend, &at)) {
		on_route(c, &at);
	}
}

unsigned
confirm_replicas(const struct confirm *c)
{
	return c->replicas;
}

uint64_t
confirm_wait_ms(const struct confirm *c)
{
	return c->wait_ms;
}

struct confirm *
confirm_new(struct backend *b)
{
	struct confirm *c = xcalloc(1, sizeof(*c));

	*c = (struct confirm){.magic = CONFIRM_MAGIC, .backend = b};
	list_init(&c->vouches);
	list_init(&c->watchers);
	loop_hook_init(&c->ask, on_ask, c);
	ev_timer_init(&c->look, on_look, LOOK_MS / 1000., LOOK_MS / 1000.);
	c->look.data = c;
	c->route = (struct backend_watcher){.on_route = on_route,
	    .on_noroute = on_noroute,
	    .on_move = on_move,
	    .on_expected = on_expected,
	    .arg = c};
	list_init(&c->route.link);
	backend_watch(b, &c->route);
	return c;
}

static void
free_confirm(void *obj)
{
	struct confirm *c = obj;

	c->magic = 0;
	free(c);
}

void
confirm_free(struct confirm **cp)
{
	struct confirm *c = *cp;

	*cp = NULL;
	if (c == NULL) {
		return;
	}
	backend_unwatch(&c->route);
	loop_hook_cancel(&c->ask);
	ev_timer_stop(loop_ev(c->backend->loop), &c->look);
	while (!list_is_empty(&c->vouches)) {
		vouch_free(CONTAINER_OF(c->vouches.next, struct vouch, link));
	}
	while (list_shift(&c->watchers) != NULL) {
	}
	loop_bury(c->backend->loop, free_confirm, c);
}
