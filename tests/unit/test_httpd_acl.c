/* Access rules: whom they are for, what they change, and in which order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "httpd/acl.h"

/* the configuration owns its texts */
#define S(text) ((char[]){text})
#define LIST(...)                                                                                  \
	{                                                                                          \
		.items = (char *[]){__VA_ARGS__},                                                  \
		.count = sizeof((char *[]){__VA_ARGS__}) / sizeof(char *)                          \
	}

static bool
allows(const struct conf_acl *rules, size_t count, const char *peer, const char *user,
    const char *password, const char *words)
{
	struct acl *acl = acl_new(rules, count);
	struct acl_address address = acl_address_of(peer);
	struct acl_client client = {.address = &address, .has_user = user != NULL};
	struct slice argv[2] = {slice_str(words), {(const uint8_t *)"", 0}};
	const char *blank = strchr(words, ' ');
	bool allowed;

	if (blank != NULL) {
		argv[0].len = (size_t)(blank - words);
		argv[1] = slice_str(blank + 1);
	}
	if (user != NULL) {
		client.user = slice_str(user);
		client.password = slice_str(password);
	}
	allowed = acl_allows(acl, &client, argv[0], command_find(argv, blank != NULL ? 2 : 1));
	acl_free(&acl);
	return allowed;
}

#define ANY "192.0.2.1:1000"

static void
test_without_rules_all_is_allowed(void **state)
{
	(void)state;
	assert_true(allows(NULL, 0, ANY, NULL, NULL, "FLUSHALL"));
}

static void
test_later_rules_override(void **state)
{
	const struct conf_acl rules[] = {{.disabled = LIST(S("*"))},
	    {.cidr = S("10.0.0.0/8"), .enabled = LIST(S("GET"), S("SET"), S("CONFIG|GET"))},
	    {.user = S("bob"),
		.password = S("pw"),
		.enabled = LIST(S("*")),
		.disabled = LIST(S("DEBUG"))}};

	(void)state;
	assert_false(allows(rules, 3, ANY, NULL, NULL, "GET"));
	assert_true(allows(rules, 3, "10.1.2.3:5", NULL, NULL, "get"));
	assert_true(allows(rules, 3, "[::ffff:10.1.2.3]:5", NULL, NULL, "get"));
	assert_false(allows(rules, 3, "11.1.2.3:5", NULL, NULL, "GET"));
	/* names match whole */
	assert_false(allows(rules, 3, "10.1.2.3:5", NULL, NULL, "GETSET"));
	assert_false(allows(rules, 3, "10.1.2.3:5", NULL, NULL, "SETEX"));
	assert_true(allows(rules, 3, "10.1.2.3:5", NULL, NULL, "CONFIG GET"));
	assert_false(allows(rules, 3, "10.1.2.3:5", NULL, NULL, "CONFIG SET"));
	/* credentials */
	assert_true(allows(rules, 3, ANY, "bob", "pw", "FLUSHALL"));
	assert_false(allows(rules, 3, ANY, "bob", "pw", "DEBUG"));
	assert_false(allows(rules, 3, ANY, "bob", "PW", "GET"));
	assert_false(allows(rules, 3, ANY, "bob", "", "GET"));
	assert_false(allows(rules, 3, ANY, "alice", "pw", "GET"));
	assert_true(allows(rules, 3, ANY, "bob", "pw", "MODULE.COMMAND"));
	assert_false(allows(rules, 3, ANY, NULL, NULL, "MODULE.COMMAND"));
}

static void
test_containers(void **state)
{
	const struct conf_acl rules[] = {{.disabled = LIST(S("CONFIG"), S("ACL|SETUSER"))}};

	(void)state;
	assert_false(allows(rules, 1, ANY, NULL, NULL, "CONFIG GET"));
	assert_false(allows(rules, 1, ANY, NULL, NULL, "CONFIG NOSUCH"));
	assert_false(allows(rules, 1, ANY, NULL, NULL, "ACL SETUSER"));
	assert_true(allows(rules, 1, ANY, NULL, NULL, "ACL WHOAMI"));
}

static void
test_addresses(void **state)
{
	static const struct {
		const char *cidr, *peer;
		bool within;
	} cases[] = {{"127.0.0.1", "127.0.0.1:1", true}, {"127.0.0.1/32", "127.0.0.2:1", false},
	    {"0.0.0.0/0", "203.0.113.9:1", true}, {"0.0.0.0/0", "[2001:db8::1]:1", false},
	    {"192.168.7.128/25", "192.168.7.129:1", true},
	    {"192.168.7.128/25", "192.168.7.1:1", false},
	    {"2001:db8::/33", "[2001:db8:7fff::1]:1", true},
	    {"2001:db8::/33", "[2001:db8:8000::1]:1", false}, {"::1/128", "[::1]:80", true},
	    {"::/0", "10.0.0.1:1", true}, {"127.0.0.0/8", "unix", false}, {"::/0", "unix", false}};

	(void)state;
	for (size_t i = 0; i < sizeof(cases) / sizeof(cases[0]); i++) {
		char cidr[64];
		struct conf_acl rule = {.cidr = cidr, .disabled = LIST(S("*"))};

		(void)snprintf(cidr, sizeof(cidr), "%s", cases[i].cidr);
		if (allows(&rule, 1, cases[i].peer, NULL, NULL, "GET") == cases[i].within) {
			fail_msg("%s and %s", cases[i].cidr, cases[i].peer);
		}
	}
}

static void
test_basic(void **state)
{
	uint8_t text[ACL_CREDENTIALS_MAX];
	struct acl_client c = {0};
	static const char *const bad[] = {"", "Basic", "Basic ", "Digest YTpi", "Basic YT pi",
	    "Basic YTpi=", "Basic =", "Basic YWI=", "Basic ===="};

	(void)state;
	assert_true(acl_credentials(SLICE_LIT("basic YTpiOmM="), text, &c));
	assert_true(c.has_user && slice_eq(c.user, "a") && slice_eq(c.password, "b:c"));
	assert_true(acl_credentials(SLICE_LIT("Basic Og=="), text, &c));
	assert_true(c.user.len == 0 && c.password.len == 0);
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		if (acl_credentials(slice_str(bad[i]), text, &c)) {
			fail_msg("\"%s\" is taken", bad[i]);
		}
	}
}

int
main(void)
{
	static const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_without_rules_all_is_allowed),
	    cmocka_unit_test(test_later_rules_override), cmocka_unit_test(test_containers),
	    cmocka_unit_test(test_addresses), cmocka_unit_test(test_basic)};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
