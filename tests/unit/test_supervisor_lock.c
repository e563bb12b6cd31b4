#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "scratch.h"
#include "supervisor/lock.h"

/* As after an exec: the descriptor of the lock is all that is left of the one before. */
static void
test_a_lock_is_inherited_without_being_free(void **state)
{
	const char *dir = scratch_path(*state, "data"), *other = scratch_path(*state, "other");
	struct errmsg err = ERRMSG_NONE;
	int first = -1, second = -1, third = -1, passed;

	assert_int_equal(lock_folder(dir, &first, &err), 0);
	passed = fcntl(first, F_DUPFD, 0);
	(void)close(first);
	assert_int_equal(lock_folder(dir, &third, &err), -EBUSY);
	assert_int_equal(lock_inherit(dir, passed, &second, &err), 0);
	assert_int_equal(second, passed);
	assert_true(fcntl(second, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(lock_folder(dir, &third, &err), -EBUSY);
	/* Of another folder it is of no use: that one is locked as usual, and this one is free. */
	assert_int_equal(lock_inherit(other, second, &third, &err), 0);
	assert_int_equal(lock_folder(dir, &first, &err), 0);
	(void)close(first);
	(void)close(third);
	/* None was passed. */
	assert_int_equal(lock_inherit(dir, -1, &first, &err), 0);
	(void)close(first);
}

static void
test_a_second_lock_names_the_holder(void **state)
{
	const char *dir = scratch_path(*state, "deep/data");
	struct errmsg err = ERRMSG_NONE;
	char pid[32];
	int first = -1, second = -1;

	assert_int_equal(lock_folder(dir, &first, &err), 0);
	assert_int_equal(lock_folder(dir, &second, &err), -EBUSY);
	assert_int_equal(second, -1);
	(void)snprintf(pid, sizeof(pid), "pid %ld", (long)getpid());
	assert_non_null(strstr(err.text, pid));
	(void)close(first);
	assert_int_equal(lock_folder(dir, &second, &err), 0);
	(void)close(second);
}

static void
test_a_file_in_the_way_is_said(void **state)
{
	const char *file = scratch_path(*state, "file"), *dir = scratch_path(*state, "file/data");
	struct errmsg err = ERRMSG_NONE;
	int fd = open(file, O_CREAT | O_WRONLY, 0600);

	assert_true(fd != -1);
	(void)close(fd);
	assert_int_equal(lock_folder(dir, &fd, &err), -ENOTDIR);
	assert_non_null(strstr(err.text, dir));
	assert_non_null(strstr(err.text, "-d"));
}

static void
test_the_secret_is_made_once_and_private(void **state)
{
	struct errmsg err = ERRMSG_NONE;
	char *one = NULL, *two = NULL;
	struct stat st;

	assert_int_equal(lock_secret(*state, &one, &err), 0);
	assert_int_equal(lock_secret(*state, &two, &err), 0);
	assert_int_equal(strlen(one), 64);
	assert_string_equal(one, two);
	assert_int_equal(stat(scratch_path(*state, "secret"), &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	free(one);
	free(two);
}

static void
test_a_damaged_secret_is_refused(void **state)
{
	struct errmsg err = ERRMSG_NONE;
	char *secret = NULL;
	int fd = open(scratch_path(*state, "secret"), O_CREAT | O_WRONLY, 0600);

	assert_int_equal(write(fd, "short\n", 6), 6);
	(void)close(fd);
	assert_int_equal(lock_secret(*state, &secret, &err), -EINVAL);
	assert_null(secret);
	assert_non_null(strstr(err.text, "secret"));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		test_a_lock_is_inherited_without_being_free, scratch_setup, scratch_teardown),
	    cmocka_unit_test_setup_teardown(
		test_a_second_lock_names_the_holder, scratch_setup, scratch_teardown),
	    cmocka_unit_test_setup_teardown(
		test_a_file_in_the_way_is_said, scratch_setup, scratch_teardown),
	    cmocka_unit_test_setup_teardown(
		test_the_secret_is_made_once_and_private, scratch_setup, scratch_teardown),
	    cmocka_unit_test_setup_teardown(
		test_a_damaged_secret_is_refused, scratch_setup, scratch_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
