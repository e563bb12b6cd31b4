#include "net/loop.h"

#include <assert.h>
#include <signal.h>
#include <stdlib.h>

#include "base/mem.h"

struct grave {
	loop_free_fn *free_fn;
	void *obj; /* owned until buried */
};

struct loop {
	struct ev_loop *ev; /* libev's own */
	ev_prepare prepare;
	ev_idle awake;       /* active while something waits for the next turn: it must not sleep */
	struct list hooks;   /* struct loop_hook.link: to run in this turn */
	struct list later;   /* likewise, in the next turn */
	struct list orphans; /* struct loop_orphan.link */
	uint64_t turn;
	struct grave *graves;
	size_t grave_count, grave_cap;
	uint8_t scratch[LOOP_SCRATCH_BYTES];
};

static bool exists; /* libev has one default loop */

static void
run_hooks(struct loop *loop)
{
	struct list *item;

	while ((item = list_shift(&loop->hooks)) != NULL) {
		struct loop_hook *hook = CONTAINER_OF(item, struct loop_hook, link);

		hook->ran = loop->turn;
		hook->fn(hook->arg);
	}
	loop->turn++;
	list_move(&loop->hooks, &loop->later);
}

static void
bury_all(struct loop *loop)
{
	/* A free function may bury further objects: they go to the end and are reached by the same
	 * walk. */
	for (size_t i = 0; i < loop->grave_count; i++) {
		struct grave g = loop->graves[i];

		g.free_fn(g.obj);
	}
	loop->grave_count = 0;
}

static void
on_turn_end(struct ev_loop *ev, ev_prepare *w, int revents)
{
	struct loop *loop = w->data;

	run_hooks(loop);
	bury_all(loop);
	if (list_is_empty(&loop->hooks)) {
		ev_idle_stop(ev, &loop->awake);
	} else {
		ev_idle_start(ev, &loop->awake);
	}
}

static void
on_idle(struct ev_loop *ev, ev_idle *w, int revents)
{
	/* being active is all it is for */
}

struct loop *
loop_new(void)
{
	struct loop *loop = xcalloc(1, sizeof(*loop));

	assert(!exists);
	loop->ev = ev_default_loop(EVFLAG_AUTO);
	assert(loop->ev != NULL);
	exists = true;
	(void)signal(SIGPIPE, SIG_IGN);
	list_init(&loop->hooks);
	list_init(&loop->later);
	list_init(&loop->orphans);
	loop->turn = 1;
	ev_idle_init(&loop->awake, on_idle);
	ev_prepare_init(&loop->prepare, on_turn_end);
	loop->prepare.data = loop;
	ev_prepare_start(loop->ev, &loop->prepare);
	ev_unref(loop->ev); /* the hook keeps no loop alive by itself */
	return loop;
}

void
loop_free(struct loop **loop)
{
	struct loop *l = *loop;
	struct list *item;

	if (l == NULL) {
		return;
	}
	run_hooks(l);
	while ((item = list_shift(&l->orphans)) != NULL) {
		struct loop_orphan *o = CONTAINER_OF(item, struct loop_orphan, link);

		o->end(o->obj);
	}
	bury_all(l);
	ev_idle_stop(l->ev, &l->awake);
	ev_ref(l->ev);
	ev_prepare_stop(l->ev, &l->prepare);
	ev_loop_destroy(l->ev);
	exists = false;
	free(l->graves);
	free(l);
	*loop = NULL; /* last: what ends above may look at its owner's copy */
}

struct ev_loop *
loop_ev(struct loop *loop)
{
	return loop->ev;
}

void
loop_run(struct loop *loop)
{
	(void)ev_run(loop->ev, 0);
	run_hooks(loop);
	bury_all(loop);
}

void
loop_stop(struct loop *loop)
{
	ev_break(loop->ev, EVBREAK_ALL);
}

void
loop_hook_init(struct loop_hook *hook, loop_hook_fn *fn, void *arg)
{
	list_init(&hook->link);
	hook->ran = 0;
	hook->fn = fn;
	hook->arg = arg;
}

void
loop_hook_ask(struct loop *loop, struct loop_hook *hook)
{
	if (list_is_empty(&hook->link)) {
		list_push(hook->ran == loop->turn ? &loop->later : &loop->hooks, &hook->link);
	}
}

void
loop_hook_cancel(struct loop_hook *hook)
{
	list_del(&hook->link);
}

void
loop_bury(struct loop *loop, loop_free_fn *free_fn, void *obj)
{
	if (loop->grave_count == loop->grave_cap) {
		loop->grave_cap = loop->grave_cap == 0 ? 16 : loop->grave_cap * 2;
		loop->graves = xreallocarray(loop->graves, loop->grave_cap, sizeof(*loop->graves));
	}
	loop->graves[loop->grave_count++] = (struct grave){free_fn, obj};
}

void
loop_orphan(struct loop *loop, struct loop_orphan *o, void (*end)(void *obj), void *obj)
{
	o->end = end;
	o->obj = obj;
	list_push(&loop->orphans, &o->link);
}

void
loop_unorphan(struct loop_orphan *o)
{
	if (o->link.next != NULL) {
		list_del(&o->link);
	}
}

uint8_t *
loop_scratch(struct loop *loop)
{
	return loop->scratch;
}
