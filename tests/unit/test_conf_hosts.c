/* Several hosts in the configuration: where their servers are reached, and the file as a host gets it that joins. */
#include "unit.h"

#include "conf_fixture.h"

#define SECRET "0123456789abcdef0123456789abcdef"

static void
servers_are_reached_where_they_listen_unless_told(void **state)
{
	struct fixture *f = *state;

	assert_loads(f, NULL, NULL, STRINGS("holdfast.node=a"));
	assert_int_equal(conf_redis_port_of(f->conf, "a", 0), 6381);
	assert_int_equal(conf_redis_port_of(f->conf, "a", 2), 6383); /* each its own */
	assert_int_equal(conf_sentinel_port_of(f->conf, "a"), 26381);
	assert_loads(f, NULL, NULL,
	    STRINGS("holdfast.node=a", "holdfast.secret=" SECRET, "peer-a.address=10.0.0.1",
		"peer-b.address=10.0.0.2", "peer-b.redis_port=16381", "peer-b.sentinel_port=36381",
		"redis.password=x"));
	assert_int_equal(conf_redis_port_of(f->conf, "a", 0), 6381);
	assert_int_equal(conf_redis_port_of(f->conf, "b", 0), 16381);
	assert_int_equal(conf_sentinel_port_of(f->conf, "b"), 36381);
}

/* The file as c at 10.0.0.3 has it; static until the next call. */
static const char *
shared(const struct fixture *f, bool own_tls)
{
	const struct conf_newcomer c = {.name = "c", .address = "10.0.0.3", .own_tls = own_tls};
	static struct buf out;
	struct errmsg err = ERRMSG_NONE;
	static const char *const env[] = {"PASSWORD=@a;\"b", NULL};

	buf_fini(&out);
	buf_init(&out, 0);
	assert_int_equal(conf_for_newcomer(f->conf, fixture_env(env), &c, &out, &err), 0);
	assert_int_equal(buf_add(&out, "", 1), 0);
	return (const char *)buf_slice(&out).ptr;
}

static void
a_newcomer_gets_the_file_as_it_is_there(void **state)
{
	struct fixture *f = *state;
	const char *text;

	fixture_write(f, "secret", SECRET "\n", sizeof(SECRET));
	assert_loads(f,
	    "; ours\n[holdfast]\n  node = a ; this one\nsecret = @secret ; not here\n"
	    "[redis]\npassword = $PASSWORD\nbind = 10.0.0.1, 127.0.0.1, 110.0.0.1\n"
	    "[proxy]\nlisten = tls:10.0.0.1:6380, 10.0.0.1:6379\ntls_cert = none\n"
	    "allow_open = yes\n[peer-a]\naddress = 10.0.0.1\n[peer-b]\naddress = 10.0.0.2\n",
	    STRINGS("PASSWORD=@a;\"b"), STRINGS("proxy.listen=127.0.0.1:6380"));
	text = shared(f, false);
	assert_non_null(strstr(text, "; ours\n[holdfast]\nsecret = " SECRET "\n[redis]\n"));
	assert_non_null(strstr(text, "password = \"@a;\\\"b\"\n"));
	assert_non_null(strstr(text, "bind = 10.0.0.3, 127.0.0.1, 110.0.0.1\n"));
	assert_non_null(strstr(text, "listen = tls:10.0.0.3:6380, 10.0.0.3:6379\n"));
	assert_null(strstr(text, "node ="));
	/* who is there stays, and it is one of them */
	assert_non_null(
	    strstr(text, "[peer-a]\naddress = 10.0.0.1\n[peer-b]\naddress = 10.0.0.2\n"));
	assert_non_null(strstr(text, "[peer-c]\naddress = 10.0.0.3\n"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		servers_are_reached_where_they_listen_unless_told, fixture_setup, fixture_teardown),
	    cmocka_unit_test_setup_teardown(
		a_newcomer_gets_the_file_as_it_is_there, fixture_setup, fixture_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
