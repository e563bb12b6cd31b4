#include "unit.h"

#include "net/loop.h"

static struct loop *loop;
static char trace[256];

static int
setup(void **state)
{
	loop = loop_new();
	trace[0] = '\0';
	return 0;
}

static int
teardown(void **state)
{
	loop_free(&loop);
	return 0;
}

static void
note(const char *what)
{
	size_t len = strlen(trace);

	(void)snprintf(trace + len, sizeof(trace) - len, "%s ", what);
}

struct thing {
	struct loop_hook hook;
	struct loop_orphan orphan;
	const char *name;
	struct thing *asks; /* the hook it asks for when its own runs */
};

static void
on_hook(void *arg)
{
	struct thing *t = arg;

	note(t->name);
	if (t->asks != NULL) {
		loop_hook_ask(loop, &t->asks->hook);
	}
}

/* One turn; a hook that never sleeps shows as a turn that ends at once. */
static void
turn(void)
{
	(void)ev_run(loop_ev(loop), EVRUN_NOWAIT);
}

static void
hooks_run_once_a_turn_in_the_order_asked(void **state)
{
	struct thing a = {.name = "a"}, b = {.name = "b"};

	loop_hook_init(&a.hook, on_hook, &a);
	loop_hook_init(&b.hook, on_hook, &b);
	loop_hook_ask(loop, &b.hook);
	loop_hook_ask(loop, &a.hook);
	loop_hook_ask(loop, &b.hook);
	turn();
	assert_string_equal(trace, "b a ");
	turn();
	assert_string_equal(trace, "b a ");
	loop_hook_ask(loop, &a.hook);
	loop_hook_cancel(&a.hook);
	loop_hook_cancel(&a.hook);
	turn();
	assert_string_equal(trace, "b a ");
}

static void
a_hook_may_ask_for_another_in_the_same_turn(void **state)
{
	struct thing b = {.name = "b"}, a = {.name = "a", .asks = &b};

	loop_hook_init(&a.hook, on_hook, &a);
	loop_hook_init(&b.hook, on_hook, &b);
	loop_hook_ask(loop, &a.hook);
	turn();
	assert_string_equal(trace, "a b ");
}

static void
on_timer(struct ev_loop *ev, ev_timer *w, int revents)
{
	note("timer");
	loop_stop(loop);
}

/* Two hooks that feed each other for ever: each runs once a turn, events get through, nothing sleeps. */
static void
hooks_that_feed_each_other_keep_no_event_out(void **state)
{
	struct thing a = {.name = "."}, b = {.name = ".", .asks = &a};
	ev_timer timer;

	a.asks = &b;
	loop_hook_init(&a.hook, on_hook, &a);
	loop_hook_init(&b.hook, on_hook, &b);
	loop_hook_ask(loop, &a.hook);
	turn();
	assert_string_equal(trace, ". . ");
	turn();
	assert_string_equal(trace, ". . . . ");
	/* without a timer nothing but the hook itself keeps this from sleeping for ever */
	(void)ev_run(loop_ev(loop), EVRUN_ONCE);
	assert_string_equal(trace, ". . . . . . ");
	ev_timer_init(&timer, on_timer, 0., 0.);
	ev_timer_start(loop_ev(loop), &timer);
	loop_run(loop);
	assert_non_null(strstr(trace, "timer"));
	loop_hook_cancel(&a.hook);
	loop_hook_cancel(&b.hook);
}

static void
free_thing(void *obj)
{
	struct thing *t = obj;

	note(t->name);
	if (t->asks != NULL) {
		loop_bury(loop, free_thing, t->asks);
	}
}

static void
on_hook_that_buries(void *arg)
{
	struct thing *t = arg;

	loop_bury(loop, free_thing, t);
	note("hook");
}

static void
burials_come_after_all_hooks(void **state)
{
	struct thing c = {.name = "c"}, a = {.name = "a", .asks = &c}, b = {.name = "b"};

	loop_hook_init(&a.hook, on_hook_that_buries, &a);
	loop_hook_init(&b.hook, on_hook, &b);
	loop_hook_ask(loop, &a.hook);
	loop_hook_ask(loop, &b.hook);
	turn();
	assert_string_equal(trace, "hook b a c "); /* a's free function buried c */
}

static void
end_thing(void *obj)
{
	struct thing *t = obj;

	loop_bury(loop, free_thing, t);
}

static void
orphans_end_with_the_loop(void **state)
{
	struct thing a = {.name = "a"}, b = {.name = "b"}, c = {.name = "c"};

	loop_orphan(loop, &a.orphan, end_thing, &a);
	loop_orphan(loop, &b.orphan, end_thing, &b);
	loop_unorphan(&b.orphan);
	loop_unorphan(&b.orphan);
	loop_unorphan(&c.orphan); /* never was one */
	loop_free(&loop);
	assert_null(loop);
	assert_string_equal(trace, "a ");
	loop = loop_new();
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		hooks_run_once_a_turn_in_the_order_asked, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		a_hook_may_ask_for_another_in_the_same_turn, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		hooks_that_feed_each_other_keep_no_event_out, setup, teardown),
	    cmocka_unit_test_setup_teardown(burials_come_after_all_hooks, setup, teardown),
	    cmocka_unit_test_setup_teardown(orphans_end_with_the_loop, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
