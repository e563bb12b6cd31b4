/* What a configuration says when nothing is wrong with it: defaults, precedence, values, instances, round trip. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "conf_fixture.h"

static void
defaults_are_those_of_the_contract(void **state)
{
	struct fixture *f = *state;

	assert_loads(f, NULL, NULL, NULL);
	assert_string_equal(f->conf->holdfast_name, "main");
	assert_string_equal(f->conf->holdfast_address, "127.0.0.1");
	assert_true(strlen(f->conf->holdfast_node) > 0);
	assert_string_equal(f->conf->holdfast_log_format, "text");
	assert_string_equal(f->conf->holdfast_log_level, "notice");
	assert_int_equal(f->conf->redis_instances, 3);
	assert_int_equal(f->conf->redis_port, 6381);
	assert_int_equal(f->conf->redis_bind.count, 1);
	assert_string_equal(f->conf->redis_bind.items[0], "127.0.0.1");
	assert_null(f->conf->redis_server);
	assert_null(f->conf->redis_password);
	assert_true(f->conf->redis_appendonly);
	assert_int_equal(f->conf->sentinel_instances, 3);
	assert_int_equal(f->conf->sentinel_port, 26381);
	assert_int_equal(f->conf->sentinel_quorum, 2);
	assert_int_equal(f->conf->sentinel_down_after_ms, 5000);
	assert_int_equal(f->conf->sentinel_failover_timeout_ms, 10000);
	assert_int_equal(f->conf->proxy_listen.count, 1);
	assert_string_equal(f->conf->proxy_listen.items[0], "127.0.0.1:6380");
	assert_int_equal(f->conf->proxy_read_listen.count, 0);
	assert_int_equal(f->conf->proxy_workers, 1);
	assert_int_equal(f->conf->proxy_hold_ms, 10000);
	assert_int_equal(f->conf->proxy_durability, 0);
	assert_int_equal(f->conf->proxy_allow.count, 0);
	assert_int_equal(f->conf->proxy_max_clients, 10000);
	assert_int_equal(f->conf->proxy_client_timeout_s, 0);
	assert_int_equal(f->conf->proxy_max_request_bytes, 512u << 20);
	assert_string_equal(f->conf->http_listen.items[0], "127.0.0.1:7379");
	assert_int_equal(f->conf->http_max_request_bytes, 128u << 20);
	assert_true(f->conf->http_websockets);
	assert_null(f->conf->http_cors_origin);
	assert_string_equal(f->conf->data_dir, "/data");
	assert_null(f->conf->file);
}

static void
later_sources_win(void **state)
{
	struct fixture *f = *state;
	const char *file = "[proxy]\nhold_ms = 1\nworkers = 2\nmax_clients = 3\n";

	assert_loads(f, file, STRINGS("HOLDFAST_PROXY_WORKERS=4", "HOLDFAST_PROXY_MAX_CLIENTS=5"),
	    STRINGS("proxy.max_clients=6"));
	assert_int_equal(f->conf->proxy_hold_ms, 1);
	assert_int_equal(f->conf->proxy_workers, 4);
	assert_int_equal(f->conf->proxy_max_clients, 6);
	assert_string_equal(f->conf->file, f->file);
}

static void
the_last_argument_wins(void **state)
{
	struct fixture *f = *state;

	assert_loads(f, NULL, NULL,
	    STRINGS(
		"proxy.workers=2", "proxy.workers=3", "redis.config.hz=1", "redis.config.hz=2"));
	assert_int_equal(f->conf->proxy_workers, 3);
	assert_int_equal(f->conf->redis_config.count, 1);
	assert_string_equal(f->conf->redis_config.items[0].value, "2");
}

static void
container_names_stand_below_our_own(void **state)
{
	struct fixture *f = *state;

	assert_loads(f, "[sentinel]\nquorum = 1\n",
	    STRINGS("REDIS_MASTER=mymaster", "SENTINEL_QUORUM=3", "SENTINEL_DOWN_AFTER=6000",
		"SENTINEL_FAILOVER=7000", "HOLDFAST_SENTINEL_DOWN_AFTER_MS=8000"),
	    NULL);
	assert_string_equal(f->conf->holdfast_name, "mymaster");
	assert_int_equal(f->conf->sentinel_quorum, 3);
	assert_int_equal(f->conf->sentinel_down_after_ms, 8000);
	assert_int_equal(f->conf->sentinel_failover_timeout_ms, 7000);
}

static void
other_peoples_variables_are_left_alone(void **state)
{
	struct fixture *f = *state;

	assert_loads(f, NULL,
	    STRINGS("HOLDFAST_PORT=tcp://10.0.0.1:6380", "HOLDFAST_PORT_6380_TCP_ADDR=10.0.0.1",
		"HOLDFAST_SERVICE_HOST=10.0.0.1", "HOLDFAST_DIR=/elsewhere",
		"HOLDFAST_PROXY_WORKERS=", "HOLDFAST_=", "HOLDFAST_REDIS_=", "SENTINEL_QUORUM="),
	    NULL);
	assert_int_equal(f->conf->proxy_workers, 1);
}

static void
environment_reaches_instances_and_directives(void **state)
{
	struct fixture *f = *state;

	assert_loads(f, NULL,
	    STRINGS("HOLDFAST_REDIS_2_PORT=7000", "HOLDFAST_REDIS_CONFIG_MAXMEMORY_SAMPLES=7",
		"HOLDFAST_REDIS_3_CONFIG_REPLICA_PRIORITY=50",
		"HOLDFAST_REDIS_PASSWORD=\"$a;\" @b "),
	    NULL);
	assert_int_equal(f->conf->redis[1].port, 7000);
	assert_string_equal(f->conf->redis_config.items[0].name, "maxmemory-samples");
	assert_string_equal(f->conf->redis[2].config.items[1].name, "replica-priority");
	assert_int_equal(f->conf->redis[1].config.count, 1);
	/* Nothing in a variable means anything but itself. */
	assert_string_equal(f->conf->redis_password, "\"$a;\" @b ");
}

/* As secrets reach containers. */
static void
a_variable_may_name_a_file(void **state)
{
	struct fixture *f = *state;
	FILE *secret = fopen("secret.test", "w");

	assert_non_null(secret);
	assert_true(fputs("from a file\n", secret) >= 0);
	assert_int_equal(fclose(secret), 0);
	assert_loads(f, NULL,
	    STRINGS("HOLDFAST_REDIS_PASSWORD_FILE=secret.test",
		"HOLDFAST_ACL_A_PASSWORD_FILE=secret.test", "HOLDFAST_ACL_A_USER=u",
		"HOLDFAST_ACL_A_ENABLED=*"),
	    NULL);
	assert_int_equal(remove("secret.test"), 0);
	assert_string_equal(f->conf->redis_password, "from a file");
	assert_string_equal(f->conf->acls[0].password, "from a file");
}

static void
units_are_understood(void **state)
{
	struct fixture *f = *state;

	assert_loads(f,
	    "[proxy]\nhold_ms = 2s\nclient_timeout_s=1 h\nmax_request_bytes = 3 MiB\n"
	    "[redis]\nmaxmemory = 100mb\n[sentinel]\ndown_after_ms=5000 "
	    "ms\n[http]\nmax_request_bytes= 4096\n",
	    NULL, NULL);
	assert_int_equal(f->conf->proxy_hold_ms, 2000);
	assert_int_equal(f->conf->proxy_client_timeout_s, 3600);
	assert_int_equal(f->conf->proxy_max_request_bytes, 3u << 20);
	assert_int_equal(f->conf->redis_maxmemory, 100u << 20);
	assert_int_equal(f->conf->sentinel_down_after_ms, 5000);
	assert_int_equal(f->conf->http_max_request_bytes, 4096);
}

static void
words_are_understood(void **state)
{
	struct fixture *f = *state;

	assert_loads(f,
	    "[redis]\nappendonly = OFF\nappendfsync = Always\nserver = auto\ninstances = auto\n"
	    "[sentinel]\nquorum = majority\ninstances = 5\n[proxy]\nlisten = none\ndurability = "
	    "none\n"
	    "allow = debug,Config|Set  module\n[http]\nlisten =\n",
	    NULL, NULL);
	assert_false(f->conf->redis_appendonly);
	assert_string_equal(f->conf->redis_appendfsync, "always");
	assert_null(f->conf->redis_server);
	assert_int_equal(f->conf->redis_instances, 3);
	assert_int_equal(f->conf->sentinel_quorum, 3);
	assert_int_equal(f->conf->proxy_listen.count, 0);
	assert_int_equal(f->conf->http_listen.count, 0);
	assert_int_equal(f->conf->proxy_allow.count, 3);
	assert_string_equal(f->conf->proxy_allow.items[1], "CONFIG|SET");
	assert_string_equal(f->conf->proxy_allow.items[2], "MODULE");
}

static void
lists_are_split_and_put_in_one_form(void **state)
{
	struct fixture *f = *state;

	assert_loads(f,
	    "[proxy]\nlisten = unix:/run/x.sock ,127.0.0.1:1  "
	    "[::1]:2,,localhost:3\n[redis]\nbind=127.0.0.1 -::1\n",
	    NULL, NULL);
	assert_int_equal(f->conf->proxy_listen.count, 4);
	assert_string_equal(f->conf->proxy_listen.items[0], "unix:/run/x.sock");
	assert_string_equal(f->conf->proxy_listen.items[2], "[::1]:2");
	assert_int_equal(f->conf->redis_bind.count, 2);
	assert_string_equal(f->conf->redis_bind.items[1], "-::1");
}

static void
quotes_comments_and_line_ends(void **state)
{
	struct fixture *f = *state;

	assert_loads(f,
	    "\xef\xbb\xbf; comment\n# another\n[redis] ; behind\r\n  password = \"a ; b\\\"\\\\ \" "
	    "; real\r\n\n"
	    "config.proc-title-template = 9;9 # 1 ; cut\n\tconfig.hz : 20\n[http]\naccess_log = ; "
	    "nothing",
	    NULL, NULL);
	assert_string_equal(f->conf->redis_password, "a ; b\"\\ ");
	assert_string_equal(f->conf->redis_config.items[0].value, "20");
	assert_string_equal(f->conf->redis_config.items[1].value, "9;9 # 1");
	assert_null(f->conf->http_access_log);
}

static void
long_lines_are_whole(void **state)
{
	struct fixture *f = *state;

	/* inih's own buffer ends in the middle of it: at each place once, blanks and semicolons included. */
	for (size_t pad = 150; pad < 260; pad++) {
		char *value = xcalloc(400, 1), *text;

		memset(value, 'x', 390);
		memcpy(value + pad, " y ;z  ", 7);
		text = xasprintf("[redis]\npassword = \"%s\"\n", value);
		assert_loads(f, text, NULL, NULL);
		assert_string_equal(f->conf->redis_password, value);
		free(text);
		free(value);
	}
}

static void
blanks_before_a_value_do_not_count(void **state)
{
	struct fixture *f = *state;
	char *text = xasprintf("[redis]\npassword =%300s\n", "p w");

	assert_loads(f, text, NULL, NULL);
	assert_string_equal(f->conf->redis_password, "p w");
	free(text);
}

static void
values_come_from_variables_and_files(void **state)
{
	struct fixture *f = *state;

	fixture_write(f, "secret", "from a file\r\n", 13);
	assert_loads(
	    f, "[redis]\npassword = @secret\n[holdfast]\nname = $NAME\n", STRINGS("NAME=n1"), NULL);
	assert_string_equal(f->conf->redis_password, "from a file");
	assert_string_equal(f->conf->holdfast_name, "n1");
	assert_loads(f, "[redis]\npassword = \"@secret\"\n", NULL, NULL);
	assert_string_equal(f->conf->redis_password, "@secret");
	assert_loads(f, "[redis]\npassword = $2y$10\n", NULL, NULL);
	assert_string_equal(f->conf->redis_password, "$2y$10");
}

static void
instances_override(void **state)
{
	struct fixture *f = *state;

	assert_loads(f,
	    "[redis]\ninstances = 4\nport = 7001\nmaxmemory = 1mb\nconfig.save = 1 1\nconfig.save "
	    "= 2 2\nconfig.hz = 5\n"
	    "[redis-2]\nport = 9000\nmaxmemory = 2mb\nconfig.save = 3 3\n[redis-4]\nappendonly = "
	    "no\n",
	    NULL, STRINGS("redis.maxmemory=3mb"));
	assert_int_equal(f->conf->redis[0].port, 7001);
	assert_int_equal(f->conf->redis[1].port, 9000);
	assert_int_equal(f->conf->redis[2].port, 7003);
	assert_string_equal(f->conf->redis[2].name, "redis-3");
	assert_int_equal(f->conf->redis[2].number, 3);
	/* An instance's own section wins, wherever the general value comes from. */
	assert_int_equal(f->conf->redis[1].maxmemory, 2u << 20);
	assert_int_equal(f->conf->redis[0].maxmemory, 3u << 20);
	assert_true(f->conf->redis[0].appendonly);
	assert_false(f->conf->redis[3].appendonly);
	assert_int_equal(f->conf->redis[0].config.count, 3);
	assert_int_equal(f->conf->redis[1].config.count, 2);
	assert_string_equal(f->conf->redis[1].config.items[0].name, "hz");
	assert_string_equal(f->conf->redis[1].config.items[1].value, "3 3");
}

static void
directives_of_a_later_source_replace(void **state)
{
	struct fixture *f = *state;

	assert_loads(f, "[redis]\nconfig.save = 1 1\nconfig.save = 2 2\n", NULL,
	    STRINGS("redis.config.save=\"\""));
	assert_int_equal(f->conf->redis_config.count, 1);
	assert_string_equal(f->conf->redis_config.items[0].value, "");
}

static char *
as_ini(const struct conf *conf)
{
	struct buf text;
	char *copy;

	buf_init(&text, CONF_TEXT_MAX);
	assert_int_equal(conf_to_ini(conf, &text), 0);
	copy = xstrndup((const char *)buf_slice(&text).ptr, buf_len(&text));
	buf_fini(&text);
	return copy;
}

static void
assert_round_trip(const struct conf *conf)
{
	char *text = as_ini(conf), *again;
	struct errmsg err = ERRMSG_NONE;
	struct conf *copy = NULL;

	assert_int_equal(conf_from_ini(slice_str(text), &copy, &err), 0);
	assert_string_equal(err.text, "");
	again = as_ini(copy);
	assert_string_equal(again, text);
	free(again);
	free(text);
	conf_free(&copy);
}

static void
round_trip(void **state)
{
	struct fixture *f = *state;
	struct errmsg err = ERRMSG_NONE;
	struct conf *copy = NULL;
	char *text;

	assert_loads(f, NULL, NULL, NULL);
	assert_round_trip(f->conf);
	assert_loads(f,
	    "[redis]\ninstances = 2\npassword = \" ;\\\"$x\\\\\"\nconfig.save = "
	    "\"\"\nconfig.notify-keyspace-events = \"@E\"\n"
	    "[redis-2]\nport = 1234\nconfig.hz = 5\nconfig.save=\"1 1 ;\"\n[proxy]\nlisten = "
	    "unix:/a/b=c:d, 127.0.0.1:9\n",
	    NULL, STRINGS("redis.config.maxclients=\"$not\""));
	assert_round_trip(f->conf);
	text = as_ini(f->conf);
	assert_int_equal(conf_from_ini(slice_str(text), &copy, &err), 0);
	assert_string_equal(copy->redis_password, " ;\"$x\\");
	assert_string_equal(copy->data_dir, "/data");
	assert_string_equal(copy->file, f->file);
	assert_int_equal(copy->redis[1].port, 1234);
	assert_int_equal(copy->redis[0].config.count, 3);
	assert_int_equal(copy->redis[1].config.count, 4);
	assert_string_equal(copy->proxy_listen.items[0], "unix:/a/b=c:d");
	free(text);
	conf_free(&copy);
}

static void
round_trip_of_long_values(void **state)
{
	struct fixture *f = *state;
	char *secret = xcalloc(513, 1), *text;

	memset(secret, '"', 512);
	text = xasprintf("HOLDFAST_REDIS_PASSWORD=%s", secret);
	assert_loads(f, NULL, STRINGS(text), NULL);
	assert_string_equal(f->conf->redis_password, secret);
	assert_round_trip(f->conf);
	free(text);
	free(secret);
}

static void
text_for_workers_is_checked(void **state)
{
	struct errmsg err = ERRMSG_NONE;
	struct conf *conf = NULL;

	assert_int_equal(
	    conf_from_ini(slice_str("[proxy]\nworkers = many\n"), &conf, &err), -EINVAL);
	assert_non_null(strstr(err.text, "configuration:2: proxy.workers"));
	assert_null(conf);
}

static void
text_for_workers_reads_nothing_else(void **state)
{
	struct errmsg err = ERRMSG_NONE;
	struct conf *conf = NULL;

	assert_int_equal(
	    conf_from_ini(slice_str("[redis]\npassword = @/etc/hostname\n"), &conf, &err), 0);
	assert_string_equal(conf->redis_password, "@/etc/hostname");
	conf_free(&conf);
}

static void
assert_data_dir(const char *dir, const char *const *env, const char *expected)
{
	struct errmsg err = ERRMSG_NONE;
	char *found = NULL;

	assert_int_equal(conf_data_dir(dir, fixture_env(env), &found, &err), 0);
	assert_string_equal(found, expected);
	free(found);
}

static void
data_dir_as_given(void **state)
{
	char *cwd = getcwd(NULL, 0), *below = xasprintf("%s/below", cwd);

	assert_data_dir("/a/b//", STRINGS("HOLDFAST_DIR=/c"), "/a/b");
	assert_data_dir(NULL, STRINGS("HOLDFAST_DIR=/c/"), "/c");
	assert_data_dir("./below/", STRINGS("X=1"), below);
	assert_data_dir("below", STRINGS("X=1"), below);
	assert_data_dir(".", STRINGS("X=1"), cwd);
	assert_data_dir("/", STRINGS("X=1"), "/");
	free(below);
	free(cwd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)
	    TEST(defaults_are_those_of_the_contract),
	    TEST(later_sources_win),
	    TEST(the_last_argument_wins),
	    TEST(container_names_stand_below_our_own),
	    TEST(other_peoples_variables_are_left_alone),
	    TEST(environment_reaches_instances_and_directives),
	    TEST(a_variable_may_name_a_file),
	    TEST(units_are_understood),
	    TEST(words_are_understood),
	    TEST(lists_are_split_and_put_in_one_form),
	    TEST(quotes_comments_and_line_ends),
	    TEST(long_lines_are_whole),
	    TEST(blanks_before_a_value_do_not_count),
	    TEST(values_come_from_variables_and_files),
	    TEST(instances_override),
	    TEST(directives_of_a_later_source_replace),
	    TEST(round_trip),
	    TEST(round_trip_of_long_values),
	    cmocka_unit_test(text_for_workers_is_checked),
	    cmocka_unit_test(text_for_workers_reads_nothing_else),
	    cmocka_unit_test(data_dir_as_given),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
