/* For tests with a real loop: runs it until a condition holds, or fails the test after a generous bound. */
#ifndef TESTS_UNIT_LOOP_UNTIL_H
#define TESTS_UNIT_LOOP_UNTIL_H

#include <stdbool.h>

#include <ev.h>

#include "base/clock.h"
#include "net/loop.h"

#define LOOP_UNTIL_MS 20000

typedef bool loop_until_fn(void *arg);

struct loop_until {
	struct loop *loop;
	loop_until_fn *fn;
	void *arg;
	uint64_t end_ms;
	bool held;
};

static void
loop_until_on_prepare(struct ev_loop *ev, ev_prepare *w, int revents)
{
	struct loop_until *u = w->data;

	u->held = u->fn(u->arg);
	if (u->held || clock_mono_ms() > u->end_ms) {
		loop_stop(u->loop);
	}
}

static void
loop_until_on_tick(struct ev_loop *ev, ev_timer *w, int revents)
{
}

/* True when the condition held; false when the bound passed. */
static bool
loop_until(struct loop *l, loop_until_fn *fn, void *arg)
{
	struct loop_until u = {l, fn, arg, clock_mono_ms() + LOOP_UNTIL_MS, false};
	ev_prepare prepare;
	ev_timer tick;

	ev_prepare_init(&prepare, loop_until_on_prepare);
	prepare.data = &u;
	ev_prepare_start(loop_ev(l), &prepare);
	ev_timer_init(&tick, loop_until_on_tick, 0.02, 0.02);
	ev_timer_start(loop_ev(l), &tick);
	loop_run(l);
	ev_timer_stop(loop_ev(l), &tick);
	ev_prepare_stop(loop_ev(l), &prepare);
	return u.held;
}

#endif
