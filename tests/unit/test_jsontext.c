#include "unit.h"

#include <errno.h>

#include "base/jsontext.h"

#define BAD "\xef\xbf\xbd"

static void
assert_literal(const char *bytes, size_t len, const char *want)
{
	struct buf b;

	buf_init(&b, 0);
	assert_int_equal(jsontext_add_string(&b, (struct slice){(const uint8_t *)bytes, len}), 0);
	assert_int_equal(buf_add(&b, "", 1), 0);
	assert_string_equal((const char *)buf_slice(&b).ptr, want);
	buf_fini(&b);
}

#define ASSERT_LITERAL(bytes, want) assert_literal((bytes), sizeof(bytes) - 1, (want))

static void
plain_text_is_quoted(void **state)
{
	ASSERT_LITERAL("", "\"\"");
	ASSERT_LITERAL("hello", "\"hello\"");
	ASSERT_LITERAL("/x\x7f", "\"/x\x7f\"");
	assert_literal(NULL, 0, "\"\"");
}

static void
what_json_forbids_is_escaped(void **state)
{
	ASSERT_LITERAL("\"\\", "\"\\\"\\\\\"");
	ASSERT_LITERAL("a\nb\rc\td", "\"a\\nb\\rc\\td\"");
	ASSERT_LITERAL("\0\x01\x1f", "\"\\u0000\\u0001\\u001f\"");
	ASSERT_LITERAL("x\0", "\"x\\u0000\"");
}

static void
utf8_stays_as_it_is(void **state)
{
	ASSERT_LITERAL("gr\xc3\xbcn", "\"gr\xc3\xbcn\"");
	ASSERT_LITERAL("\xe2\x82\xac", "\"\xe2\x82\xac\"");
	ASSERT_LITERAL("\xf0\x9f\x98\x80!", "\"\xf0\x9f\x98\x80!\"");
	ASSERT_LITERAL("\xf4\x8f\xbf\xbf", "\"\xf4\x8f\xbf\xbf\"");
}

static void
other_bytes_become_replacement_characters(void **state)
{
	ASSERT_LITERAL("\xff", "\"" BAD "\"");
	ASSERT_LITERAL("a\x80z", "\"a" BAD "z\"");
	ASSERT_LITERAL("\xc3", "\"" BAD "\"");                         /* cut off */
	ASSERT_LITERAL("\xe2\x82", "\"" BAD BAD "\"");                 /* cut off */
	ASSERT_LITERAL("\xe2\x82z", "\"" BAD BAD "z\"");               /* interrupted */
	ASSERT_LITERAL("\xc0\x80", "\"" BAD BAD "\"");                 /* an overlong NUL */
	ASSERT_LITERAL("\xed\xa0\x80", "\"" BAD BAD BAD "\"");         /* a surrogate */
	ASSERT_LITERAL("\xf4\x90\x80\x80", "\"" BAD BAD BAD BAD "\""); /* past U+10FFFF */
}

static void
lengths_follow_rfc_3629(void **state)
{
	static const struct {
		const char *bytes;
		size_t len, want;
	} rows[] = {
	    {"", 0, 0},
	    {"\0", 1, 1},
	    {"\x7f", 1, 1},
	    {"\x80", 1, 0},
	    {"\xc1\xbf", 2, 0},
	    {"\xc2\x80", 2, 2},
	    {"\xdf\xbf", 2, 2},
	    {"\xe0\x9f\xbf", 3, 0},
	    {"\xe0\xa0\x80", 3, 3},
	    {"\xed\x9f\xbf", 3, 3},
	    {"\xed\xa0\x80", 3, 0},
	    {"\xee\x80\x80", 3, 3},
	    {"\xf0\x8f\xbf\xbf", 4, 0},
	    {"\xf0\x90\x80\x80", 4, 4},
	    {"\xf4\x8f\xbf\xbf", 4, 4},
	    {"\xf4\x90\x80\x80", 4, 0},
	    {"\xf5\x80\x80\x80", 4, 0},
	    {"\xf0\x90\x80\x80", 3, 0},
	    {"\xe2\x82\xff", 3, 0},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		assert_int_equal(
		    jsontext_utf8_len((const uint8_t *)rows[i].bytes, rows[i].len), rows[i].want);
	}
}

static void
a_full_buffer_is_an_error(void **state)
{
	struct buf b;

	buf_init(&b, 4);
	assert_int_equal(jsontext_add_string(&b, SLICE_LIT("abc")), -ENOBUFS);
	buf_clear(&b);
	assert_int_equal(jsontext_add_string(&b, SLICE_LIT("ab")), 0);
	buf_clear(&b);
	assert_int_equal(jsontext_add_string(&b, SLICE_LIT("\x01")), -ENOBUFS);
	buf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(plain_text_is_quoted),
	    cmocka_unit_test(what_json_forbids_is_escaped),
	    cmocka_unit_test(utf8_stays_as_it_is),
	    cmocka_unit_test(other_bytes_become_replacement_characters),
	    cmocka_unit_test(lengths_follow_rfc_3629),
	    cmocka_unit_test(a_full_buffer_is_an_error),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
