/* Which scripts are remembered: bounded in number and bytes, the longest unused go first. */
#include "unit.h"

#include "backend/scripts.h"

static struct scripts *scripts;

static int
setup(void **state)
{
	scripts = scripts_new();
	return 0;
}

static int
teardown(void **state)
{
	scripts_free(&scripts);
	return 0;
}

static struct slice
numbered(char *text, size_t size, unsigned n)
{
	(void)snprintf(text, size, "return %u", n);
	return slice_str(text);
}

static void
what_was_added_is_there_until_it_is_forgotten(void **state)
{
	uint64_t number;

	assert_int_equal(scripts_last(scripts), 0);
	scripts_add(scripts, SLICE_LIT("return 1"));
	scripts_add(scripts, SLICE_LIT("return\0"
				       "1"));
	scripts_add(scripts, SLICE_LIT(""));
	scripts_add(scripts, SLICE_LIT("return 1"));
	assert_int_equal(scripts_count(scripts), 3);
	assert_int_equal(scripts_last(scripts), 3);
	assert_true(scripts_has(scripts, SLICE_LIT("return\0"
						   "1")));
	assert_false(scripts_has(scripts, SLICE_LIT("return\0"
						    "2")));
	assert_int_equal(scripts_at(scripts, 0, &number).len, 0);
	assert_int_equal(number, 3);
	scripts_clear(scripts);
	assert_int_equal(scripts_count(scripts), 0);
	assert_false(scripts_has(scripts, SLICE_LIT("return 1")));
	scripts_add(scripts, SLICE_LIT("return 1"));
	assert_int_equal(scripts_last(scripts), 4);
}

static void
the_longest_unused_goes_first(void **state)
{
	char text[32];

	for (unsigned n = 0; n < SCRIPTS_COUNT_MAX; n++) {
		scripts_add(scripts, numbered(text, sizeof(text), n));
	}
	assert_true(scripts_has(scripts, SLICE_LIT("return 0")));
	scripts_add(scripts, SLICE_LIT("return 'more'"));
	assert_int_equal(scripts_count(scripts), SCRIPTS_COUNT_MAX);
	assert_true(scripts_has(scripts, SLICE_LIT("return 0")));
	assert_false(scripts_has(scripts, SLICE_LIT("return 1")));
	assert_true(scripts_has(scripts, SLICE_LIT("return 2")));
}

static void
bytes_are_bounded(void **state)
{
	size_t len = SCRIPTS_BYTES_MAX / 3;
	char *big = calloc(1, SCRIPTS_BYTES_MAX + 1);

	assert_non_null(big);
	for (char n = 1; n <= 4; n++) {
		big[0] = n;
		scripts_add(scripts, (struct slice){(const uint8_t *)big, len});
	}
	assert_int_equal(scripts_count(scripts), 2);
	scripts_add(scripts, (struct slice){(const uint8_t *)big, SCRIPTS_BYTES_MAX + 1});
	assert_int_equal(scripts_count(scripts), 2);
	assert_true(scripts_has(scripts, (struct slice){(const uint8_t *)big, len}));
	free(big);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(what_was_added_is_there_until_it_is_forgotten),
	    TEST(the_longest_unused_goes_first),
	    TEST(bytes_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
