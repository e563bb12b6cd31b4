#include <errno.h>
#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "proc/process.h"
#include "proc/procfs.h"
#include "golden.h"
#include "loop_until.h"

struct fixture {
	struct loop *loop;
	struct process *p;
	const char *script; /* what /bin/sh runs */
	int prepare_rc;
	int prepared, exited, lines;
	char last_line[256], how[128];
};

static int
prepare(void *owner, struct process_launch *ret_launch, struct errmsg *err)
{
	struct fixture *f = owner;

	f->prepared++;
	if (f->prepare_rc != 0) {
		errmsg_set(err, "not ready to start");
		return f->prepare_rc;
	}
	*ret_launch = (struct process_launch){.argv = {"/bin/sh", "-c", f->script}, .pass_fd = -1};
	return 0;
}

static void
started(void *owner, pid_t pid)
{
	assert_true(pid > 1);
}

static void
changed(void *owner, enum process_state from, enum process_state to, const char *why)
{
}

static void
exited(void *owner, pid_t pid, const char *how)
{
	struct fixture *f = owner;

	f->exited++;
	(void)snprintf(f->how, sizeof(f->how), "%s", how);
}

static void
line(void *owner, struct slice text)
{
	struct fixture *f = owner;

	f->lines++;
	(void)snprintf(
	    f->last_line, sizeof(f->last_line), "%.*s", (int)text.len, (const char *)text.ptr);
}

static const struct process_ops ops = {prepare, started, changed, exited, line};

static struct process_policy
quick_policy(void)
{
	struct process_policy policy = PROCESS_POLICY_DEFAULT;

	policy.delay_first_ms = 1;
	policy.delay_max_ms = 4;
	policy.young_max = 3;
	return policy;
}

static int
setup(void **state)
{
	struct process_policy policy = quick_policy();
	struct fixture *f = calloc(1, sizeof(*f));

	f->loop = loop_new();
	f->p = process_new(f->loop, "test", &policy, &ops, f);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	if (process_runs(f->p)) {
		(void)kill(process_pid(f->p), SIGKILL);
	}
	process_free(&f->p);
	loop_free(&f->loop);
	free(f);
	return 0;
}

static bool
has_line(void *arg)
{
	return ((struct fixture *)arg)->lines > 0;
}

static bool
is_stopped(void *arg)
{
	return process_state(((struct fixture *)arg)->p) == PROCESS_STOPPED;
}

static bool
is_failed(void *arg)
{
	return process_state(((struct fixture *)arg)->p) == PROCESS_FAILED;
}

static bool
has_exited(void *arg)
{
	return ((struct fixture *)arg)->exited > 0;
}

static bool
is_waiting(void *arg)
{
	return process_state(((struct fixture *)arg)->p) == PROCESS_WAITING;
}

static void
test_table_is_the_golden_one(void **state)
{
	golden_check(&process_fsm);
	/* Proof, kick, up and down may come at any time; the others only where they can happen. */
	golden_count_absent(&process_fsm, 30);
}

static void
test_up_is_starting_until_proven(void **state)
{
	struct fixture *f = *state;

	f->script = "echo here; exec sleep 60";
	process_up(f->p);
	assert_true(loop_until(f->loop, has_line, f));
	assert_int_equal(process_state(f->p), PROCESS_STARTING);
	process_ready(f->p);
	assert_int_equal(process_state(f->p), PROCESS_READY);
	assert_string_equal(f->last_line, "here");
	process_down(f->p);
	assert_int_equal(process_state(f->p), PROCESS_STOPPING);
	assert_true(loop_until(f->loop, is_stopped, f));
	assert_int_equal(process_pid(f->p), 0);
	assert_int_equal(process_restarts(f->p), 0);
}

static void
test_dying_young_too_often_is_failed(void **state)
{
	struct fixture *f = *state;

	f->script = "echo no; exit 3";
	process_up(f->p);
	assert_true(loop_until(f->loop, is_failed, f));
	assert_int_equal(f->prepared, 3);
	assert_string_equal(f->how, "exited with status 3");
	assert_true(process_is_wanted(f->p));
}

static void
test_failed_tries_again_when_asked(void **state)
{
	struct fixture *f = *state;

	f->script = "exit 3";
	process_up(f->p);
	assert_true(loop_until(f->loop, is_failed, f));
	f->script = "echo again; exec sleep 60";
	process_up(f->p);
	assert_true(loop_until(f->loop, has_line, f));
	assert_int_equal(process_state(f->p), PROCESS_STARTING);
}

static void
test_a_program_that_is_missing_says_so(void **state)
{
	struct fixture *f = *state;

	f->prepare_rc = -2;
	process_up(f->p);
	assert_true(loop_until(f->loop, is_failed, f));
	assert_string_equal(f->how, "not ready to start");
}

static void
test_not_now_waits_for_a_kick(void **state)
{
	struct fixture *f = *state;

	f->prepare_rc = -EAGAIN;
	process_up(f->p);
	assert_int_equal(process_state(f->p), PROCESS_WAITING);
	assert_int_equal(f->prepared, 1);
	f->prepare_rc = 0;
	f->script = "echo go; exec sleep 60";
	process_kick(f->p);
	assert_int_equal(process_state(f->p), PROCESS_STARTING);
	assert_true(loop_until(f->loop, has_line, f));
}

static void
test_a_killed_one_that_had_lived_starts_at_once(void **state)
{
	struct process_policy policy = quick_policy();
	struct fixture *f = *state;
	pid_t first;

	policy.young_ms = 0; /* everything has lived long enough */
	process_set_policy(f->p, &policy);
	f->script = "echo here; exec sleep 60";
	process_up(f->p);
	assert_true(loop_until(f->loop, has_line, f));
	process_ready(f->p);
	first = process_pid(f->p);
	assert_int_equal(kill(first, SIGKILL), 0);
	assert_true(loop_until(f->loop, has_exited, f));
	assert_int_equal(process_state(f->p), PROCESS_STARTING);
	assert_int_not_equal(process_pid(f->p), first);
	assert_int_equal(process_restarts(f->p), 1);
	assert_string_equal(f->how, "killed by signal 9 (Killed)");
	assert_false(process_was_killed(f->p)); /* somebody else did it */
}

static void
test_one_that_does_not_stop_is_killed(void **state)
{
	struct process_policy policy = quick_policy();
	struct fixture *f = *state;

	policy.stop_timeout_ms = 30;
	process_set_policy(f->p, &policy);
	f->script = "trap '' TERM; echo here; while :; do sleep 1; done";
	process_up(f->p);
	assert_true(loop_until(f->loop, has_line, f));
	process_down(f->p);
	assert_false(process_was_killed(f->p));
	assert_true(loop_until(f->loop, is_stopped, f));
	assert_string_equal(f->how, "killed by signal 9 (Killed)");
	assert_true(process_was_killed(f->p));
}

/* redis-server refuses SIGTERM while it writes its first AOF after a full sync, and forgets it. */
static void
test_one_that_refuses_the_first_signal_is_asked_again(void **state)
{
	struct fixture *f = *state;
	struct process_policy policy = quick_policy();

	policy.stop_again_ms = 20;
	process_set_policy(f->p, &policy);
	f->script = "n=0; trap 'n=$((n+1)); [ $n -lt 3 ] || exit 0' TERM; echo here;"
		    " while :; do sleep 0.01; done";
	process_up(f->p);
	assert_true(loop_until(f->loop, has_line, f));
	process_down(f->p);
	assert_true(loop_until(f->loop, is_stopped, f));
	assert_false(process_was_killed(f->p));
}

static void
test_one_that_is_never_proven_is_killed(void **state)
{
	struct process_policy policy = quick_policy();
	struct fixture *f = *state;

	policy.start_timeout_ms = 30;
	process_set_policy(f->p, &policy);
	f->script = "exec sleep 60";
	process_up(f->p);
	assert_true(loop_until(f->loop, is_waiting, f));
	assert_string_equal(f->how, "killed by signal 9 (Killed)");
}

static void
test_its_children_go_with_it(void **state)
{
	struct fixture *f = *state;
	uint64_t ticks;
	struct pollfd end = {.events = POLLIN};
	pid_t grandchild;

	f->script = "sleep 60 & echo $!; wait";
	process_up(f->p);
	assert_true(loop_until(f->loop, has_line, f));
	grandchild = (pid_t)strtol(f->last_line, NULL, 10);
	assert_int_equal(procfs_start_ticks(grandchild, &ticks), 0);
	end.fd = (int)syscall(SYS_pidfd_open, grandchild, 0);
	assert_true(end.fd >= 0);
	process_kill(f->p);
	assert_true(loop_until(f->loop, has_exited, f));
	/* it is another's child now: its end, not its burial, is what we can see */
	assert_int_equal(poll(&end, 1, 10000), 1);
	(void)close(end.fd);
}

static pid_t
start_sh(const char *script, int out)
{
	pid_t pid = fork();

	if (pid == 0) {
		(void)dup2(out, 1);
		(void)setsid();
		(void)execl("/bin/sh", "sh", "-c", script, (char *)NULL);
		_exit(127);
	}
	return pid;
}

/* A process that the program before us in this process had started. */
static pid_t
start_child(const char *script, int *ret_out)
{
	int ends[2];
	pid_t pid;

	assert_int_equal(pipe(ends), 0);
	pid = start_sh(script, ends[1]);
	(void)close(ends[1]);
	*ret_out = ends[0];
	return pid;
}

/* A process of an earlier supervisor: started by somebody else, found by pid and start time. */
static pid_t
start_stranger(const char *script, int *ret_out)
{
	int ends[2], told[2], status;
	pid_t between, pid = 0;

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(pipe(told), 0);
	between = fork();
	if (between == 0) {
		pid = start_sh(script, ends[1]);
		_exit(write(told[1], &pid, sizeof(pid)) == (ssize_t)sizeof(pid) ? 0 : 1);
	}
	assert_int_equal(waitpid(between, &status, 0), between);
	assert_int_equal(read(told[0], &pid, sizeof(pid)), sizeof(pid));
	(void)close(told[0]);
	(void)close(told[1]);
	(void)close(ends[1]);
	*ret_out = ends[0];
	return pid;
}

static void
test_adopts_only_the_very_process(void **state)
{
	struct fixture *f = *state;
	uint64_t ticks;
	char byte;
	pid_t pid;
	int out;

	pid = start_stranger("echo up; exec sleep 60", &out);
	assert_int_equal(read(out, &byte, 1), 1);
	assert_int_equal(procfs_start_ticks(pid, &ticks), 0);
	assert_int_equal(process_adopt(f->p, pid, ticks + 1), -ESRCH);
	assert_int_equal(process_state(f->p), PROCESS_STOPPED);
	assert_int_equal(process_adopt(f->p, pid, ticks), 0);
	assert_int_equal(process_state(f->p), PROCESS_ADOPTED);
	process_ready(f->p);
	assert_int_equal(process_state(f->p), PROCESS_READY);
	assert_int_equal(process_pid(f->p), pid);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_true(loop_until(f->loop, has_exited, f));
	assert_int_equal(process_pid(f->p), 0);
	(void)close(out);
}

/* The program that we are may have taken another's place: then it reaps, and hears how it ended. */
static void
test_an_adopted_child_of_our_own_is_reaped_and_its_end_is_known(void **state)
{
	struct fixture *f = *state;
	uint64_t ticks;
	char byte;
	pid_t pid;
	int out;

	pid = start_child("echo up; exec sleep 60", &out);
	assert_int_equal(read(out, &byte, 1), 1);
	assert_int_equal(procfs_start_ticks(pid, &ticks), 0);
	assert_int_equal(process_adopt(f->p, pid, ticks), 0);
	assert_int_equal(process_state(f->p), PROCESS_ADOPTED);
	process_ready(f->p);
	process_kill(f->p);
	assert_true(loop_until(f->loop, has_exited, f));
	assert_string_equal(f->how, "killed by signal 9 (Killed)");
	assert_int_equal(waitpid(pid, NULL, WNOHANG), -1);
	assert_int_equal(errno, ECHILD);
	(void)close(out);
}

static void
test_children_of_an_adopted_one_go_with_it(void **state)
{
	struct pollfd end = {.events = POLLIN};
	struct fixture *f = *state;
	char text[32] = "";
	uint64_t ticks;
	pid_t pid;
	int out;

	pid = start_stranger("sleep 60 & echo $!; wait", &out);
	assert_true(read(out, text, sizeof(text) - 1) > 0);
	end.fd = (int)syscall(SYS_pidfd_open, (pid_t)strtol(text, NULL, 10), 0);
	assert_true(end.fd >= 0);
	assert_int_equal(procfs_start_ticks(pid, &ticks), 0);
	assert_int_equal(process_adopt(f->p, pid, ticks), 0);
	process_kill(f->p);
	assert_true(loop_until(f->loop, has_exited, f));
	assert_int_equal(poll(&end, 1, 10000), 1);
	(void)close(end.fd);
	(void)close(out);
}

/* The child holds both ends of its pipe: without a reader it neither dies nor blocks, and a new reader gets what it said. */
static void
test_output_outlives_its_reader(void **state)
{
	struct process_policy policy = quick_policy();
	struct fixture *f = *state;
	uint64_t ticks;
	pid_t pid;

	f->script = "trap 'echo still here' USR1; echo first; i=0;"
		    "while [ $i -lt 50000 ]; do echo line $i; i=$((i+1)); done;"
		    "while :; do sleep 0.01; done";
	process_up(f->p);
	assert_true(loop_until(f->loop, has_line, f));
	pid = process_pid(f->p);
	ticks = process_start_ticks(f->p);
	process_free(&f->p); /* the reader is gone */
	f->lines = 0;
	f->p = process_new(f->loop, "test", &policy, &ops, f);
	assert_int_equal(process_adopt(f->p, pid, ticks), 0);
	assert_true(loop_until(f->loop, has_line, f));
	assert_int_equal(strncmp(f->last_line, "line ", 5), 0);
	f->last_line[0] = '\0';
	do {
		f->lines = 0;
		(void)kill(pid, SIGUSR1);
		assert_true(loop_until(f->loop, has_line, f));
	} while (strcmp(f->last_line, "still here") != 0);
}

#define T(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(test_table_is_the_golden_one),
	    T(test_up_is_starting_until_proven),
	    T(test_dying_young_too_often_is_failed),
	    T(test_failed_tries_again_when_asked),
	    T(test_a_program_that_is_missing_says_so),
	    T(test_not_now_waits_for_a_kick),
	    T(test_a_killed_one_that_had_lived_starts_at_once),
	    T(test_one_that_does_not_stop_is_killed),
	    T(test_one_that_refuses_the_first_signal_is_asked_again),
	    T(test_one_that_is_never_proven_is_killed),
	    T(test_its_children_go_with_it),
	    T(test_adopts_only_the_very_process),
	    T(test_an_adopted_child_of_our_own_is_reaped_and_its_end_is_known),
	    T(test_children_of_an_adopted_one_go_with_it),
	    T(test_output_outlives_its_reader),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
