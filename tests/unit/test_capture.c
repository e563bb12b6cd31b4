/* Programs that are run to their end: what they said, how they ended, and that nothing goes on without a bound. */
#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/clock.h"
#include "base/mem.h"
#include "proc/capture.h"

#define FOREVER_MS 60000

/* Runs a shell's words; the text is in `out` with a NUL behind it. */
static int
run(const char *words, uint64_t timeout_ms, struct buf *out, int *ret_status, struct errmsg *err)
{
	char *script = xstrdup(words), shell[] = "/bin/sh", option[] = "-c";
	char *argv[] = {shell, option, script, NULL};
	int rc;

	buf_init(out, 10000);
	rc = capture("/bin/sh", argv, timeout_ms, out, ret_status, err);
	out->max = 0;
	assert_int_equal(buf_add(out, "", 1), 0);
	free(script);
	return rc;
}

static const char *
text(const struct buf *out)
{
	return (const char *)buf_slice(out).ptr;
}

static void
output_and_status(void **state)
{
	struct errmsg err = ERRMSG_NONE;
	struct buf out;
	int status = -1;

	assert_int_equal(run("echo one; echo two >&2; exit 3", FOREVER_MS, &out, &status, &err), 0);
	assert_string_equal(text(&out), "one\ntwo\n");
	assert_int_equal(status, 3);
	buf_fini(&out);
}

static void
ended_by_a_signal(void **state)
{
	struct errmsg err = ERRMSG_NONE;
	struct buf out;
	int status = -1;

	assert_int_equal(run("echo x; kill -9 $$", FOREVER_MS, &out, &status, &err), -ECHILD);
	assert_string_equal(text(&out), "x\n");
	assert_non_null(strstr(err.text, "signal"));
	buf_fini(&out);
}

static void
too_much_output(void **state)
{
	struct errmsg err = ERRMSG_NONE;
	struct buf out;
	int status = -1;

	assert_int_equal(
	    run("while :; do echo xxxxxxxxxxxxxxxx; done", FOREVER_MS, &out, &status, &err),
	    -ENOBUFS);
	assert_non_null(strstr(err.text, "too much"));
	buf_fini(&out);
}

/* The pid that the script printed: its process ends, now. */
static void
assert_gone(const char *printed)
{
	long pid = strtol(printed, NULL, 10);
	struct pollfd p = {.events = POLLIN};

	assert_true(pid > 1);
	p.fd = (int)syscall(SYS_pidfd_open, (pid_t)pid, 0);
	if (p.fd == -1) {
		assert_int_equal(errno, ESRCH);
		return;
	}
	assert_int_equal(poll(&p, 1, 10000), 1);
	(void)close(p.fd);
}

static void
too_much_time(void **state)
{
	static const char *const scripts[] = {
	    "echo $$; exec sleep 100",                /* says something and stays */
	    "echo $$; exec >&- 2>&-; exec sleep 100", /* closes its output and stays */
	    "sleep 100 & echo $!", /* goes, and leaves a child that holds the output */
	};

	for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
		struct errmsg err = ERRMSG_NONE;
		uint64_t before = clock_mono_ms();
		struct buf out;
		int status = -1;

		assert_int_equal(run(scripts[i], 200, &out, &status, &err), -ETIMEDOUT);
		assert_true(clock_mono_ms() - before >= 200);
		assert_non_null(strstr(err.text, "in time"));
		assert_gone(text(&out));
		buf_fini(&out);
	}
}

static void
no_program(void **state)
{
	char name[] = "x";
	char *argv[] = {name, NULL};
	struct errmsg err = ERRMSG_NONE;
	struct buf out;
	int status = -1;

	buf_init(&out, 100);
	assert_int_equal(capture("/nowhere/x", argv, FOREVER_MS, &out, &status, &err), -ENOENT);
	assert_non_null(strstr(err.text, "/nowhere/x"));
	assert_int_equal(buf_len(&out), 0);
	buf_fini(&out);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(output_and_status),
	    cmocka_unit_test(ended_by_a_signal),
	    cmocka_unit_test(too_much_output),
	    cmocka_unit_test(too_much_time),
	    cmocka_unit_test(no_program),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
