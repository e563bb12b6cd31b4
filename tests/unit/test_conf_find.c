/* Which programs are found, in folders made for the test; the data folder for other users. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "conf/conf_priv.h"
#include "conf_fixture.h"

static void
make_program(struct fixture *f, const char *name, mode_t mode)
{
	fixture_write(f, name, "#!/bin/sh\n", 10);
	assert_int_equal(chmod(scratch_path(f->dir, name), mode), 0);
}

static void
assert_server(struct fixture *f, const char *configured, const char *expected)
{
	struct errmsg err = ERRMSG_NONE;
	char *path = NULL;

	assert_int_equal(conf_find_server(configured, &path, &err), 0);
	assert_string_equal(path, scratch_path(f->dir, expected));
	free(path);
}

static void
assert_no_server(const char *configured, int error, const char *words)
{
	struct errmsg err = ERRMSG_NONE;
	char *path = NULL;

	assert_int_equal(conf_find_server(configured, &path, &err), error);
	assert_non_null(strstr(err.text, words));
	assert_null(path);
}

static void
servers_on_path(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(setenv("PATH", f->dir, 1), 0);
	assert_no_server(NULL, -ENOENT, "install one");
	make_program(f, "valkey-server", 0755);
	assert_server(f, NULL, "valkey-server");
	make_program(f, "redis-server", 0644);
	assert_server(f, NULL, "valkey-server");
	make_program(f, "redis-server", 0755);
	assert_server(f, NULL, "redis-server");
	assert_server(f, "valkey-server", "valkey-server");
	assert_no_server("redis-6", -ENOENT, "on PATH");
}

static void
servers_by_path(void **state)
{
	struct fixture *f = *state;

	make_program(f, "mine", 0755);
	make_program(f, "data", 0644);
	assert_server(f, scratch_path(f->dir, "mine"), "mine");
	assert_no_server(scratch_path(f->dir, "nothing"), -ENOENT, "is not there");
	assert_no_server(scratch_path(f->dir, "data"), -EACCES, "no program");
	assert_no_server(f->dir, -EACCES, "no program");
}

static void
assert_sentinel(const char *configured, const char *server, const char *expected, bool flag)
{
	struct errmsg err = ERRMSG_NONE;
	char *path = NULL;
	bool found = !flag;

	assert_int_equal(conf_find_sentinel(configured, server, &path, &found, &err), 0);
	assert_string_equal(path, expected);
	assert_int_equal(found, flag);
	free(path);
}

static void
sentinels(void **state)
{
	struct fixture *f = *state;
	const char *server = scratch_path(f->dir, "redis-server");
	const char *sentinel = scratch_path(f->dir, "redis-sentinel");
	const char *other = scratch_path(f->dir, "other");

	make_program(f, "redis-server", 0755);
	make_program(f, "other", 0755);
	assert_sentinel(NULL, server, server, true);
	make_program(f, "redis-sentinel", 0755);
	assert_sentinel(NULL, server, sentinel, false);
	assert_sentinel(NULL, other, other, true);
	assert_sentinel(other, server, other, true);
	assert_sentinel(sentinel, other, sentinel, false);
}

static void
assert_data_dir(bool root, const char *const *env, const char *expected)
{
	struct errmsg err = ERRMSG_NONE;
	char *found = NULL;

	assert_int_equal(conf_data_dir_for(root, NULL, fixture_env(env), &found, &err), 0);
	assert_string_equal(found, expected);
	free(found);
}

static void
data_dir_by_user(void **state)
{
	struct errmsg err = ERRMSG_NONE;
	char *found = NULL;

	assert_data_dir(true, STRINGS("HOME=/h", "XDG_STATE_HOME=/s"), "/var/lib/holdfast");
	assert_data_dir(false, STRINGS("HOME=/h", "XDG_STATE_HOME=/s"), "/s/holdfast");
	assert_data_dir(false, STRINGS("HOME=/h", "XDG_STATE_HOME="), "/h/.local/state/holdfast");
	assert_data_dir(
	    false, STRINGS("HOME=/h", "XDG_STATE_HOME=relative"), "/h/.local/state/holdfast");
	assert_data_dir(true, STRINGS("HOLDFAST_DIR=/d"), "/d");
	assert_int_equal(
	    conf_data_dir_for(false, NULL, fixture_env(STRINGS("HOME=h")), &found, &err), -EINVAL);
	assert_non_null(strstr(err.text, "-d or HOLDFAST_DIR"));
}

/* Every row of the table takes its own default and gives it back. */
static void
defaults_fit_their_rows(void **state)
{
	for (size_t i = 0; i < conf_opt_count; i++) {
		const struct conf_opt *opt = &conf_opts[i];
		struct conf_list room[2] = {{NULL, 0}, {NULL, 0}};
		struct errmsg err = ERRMSG_NONE;
		char *text;

		if (opt->def[0] == '\0') {
			continue;
		}
		if (conf_value_parse(opt, opt->def, opt->def, room, &err) < 0) {
			fail_msg("%s.%s: %s", opt->section, opt->key, err.text);
		}
		text = conf_value_format(opt, room);
		assert_string_equal(text, opt->def);
		free(text);
		conf_value_free(opt, room);
		assert_true(strlen(opt->help) > 10);
		assert_non_null(conf_section_find(opt->section));
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)
	    TEST(servers_on_path),
	    TEST(servers_by_path),
	    TEST(sentinels),
	    cmocka_unit_test(data_dir_by_user),
	    cmocka_unit_test(defaults_fit_their_rows),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
