#include "proc/spawn.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

extern char **environ;

/* What a server may need of our environment; a trailing '*' matches the rest of a name. */
static const char *const passed_names[] = {"PATH", "HOME", "USER", "LOGNAME", "LANG", "LC_*", "TZ",
    "TMPDIR", "LD_LIBRARY_PATH", "MALLOC_*", "ASAN_OPTIONS", "UBSAN_OPTIONS", "LSAN_OPTIONS",
    "GCOV_*", "LLVM_PROFILE_FILE", "SSL_CERT_*"};

static bool
is_passed(const char *assignment)
{
	for (size_t i = 0; i < ARRAY_LEN(passed_names); i++) {
		const char *name = passed_names[i];
		size_t len = strlen(name);

		if (name[len - 1] == '*'
			? strncmp(assignment, name, len - 1) == 0
			: strncmp(assignment, name, len) == 0 && assignment[len] == '=') {
			return true;
		}
	}
	return false;
}

/* The child's environment: an array to free; the strings are ours. */
static char **
build_environment(bool whole)
{
	size_t count = 0, n = 0;
	char **env;

	while (environ[count] != NULL) {
		count++;
	}
	env = xcalloc(count + 1, sizeof(*env));
	for (size_t i = 0; i < count; i++) {
		if (whole || is_passed(environ[i])) {
			env[n++] = environ[i];
		}
	}
	return env;
}

/* From here to exec only async-signal-safe calls. Both fds are above 3 (the caller saw to it). */
static void ATTR_NORETURN
child(const struct spawn_spec *spec, char **env, int report_fd)
{
	struct sigaction dfl = {.sa_handler = SIG_DFL};
	sigset_t none;
	int error;

	(void)sigemptyset(&none);
	for (int sig = 1; sig < NSIG; sig++) {
		(void)sigaction(sig, &dfl, NULL);
	}
	(void)sigprocmask(SIG_SETMASK, &none, NULL);
	(void)setsid();
	(void)umask(077);
	if (spec->dies_with_us) {
		(void)prctl(PR_SET_PDEATHSIG, SIGKILL);
	}
	if ((spec->cwd != NULL && chdir(spec->cwd) == -1) ||
	    dup2(spec->out_fd, STDOUT_FILENO) == -1 || dup2(spec->out_fd, STDERR_FILENO) == -1 ||
	    (spec->pass_fd != -1 && dup2(spec->pass_fd, 3) == -1)) {
		goto failed;
	}
	(void)close(STDIN_FILENO);
	if (open("/dev/null", O_RDONLY) == -1) {
		goto failed;
	}
	/* Whatever else we hold, also what our own parent had left open, ends with exec. */
	(void)close_range(spec->pass_fd != -1 ? 4 : 3, ~0U, CLOSE_RANGE_CLOEXEC);
	environ = env;
	(void)execvp(spec->path, spec->argv);
failed:
	error = errno;
	if (write(report_fd, &error, sizeof(error)) == -1) {
		_exit(126);
	}
	_exit(127);
}

/* dup2 to 0..3 must not overwrite a descriptor that is still to be used. */
static int
move_up(int fd)
{
	return fd == -1 ? -1 : fcntl(fd, F_DUPFD_CLOEXEC, 10);
}

int
spawn(const struct spawn_spec *spec, pid_t *ret_pid, struct errmsg *err)
{
	struct spawn_spec moved = *spec;
	char **env = build_environment(spec->whole_env);
	sigset_t all, before;
	int report[2] = {-1, -1}, report_fd = -1, error = 0, rc = 0;
	ssize_t n;
	pid_t pid;

	moved.out_fd = move_up(spec->out_fd);
	moved.pass_fd = move_up(spec->pass_fd);
	if (pipe2(report, O_CLOEXEC) == -1 || (report_fd = move_up(report[1])) == -1 ||
	    moved.out_fd == -1 || (spec->pass_fd != -1 && moved.pass_fd == -1)) {
		rc = -errno;
		errmsg_set(err, "cannot start %s: %m", spec->path);
		goto out;
	}
	/* A signal handler of ours must never run in the child. */
	(void)sigfillset(&all);
	(void)sigprocmask(SIG_SETMASK, &all, &before);
	pid = fork();
	if (pid == 0) {
		child(&moved, env, report_fd);
	}
	error = errno;
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	if (pid == -1) {
		rc = -error;
		errmsg_set(err, "cannot start %s: %s", spec->path, strerror(error));
		goto out;
	}
	(void)close(report_fd);
	(void)close(report[1]);
	report_fd = report[1] = -1;
	do {
		n = read(report[0], &error, sizeof(error));
	} while (n == -1 && errno == EINTR);
	if (n == (ssize_t)sizeof(error)) {
		rc = -error;
		errmsg_set(err, "cannot start %s%s%s: %s", spec->path,
		    spec->cwd != NULL ? " in " : "", spec->cwd != NULL ? spec->cwd : "",
		    strerror(error));
		goto out; /* the loop reaps the child, which nobody watches */
	}
	*ret_pid = pid;
out:
	if (report[0] != -1) {
		(void)close(report[0]);
	}
	if (report[1] != -1) {
		(void)close(report[1]);
	}
	if (report_fd != -1) {
		(void)close(report_fd);
	}
	if (moved.out_fd != -1) {
		(void)close(moved.out_fd);
	}
	if (moved.pass_fd != -1) {
		(void)close(moved.pass_fd);
	}
	free(env);
	return rc;
}
