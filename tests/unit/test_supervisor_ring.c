#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "supervisor/ring.h"

static void
collect(void *arg, const struct ring_line *line)
{
	char *text = arg;
	size_t len = strlen(text);

	(void)snprintf(text + len, 512 - len, "%s:%.*s ", line->name, (int)line->text.len,
	    (const char *)line->text.ptr);
}

static void
fill(struct ring *r)
{
	(void)ring_add(r, "a", SLICE_LIT("1"));
	(void)ring_add(r, "b", SLICE_LIT("2"));
	(void)ring_add(r, "a", SLICE_LIT("3"));
}

static void
test_last_lines_in_order(void **state)
{
	struct ring *r = ring_new(4096);
	char text[512] = "";

	fill(r);
	ring_each(r, NULL, 2, collect, text);
	assert_string_equal(text, "b:2 a:3 ");
	ring_free(&r);
}

static void
test_one_name_only(void **state)
{
	struct ring *r = ring_new(4096);
	char text[512] = "";

	fill(r);
	ring_each(r, "a", 2, collect, text);
	assert_string_equal(text, "a:1 a:3 ");
	text[0] = '\0';
	ring_each(r, "c", 2, collect, text);
	assert_string_equal(text, "");
	text[0] = '\0';
	ring_each(r, "a", 0, collect, text);
	assert_string_equal(text, "");
	ring_free(&r);
}

static void
test_old_lines_give_way(void **state)
{
	struct ring *r = ring_new(1000);
	char text[512] = "";

	for (int i = 0; i < 1000; i++) {
		char line[16];

		(void)snprintf(line, sizeof(line), "%d", i);
		(void)ring_add(r, "x", slice_str(line));
	}
	ring_each(r, NULL, 3, collect, text);
	assert_string_equal(text, "x:997 x:998 x:999 ");
	text[0] = '\0';
	ring_each(r, NULL, 1000, collect, text);
	assert_null(strstr(text, "x:900 ")); /* long gone */
	ring_free(&r);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_last_lines_in_order),
	    cmocka_unit_test(test_one_name_only),
	    cmocka_unit_test(test_old_lines_give_way),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
