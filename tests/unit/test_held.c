/* Replies that wait for replicas: what may go, in which order, and instead of what. */
#include "unit.h"

#include <errno.h>

#include "proxy/held.h"

static struct held h;

static int
setup(void **state)
{
	held_init(&h, 64);
	return 0;
}

static int
teardown(void **state)
{
	held_fini(&h);
	return 0;
}

static void
plain(const char *text)
{
	assert_int_equal(held_add_plain(&h, slice_str(text)), 0);
}

static void
a_write(const char *text, uint64_t ticket, unsigned process)
{
	assert_int_equal(held_add_write(&h, slice_str(text), true, ticket, process), 0);
}

/* All that may go now, with "!" before what is lost and "?" before what too few have. */
static const char *
gone(void)
{
	static char text[200];
	enum confirm_outcome outcome;
	struct slice raw;
	size_t n = 0;

	for (text[0] = '\0'; held_first(&h, &raw, &outcome); held_pop(&h)) {
		n += (size_t)snprintf(text + n, sizeof(text) - n, "%s%.*s ",
		    outcome == CONFIRM_LOST  ? "!"
		    : outcome == CONFIRM_FEW ? "?"
					     : "",
		    (int)raw.len, (const char *)raw.ptr);
	}
	return text;
}

static void
nothing_passes_a_write_that_waits(void **state)
{
	a_write("a", 1, 7);
	plain("b");
	plain("c");
	a_write("d", 2, 7);
	assert_string_equal(gone(), "");
	held_decide(&h, 7, 1, CONFIRM_KEPT);
	assert_string_equal(gone(), "a bc ");
	held_decide(&h, 7, 2, CONFIRM_FEW);
	assert_string_equal(gone(), "?d ");
	assert_true(held_is_empty(&h));
}

static void
an_answer_is_about_one_process(void **state)
{
	a_write("a", 1, 7);
	a_write("b", 2, 8);
	held_decide(&h, 8, 2, CONFIRM_KEPT);
	assert_string_equal(gone(), "");
	held_decide(&h, 7, 2, CONFIRM_LOST);
	assert_string_equal(gone(), "!a b ");
}

static void
a_reply_in_parts_is_one(void **state)
{
	assert_int_equal(held_add_write(&h, slice_str("a"), false, 0, 0), 0);
	held_decide(&h, 7, 9, CONFIRM_KEPT);
	assert_string_equal(gone(), "");
	a_write("b", 10, 7);
	held_decide(&h, 7, 9, CONFIRM_KEPT);
	assert_string_equal(gone(), "");
	held_decide(&h, 7, 10, CONFIRM_FEW);
	assert_string_equal(gone(), "?ab ");
}

static void
what_cannot_be_confirmed_is_decided(void **state)
{
	a_write("a", 0, 7);
	assert_string_equal(gone(), "!a ");
}

static void
it_is_bounded(void **state)
{
	static const char much[] = "1234567890123456789012345678901234567890";

	a_write(much, 1, 7);
	assert_int_equal(held_add_plain(&h, slice_str(much)), -ENOBUFS);
	assert_int_equal(held_add_write(&h, slice_str(much), true, 2, 7), -ENOBUFS);
	for (uint64_t i = 2; i < 1000; i++) {
		held_decide(&h, 7, i, CONFIRM_KEPT);
		(void)gone();
		a_write("x", i + 1, 7);
		a_write("y", i + 1, 7);
	}
	assert_in_range(h.cap, 1, 16);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(nothing_passes_a_write_that_waits),
	    TEST(an_answer_is_about_one_process),
	    TEST(a_reply_in_parts_is_one),
	    TEST(what_cannot_be_confirmed_is_decided),
	    TEST(it_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
