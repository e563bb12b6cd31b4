/* What a reload changes: which options, whether alive, and whose restart they need. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "conf_fixture.h"
#include "tls_peer.h"

/* The changes from one file to the other, as "OPTION FROM>TO alive|TARGET" joined by "; ". */
static void
assert_changes(struct fixture *f, const char *before, const char *after, const char *expected)
{
	struct conf_changes changes;
	struct conf *old;
	struct buf text;

	assert_loads(f, before, NULL, NULL);
	old = f->conf;
	f->conf = NULL;
	assert_loads(f, after, NULL, NULL);
	conf_diff(old, f->conf, &changes);
	buf_init(&text, 0);
	for (size_t i = 0; i < changes.count; i++) {
		const struct conf_change *c = &changes.items[i];

		assert_int_equal(
		    buf_addf(&text, "%s%s %s>%s %s", i > 0 ? "; " : "", c->option, c->from, c->to,
			c->alive ? "alive" : conf_target_name(c->target)),
		    0);
	}
	assert_int_equal(buf_add(&text, "", 1), 0);
	assert_string_equal((const char *)buf_slice(&text).ptr, expected);
	buf_fini(&text);
	conf_changes_fini(&changes);
	conf_free(&old);
}

static void
the_same_is_no_change(void **state)
{
	assert_changes(*state, "", "[proxy]\nhold_ms = 10s\n", "");
	assert_changes(*state, "[redis]\nconfig.hz = 1\nconfig.save = 1 1\n",
	    "[redis]\nconfig.save=1 1\nconfig.hz=1\n", "");
}

static void
options_by_their_target(void **state)
{
	assert_changes(*state, "",
	    "[proxy]\nhold_ms = 5\nlisten = unix:/x\n[http]\nlisten = none\n[holdfast]\nname = n\n",
	    "holdfast.name main>n supervisor; proxy.listen 127.0.0.1:6380>unix:/x proxy; "
	    "proxy.hold_ms 10000>5 alive; "
	    "http.listen 127.0.0.1:7379>none http");
	assert_changes(*state, "[sentinel]\nport = 20001\n",
	    "[sentinel]\nquorum = 3\nport = 20002\n",
	    "sentinel.port 20001>20002 sentinel; sentinel.quorum 2>3 alive");
}

static void
secrets_are_hidden(void **state)
{
	assert_changes(*state, "[redis]\npassword = one\nconfig.tls-key-file-pass = a\n",
	    "[redis]\npassword = two\nconfig.tls-key-file-pass = b\n",
	    "redis.password (hidden)>(hidden) redis; redis.config.tls-key-file-pass "
	    "(hidden)>(hidden) alive");
}

static void
all_instances_are_one_change(void **state)
{
	assert_changes(*state, "", "[redis]\nport = 7001\nmaxmemory = 1mb\nconfig.hz = 5\n",
	    "redis.port 6381>7001 redis; redis.maxmemory 0>1 MiB alive; redis.config.hz (not "
	    "set)>5 alive");
}

static void
one_instance_is_named(void **state)
{
	assert_changes(*state, "[redis-2]\nconfig.hz = 1\n",
	    "[redis-2]\nport = 7001\nconfig.hz = 2\n",
	    "redis-2.port 6382>7001 redis; redis-2.config.hz 1>2 alive");
	/* The general value changed and does not reach the instance that has its own. */
	assert_changes(*state, "[redis-2]\nmaxmemory = 5mb\n",
	    "[redis]\nmaxmemory=1mb\n[redis-2]\nmaxmemory = 5mb\n",
	    "redis-1.maxmemory 0>1 MiB alive; redis-3.maxmemory 0>1 MiB alive");
}

static void
more_instances(void **state)
{
	assert_changes(*state, "", "[redis]\ninstances = 4\n[redis-4]\nmaxmemory = 1mb\n",
	    "redis.instances 3>4 supervisor");
}

static void
repeated_directives(void **state)
{
	assert_changes(*state, "[redis]\nconfig.save = 1 1\nconfig.save = 2 2\n",
	    "[redis]\nconfig.save = \"\"\n", "redis.config.save 1 1 | 2 2>\"\" alive");
}

static void
a_directive_that_left_needs_a_restart(void **state)
{
	assert_changes(*state, "[redis]\nconfig.hz = 5\n", "", "redis.config.hz 5>(not set) redis");
}

static const struct conf_change *
only_change(
    struct fixture *f, const char *before, const char *after, struct conf_changes *ret_changes)
{
	struct conf *old;

	assert_loads(f, before, NULL, NULL);
	old = f->conf;
	f->conf = NULL;
	assert_loads(f, after, NULL, NULL);
	conf_diff(old, f->conf, ret_changes);
	conf_free(&old);
	assert_int_equal(ret_changes->count, 1);
	return ret_changes->items;
}

/* The server gets its own words: no units, no dashes turned, the secret itself. */
static void
servers_get_their_own_words(void **state)
{
	static const char *const cases[][3] = {
	    {"[redis]\nmaxmemory = 5 MiB\n", "maxmemory", "5242880"},
	    {"[redis]\nmaxmemory_policy = allkeys-lru\n", "maxmemory-policy", "allkeys-lru"},
	    {"[redis]\nappendonly = off\n", "appendonly", "no"},
	    {"[redis]\nconfig.search.x-y = 1\n", "search.x-y", "1"},
	    {"[redis]\nconfig.tls-key-file-pass = p\n", "tls-key-file-pass", "p"},
	    {"[redis]\nconfig.save = 1 1\nconfig.save = 2 2\n", "save", "1 1 2 2"},
	    {"[redis]\nconfig.save = \"\"\n", "save", ""},
	};
	struct conf_changes changes;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct conf_change *c = only_change(*state, "", cases[i][0], &changes);

		assert_true(c->alive);
		assert_string_equal(c->directive, cases[i][1]);
		assert_string_equal(c->value, cases[i][2]);
		conf_changes_fini(&changes);
	}
	assert_null(only_change(*state, "[redis]\nconfig.hz = 5\n", "", &changes)->value);
	conf_changes_fini(&changes);
	assert_null(only_change(*state, "", "[proxy]\nhold_ms = 5\n", &changes)->directive);
	conf_changes_fini(&changes);
}

/* Access rules and peers come from the text that a worker gets, until a file may have them. */
static struct conf *
from_text(const char *text)
{
	struct errmsg err = ERRMSG_NONE;
	struct conf *conf = NULL;

	assert_int_equal(conf_from_ini(slice_str(text), &conf, &err), 0);
	return conf;
}

static void
access_rules(void **state)
{
	struct conf *old =
	    from_text("[acl-a]\ncidr = 10.0.0.0/8\npassword = p\n[acl-b]\n[acl-c]\n");
	struct conf *new =
	    from_text("[acl-d]\n[acl-a]\ncidr = 11.0.0.0/8\npassword = q\n[acl-b]\n");
	struct conf_changes c;

	conf_diff(old, new, &c);
	assert_int_equal(c.count, 5);
	assert_string_equal(c.items[0].option, "acl-a.cidr");
	assert_string_equal(c.items[1].option, "acl-a.password");
	assert_string_equal(c.items[1].to, "(hidden)");
	assert_string_equal(c.items[2].option, "acl-c");
	assert_string_equal(c.items[3].option, "acl-d");
	assert_string_equal(c.items[4].option, "acl-*");
	conf_changes_fini(&c);
	conf_free(&old);
	conf_free(&new);
}

static void
peers_make_one_instance_each(void **state)
{
	struct conf *conf =
	    from_text("[peer-b]\naddress = 10.0.0.2\n[peer-c]\naddress = c.example\n");

	assert_int_equal(conf->peer_count, 2);
	assert_string_equal(conf->peers[1].name, "c");
	assert_string_equal(conf->peers[1].address, "c.example");
	assert_int_equal(conf->redis_instances, 1);
	assert_int_equal(conf->sentinel_instances, 1);
	assert_int_equal(conf->sentinel_quorum, 2);
	conf_free(&conf);
}

static void
a_renewed_certificate_is_a_change(void **state)
{
	struct fixture *f = *state;
	const char *cert = scratch_path(f->dir, "c.pem"), *key = scratch_path(f->dir, "k.pem");
	char *text =
	    xasprintf("[http]\nlisten = tls:127.0.0.1:1\ntls_cert = %s\ntls_key = %s\n", cert, key);
	struct tls_issuer *i = tls_issuer_new("before", 0, 100);
	struct conf_changes changes;
	struct conf *old;

	tls_issuer_write(i, cert, key, NULL);
	tls_issuer_free(&i);
	assert_changes(f, text, text, "");
	old = f->conf;
	f->conf = NULL;
	i = tls_issuer_new("after", 0, 100);
	tls_issuer_write(i, cert, key, NULL);
	tls_issuer_free(&i);
	assert_loads(f, text, NULL, NULL);
	conf_diff(old, f->conf, &changes);
	assert_int_equal(changes.count, 1);
	assert_string_equal(changes.items[0].option, "http.tls_cert");
	assert_true(changes.items[0].alive);
	assert_int_equal(changes.items[0].target, CONF_HTTP);
	assert_non_null(strstr(changes.items[0].from, "CN = before, until "));
	assert_non_null(strstr(changes.items[0].to, "CN = after, until "));
	conf_changes_fini(&changes);
	conf_free(&old);
	free(text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)
	    TEST(the_same_is_no_change),
	    TEST(options_by_their_target),
	    TEST(secrets_are_hidden),
	    TEST(all_instances_are_one_change),
	    TEST(one_instance_is_named),
	    TEST(more_instances),
	    TEST(repeated_directives),
	    TEST(a_directive_that_left_needs_a_restart),
	    TEST(servers_get_their_own_words),
	    TEST(a_renewed_certificate_is_a_change),
	    cmocka_unit_test(access_rules),
	    cmocka_unit_test(peers_make_one_instance_each),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
