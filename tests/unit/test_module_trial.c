/*
 * A trial load against a server of ours: this very program, which the trial starts as its redis-server. The real one is in
 * tests/integration/test_modules.py.
 */
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/defs.h"
#include "instance/module_trial.h"
#include "loop_until.h"
#include "scratch.h"

#define SERVER  "redis-server"
#define WAIT_MS 10000

/* ---- the server ---- */

static int
next_client(int listener)
{
	struct pollfd p = {.fd = listener, .events = POLLIN};

	return poll(&p, 1, WAIT_MS) == 1 ? accept(listener, NULL, NULL) : -1;
}

static bool
read_until(int fd, const char *word)
{
	char text[1024] = "";
	size_t len = 0;
	ssize_t n;

	while (strstr(text, word) == NULL) {
		n = read(fd, text + len, sizeof(text) - len - 1);
		if (n <= 0) {
			return false;
		}
		len += (size_t)n;
		text[len] = '\0';
	}
	return true;
}

/* Tells its modules, and lets in one connection more, which it cuts, before it ends. */
static int
serve(void)
{
	static const char said[] = "*1\r\n*4\r\n$4\r\nname\r\n$2\r\nbf\r\n$3\r\nver\r\n:20400\r\n"
				   "$21\r\nredis_version:7.0.15\n\r\n";
	struct sockaddr_un at = {.sun_family = AF_UNIX, .sun_path = "s"};
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0), first, second;

	if (bind(listener, (struct sockaddr *)&at, sizeof(at)) == -1 || listen(listener, 8) == -1) {
		return 1;
	}
	first = next_client(listener);
	if (!read_until(first, "INFO") ||
	    write(first, said, sizeof(said) - 1) != (ssize_t)sizeof(said) - 1) {
		return 1;
	}
	(void)close(first);
	second = next_client(listener);
	if (read_until(second, "MODULE")) {
		(void)close(second);
		(void)mkdir("../second", 0700);
	}
	return 0;
}

/* In place of libc's: the server is slow to die. */
int
kill(pid_t pid, int sig)
{
	return pid > 0 && sig == SIGKILL ? 0 : (int)syscall(SYS_kill, pid, sig);
}

/* ---- the test ---- */

struct seen {
	unsigned calls;
	bool loaded;
	size_t count;
	char name[64];
};

static void
on_result(void *arg, const struct module_trial_result *r)
{
	struct seen *seen = arg;

	seen->calls++;
	seen->loaded = r->loaded;
	seen->count = r->count;
	if (r->count > 0) {
		(void)snprintf(seen->name, sizeof(seen->name), "%s", r->seen[0].name);
	}
}

static bool
is_over(void *arg)
{
	return ((struct seen *)arg)->calls > 0;
}

static void
what_it_named_stands_though_another_connection_is_cut(void **state)
{
	char *self = realpath("/proc/self/exe", NULL), *scratch = scratch_make();
	struct module_trial_spec spec = {.program = self, .scratch = scratch, .lines = ""};
	struct loop *loop = loop_new();
	struct errmsg err = ERRMSG_NONE;
	struct seen seen = {0};
	struct module_trial *trial = module_trial_new(loop, &spec, on_result, &seen, &err);

	assert_non_null(trial);
	assert_true(loop_until(loop, is_over, &seen));
	assert_int_equal(access(scratch_path(scratch, "second"), F_OK), 0);
	assert_true(seen.loaded);
	assert_int_equal(seen.count, 1);
	assert_string_equal(seen.name, "bf");
	module_trial_free(&trial);
	loop_free(&loop);
	scratch_remove(&scratch);
	free(self);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_it_named_stands_though_another_connection_is_cut),
	};

	if (argc > 0 && strcmp(argv[0], SERVER) == 0) {
		return serve();
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
