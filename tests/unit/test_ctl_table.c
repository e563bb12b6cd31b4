/* The table of control commands, and the check of arguments against it. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "ctl/ctl.h"

static void
test_table_is_well_formed(void **state)
{
	const struct ctl_command_info *info;
	size_t n = 0;

	for (; (info = ctl_command_at(n)) != NULL; n++) {
		assert_ptr_equal(ctl_command_find(info->name), info);
		assert_true(strlen(info->help) > 5);
		/* every word is NAME:TYPE with a type that the check knows */
		for (const char *p = info->args; *p != '\0';
		     p += strcspn(p, " "), p += strspn(p, " ")) {
			const char *type = strchr(p, ':');

			assert_non_null(type);
			assert_true(strncmp(type, ":text", 5) == 0 ||
				    strncmp(type, ":count", 6) == 0 ||
				    strncmp(type, ":id", 3) == 0 || strncmp(type, ":bool", 5) == 0);
		}
	}
	assert_true(n >= 9);
	assert_null(ctl_command_find("Ping"));
}

static void
test_arguments_in_every_shape(void **state)
{
	static const struct {
		const char *cmd, *args;
		int rc;
	} cases[] = {
	    {"events", "{}", 0},
	    {"events", "{\"n\":0,\"follow\":false}", 0},
	    {"events", "{\"n\":1000000}", 0},
	    {"events", "{\"n\":1000001}", -EINVAL},
	    {"events", "{\"n\":-1}", -EINVAL},
	    {"events", "{\"n\":1.5}", -EINVAL},
	    {"events", "{\"n\":null}", 0},
	    {"events", "{\"follow\":1}", -EINVAL},
	    {"failover", "{\"to\":null}", 0},
	    {"failover", "{\"to\":\"\"}", -EINVAL},
	    {"failover", "{\"to\":[\"a\"]}", -EINVAL},
	    {"start", "{\"name\":\"a\"}", 0},
	    {"start", "{\"name\":null}", -EINVAL},
	    {"start", "{\"nam\":\"a\"}", -EINVAL},
	    {"start", "[]", -EINVAL},
	    {"start", "{}", -EINVAL},
	};

	struct errmsg err;

	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		json_t *args = json_loads(cases[i].args, 0, NULL);

		err = ERRMSG_NONE;
		assert_non_null(args);
		assert_int_equal(
		    ctl_args_check(ctl_command_find(cases[i].cmd), args, &err), cases[i].rc);
		assert_int_equal(err.text[0] != '\0', cases[i].rc != 0);
		json_decref(args);
	}
	assert_int_equal(ctl_args_check(ctl_command_find("ping"), NULL, &err), 0);
	assert_int_equal(ctl_args_check(ctl_command_find("stop"), NULL, &err), -EINVAL);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_table_is_well_formed),
	    cmocka_unit_test(test_arguments_in_every_shape),
	};

	return cmocka_run_group_tests_name("ctl: table", tests, NULL, NULL);
}
