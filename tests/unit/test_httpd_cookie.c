/* The cookie of a login: found among others, read, and what is none. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "base/defs.h"
#include "httpd/cookie.h"

#define MAC "0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"

static void
test_one_among_others(void **state)
{
	static const struct {
		const char *header, *value;
	} cases[] = {
	    {"h=1", "1"},
	    {"a=b; h=x.y; c=d", "x.y"},
	    {"a=b;h=1", "1"},
	    {"a=b;   h=1=2;", "1=2"},
	    {"h=; h=2", "2"},
	    {"hh=1; xh=2", NULL},
	    {"h", NULL},
	    {"h=", NULL},
	    {"H=1", NULL},
	    {"; ;;", NULL},
	    {"", NULL},
	};

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct slice value = {0};
		bool found = cookie_find(slice_str(cases[i].header), "h", &value);

		if (found != (cases[i].value != NULL) ||
		    (found && !slice_eq(value, cases[i].value))) {
			fail_msg("%s", cases[i].header);
		}
	}
}

static void
test_its_parts(void **state)
{
	struct cookie c;

	assert_true(cookie_read(SLICE_LIT("ann.1700000000.0011." MAC), &c));
	assert_true(slice_eq(c.user, "ann") && slice_eq(c.claim, "ann.1700000000.0011"));
	assert_true(slice_eq(c.mac, MAC) && c.expires_s == 1700000000);
}

static void
test_what_is_none(void **state)
{
	static const struct slice values[] = {SLICE_LIT(""), SLICE_LIT("." MAC), SLICE_LIT(MAC),
	    SLICE_LIT("ann." MAC), SLICE_LIT("ann.." MAC), SLICE_LIT("ann.x.0011." MAC),
	    SLICE_LIT("ann.-1.0011." MAC), SLICE_LIT("ann.99999999999999999999.0011." MAC),
	    SLICE_LIT("ann.1700000000.0011" MAC), SLICE_LIT("ann.1700000000.0011.a" MAC),
	    SLICE_LIT("ann.1700000000.0011." MAC "a")};
	char longest[COOKIE_MAX + 1] = "";
	struct cookie c;

	for (size_t i = 0; i < ARRAY_LEN(values); i++) {
		if (cookie_read(values[i], &c)) {
			fail_msg("taken for a cookie: %.*s", (int)values[i].len,
			    (const char *)values[i].ptr);
		}
	}
	memset(longest, 'n', COOKIE_MAX);
	memcpy(longest + COOKIE_MAX - strlen(".1.0." MAC), ".1.0." MAC, strlen(".1.0." MAC));
	assert_false(cookie_read(slice_str(longest), &c));
	assert_true(cookie_read(slice_str(longest + 1), &c));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_one_among_others),
	    cmocka_unit_test(test_its_parts),
	    cmocka_unit_test(test_what_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
