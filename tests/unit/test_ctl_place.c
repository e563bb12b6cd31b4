/* A place in the histories of all hosts, as text and back. */
#include "unit.h"

#include "ctl/place.h"

static json_t *
parse(const char *text)
{
	return place_parse(slice_str(text), "me");
}

static void
test_a_place_names_hosts_and_ids(void **state)
{
	json_t *place = parse("a:120,b.example:97");
	char *text;

	assert_non_null(place);
	assert_int_equal(place_get(place, "a", -1), 120);
	assert_int_equal(place_get(place, "b.example", -1), 97);
	assert_int_equal(place_get(place, "c", -1), -1);
	text = place_text(place);
	assert_string_equal(text, "a:120,b.example:97");
	free(text);
	json_decref(place);
}

static void
test_an_id_alone_is_our_own(void **state)
{
	json_t *place = parse("7");

	assert_int_equal(place_get(place, "me", -1), 7);
	place_set(place, "me", 8);
	assert_int_equal(place_get(place, "me", -1), 8);
	json_decref(place);
}

static void
test_what_is_no_place_is_refused(void **state)
{
	static const char *const bad[] = {"", ":", "a", "a:", ":1", "a:1,", "a:1,,b:2", ",a:1",
	    "a:-1", "a:1x", "a:9223372036854775808", "\xff:1"};

	for (size_t i = 0; i < sizeof(bad) / sizeof(*bad); i++) {
		json_t *place = parse(bad[i]);

		/* a comma at the end is forgiven, nothing else */
		if (strcmp(bad[i], "a:1,") == 0) {
			assert_non_null(place);
		} else {
			assert_null(place);
		}
		json_decref(place);
	}
}

static void
test_the_greatest_id(void **state)
{
	json_t *place = parse("a:9223372036854775807");

	assert_true(place_get(place, "a", -1) == INT64_MAX);
	json_decref(place);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_place_names_hosts_and_ids),
	    cmocka_unit_test(test_an_id_alone_is_our_own),
	    cmocka_unit_test(test_what_is_no_place_is_refused),
	    cmocka_unit_test(test_the_greatest_id),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
