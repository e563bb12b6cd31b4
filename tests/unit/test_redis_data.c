#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "instance/redis_data.h"

#include "scratch.h"

#define MANY 4000

static int
set_up(void **state)
{
	char *dir = scratch_make();

	*state = dir;
	return dir != NULL && mkdir(scratch_path(dir, "a"), 0700) == 0 &&
		       mkdir(scratch_path(dir, "b"), 0700) == 0 &&
		       mkdir(scratch_path(dir, "a/appendonlydir"), 0700) == 0 &&
		       mkdir(scratch_path(dir, "b/appendonlydir"), 0700) == 0
		   ? 0
		   : -1;
}

/* Writes numbered from `from` to `to`; then the last `cut` bytes are missing. With `cycle` the numbers repeat. */
static void
put(const char *dir, const char *name, unsigned from, unsigned to, unsigned cycle, long cut)
{
	FILE *f = fopen(scratch_path(dir, name), "w");

	assert_non_null(f);
	for (unsigned n = from; n < to; n++) {
		(void)fprintf(f, "*3\r\n$3\r\nSET\r\n$5\r\nk%04u\r\n$1\r\n1\r\n", n % cycle);
	}
	assert_int_equal(fflush(f), 0);
	assert_int_equal(ftruncate(fileno(f), ftell(f) - cut), 0);
	(void)fclose(f);
}

static uint64_t
ahead(const char *dir, const char *a, const char *b)
{
	char first[4096], second[4096];

	(void)snprintf(first, sizeof(first), "%s/%s", dir, a);
	(void)snprintf(second, sizeof(second), "%s/%s", dir, b);
	return redis_data_ahead(first, second);
}

static void
test_who_has_the_end_that_another_has_lost_is_ahead(void **state)
{
	const char *dir = *state;

	put(dir, "a/appendonlydir/appendonly.aof.3.incr.aof", 100, 1000, MANY, 0);
	put(dir, "b/appendonlydir/appendonly.aof.1.incr.aof", 0, 1000, MANY, 500);
	assert_int_equal(ahead(dir, "a", "b"), 500);
	assert_int_equal(ahead(dir, "b", "a"), 0);
}

static void
test_the_same_end_is_not_ahead(void **state)
{
	const char *dir = *state;

	put(dir, "a/appendonlydir/appendonly.aof.1.incr.aof", 0, 1000, MANY, 0);
	put(dir, "b/appendonlydir/appendonly.aof.1.incr.aof", 500, 1000, MANY, 0);
	assert_int_equal(ahead(dir, "a", "b"), 0);
	assert_int_equal(ahead(dir, "b", "a"), 0);
}

/* Each end stands somewhere in the other file: which is later nobody can tell. */
static void
test_writes_that_repeat_prove_nothing(void **state)
{
	const char *dir = *state;

	put(dir, "a/appendonlydir/appendonly.aof.1.incr.aof", 0, 1000, 50, 0);
	put(dir, "b/appendonlydir/appendonly.aof.1.incr.aof", 0, 997, 50, 0);
	assert_int_equal(ahead(dir, "a", "b"), 0);
	assert_int_equal(ahead(dir, "b", "a"), 0);
}

static void
test_what_has_nothing_in_common_proves_nothing(void **state)
{
	const char *dir = *state;

	put(dir, "a/appendonlydir/appendonly.aof.1.incr.aof", 2000, 3000, MANY, 0);
	put(dir, "b/appendonlydir/appendonly.aof.1.incr.aof", 0, 1000, MANY, 0);
	assert_int_equal(ahead(dir, "a", "b"), 0);
	put(dir, "b/appendonlydir/appendonly.aof.1.incr.aof", 0, 1, MANY, 0);
	assert_int_equal(ahead(dir, "a", "b"), 0);
	assert_int_equal(ahead(dir, "a", "nowhere"), 0);
	assert_int_equal(ahead(dir, "nowhere", "a"), 0);
}

/* Only the newest increment is the end; the tenth is newer than the ninth. */
static void
test_the_newest_increment_counts(void **state)
{
	const char *dir = *state;

	put(dir, "a/appendonlydir/appendonly.aof.9.incr.aof", 0, 100, MANY, 0);
	put(dir, "a/appendonlydir/appendonly.aof.10.incr.aof", 100, 1000, MANY, 0);
	put(dir, "a/appendonlydir/appendonly.aof.10.base.rdb", 0, 10, MANY, 0);
	put(dir, "b/appendonlydir/appendonly.aof.2.incr.aof", 0, 900, MANY, 0);
	assert_true(ahead(dir, "a", "b") > 0);
}

static void
test_what_redis_says_of_its_data(void **state)
{
	assert_true(redis_data_is_complaint(
	    slice_str("712:M 26 Nov 2026 16:00:00.000 # Bad file format reading the append only "
		      "file appendonly.aof.1.incr.aof: make a")));
	assert_true(redis_data_is_complaint(
	    slice_str("# Fatal error loading the DB: Invalid argument. Exiting.")));
	assert_false(redis_data_is_complaint(
	    slice_str("# !!! Warning: short read while loading the AOF file x!!!")));
	assert_false(
	    redis_data_is_complaint(slice_str("*** FATAL CONFIG FILE ERROR (Redis 7.0.15) ***")));
	assert_false(redis_data_is_complaint(slice_str("")));
}

static void
test_set_aside_keeps_everything(void **state)
{
	const char *dir = *state;
	struct errmsg err = ERRMSG_NONE;

	put(dir, "a/appendonlydir/appendonly.aof.1.incr.aof", 0, 10, MANY, 0);
	put(dir, "a/dump.rdb", 0, 10, MANY, 0);
	put(dir, "a/redis.conf", 0, 1, MANY, 0);
	assert_int_equal(redis_data_set_aside(scratch_path(dir, "a"), "damaged", 77, &err), 0);
	assert_int_equal(access(scratch_path(dir, "a/appendonlydir"), F_OK), -1);
	assert_int_equal(access(scratch_path(dir, "a/dump.rdb"), F_OK), -1);
	assert_int_equal(access(scratch_path(dir, "a/redis.conf"), F_OK), 0);
	assert_int_equal(
	    access(scratch_path(dir, "a/appendonlydir.damaged-77/appendonly.aof.1.incr.aof"), F_OK),
	    0);
	assert_int_equal(access(scratch_path(dir, "a/dump.rdb.damaged-77"), F_OK), 0);
	assert_int_equal(redis_data_set_aside(scratch_path(dir, "a"), "damaged", 78, &err), 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		test_who_has_the_end_that_another_has_lost_is_ahead, set_up, scratch_teardown),
	    cmocka_unit_test_setup_teardown(
		test_the_same_end_is_not_ahead, set_up, scratch_teardown),
	    cmocka_unit_test_setup_teardown(
		test_writes_that_repeat_prove_nothing, set_up, scratch_teardown),
	    cmocka_unit_test_setup_teardown(
		test_what_has_nothing_in_common_proves_nothing, set_up, scratch_teardown),
	    cmocka_unit_test_setup_teardown(
		test_the_newest_increment_counts, set_up, scratch_teardown),
	    cmocka_unit_test(test_what_redis_says_of_its_data),
	    cmocka_unit_test_setup_teardown(
		test_set_aside_keeps_everything, set_up, scratch_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
