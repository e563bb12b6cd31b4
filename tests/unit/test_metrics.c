/* Counters and histograms: what is counted where, and as which JSON. */
#include "unit.h"

#include "backend/command.h"
#include "backend/metrics.h"

static struct metrics *m;
static struct buf out;

static int
setup(void **state)
{
	m = metrics_new();
	buf_init(&out, 0);
	return 0;
}

static int
teardown(void **state)
{
	metrics_free(&m);
	buf_fini(&out);
	return 0;
}

static unsigned
named(const char *name)
{
	struct slice argv[] = {slice_str(name)};

	return metrics_command(command_find(argv, 1));
}

static const char *
json(void)
{
	assert_int_equal(metrics_add_json(m, &out), 0);
	assert_int_equal(buf_add(&out, "", 1), 0);
	return (const char *)buf_slice(&out).ptr;
}

static void
only_what_was_asked_takes_room(void **state)
{
	assert_non_null(strstr(json(), "\"commands\":{}"));
}

static void
each_command_has_its_own(void **state)
{
	metrics_add(m, named("GET"), false, 16);
	metrics_add(m, named("GET"), true, 17);
	metrics_add(m, named("GET"), false, 33);
	metrics_add_held(m, named("GET"), 5000);
	metrics_add(m, named("NO.SUCH"), false, 0);
	metrics_add_local(m, named("QUIT"), false);
	assert_int_equal(metrics_total(m), 5);
	assert_non_null(strstr(json(),
	    "\"commands\":{"
	    "\"(unknown)\":{\"calls\":1,\"errors\":0,\"us\":0,\"held\":0,\"held_us\":0,"
	    "\"latency\":[1]},"
	    "\"GET\":{\"calls\":3,\"errors\":1,\"us\":66,\"held\":1,\"held_us\":5000,"
	    "\"latency\":[1,1,1]},"
	    "\"QUIT\":{\"calls\":1,\"errors\":0,\"us\":0,\"held\":0,\"held_us\":0,"
	    "\"latency\":[]}}"));
}

static void
the_last_bucket_has_all_that_is_longer(void **state)
{
	metrics_add_confirm(m, CONFIRM_KEPT, 3, UINT64_MAX / 2);
	metrics_add_confirm(m, CONFIRM_FEW, 2, 16);
	(void)json();
	assert_non_null(strstr((const char *)buf_slice(&out).ptr,
	    ",33554432,67108864],\"confirm\":{\"kept\":3,\"few\":2,\"lost\":0,\"us\":"));
	assert_non_null(strstr((const char *)buf_slice(&out).ptr,
	    "\"latency\":[1,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,0,1]}"));
}

static void
what_does_not_fit_is_summed_up(void **state)
{
	buf_fini(&out);
	buf_init(&out, 16 * 1024);
	for (unsigned i = 0; i <= command_count(); i++) {
		metrics_add(m, i, i % 2 == 0, 1u << (i % 26));
	}
	assert_non_null(strstr(json(), "\"(more)\":{\"calls\":"));
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(only_what_was_asked_takes_room),
	    TEST(each_command_has_its_own),
	    TEST(the_last_bucket_has_all_that_is_longer),
	    TEST(what_does_not_fit_is_summed_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
