/* Figures over time: means, gaps, what is kept how long, and what a clock that is set does to it. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "supervisor/series.h"

#define NOW UINT64_C(1700000040) /* the beginning of a minute */

static struct series *s;

static int
set_up(void **state)
{
	s = series_new();
	return 0;
}

static int
tear_down(void **state)
{
	series_free(&s);
	return 0;
}

/* Seconds from `from` on, each with the value `first`, `first` + 1, … */
static void
run(uint64_t from, size_t seconds, double first)
{
	for (size_t i = 0; i < seconds; i++) {
		series_set(s, "a", first + (double)i);
		(void)series_close(s, from + i);
	}
}

static double
point(uint64_t now, uint64_t seconds, size_t points, size_t k)
{
	struct series_range r = series_range(now, seconds, points);

	assert_in_range(k, 0, r.count - 1);
	return series_point(s, 0, &r, k);
}

static void
assert_near(double value, double wanted)
{
	if (!(fabs(value - wanted) < 0.01)) {
		fail_msg("%f and not %f", value, wanted);
	}
}

static void
test_a_name_is_there_once(void **state)
{
	series_set(s, "a", 1);
	series_set(s, "b", 2);
	series_set(s, "a", 3);
	assert_int_equal(series_count(s), 2);
	assert_string_equal(series_name(s, 1), "b");
	(void)series_close(s, NOW);
	assert_near(series_last(s, 0), 3);
	assert_near(series_last(s, 1), 2);
}

static void
test_a_second_without_a_value_is_a_gap(void **state)
{
	run(NOW, 3, 10);
	(void)series_close(s, NOW + 3);
	assert_true(isnan(series_last(s, 0)));
	run(NOW + 4, 1, 20);
	/* one that nobody closed is one, too */
	run(NOW + 7, 1, 30);
	assert_near(point(NOW + 7, 8, 8, 2), 12);
	assert_true(isnan(point(NOW + 7, 8, 8, 3)));
	assert_near(point(NOW + 7, 8, 8, 4), 20);
	assert_true(isnan(point(NOW + 7, 8, 8, 5)));
	assert_true(isnan(point(NOW + 7, 8, 8, 6)));
	assert_near(point(NOW + 7, 8, 8, 7), 30);
}

static void
test_what_is_longer_ago_is_a_mean(void **state)
{
	run(NOW, 1200, 0);
	/* of ten seconds: 0 to 9 */
	assert_near(point(NOW + 1199, 1200, 120, 0), 4.5);
	assert_near(point(NOW + 1199, 1200, 120, 119), 1194.5);
	/* of a minute, once that is over */
	assert_near(series_minute(s, 0, NOW / 60), 29.5);
	assert_near(series_minute(s, 0, NOW / 60 + 18), 18 * 60 + 29.5);
	assert_true(isnan(series_minute(s, 0, NOW / 60 + 19)));
	assert_true(isnan(series_minute(s, 0, NOW / 60 - 1)));
	/* and of what is asked for */
	assert_near(point(NOW + 1199, 1200, 10, 0), 59.5);
}

static void
test_a_mean_is_of_the_seconds_that_have_a_value(void **state)
{
	for (uint64_t t = NOW; t <= NOW + 60; t++) {
		if (t % 2 == 0) {
			series_set(s, "a", 8);
		}
		(void)series_close(s, t);
	}
	assert_near(series_minute(s, 0, NOW / 60), 8);
}

static void
test_the_minute_that_is_whole_is_told_once(void **state)
{
	run(NOW, 60, 0);
	assert_int_equal(series_close(s, NOW + 60), NOW / 60);
	assert_int_equal(series_close(s, NOW + 61), 0);
	/* after a sleep of the machine: the one before it, as far as it went */
	assert_int_equal(series_close(s, NOW + 6000), NOW / 60 + 1);
}

static void
test_a_clock_set_back_changes_nothing(void **state)
{
	run(NOW, 10, 0);
	series_set(s, "a", 99);
	assert_int_equal(series_close(s, NOW + 9), 0);
	assert_int_equal(series_close(s, NOW - 3000), 0);
	assert_near(series_last(s, 0), 9);
	assert_near(point(NOW + 9, 10, 10, 5), 5);
	run(NOW + 10, 1, 10);
	assert_near(series_last(s, 0), 10);
}

static void
test_a_clock_set_far_forward_leaves_gaps(void **state)
{
	run(NOW, 120, 5);
	run(NOW + 7 * SERIES_DAY_S, 1, 6);
	for (size_t k = 0; k + 1 < 60; k++) {
		assert_true(isnan(point(NOW + 7 * SERIES_DAY_S, 60, 60, k)));
	}
	assert_near(point(NOW + 7 * SERIES_DAY_S, 60, 60, 59), 6);
	assert_true(isnan(point(NOW + 7 * SERIES_DAY_S, 86400, 1440, 10)));
}

static void
test_what_is_older_than_its_ring_is_not_shown(void **state)
{
	run(NOW, 700, 1);
	/* the ring of seconds goes back ten minutes: the range of twenty takes the coarser one */
	assert_near(point(NOW + 699, 600, 600, 0), 101);
	assert_near(point(NOW + 699, 1200, 120, 50 + 7), 1 + 7 * 10 + 4.5);
	for (size_t k = 0; k < 50; k++) {
		assert_true(isnan(point(NOW + 699, 1200, 120, k)));
	}
}

static void
test_minutes_of_an_earlier_life(void **state)
{
	uint64_t minute = NOW / 60;

	series_restore(s, minute - 5, "a", 1);
	series_restore(s, minute - 5, "b", 2);
	series_restore(s, minute - 2, "a", 4);
	series_restore(s, minute - 4, "a", 3); /* not in order: left out */
	run(NOW, 1, 7);
	assert_near(series_minute(s, 0, minute - 5), 1);
	assert_near(series_minute(s, 1, minute - 5), 2);
	assert_true(isnan(series_minute(s, 0, minute - 4)));
	assert_true(isnan(series_minute(s, 0, minute - 3)));
	assert_near(series_minute(s, 0, minute - 2), 4);
	assert_true(isnan(series_minute(s, 1, minute - 2)));
	assert_near(point(NOW, 86400, 1440, 1439 - 5), 1);
}

static void
test_ranges(void **state)
{
	static const struct {
		uint64_t seconds;
		size_t points;
		unsigned step_s;
		size_t count;
	} cases[] = {{60, 600, 1, 60}, {600, 600, 1, 600}, {600, 100, 6, 100}, {601, 600, 10, 61},
	    {10800, 2000, 10, 1080}, {10800, 100, 110, 99}, {86400, 1440, 60, 1440},
	    {86400, 100, 900, 96}, {1, 1, 1, 1}, {86400, 1, 86400, 1}};

	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		struct series_range r = series_range(NOW + 59, cases[i].seconds, cases[i].points);

		assert_int_equal(r.step_s, cases[i].step_s);
		assert_int_equal(r.count, cases[i].count);
		assert_int_equal(r.first % r.step_s, 0);
		/* the last point is the present one */
		assert_in_range(
		    NOW + 59 - (r.first + (r.count - 1) * (uint64_t)r.step_s), 0, r.step_s - 1);
	}
}

static void
test_more_names_than_fit_are_not_kept(void **state)
{
	char name[SERIES_NAME_MAX];

	for (int i = 0; i < SERIES_MAX + 10; i++) {
		(void)snprintf(name, sizeof(name), "n%d", i);
		series_set(s, name, i);
	}
	assert_int_equal(series_count(s), SERIES_MAX);
	(void)series_close(s, NOW);
	assert_near(series_last(s, SERIES_MAX - 1), SERIES_MAX - 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_a_name_is_there_once, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		test_a_second_without_a_value_is_a_gap, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_what_is_longer_ago_is_a_mean, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		test_a_mean_is_of_the_seconds_that_have_a_value, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		test_the_minute_that_is_whole_is_told_once, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		test_a_clock_set_back_changes_nothing, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		test_a_clock_set_far_forward_leaves_gaps, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		test_what_is_older_than_its_ring_is_not_shown, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_minutes_of_an_earlier_life, set_up, tear_down),
	    cmocka_unit_test(test_ranges),
	    cmocka_unit_test_setup_teardown(
		test_more_names_than_fit_are_not_kept, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
