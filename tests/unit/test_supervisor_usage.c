/* What workers counted, from report to report: rates, percentiles, several workers together, one that was started anew. */
#include <math.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "supervisor/usage.h"

static struct usage *u;

static int
set_up(void **state)
{
	u = usage_new();
	return 0;
}

static int
tear_down(void **state)
{
	usage_free(&u);
	return 0;
}

/* A report: calls of GET and their latency below 100 µs, 200 µs and above; SET was held `held` times for 1 ms each. */
static json_t *
report(int get, int below_100, int below_200, int above, int held)
{
	return json_pack("{s:[i,i],s:{s:{s:i,s:i,s:i,s:[i,i,i]},s:{s:i,s:i,s:i,s:i}}}",
	    "latency_le_us", 100, 200, "commands", "GET", "calls", get, "errors", 0, "us", get * 50,
	    "latency", below_100, below_200, above, "SET", "calls", held, "held", held, "held_us",
	    held * 1000, "us", held * 1000);
}

static void
add(json_t *before, json_t *after, double scale, struct usage_sum *sum)
{
	usage_add(u, before, after, scale, sum);
	json_decref(before);
	json_decref(after);
}

static double
shown(const char *name, const char *member)
{
	json_t *list = usage_commands(u), *one;
	double value = NAN;
	size_t i;

	json_array_foreach(list, i, one)
	{
		if (strcmp(json_string_value(json_object_get(one, "name")), name) == 0 &&
		    json_is_number(json_object_get(one, member))) {
			value = json_number_value(json_object_get(one, member));
		}
	}
	json_decref(list);
	return value;
}

static void
assert_near(double value, double wanted)
{
	if (!(fabs(value - wanted) < 0.001)) {
		fail_msg("%f and not %f", value, wanted);
	}
}

static void
test_the_difference_counts(void **state)
{
	struct usage_sum sum = {0};

	usage_begin(u);
	add(report(100, 100, 0, 0, 3), report(140, 120, 20, 0, 3), 0.5, &sum);
	assert_near(sum.calls, 20);
	assert_near(shown("GET", "calls"), 140);
	assert_near(shown("GET", "per_s"), 20);
	assert_near(shown("GET", "mean_us"), 50);
	assert_near(shown("SET", "per_s"), 0);
	assert_true(isnan(shown("SET", "mean_us")));
}

static void
test_a_first_report_says_nothing_of_the_present(void **state)
{
	struct usage_sum sum = {0};

	usage_begin(u);
	add(NULL, report(1000, 1000, 0, 0, 0), 1, &sum);
	assert_near(sum.calls, 0);
	assert_near(shown("GET", "calls"), 1000);
	assert_near(shown("GET", "per_s"), 0);
	assert_true(isnan(usage_percentile(u, &sum, 0.5)));
}

static void
test_workers_together(void **state)
{
	struct usage_sum cluster = {0};

	usage_begin(u);
	for (int i = 0; i < 2; i++) {
		struct usage_sum sum = {0};

		add(report(0, 0, 0, 0, 0), report(10, 10, 0, 0, i == 0 ? 6 : 0), 1, &sum);
		assert_near(sum.held, i == 0 ? 6 : 0);
		usage_sum_add(&cluster, &sum);
	}
	assert_near(cluster.calls, 26);
	/* a worker that held nothing does not make the others' time that of nobody */
	assert_near(cluster.held, 6);
	assert_near(cluster.held_us / cluster.held, 1000);
	assert_near(shown("GET", "per_s"), 20);
}

static void
test_a_worker_started_anew_takes_nothing_away(void **state)
{
	struct usage_sum sum = {0};

	usage_begin(u);
	add(report(1000, 1000, 0, 0, 0), report(5, 5, 0, 0, 0), 1, &sum);
	assert_near(sum.calls, 0);
	assert_near(shown("GET", "per_s"), 0);
	assert_near(shown("GET", "calls"), 5);
}

static void
test_percentiles(void **state)
{
	struct usage_sum sum = {0};

	usage_begin(u);
	add(report(0, 0, 0, 0, 0), report(100, 50, 40, 10, 0), 1, &sum);
	assert_near(usage_percentile(u, &sum, 0.25), 50);
	assert_near(usage_percentile(u, &sum, 0.5), 100);
	assert_near(usage_percentile(u, &sum, 0.7), 150);
	assert_near(usage_percentile(u, &sum, 0.99), 200);
}

static void
test_counts_without_bounds(void **state)
{
	struct usage_sum sum = {.counts = {7}};

	assert_true(isnan(usage_percentile(u, &sum, 0.5)));
}

static void
test_most_used_first_and_bounded(void **state)
{
	json_t *commands = json_object(), *list, *after;
	struct usage_sum sum = {0};
	char name[16];

	for (int i = 0; i < 1100; i++) {
		(void)snprintf(name, sizeof(name), "C%d", i);
		(void)json_object_set_new(commands, name, json_pack("{s:i}", "calls", i));
	}
	after = json_pack("{s:o}", "commands", commands);
	usage_begin(u);
	add(json_object(), after, 1, &sum);
	list = usage_commands(u);
	assert_int_equal(json_array_size(list), 1000);
	assert_string_equal(
	    json_string_value(json_object_get(json_array_get(list, 0), "name")), "C999");
	json_decref(list);
	usage_begin(u);
	list = usage_commands(u);
	assert_int_equal(json_array_size(list), 0);
	json_decref(list);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(test_the_difference_counts, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		test_a_first_report_says_nothing_of_the_present, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_workers_together, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(
		test_a_worker_started_anew_takes_nothing_away, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_percentiles, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_counts_without_bounds, set_up, tear_down),
	    cmocka_unit_test_setup_teardown(test_most_used_first_and_bounded, set_up, tear_down),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
