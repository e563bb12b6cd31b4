#include "unit.h"

#include <errno.h>

#include "base/errmsg.h"
#include "base/mem.h"
#include "base/slice.h"

static void
equality_is_of_length_and_bytes(void **state)
{
	struct slice empty = {NULL, 0};

	assert_true(slice_eq(SLICE_LIT("get"), "get"));
	assert_false(slice_eq(SLICE_LIT("get"), "GET"));
	assert_true(slice_caseeq(SLICE_LIT("get"), "GET"));
	assert_false(slice_eq(SLICE_LIT("get"), "ge"));
	assert_false(slice_eq(SLICE_LIT("ge"), "get"));
	assert_false(slice_caseeq(SLICE_LIT("g\0t"), "g"));
	assert_true(slice_eq(empty, ""));
	assert_true(slice_caseeq(empty, ""));
	assert_false(slice_eq(empty, "a"));
	assert_int_equal(slice_str("four").len, 4);
}

static void
unsigned_numbers(void **state)
{
	static const char *const not_numbers[] = {"", "-1", "+1", " 1", "1 ", "0x1", "1.0", "abc",
	    "18446744073709551616", "99999999999999999999", "1a"};
	uint64_t v = 7;

	for (size_t i = 0; i < ARRAY_LEN(not_numbers); i++) {
		assert_false(slice_to_u64(slice_str(not_numbers[i]), &v));
		assert_int_equal(v, 7); /* untouched on failure */
	}
	assert_true(slice_to_u64(SLICE_LIT("0"), &v));
	assert_int_equal(v, 0);
	assert_true(slice_to_u64(SLICE_LIT("007"), &v));
	assert_int_equal(v, 7);
	assert_true(slice_to_u64(SLICE_LIT("18446744073709551615"), &v));
	assert_true(v == UINT64_MAX);
}

static void
signed_numbers(void **state)
{
	static const char *const not_numbers[] = {
	    "", "-", "--1", "+1", "- 1", "9223372036854775808", "-9223372036854775809"};
	int64_t v = 7;

	for (size_t i = 0; i < ARRAY_LEN(not_numbers); i++) {
		assert_false(slice_to_i64(slice_str(not_numbers[i]), &v));
		assert_int_equal(v, 7);
	}
	assert_true(slice_to_i64(SLICE_LIT("-42"), &v));
	assert_int_equal(v, -42);
	assert_true(slice_to_i64(SLICE_LIT("9223372036854775807"), &v));
	assert_true(v == INT64_MAX);
	assert_true(slice_to_i64(SLICE_LIT("-9223372036854775808"), &v));
	assert_true(v == INT64_MIN);
	assert_true(slice_to_i64(SLICE_LIT("-0"), &v));
	assert_int_equal(v, 0);
}

static void
messages_are_cut_not_overrun(void **state)
{
	struct errmsg e = ERRMSG_NONE;

	assert_string_equal(e.text, "");
	errmsg_set(NULL, "nobody asked");
	errmsg_prefix(NULL, "nobody asked");
	errmsg_set(&e, "no such file %s", "x.ini");
	errmsg_prefix(&e, "line %d", 3);
	assert_string_equal(e.text, "line 3: no such file x.ini");
	for (int i = 0; i < 300; i++) {
		errmsg_prefix(&e, "deep");
	}
	assert_int_equal(strlen(e.text), sizeof(e.text) - 1);
	assert_memory_equal(e.text, "deep: deep: ", 12);
}

static void
strings_of_our_own(void **state)
{
	char *a = xstrdup("abc"), *b = xstrndup("abcdef", 2), *c = xasprintf("%d-%s", 5, "x");
	uint32_t *zeros = xcalloc(4, sizeof(*zeros));

	assert_string_equal(a, "abc");
	assert_string_equal(b, "ab");
	assert_string_equal(c, "5-x");
	assert_null(xstrdup(NULL));
	assert_int_equal(zeros[3], 0);
	zeros = xreallocarray(zeros, 8, sizeof(*zeros));
	assert_non_null(zeros);
	free(a);
	free(b);
	free(c);
	free(zeros);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(equality_is_of_length_and_bytes),
	    cmocka_unit_test(unsigned_numbers),
	    cmocka_unit_test(signed_numbers),
	    cmocka_unit_test(messages_are_cut_not_overrun),
	    cmocka_unit_test(strings_of_our_own),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
