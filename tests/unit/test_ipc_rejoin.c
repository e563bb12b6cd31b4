/* A worker that lost its supervisor, and the next one: who is let in, and when. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "ipc/channel.h"
#include "ipc/rejoin.h"
#include "loop_until.h"
#include "scratch.h"

struct fixture {
	struct loop *loop;
	struct rejoin *rejoin;
	char *dir;
	int home; /* the folder that we came from */
	size_t came;
	int fd; /* of the last one that came */
	struct channel *ours, *theirs;
	size_t msgs, gone;
	char verb[64];
};

static void
on_came(void *owner, int fd)
{
	struct fixture *f = owner;

	f->came++;
	f->fd = fd;
}

static bool
has_come(void *arg)
{
	return ((struct fixture *)arg)->fd != -1;
}

static void
on_msg(struct channel *ch, void *owner, struct channel_msg *msg)
{
	struct fixture *f = owner;

	f->msgs++;
	(void)snprintf(f->verb, sizeof(f->verb), "%s", msg->verb);
}

static void
on_gone(struct channel *ch, void *owner)
{
	struct fixture *f = owner;

	f->gone++;
	channel_close(&f->ours);
}

static const struct channel_ops ops = {on_msg, on_gone};

static int
setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->fd = -1;
	f->loop = loop_new();
	f->dir = scratch_make();
	f->home = open(".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	assert_int_equal(chdir(f->dir), 0);
	assert_int_equal(rejoin_new(f->loop, "proxy-1", on_came, f, &f->rejoin), 0);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	rejoin_free(&f->rejoin);
	channel_close(&f->ours);
	channel_close(&f->theirs);
	if (f->fd != -1) {
		(void)close(f->fd);
	}
	loop_free(&f->loop);
	assert_int_equal(fchdir(f->home), 0);
	(void)close(f->home);
	scratch_remove(&f->dir);
	free(f);
	return 0;
}

static int
call(struct fixture *f)
{
	int fd = -1;

	assert_int_equal(rejoin_connect(f->dir, "proxy-1", getpid(), &fd), 0);
	return fd;
}

static void
its_socket_is_private(void **state)
{
	struct stat st;

	assert_int_equal(lstat("proxy-1.sock", &st), 0);
	assert_true(S_ISSOCK(st.st_mode));
	assert_int_equal(st.st_mode & 0777, 0600);
}

static void
a_caller_waits_until_the_channel_is_gone(void **state)
{
	struct fixture *f = *state;
	int fd = call(f);

	/* Turns of the loop: it would come in any of them. */
	for (int i = 0; i < 3; i++) {
		(void)ev_run(loop_ev(f->loop), EVRUN_NOWAIT);
	}
	assert_int_equal(f->came, 0);
	rejoin_accept(f->rejoin);
	assert_true(loop_until(f->loop, has_come, f));
	assert_int_equal(write(fd, "x", 1), 1);
	(void)close(fd);
}

static void
one_is_let_in_the_next_waits_again(void **state)
{
	struct fixture *f = *state;
	int first = call(f), second = call(f);

	rejoin_accept(f->rejoin);
	assert_true(loop_until(f->loop, has_come, f));
	for (int i = 0; i < 3; i++) {
		(void)ev_run(loop_ev(f->loop), EVRUN_NOWAIT);
	}
	assert_int_equal(f->came, 1);
	(void)close(f->fd);
	f->fd = -1;
	rejoin_accept(f->rejoin);
	assert_true(loop_until(f->loop, has_come, f));
	assert_int_equal(f->came, 2);
	(void)close(first);
	(void)close(second);
}

static void
another_process_at_its_place_is_not_taken_for_it(void **state)
{
	struct fixture *f = *state;
	int fd = -1;

	assert_int_equal(rejoin_connect(f->dir, "proxy-1", getpid() + 1, &fd), -ESRCH);
	assert_int_equal(fd, -1);
}

static void
nobody_there_is_said_at_once(void **state)
{
	struct fixture *f = *state;
	int fd = -1;

	assert_int_equal(rejoin_connect(f->dir, "http-1", getpid(), &fd), -ENOENT);
	assert_int_equal(
	    rejoin_connect(scratch_path(f->dir, "no"), "http-1", getpid(), &fd), -ENOENT);
	assert_int_equal(fd, -1);
}

static void
a_stale_file_is_replaced_and_removed_at_the_end(void **state)
{
	struct fixture *f = *state;
	struct stat st;
	pid_t pid = fork();
	int status;

	/* One that is killed leaves its file. */
	if (pid == 0) {
		struct rejoin *r = NULL;

		_exit(rejoin_new(f->loop, "http-1", on_came, f, &r) == 0 ? 0 : 1);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(status, 0);
	assert_int_equal(lstat("http-1.sock", &st), 0);
	rejoin_free(&f->rejoin);
	assert_int_equal(lstat("proxy-1.sock", &st), -1);
	assert_int_equal(rejoin_new(f->loop, "http-1", on_came, f, &f->rejoin), 0);
	rejoin_free(&f->rejoin);
	assert_int_equal(lstat("http-1.sock", &st), -1);
}

static void
another_ones_file_is_left_alone(void **state)
{
	struct fixture *f = *state;
	struct rejoin *other = NULL;
	struct stat st;

	assert_int_equal(rejoin_new(f->loop, "proxy-1", on_came, f, &other), 0);
	rejoin_free(&f->rejoin);
	assert_int_equal(lstat("proxy-1.sock", &st), 0);
	f->rejoin = other;
}

static void
what_is_removed_for_a_dead_one_is_its_file(void **state)
{
	struct fixture *f = *state;
	struct stat st;

	rejoin_remove(f->dir, "proxy-1");
	assert_int_equal(lstat("proxy-1.sock", &st), -1);
	rejoin_remove(f->dir, "proxy-1"); /* none there */
}

/* The connection carries what a channel of socketpair carries, the longest message too. */
static void
the_longest_message_passes_both_ways(void **state)
{
	struct fixture *f = *state;
	int fd = call(f);
	char *text = xcalloc(1, IPC_MAX_BYTES);

	memset(text, 'x', IPC_MAX_BYTES - sizeof("config") - 1);
	rejoin_accept(f->rejoin);
	assert_true(loop_until(f->loop, has_come, f));
	f->ours = channel_new(f->loop, fd, &ops, f);
	f->theirs = channel_new(f->loop, f->fd, &ops, f);
	f->fd = -1;
	assert_int_equal(channel_send(f->ours, -1, "config", text, NULL), 0);
	assert_int_equal(channel_wait(f->theirs, 10000), 0);
	assert_string_equal(f->verb, "config");
	assert_int_equal(channel_send(f->theirs, -1, "ready", text, NULL), 0);
	assert_int_equal(channel_wait(f->ours, 10000), 0);
	assert_string_equal(f->verb, "ready");
	free(text);
}

static void
waiting_ends_with_the_time_and_with_the_peer(void **state)
{
	struct fixture *f = *state;
	int ours = -1, theirs = -1;

	assert_int_equal(channel_pair(&ours, &theirs), 0);
	f->ours = channel_new(f->loop, ours, &ops, f);
	assert_int_equal(channel_wait(f->ours, 0), -ETIMEDOUT);
	assert_int_equal(channel_wait(f->ours, 20), -ETIMEDOUT);
	assert_int_equal(send(theirs, "last", 5, 0), 5);
	(void)close(theirs);
	assert_int_equal(
	    channel_wait(f->ours, 0), 0); /* what has arrived is read without any time */
	assert_string_equal(f->verb, "last");
	assert_int_equal(channel_wait(f->ours, 10000), -EPIPE);
	assert_int_equal(f->gone, 1);
	assert_null(f->ours);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	    T(its_socket_is_private),
	    T(a_caller_waits_until_the_channel_is_gone),
	    T(one_is_let_in_the_next_waits_again),
	    T(another_process_at_its_place_is_not_taken_for_it),
	    T(nobody_there_is_said_at_once),
	    T(a_stale_file_is_replaced_and_removed_at_the_end),
	    T(another_ones_file_is_left_alone),
	    T(what_is_removed_for_a_dead_one_is_its_file),
	    T(the_longest_message_passes_both_ways),
	    T(waiting_ends_with_the_time_and_with_the_peer),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
