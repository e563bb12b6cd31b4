/* The socket that the control protocol is spoken over: whose it is, and who finds what there. */
#include "unit.h"

#include <errno.h>
#include <signal.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include "base/mem.h"
#include "ctl_world.h"
#include "scratch.h"

static void
test_socket_is_private(void **state)
{
	struct stat st;

	assert_int_equal(stat(scratch_path(home, CTL_SOCKET_NAME), &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void
test_second_server_is_refused(void **state)
{
	struct loop *loop = loop_new();
	const char *path = scratch_path(home, CTL_SOCKET_NAME);

	assert_null(ctl_server_new(loop, path, NULL, 0, NULL, &said));
	assert_non_null(strstr(said.text, "another process listens"));
	assert_non_null(strstr(said.text, path));
	loop_free(&loop);
	assert_int_equal(call("ping", NULL, NULL), 0);
}

static void
test_stale_socket_is_replaced(void **state)
{
	int status;

	start_server(scratch_path(home, CTL_SOCKET_NAME), 0, 0);
	assert_int_equal(kill(server_pid, SIGKILL), 0);
	assert_int_equal(waitpid(server_pid, &status, 0), server_pid);
	start_server(scratch_path(home, CTL_SOCKET_NAME), 0, 0);
	assert_int_equal(call("ping", NULL, NULL), 0);
	stop_server(home);
}

static void
test_path_longer_than_an_address(void **state)
{
	char *deep = xasprintf("%s/%0*d", home, 150, 7);

	assert_int_equal(mkdir(deep, 0700), 0);
	start_server(scratch_path(deep, CTL_SOCKET_NAME), 0, 0);
	stop_server(deep);
	assert_int_equal(access(scratch_path(deep, CTL_SOCKET_NAME), F_OK), -1);
	free(deep);
}

static void
test_nobody_there(void **state)
{
	struct ctl_client *c = NULL;
	char *expected =
	    xasprintf("nobody supervises %s: start it with `holdfast run -d %s`", home, home);
	int status;

	assert_int_equal(ctl_client_open(home, &c, &said), -ENOTCONN);
	assert_string_equal(said.text, expected);
	start_server(scratch_path(home, CTL_SOCKET_NAME), 0, 0);
	assert_int_equal(kill(server_pid, SIGKILL), 0);
	assert_int_equal(waitpid(server_pid, &status, 0), server_pid);
	assert_int_equal(ctl_client_open(home, &c, &said), -ENOTCONN); /* left by kill -9 */
	assert_string_equal(said.text, expected);
	assert_null(c);
	free(expected);
}

static void
test_missing_folder(void **state)
{
	struct loop *loop = loop_new();

	assert_null(
	    ctl_server_new(loop, scratch_path(home, "none/control.sock"), NULL, 0, NULL, &said));
	assert_non_null(strstr(said.text, "none/control.sock"));
	loop_free(&loop);
}

int
main(void)
{
#define TEST(fn)  cmocka_unit_test_setup_teardown(fn, world_setup, world_teardown)
#define ALONE(fn) cmocka_unit_test_setup_teardown(fn, world_setup_alone, world_teardown_alone)
	const struct CMUnitTest tests[] = {
	    TEST(test_socket_is_private),
	    TEST(test_second_server_is_refused),
	    ALONE(test_stale_socket_is_replaced),
	    ALONE(test_path_longer_than_an_address),
	    ALONE(test_nobody_there),
	    ALONE(test_missing_folder),
	};

	return cmocka_run_group_tests_name("ctl socket", tests, NULL, NULL);
}
