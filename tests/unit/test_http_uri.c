#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "http/uri.h"

/* The segments and parameters of a target, decoded, each behind a '|'. */
static void
assert_splits(const char *target, const char *expected)
{
	struct uri u = uri_split(slice_str(target));
	struct slice segment, name, value;
	struct buf out;

	buf_init(&out, 0);
	while (uri_next_segment(&u.path, &segment)) {
		assert_int_equal(buf_add_str(&out, "|"), 0);
		assert_int_equal(uri_decode(segment, &out), 0);
	}
	while (uri_next_param(&u.query, &name, &value)) {
		assert_int_equal(buf_add_str(&out, "|?"), 0);
		assert_int_equal(uri_decode(name, &out), 0);
		assert_int_equal(buf_add_str(&out, "="), 0);
		assert_int_equal(uri_decode(value, &out), 0);
	}
	assert_int_equal(buf_add(&out, "", 1), 0);
	assert_string_equal((const char *)buf_slice(&out).ptr, expected);
	buf_fini(&out);
}

static void
splits_paths(void **state)
{
	assert_splits("/GET/k", "|GET|k");
	assert_splits("GET/k", "|GET|k");
	assert_splits("/GET/k/", "|GET|k");
	assert_splits("/GET//k", "|GET||k");
	assert_splits("//GET", "||GET");
	assert_splits("/", "");
	assert_splits("", "");
	assert_splits("/?", "");
}

static void
splits_before_it_decodes(void **state)
{
	assert_splits("/GET/a%2fb%2Ec%3fd", "|GET|a/b.c?d");
	assert_splits("/GET/a+b%2B%20", "|GET|a b+ ");
	assert_splits("/G%45T/%e2%82%ac", "|GET|\xe2\x82\xac");
	assert_splits("/k?a=b%26c=d&e&&=f&g=", "|k|?a=b&c=d|?e=|?=|?=f|?g=");
	assert_splits("/k?a=b?c/d", "|k|?a=b?c/d");
}

static void
decodes_any_byte(void **state)
{
	struct buf out;

	buf_init(&out, 0);
	assert_int_equal(uri_decode(SLICE_LIT("%00%fF%0d"), &out), 0);
	assert_int_equal(buf_len(&out), 3);
	assert_memory_equal(buf_slice(&out).ptr, "\0\xff\r", 3);
	buf_fini(&out);
}

static void
refuses_broken_codes(void **state)
{
	static const char *const bad[] = {"%", "a%", "%1", "%g0", "%0g", "%%41", "%4%31", "% 1"};
	struct buf out;

	buf_init(&out, 0);
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(uri_decoded_len(slice_str(bad[i])), -EINVAL);
		assert_int_equal(uri_decode(slice_str(bad[i]), &out), -EINVAL);
	}
	assert_int_equal(buf_len(&out), 0);
}

static void
assert_authority(const char *text, const char *host, const char *port)
{
	struct slice h, p;

	if (!uri_split_authority(slice_str(text), &h, &p)) {
		assert_null(host);
		return;
	}
	assert_non_null(host);
	assert_true(slice_eq(h, host));
	assert_true(slice_eq(p, port));
}

static void
splits_authorities(void **state)
{
	assert_authority("h", "h", "");
	assert_authority("h:80", "h", "80");
	assert_authority("h:", "h", "");
	assert_authority("[::1]", "::1", "");
	assert_authority("[::1]:80", "::1", "80");
	assert_authority("", NULL, NULL);
	assert_authority(":80", NULL, NULL);
	assert_authority("[]", NULL, NULL);
	assert_authority("[::1", NULL, NULL);
	assert_authority("[::1]x", NULL, NULL);
	assert_authority("h:8x", NULL, NULL);
	assert_authority("h:123456", NULL, NULL);
	assert_authority("127.0.0.1@evil.example", NULL, NULL);
	assert_authority("::1", NULL, NULL);
}

static void
tells_addresses_from_names(void **state)
{
	assert_true(uri_host_is_address(slice_str("127.0.0.1")));
	assert_true(uri_host_is_address(slice_str("10.1.2.3")));
	assert_true(uri_host_is_address(slice_str("::1")));
	assert_true(uri_host_is_address(slice_str("fe80::1:2")));
	assert_false(uri_host_is_address(slice_str("localhost")));
	assert_false(uri_host_is_address(slice_str("127.0.0.1.evil.example")));
	assert_false(uri_host_is_address(slice_str("1")));
	assert_false(uri_host_is_address(slice_str("")));
	assert_false(uri_host_is_address(SLICE_LIT("127.0.0.1\0.evil.example")));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(splits_paths),
	    cmocka_unit_test(splits_before_it_decodes),
	    cmocka_unit_test(decodes_any_byte),
	    cmocka_unit_test(refuses_broken_codes),
	    cmocka_unit_test(splits_authorities),
	    cmocka_unit_test(tells_addresses_from_names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
