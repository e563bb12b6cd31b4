#include <errno.h>
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

#include "proc/logfile.h"
#include "scratch.h"

static char *
slurp(const char *path)
{
	static char text[8192];
	FILE *f = fopen(path, "re");
	size_t n = f != NULL ? fread(text, 1, sizeof(text) - 1, f) : 0;

	text[n] = '\0';
	if (f != NULL) {
		(void)fclose(f);
	}
	return text;
}

static void
test_lines_are_appended(void **state)
{
	const char *path = scratch_path(*state, "a.log");
	struct logfile *f = logfile_new(path, 1000, 2);

	assert_int_equal(logfile_line(f, SLICE_LIT("one")), 0);
	logfile_free(&f);
	f = logfile_new(path, 1000, 2);
	assert_int_equal(logfile_line(f, SLICE_LIT("two")), 0);
	logfile_free(&f);
	assert_string_equal(slurp(path), "one\ntwo\n");
}

static void
test_rotates_by_size_and_keeps_some(void **state)
{
	const char *path = scratch_path(*state, "a.log"), *one = scratch_path(*state, "a.log.1"),
		   *two = scratch_path(*state, "a.log.2"), *three = scratch_path(*state, "a.log.3");
	struct logfile *f = logfile_new(path, 8, 2);

	for (int i = 0; i < 4; i++) {
		char text[8];

		(void)snprintf(text, sizeof(text), "line%d", i);
		assert_int_equal(logfile_line(f, slice_str(text)), 0);
	}
	logfile_free(&f);
	assert_string_equal(slurp(path), "line3\n");
	assert_string_equal(slurp(one), "line2\n");
	assert_string_equal(slurp(two), "line1\n");
	assert_int_equal(access(three, F_OK), -1);
}

static void
test_a_lost_folder_is_an_error_and_heals(void **state)
{
	const char *dir = scratch_path(*state, "sub"), *path = scratch_path(*state, "sub/a.log");
	struct logfile *f = logfile_new(path, 1000, 2);

	assert_int_equal(logfile_line(f, SLICE_LIT("lost")), -ENOENT);
	assert_int_equal(mkdir(dir, 0700), 0);
	assert_int_equal(logfile_line(f, SLICE_LIT("kept")), 0);
	logfile_free(&f);
	assert_string_equal(slurp(path), "kept\n");
}

static void
collect(void *arg, struct slice line)
{
	char *text = arg;
	size_t len = strlen(text);

	(void)snprintf(text + len, 256 - len, "[%.*s]", (int)line.len, (const char *)line.ptr);
}

static void
test_tail_gives_whole_lines_only(void **state)
{
	const char *path = scratch_path(*state, "a.log");
	char text[256] = "";
	struct logfile *f = logfile_new(path, 1000, 0);

	assert_int_equal(logfile_line(f, SLICE_LIT("aaaa")), 0);
	assert_int_equal(logfile_line(f, SLICE_LIT("bbbb")), 0);
	assert_int_equal(logfile_line(f, SLICE_LIT("cccc")), 0);
	logfile_free(&f);
	logfile_tail(path, 12, collect, text);
	assert_string_equal(text, "[bbbb][cccc]");
	text[0] = '\0';
	logfile_tail("/nonexistent/file", 12, collect, text);
	assert_string_equal(text, "");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		test_lines_are_appended, scratch_setup, scratch_teardown),
	    cmocka_unit_test_setup_teardown(
		test_rotates_by_size_and_keeps_some, scratch_setup, scratch_teardown),
	    cmocka_unit_test_setup_teardown(
		test_a_lost_folder_is_an_error_and_heals, scratch_setup, scratch_teardown),
	    cmocka_unit_test_setup_teardown(
		test_tail_gives_whole_lines_only, scratch_setup, scratch_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
