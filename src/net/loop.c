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
	struct list hooks; /* struct loop_hook.link */
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

		hook->fn(hook->arg);
	}
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

	*loop = NULL;
	if (l == NULL) {
		return;
	}
	run_hooks(l);
	bury_all(l);
	ev_ref(l->ev);
	ev_prepare_stop(l->ev, &l->prepare);
	ev_loop_destroy(l->ev);
	exists = false;
	free(l->graves);
	free(l);
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
	hook->fn = fn;
	hook->arg = arg;
}

void
loop_hook_ask(struct loop *loop, struct loop_hook *hook)
{
	if (list_is_empty(&hook->link)) {
		list_push(&loop->hooks, &hook->link);
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

uint8_t *
loop_scratch(struct loop *loop)
{
	return loop->scratch;
}
