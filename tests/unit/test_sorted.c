/* base/sorted: an array in order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/defs.h"
#include "base/sorted.h"

static int
compare(const void *item, const void *key)
{
	return strcmp(item, key);
}

static void
put(struct sorted *s, const char *word)
{
	bool found;
	size_t at = sorted_find(s, compare, word, &found);

	if (!found) {
		sorted_insert(s, at, (void *)(uintptr_t)word);
	}
}

static void
whatever_comes_in_stands_in_order_once(void **state)
{
	static const char *const words[] = {"m", "c", "x", "c", "a", "z", "n", "b", "m"};
	static const char *const order[] = {"a", "b", "c", "m", "n", "x", "z"};
	struct sorted s = {0};

	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		put(&s, words[i]);
	}
	assert_int_equal(s.count, ARRAY_LEN(order));
	for (size_t i = 0; i < ARRAY_LEN(order); i++) {
		assert_string_equal(s.items[i], order[i]);
	}
	sorted_fini(&s);
	assert_int_equal(s.count, 0);
}

static void
each_can_be_taken_out(void **state)
{
	static const char *const words[] = {"c", "a", "b"};
	struct sorted s = {0};
	bool found;

	(void)state;
	(void)sorted_find(&s, compare, "a", &found);
	assert_false(found);
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		put(&s, words[i]);
	}
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		size_t at = sorted_find(&s, compare, words[i], &found);

		assert_true(found);
		sorted_remove(&s, at);
		(void)sorted_find(&s, compare, words[i], &found);
		assert_false(found);
	}
	assert_int_equal(s.count, 0);
	sorted_fini(&s);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(whatever_comes_in_stands_in_order_once),
	    cmocka_unit_test(each_can_be_taken_out)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
