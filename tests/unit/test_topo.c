/* Which offer wins, and who is told of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

#include <cmocka.h>

#include "base/mem.h"
#include "topo/topo.h"

struct witness {
	struct topo_observer observer;
	struct topo *topo;
	unsigned calls;
	struct topo_master last;
	struct witness *drops;    /* unwatched in the callback */
	struct witness *brings;   /* watched in the callback */
	struct topo_master offer; /* offered in the callback when its port is set */
};

static void
on_master(void *arg, const struct topo_master *master)
{
	struct witness *w = arg;

	w->calls++;
	w->last = *master;
	if (w->drops != NULL) {
		topo_unwatch(&w->drops->observer);
		w->drops = NULL;
	}
	if (w->brings != NULL) {
		struct witness *other = w->brings;

		w->brings = NULL;
		topo_watch(w->topo, &other->observer);
	}
	if (w->offer.at.port != 0) {
		struct topo_master offer = w->offer;

		w->offer.at.port = 0;
		(void)topo_offer(w->topo, &offer, TOPO_FROM_SENTINEL);
	}
}

static struct witness
witness(struct topo *t)
{
	return (struct witness){.topo = t, .observer = {.on_master = on_master}};
}

static void
attend(struct witness *w)
{
	w->observer.arg = w;
	topo_watch(w->topo, &w->observer);
}

static struct topo_master
at(uint16_t port, uint64_t epoch)
{
	return (struct topo_master){.at = endpoint_tcp("127.0.0.1", port), .epoch = epoch};
}

static void
assert_master(struct topo *t, uint16_t port, uint64_t epoch)
{
	struct topo_master m;

	assert_true(topo_master(t, &m));
	assert_int_equal(m.at.port, port);
	assert_int_equal(m.epoch, epoch);
}

static int
setup(void **state)
{
	*state = topo_new();
	return 0;
}

static int
teardown(void **state)
{
	struct topo *t = *state;

	topo_free(&t);
	assert_null(t);
	return 0;
}

static void
nothing_is_known_at_first(void **state)
{
	struct topo_master m = at(1, 1);

	assert_false(topo_master(*state, &m));
	assert_int_equal(m.at.port, 1);
}

static void
higher_epoch_wins_whoever_says_it(void **state)
{
	struct topo *t = *state;
	struct topo_master a = at(1, 5), b = at(2, 6), c = at(3, 7), d = at(4, 8);

	assert_true(topo_offer(t, &a, TOPO_FROM_STATE));
	assert_true(topo_offer(t, &b, TOPO_FROM_SUPERVISOR));
	assert_true(topo_offer(t, &c, TOPO_FROM_SENTINEL));
	assert_true(topo_offer(t, &d, TOPO_FROM_STATE));
	assert_master(t, 4, 8);
}

static void
lower_epoch_loses_whoever_says_it(void **state)
{
	struct topo *t = *state;
	struct topo_master high = at(1, 5), low = at(2, 4);

	(void)topo_offer(t, &high, TOPO_FROM_STATE);
	assert_false(topo_offer(t, &low, TOPO_FROM_STATE));
	assert_false(topo_offer(t, &low, TOPO_FROM_SUPERVISOR));
	assert_false(topo_offer(t, &low, TOPO_FROM_SENTINEL));
	assert_master(t, 1, 5);
}

static void
same_epoch_later_sentinel_wins(void **state)
{
	struct topo *t = *state;
	struct topo_master a = at(1, 5), b = at(2, 5);

	(void)topo_offer(t, &a, TOPO_FROM_SENTINEL);
	assert_false(topo_offer(t, &b, TOPO_FROM_STATE));
	assert_false(topo_offer(t, &b, TOPO_FROM_SUPERVISOR));
	assert_true(topo_offer(t, &b, TOPO_FROM_SENTINEL));
	assert_master(t, 2, 5);
}

static void
same_epoch_supervisor_beats_what_was_remembered(void **state)
{
	struct topo *t = *state;
	struct topo_master a = at(1, 0), b = at(2, 0);

	(void)topo_offer(t, &a, TOPO_FROM_STATE);
	assert_true(topo_offer(t, &b, TOPO_FROM_SUPERVISOR));
	assert_master(t, 2, 0);
}

static void
restart_takes_a_lower_epoch(void **state)
{
	struct topo *t = *state;
	struct topo_master high = at(1, 17), low = at(2, 0), next = at(3, 1);

	(void)topo_offer(t, &high, TOPO_FROM_SENTINEL);
	assert_true(topo_restart(t, &low));
	assert_false(topo_restart(t, &low));
	assert_true(topo_offer(t, &next, TOPO_FROM_SENTINEL));
	assert_master(t, 3, 1);
}

static void
observers_hear_each_change_once(void **state)
{
	struct topo *t = *state;
	struct witness early = witness(t), late = witness(t);
	struct topo_master a = at(1, 1), same_at = at(1, 2);

	attend(&early);
	assert_int_equal(early.calls, 0);
	(void)topo_offer(t, &a, TOPO_FROM_SENTINEL);
	assert_int_equal(early.calls, 1);
	attend(&late);
	assert_int_equal(late.calls, 1);
	assert_int_equal(late.last.at.port, 1);
	(void)topo_offer(t, &a, TOPO_FROM_SENTINEL);
	assert_int_equal(early.calls, 1);
	(void)topo_offer(t, &same_at, TOPO_FROM_SENTINEL);
	assert_int_equal(early.calls, 2);
	assert_int_equal(late.last.epoch, 2);
	topo_free((struct topo **)state); /* before its observers, which live here */
}

static void
observers_may_leave_and_come_while_being_told(void **state)
{
	struct topo *t = *state;
	struct witness one = witness(t), two = witness(t), three = witness(t), four = witness(t);
	struct topo_master a = at(1, 1), b = at(1, 2);

	four.observer.arg = &four;
	attend(&one);
	attend(&two);
	attend(&three);
	one.drops = &two;     /* the next one */
	three.drops = &three; /* itself */
	three.brings = &four;
	(void)topo_offer(t, &a, TOPO_FROM_SENTINEL);
	assert_int_equal(one.calls, 1);
	assert_int_equal(two.calls, 0);
	assert_int_equal(three.calls, 1);
	assert_int_equal(four.calls, 1);
	(void)topo_offer(t, &b, TOPO_FROM_SENTINEL);
	assert_int_equal(one.calls, 2);
	assert_int_equal(three.calls, 1);
	assert_int_equal(four.calls, 2);
	topo_free((struct topo **)state); /* before its observers, which live here */
}

static void
an_offer_while_telling_leaves_nobody_with_old_news(void **state)
{
	struct topo *t = *state;
	struct witness one = witness(t), two = witness(t);
	struct topo_master a = at(1, 1);

	attend(&one);
	attend(&two);
	one.offer = at(2, 2);
	(void)topo_offer(t, &a, TOPO_FROM_SENTINEL);
	assert_int_equal(one.last.epoch, 2);
	assert_int_equal(two.last.epoch, 2);
	assert_int_equal(two.calls, 1);
	topo_free((struct topo **)state); /* before its observers, which live here */
}

static void
observers_outlive_the_topo(void **state)
{
	struct topo *t = topo_new();
	struct witness w = witness(t);

	attend(&w);
	topo_free(&t);
	topo_unwatch(&w.observer);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	    T(nothing_is_known_at_first),
	    T(higher_epoch_wins_whoever_says_it),
	    T(lower_epoch_loses_whoever_says_it),
	    T(same_epoch_later_sentinel_wins),
	    T(same_epoch_supervisor_beats_what_was_remembered),
	    T(restart_takes_a_lower_epoch),
	    T(observers_hear_each_change_once),
	    T(observers_may_leave_and_come_while_being_told),
	    T(an_offer_while_telling_leaves_nobody_with_old_news),
	    T(observers_outlive_the_topo),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
