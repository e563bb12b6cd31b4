/* What passes from one binary to the next, over a real exec: this test is both of them. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "open_fds.h"
#include "supervisor/legacy.h"

extern char **environ;

static char **
strings(const char *const *words)
{
	return legacy_strings_dup((char *const *)(uintptr_t)words);
}

#define STRINGS(...) strings((const char *const[]){__VA_ARGS__, NULL})

/* The next one: says over its client's connection what it has found, word by word. */
static int
be_the_next_one(void)
{
	struct legacy *l = legacy_find();
	sigset_t blocked;
	char text[512];
	int len;

	if (l == NULL || l->client_fd == -1 || sigprocmask(SIG_SETMASK, NULL, &blocked) == -1) {
		return 3;
	}
	len = snprintf(text, sizeof(text), "%s %s %s %s%s %d%d%d %d%d %s", l->from,
	    l->why != NULL ? l->why : "-", l->argv[1], l->env[0], l->env[1] != NULL ? "+" : "",
	    l->lock_fd != -1, l->exe_fd != -1, (fcntl(l->client_fd, F_GETFD) & FD_CLOEXEC) != 0,
	    sigismember(&blocked, SIGTERM), sigismember(&blocked, SIGCHLD), getenv("SEEN"));
	if (write(l->client_fd, text, (size_t)len) != len) {
		return 4;
	}
	legacy_free(&l, true);
	return legacy_find() == NULL && getenv("HF_UPGRADE") == NULL ? 0 : 5;
}

/* What the next one says; its exit code is 0. */
static void
pass_on(struct legacy *l, const char *path, char *text, size_t size)
{
	int ends[2], status;
	ssize_t n;
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends), 0);
	l->client_fd = ends[1];
	pid = fork();
	if (pid == 0) {
		_exit(legacy_exec(l, path, l->exe_fd) < 0 ? 9 : 0);
	}
	(void)close(ends[1]);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	n = read(ends[0], text, size - 1);
	text[n > 0 ? n : 0] = '\0';
	(void)close(ends[0]);
	assert_int_equal(WEXITSTATUS(status), 0);
	assert_true(WIFEXITED(status));
}

static void
the_next_one_finds_all_of_it(void **state)
{
	struct legacy l = {.lock_fd = open("/dev/null", O_RDONLY | O_CLOEXEC),
	    .exe_fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC),
	    .from = "1.2.3",
	    .argv = STRINGS("test", "next one"),
	    .env = STRINGS("SEEN=a=b", "HF_UPGRADE=7")};
	char text[512];

	pass_on(&l, "/proc/self/exe", text, sizeof(text));
	assert_string_equal(text, "1.2.3 - next one SEEN=a=b 111 10 a=b");
	(void)close(l.lock_fd);
	(void)close(l.exe_fd);
	legacy_strings_free(l.argv);
	legacy_strings_free(l.env);
}

static void
the_one_before_is_put_back_from_its_descriptor(void **state)
{
	struct legacy l = {.lock_fd = -1,
	    .exe_fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC),
	    .from = "1.2.4",
	    .why = (char[]){"it broke"},
	    .argv = STRINGS("test", "next"),
	    .env = STRINGS("SEEN=")};
	char text[512];

	pass_on(&l, NULL, text, sizeof(text));
	assert_string_equal(text, "1.2.4 it broke next SEEN= 011 10 ");
	(void)close(l.exe_fd);
	legacy_strings_free(l.argv);
	legacy_strings_free(l.env);
}

static void
when_it_cannot_be_executed_all_is_as_before(void **state)
{
	struct legacy l = {.lock_fd = open("/dev/null", O_RDONLY | O_CLOEXEC),
	    .exe_fd = -1,
	    .client_fd = -1,
	    .argv = STRINGS("test"),
	    .env = STRINGS("A=1")};
	size_t before = open_fds();
	sigset_t blocked;

	(void)signal(SIGPIPE, SIG_IGN);
	assert_int_equal(legacy_exec(&l, "/nowhere/at/all", -1), -ENOENT);
	assert_int_equal(legacy_exec(&l, "/dev/null", -1), -EACCES);
	assert_int_equal(open_fds(), before);
	assert_int_equal(sigprocmask(SIG_SETMASK, NULL, &blocked), 0);
	assert_int_equal(sigismember(&blocked, SIGTERM), 0);
	assert_ptr_equal(signal(SIGPIPE, SIG_IGN), SIG_IGN);
	(void)close(l.lock_fd);
	legacy_strings_free(l.argv);
	legacy_strings_free(l.env);
}

static void
what_is_not_ours_is_nothing(void **state)
{
	static const char *const values[] = {"", "x", "-1", "250", "0", "99999999999"};
	int ends[2];
	char number[16];

	assert_null(legacy_find());
	for (size_t i = 0; i < sizeof(values) / sizeof(values[0]); i++) {
		assert_int_equal(setenv("HF_UPGRADE", values[i], 1), 0);
		assert_null(legacy_find());
	}
	assert_int_equal(pipe(ends), 0);
	(void)snprintf(number, sizeof(number), "%d", ends[0]);
	assert_int_equal(setenv("HF_UPGRADE", number, 1), 0);
	assert_null(legacy_find());
	(void)close(ends[0]);
	(void)close(ends[1]);
	assert_int_equal(unsetenv("HF_UPGRADE"), 0);
}

int
main(int argc, char **argv)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_is_not_ours_is_nothing),
	    cmocka_unit_test(the_next_one_finds_all_of_it),
	    cmocka_unit_test(the_one_before_is_put_back_from_its_descriptor),
	    cmocka_unit_test(when_it_cannot_be_executed_all_is_as_before),
	};

	if (getenv("HF_UPGRADE") != NULL) {
		return be_the_next_one();
	}
	return cmocka_run_group_tests(tests, NULL, NULL);
}
