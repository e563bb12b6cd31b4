#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <sys/un.h>

#include "net/endpoint.h"

static void
what_is_an_endpoint(void **state)
{
	static const struct {
		const char *text;
		uint16_t default_port;
		enum endpoint_kind kind;
		const char *host;
		uint16_t port;
		const char *formatted;
	} rows[] = {
	    {"localhost:6380", 0, ENDPOINT_TCP, "localhost", 6380, "localhost:6380"},
	    {"127.0.0.1", 7379, ENDPOINT_TCP, "127.0.0.1", 7379, "127.0.0.1:7379"},
	    {"127.0.0.1:1", 7379, ENDPOINT_TCP, "127.0.0.1", 1, "127.0.0.1:1"},
	    {"node-1.example_x:65535", 0, ENDPOINT_TCP, "node-1.example_x", 65535,
		"node-1.example_x:65535"},
	    {"[::1]:6380", 0, ENDPOINT_TCP, "::1", 6380, "[::1]:6380"},
	    {"[fe80::1:2]", 9, ENDPOINT_TCP, "fe80::1:2", 9, "[fe80::1:2]:9"},
	    {"::", 6380, ENDPOINT_TCP, "::", 6380, "[::]:6380"},
	    {"unix:/run/x.sock", 0, ENDPOINT_UNIX, "/run/x.sock", 0, "unix:/run/x.sock"},
	    {"tls:127.0.0.1:6390", 0, ENDPOINT_TCP, "127.0.0.1", 6390, "tls:127.0.0.1:6390"},
	    {"tls:[::1]:6390", 0, ENDPOINT_TCP, "::1", 6390, "tls:[::1]:6390"},
	    {"tls:tls:1", 0, ENDPOINT_TCP, "tls", 1, "tls:tls:1"},
	    {"tls:6390", 0, ENDPOINT_TCP, "tls", 6390, "tls:6390"}, /* a host of that name */
	    {"proxied:127.0.0.1:6390", 0, ENDPOINT_TCP, "127.0.0.1", 6390,
		"proxied:127.0.0.1:6390"},
	    {"proxied:tls:[::1]:6390", 0, ENDPOINT_TCP, "::1", 6390, "proxied:tls:[::1]:6390"},
	    {"proxied:unix:/x", 0, ENDPOINT_UNIX, "/x", 0, "proxied:unix:/x"},
	    {"proxied:1", 0, ENDPOINT_TCP, "proxied", 1, "proxied:1"},
	    {"unix:rel:path", 0, ENDPOINT_UNIX, "rel:path", 0, "unix:rel:path"},
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct errmsg err = ERRMSG_NONE;
		char formatted[ENDPOINT_TEXT_SIZE];
		struct endpoint ep, again;

		assert_int_equal(endpoint_parse(rows[i].text, rows[i].default_port, &ep, &err), 0);
		assert_string_equal(err.text, "");
		assert_int_equal(ep.kind, rows[i].kind);
		assert_string_equal(ep.host, rows[i].host);
		assert_int_equal(ep.port, rows[i].port);
		assert_string_equal(endpoint_format(&ep, formatted), rows[i].formatted);
		assert_int_equal(endpoint_parse(formatted, 0, &again, &err), 0);
		assert_true(endpoint_equal(&ep, &again));
	}
}

static void
what_is_none(void **state)
{
	static const char *const rows[] = {"", ":", ":6380", "host:", "host:0", "host:65536",
	    "host:-1", "host:6x", "host: 1", "ho st:1", "host/x:1", "a:b:c", "[::1", "[::1]x",
	    "[::1]:", "[::1]:x", "[]:1", "[localhost]:1", "[127.0.0.1]:1", "::g", "host\n:1",
	    "h\xc3\xb6st:1", "unix:", "*:6380", "unix", "host", "tls:", "tls::1", "tls:unix:/x",
	    "tls:host:0", "proxied:", "proxied::1", "tls:proxied:unix:/x",
	    "proxied:unix:", "tls:tls:tls:1", "TLS:host:1"};
	char big[400], unix_path[200] = "unix:/";

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct endpoint ep = {.port = 7};
		struct errmsg err = ERRMSG_NONE;

		if (endpoint_parse(rows[i], 0, &ep, &err) != -EINVAL) {
			fail_msg("'%s' was taken for an endpoint", rows[i]);
		}
		assert_true(strlen(err.text) > 10);
		assert_int_equal(ep.port, 7); /* untouched on failure */
	}
	memset(big, 'a', sizeof(big));
	memcpy(big + sizeof(big) - 3, ":1", 3);
	assert_int_equal(endpoint_parse(big, 0, &(struct endpoint){0}, NULL), -EINVAL);
	memset(unix_path + 6, 'a', 107); /* one more than sun_path takes with its NUL */
	assert_int_equal(endpoint_parse(unix_path, 0, &(struct endpoint){0}, NULL), -EINVAL);
	unix_path[5 + 107] = '\0';
	assert_int_equal(endpoint_parse(unix_path, 0, &(struct endpoint){0}, NULL), 0);
}

static void
what_is_loopback(void **state)
{
	static const struct {
		const char *host;
		bool loopback;
	} rows[] = {{"127.0.0.1", true}, {"127.255.0.9", true}, {"localhost", true},
	    {"LocalHost", true}, {"::1", true}, {"0:0:0:0:0:0:0:1", true}, {"0.0.0.0", false},
	    {"::", false}, {"128.0.0.1", false}, {"10.0.0.1", false}, {"127.0.0.1.example", false},
	    {"127.1", false}, {"::ffff:127.0.0.1", false}, {"localhost.example", false}};
	struct endpoint path;

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct endpoint ep = endpoint_tcp(rows[i].host, 1);

		if (endpoint_is_loopback(&ep) != rows[i].loopback) {
			fail_msg("%s: loopback is not %d", rows[i].host, rows[i].loopback);
		}
	}
	assert_int_equal(endpoint_parse("unix:/x", 0, &path, NULL), 0);
	assert_true(endpoint_is_loopback(&path));
}

static void
addresses_of_endpoints(void **state)
{
	struct endpoint v4 = endpoint_tcp("127.0.0.1", 6380), v6 = endpoint_tcp("::1", 6381),
			name = endpoint_tcp("localhost", 1),
			path = {.kind = ENDPOINT_UNIX, .host = "/tmp/x"};
	struct sockaddr_storage addr;
	struct errmsg err = ERRMSG_NONE;
	socklen_t len;

	assert_int_equal(endpoint_resolve(&v4, true, &addr, &len, &err), 0);
	assert_int_equal(addr.ss_family, AF_INET);
	assert_int_equal(len, sizeof(struct sockaddr_in));
	assert_int_equal(((struct sockaddr_in *)&addr)->sin_port, htons(6380));
	assert_int_equal(endpoint_resolve(&v6, true, &addr, &len, &err), 0);
	assert_int_equal(addr.ss_family, AF_INET6);
	assert_int_equal(endpoint_resolve(&path, true, &addr, &len, &err), 0);
	assert_string_equal(((struct sockaddr_un *)&addr)->sun_path, "/tmp/x");
	assert_int_equal(endpoint_resolve(&name, true, &addr, &len, &err), -EINVAL);
	assert_non_null(strstr(err.text, "localhost"));
}

static void
endpoints_are_equal_by_all_parts(void **state)
{
	struct endpoint a = endpoint_tcp("127.0.0.1", 1), b = endpoint_tcp("127.0.0.1", 1);

	assert_true(endpoint_equal(&a, &b));
	b.port = 2;
	assert_false(endpoint_equal(&a, &b));
	b = endpoint_tcp("127.0.0.2", 1);
	assert_false(endpoint_equal(&a, &b));
	b = a;
	b.kind = ENDPOINT_UNIX;
	assert_false(endpoint_equal(&a, &b));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_an_endpoint),
	    cmocka_unit_test(what_is_none),
	    cmocka_unit_test(what_is_loopback),
	    cmocka_unit_test(addresses_of_endpoints),
	    cmocka_unit_test(endpoints_are_equal_by_all_parts),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
