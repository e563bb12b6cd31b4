/* The PROXY protocol's headers, and the networks that may send them. */
#include "unit.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>

#include "net/cidr.h"
#include "net/proxied.h"

#define V2      "\r\n\r\n\0\r\nQUIT\n"
#define TCP4    "\x0a\x01\x02\x03\x7f\x00\x00\x01\x30\x39\x18\xec"
#define NOTHING 0

struct row {
	const char *bytes;
	size_t len;
	int taken; /* 0: all of them make a beginning; -EPROTO */
	const char *from;
};

#define ROW(text, taken, from)                                                                     \
	{                                                                                          \
		(text), sizeof(text) - 1, taken, from                                              \
	}

static void
headers(void **state)
{
	static const struct row rows[] = {
	    ROW("PROXY TCP4 10.1.2.3 127.0.0.1 12345 6380\r\nPING\r\n", 42, "10.1.2.3:12345"),
	    ROW("PROXY TCP4 255.255.255.255 255.255.255.255 65535 65535\r\n", 56,
		"255.255.255.255:65535"),
	    ROW("PROXY TCP6 2001:db8::1 ::1 1 2\r\nx", 32, "[2001:db8::1]:1"),
	    ROW("PROXY UNKNOWN\r\n", 15, ""),
	    ROW("PROXY UNKNOWN ffff::1 whatever 1 2\r\n", 36, ""),
	    ROW(V2 "\x21\x11\x00\x0c" TCP4 "GET", 28, "10.1.2.3:12345"),
	    ROW(V2 "\x21\x11\x00\x10" TCP4 "\x04\x00\x01\x00rest", 32, "10.1.2.3:12345"),
	    ROW(V2 "\x21\x21\x00\x24\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
		   "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1\x00\x07\x00\x08",
		52, "[2001:db8::1]:7"),
	    ROW(V2 "\x20\x11\x00\x0c" TCP4, 28, ""), /* LOCAL: a health check of the proxy itself */
	    ROW(V2 "\x20\x00\x00\x00PING", 16, ""),
	    ROW(V2 "\x21\x00\x00\x00", 16, ""),
	    ROW(V2 "\x21\x12\x00\x0c" TCP4, 28, ""), /* a datagram's */
	    /* not whole yet */
	    ROW("", NOTHING, ""),
	    ROW("P", NOTHING, ""),
	    ROW("PROXY", NOTHING, ""),
	    ROW("PROXY TCP4 10.1.2.3 127.0.0.1 12345 6380\r", NOTHING, ""),
	    ROW("\r\n\r\n", NOTHING, ""),
	    ROW(V2, NOTHING, ""),
	    ROW(V2 "\x21\x11\x00", NOTHING, ""),
	    ROW(V2 "\x21\x11\x00\x0c\x0a\x01\x02\x03", NOTHING, ""),
	    /* none, or not as it should be */
	    ROW("PING\r\n", -EPROTO, ""),
	    ROW("*1\r\n$4\r\nPING\r\n", -EPROTO, ""),
	    ROW("\x16\x03\x01\x02\x00", -EPROTO, ""),
	    ROW("PROXY \r\n", -EPROTO, ""),
	    ROW("PROXY TCP4\r\n", -EPROTO, ""),
	    ROW("proxy TCP4 10.1.2.3 127.0.0.1 12345 6380\r\n", -EPROTO, ""),
	    ROW("PROXY TCP4 10.1.2.3 127.0.0.1 12345 6380\n", -EPROTO, ""),
	    ROW("PROXY TCP4 10.1.2.3 127.0.0.1 12345 65536\r\n", -EPROTO, ""),
	    ROW("PROXY TCP4 10.1.2.3 127.0.0.1 012 1\r\n", -EPROTO, ""),
	    ROW("PROXY TCP4 10.1.2.3 127.0.0.1 -1 1\r\n", -EPROTO, ""),
	    ROW("PROXY TCP4 10.1.2.3 127.0.0.1  1 1\r\n", -EPROTO, ""),
	    ROW("PROXY TCP4 10.1.2.3 127.0.0.1 1 1 \r\n", -EPROTO, ""),
	    ROW("PROXY TCP4 10.1.2.3 127.0.0.1 1 1 1\r\n", -EPROTO, ""),
	    ROW("PROXY TCP4 ::1 ::1 1 1\r\n", -EPROTO, ""),
	    ROW("PROXY TCP6 10.1.2.3 127.0.0.1 1 1\r\n", -EPROTO, ""),
	    ROW("PROXY TCP4 10.1.2.3\0 127.0.0.1 1 1\r\n", -EPROTO, ""),
	    ROW("PROXY UDP4 10.1.2.3 127.0.0.1 1 1\r\n", -EPROTO, ""),
	    ROW("PROXY UNKNOWN "
		"xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
		"x"
		"xxxxxxxxxxxx",
		-EPROTO, ""),
	    ROW("\r\n\r\n\0\r\nQUIX", -EPROTO, ""),
	    ROW(V2 "\x11\x11\x00\x0c" TCP4, -EPROTO, ""), /* version 1 in the form of 2 */
	    ROW(V2 "\x22\x11\x00\x0c" TCP4, -EPROTO, ""),
	    ROW(V2 "\x21\x11\x00\x0b\x0a\x01\x02\x03\x7f\x00\x00\x01\x30\x39\x18", -EPROTO, ""),
	    ROW(V2 "\x21\x41\x00\x00", -EPROTO, ""),
	    ROW(V2 "\x21\x11\xff\xff", -EPROTO, ""),
	};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct slice in = {(const uint8_t *)rows[i].bytes, rows[i].len};
		struct proxied p = {.from = "untouched"};
		int n = proxied_parse(in, &p);

		if (n != rows[i].taken) {
			fail_msg("row %zu: %d instead of %d", i, n, rows[i].taken);
		}
		assert_string_equal(p.from, n > 0 ? rows[i].from : "untouched");
		/* of a good one each beginning is a beginning */
		for (int k = 0; k < n; k++) {
			assert_int_equal(proxied_parse((struct slice){in.ptr, (size_t)k}, &p), 0);
		}
	}
}

static bool
has(const char *network, const char *address)
{
	struct sockaddr_in6 v6 = {.sin6_family = AF_INET6};
	struct sockaddr_in v4 = {.sin_family = AF_INET};
	struct cidr c;

	assert_int_equal(cidr_parse(network, &c), 0);
	if (inet_pton(AF_INET, address, &v4.sin_addr) == 1) {
		return cidr_has(&c, (struct sockaddr *)&v4);
	}
	assert_int_equal(inet_pton(AF_INET6, address, &v6.sin6_addr), 1);
	return cidr_has(&c, (struct sockaddr *)&v6);
}

static void
networks(void **state)
{
	static const char *const bad[] = {"", "/", "/8", "10.0.0.0/33", "::/129", "10.0.0.0/",
	    "10.0.0.0/x", "10.0.0/8", "host/8", "10.0.0.0/-1",
	    "1111:2222:3333:4444:5555:6666:7777:8888:9999/1"};
	struct sockaddr local = {.sa_family = AF_UNIX};
	struct cidr all;

	assert_true(has("10.0.0.0/8", "10.255.0.1"));
	assert_false(has("10.0.0.0/8", "11.0.0.1"));
	assert_true(has("10.0.0.128/25", "10.0.0.200"));
	assert_false(has("10.0.0.128/25", "10.0.0.127"));
	assert_true(has("10.0.0.1", "10.0.0.1"));
	assert_false(has("10.0.0.1", "10.0.0.2"));
	assert_true(has("10.0.0.0/8", "::ffff:10.1.1.1"));
	assert_true(has("0.0.0.0/0", "192.0.2.1"));
	assert_false(has("0.0.0.0/0", "2001:db8::1"));
	assert_true(has("2001:db8::/33", "2001:db8:7fff::1"));
	assert_false(has("2001:db8::/33", "2001:db8:8000::1"));
	assert_true(has("::1", "::1"));
	assert_true(has("::/0", "192.0.2.1"));
	assert_int_equal(cidr_parse("::/0", &all), 0);
	assert_false(cidr_has(&all, &local));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (cidr_parse(bad[i], &all) != -EINVAL) {
			fail_msg("'%s' was taken for a network", bad[i]);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {cmocka_unit_test(headers), cmocka_unit_test(networks)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
