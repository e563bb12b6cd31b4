/* Who may ask, by what a request says about where it comes from; and which paths are no commands. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "golden.h"

#include "httpd/access.h"
#include "httpd/answer.h"
#include "httpd/assets.h"
#include "httpd/httpd.h"
#include "httpd/route.h"

static const char *const names[] = {"holdfast", "redis.example.org"};
static const struct access_rules plain = {.hosts = names, .host_count = 2};
static const struct access_rules with_origin = {
    .hosts = names, .host_count = 2, .cors_origin = "https://app.example"};
static const struct access_rules open_to_all = {
    .hosts = (const char *const[]){"*"}, .host_count = 1, .cors_origin = "*"};

static enum access_verdict
check(const struct access_rules *rules, const char *headers)
{
	struct http_request req;
	struct http_fault fault;
	char head[512];
	int len = snprintf(head, sizeof(head), "GET /FLUSHALL HTTP/1.0\r\n%s\r\n", headers);

	assert_true(len > 0 && (size_t)len < sizeof(head));
	assert_int_equal(
	    http_head_parse((struct slice){(const uint8_t *)head, (size_t)len}, &req, &fault), 0);
	return access_check(rules, &req);
}

static void
our_own_hosts_are_fine(void **state)
{
	static const char *const good[] = {"", "Host: 127.0.0.1:7379\r\n", "Host: 10.1.2.3\r\n",
	    "Host: [::1]:7379\r\n", "Host: localhost\r\n", "Host: LocalHost.:80\r\n",
	    "Host: holdfast:7379\r\n", "Host: Redis.Example.org\r\n"};

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_int_equal(check(&plain, good[i]), ACCESS_OK);
	}
}

static void
other_hosts_are_refused(void **state)
{
	static const char *const bad[] = {"Host: evil.example\r\n",
	    "Host: localhost.evil.example\r\n", "Host: 127.0.0.1.evil.example:7379\r\n",
	    "Host: holdfast.evil\r\n", "Host: xlocalhost\r\n", "Host: 1\r\n"};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		assert_int_equal(check(&plain, bad[i]), ACCESS_FOREIGN_HOST);
		assert_int_equal(check(&open_to_all, bad[i]), ACCESS_OK);
	}
	assert_int_equal(check(&plain, "Host: user@127.0.0.1\r\n"), ACCESS_BAD_HOST);
	assert_int_equal(check(&plain, "Host: 127.0.0.1:port\r\n"), ACCESS_BAD_HOST);
}

#define AT "Host: 127.0.0.1:7379\r\n"

static void
pages_of_ours_are_fine(void **state)
{
	static const char *const good[] = {AT "Origin: http://127.0.0.1:7379\r\n",
	    AT "Origin: https://127.0.0.1:7379\r\n", AT "Sec-Fetch-Site: same-origin\r\n",
	    AT "Sec-Fetch-Site: none\r\n", AT "Referer: http://127.0.0.1:7379/ui/\r\n",
	    AT "Referer: http://127.0.0.1:7379\r\n"};

	for (size_t i = 0; i < ARRAY_LEN(good); i++) {
		assert_int_equal(check(&plain, good[i]), ACCESS_OK);
	}
}

static void
pages_of_others_are_refused(void **state)
{
	static const char *const bad[] = {AT "Origin: http://evil.example\r\n",
	    AT "Origin: null\r\n", AT "Origin: http://127.0.0.1\r\n",
	    AT "Origin: http://127.0.0.1:73790\r\n",
	    AT "Origin: http://127.0.0.1:7379.evil.example\r\n",
	    AT "Origin: http://127.0.0.1:7379\r\nOrigin: http://evil.example\r\n", AT "Origin:\r\n",
	    AT "Sec-Fetch-Site: cross-site\r\n", AT "Sec-Fetch-Site: same-site\r\n",
	    AT "Sec-Fetch-Site: cross-site\r\nReferer: http://127.0.0.1:7379/\r\n",
	    AT "Referer: http://evil.example/\r\n",
	    AT "Referer: http://127.0.0.1:7379.evil.example/\r\n",
	    "Origin: http://evil.example\r\n"};

	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (check(&plain, bad[i]) != ACCESS_FOREIGN_PAGE) {
			fail_msg("let in: %s", bad[i]);
		}
		assert_int_equal(check(&open_to_all, bad[i]), ACCESS_OK);
	}
}

static void
a_named_site_is_welcome_and_no_other(void **state)
{
	assert_int_equal(check(&with_origin, AT "Origin: https://app.example\r\n"), ACCESS_OK);
	assert_int_equal(
	    check(&with_origin, AT "Origin: https://app.example\r\nSec-Fetch-Site: cross-site\r\n"),
	    ACCESS_OK);
	assert_int_equal(check(&with_origin, AT "Referer: https://app.example/x\r\n"), ACCESS_OK);
	assert_int_equal(
	    check(&with_origin, AT "Origin: https://app.example.evil\r\n"), ACCESS_FOREIGN_PAGE);
	assert_int_equal(
	    check(&with_origin, AT "Origin: http://app.example\r\n"), ACCESS_FOREIGN_PAGE);
	assert_int_equal(
	    check(&with_origin, AT "Sec-Fetch-Site: cross-site\r\n"), ACCESS_FOREIGN_PAGE);
}

static void
every_refusal_says_what_to_do(void **state)
{
	assert_non_null(strstr(access_text(ACCESS_FOREIGN_HOST), "http.hosts"));
	assert_non_null(strstr(access_text(ACCESS_FOREIGN_PAGE), "http.cors_origin"));
	assert_true(strlen(access_text(ACCESS_BAD_HOST)) > 0);
}

static void
assert_route(const char *target, void (*answer)(struct exchange *x))
{
	const struct route *r = route_find(slice_str(target));

	if (answer == NULL) {
		assert_null(r);
	} else {
		assert_non_null(r);
		assert_ptr_equal(r->answer, answer);
	}
}

static void
reserved_paths_are_no_commands(void **state)
{
	assert_route("/healthz", answer_health);
	assert_route("/healthz?x=y", answer_health);
	assert_route("/readyz", answer_ready);
	assert_route("/", answer_root);
	assert_route("", answer_root);
	assert_route("/?x", answer_root);
	assert_route("/ui", assets_answer);
	assert_route("/ui/", assets_answer);
	assert_route("/ui/a/b.js", assets_answer);
	assert_non_null(route_find(SLICE_LIT("/api/v1/status")));
	assert_true((route_find(SLICE_LIT("/api/v1/status"))->flags & ROUTE_API) != 0);
	assert_true((route_find(SLICE_LIT("/metrics"))->flags & ROUTE_API) != 0);
	assert_route("/GET/healthz", NULL);
	assert_route("/healthz/x", NULL);
	assert_route("/healthzz", NULL);
	assert_route("/uid", NULL);
	assert_route("/GET/k", NULL);
}

static void
the_table_of_the_session_is_the_golden_one(void **state)
{
	golden_check(&http_session_fsm);
	/* Bytes after the end are thrown away without an event; time runs out only where it runs. */
	golden_count_absent(&http_session_fsm, 29);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(our_own_hosts_are_fine),
	    cmocka_unit_test(other_hosts_are_refused),
	    cmocka_unit_test(pages_of_ours_are_fine),
	    cmocka_unit_test(pages_of_others_are_refused),
	    cmocka_unit_test(a_named_site_is_welcome_and_no_other),
	    cmocka_unit_test(every_refusal_says_what_to_do),
	    cmocka_unit_test(reserved_paths_are_no_commands),
	    cmocka_unit_test(the_table_of_the_session_is_the_golden_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
