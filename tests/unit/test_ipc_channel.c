/* The channel over a real socket pair: what arrives, in which order, and what a hostile or dying
 * peer can do. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "ipc/channel.h"
#include "net/loop.h"
#include "open_fds.h"

struct fixture {
	struct loop *loop;
	struct channel *ours, *theirs;
	int our_fd, their_fd;
	ev_timer guard;
	/* What `theirs` heard. */
	size_t msgs, stop_after;
	char verb[64];
	size_t arg_count;
	char args[4][64];
	size_t last_len;
	int fd; /* taken from a message */
	size_t fd_count;
	bool close_in_callback, in_order;
	size_t gone;
};

static void
on_guard(struct ev_loop *ev, ev_timer *w, int revents)
{
	fail_msg("nothing happened for 10 s");
}

static void
on_msg(struct channel *ch, void *owner, struct channel_msg *msg)
{
	struct fixture *f = owner;

	(void)snprintf(f->verb, sizeof(f->verb), "%s", msg->verb);
	f->arg_count = msg->arg_count;
	for (size_t i = 0; i < msg->arg_count && i < 4; i++) {
		(void)snprintf(f->args[i], sizeof(f->args[i]), "%s", msg->args[i]);
		f->last_len = strlen(msg->args[i]);
	}
	assert_null(msg->args[msg->arg_count]);
	if (msg->arg_count > 0 && strcmp(msg->verb, "n") == 0) {
		f->in_order = f->in_order && strtoul(msg->args[0], NULL, 10) == f->msgs;
	}
	f->fd_count = msg->fd_count;
	if (msg->fd_count > 0) {
		f->fd = msg->fds[0];
		msg->fds[0] = -1;
	}
	if (f->close_in_callback) {
		channel_close(&f->theirs);
	}
	if (++f->msgs == f->stop_after) {
		loop_stop(f->loop);
	}
}

static void
on_gone(struct channel *ch, void *owner)
{
	struct fixture *f = owner;

	f->gone++;
	loop_stop(f->loop);
}

static const struct channel_ops ops = {on_msg, on_gone};

static int
setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->loop = loop_new();
	f->fd = -1;
	f->in_order = true;
	assert_int_equal(channel_pair(&f->our_fd, &f->their_fd), 0);
	f->ours = channel_new(f->loop, f->our_fd, &ops, f);
	f->theirs = channel_new(f->loop, f->their_fd, &ops, f);
	ev_timer_init(&f->guard, on_guard, 10., 0.);
	ev_timer_start(loop_ev(f->loop), &f->guard);
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	channel_close(&f->ours);
	channel_close(&f->theirs);
	ev_timer_stop(loop_ev(f->loop), &f->guard);
	if (f->fd != -1) {
		(void)close(f->fd);
	}
	loop_free(&f->loop);
	free(f);
	return 0;
}

static void
run_until(struct fixture *f, size_t msgs)
{
	f->stop_after = msgs;
	loop_run(f->loop);
}

static void
verb_and_arguments_arrive(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(channel_send(f->ours, -1, "master", "10.0.0.1", "", "7", NULL), 0);
	run_until(f, 1);
	assert_string_equal(f->verb, "master");
	assert_int_equal(f->arg_count, 3);
	assert_string_equal(f->args[0], "10.0.0.1");
	assert_string_equal(f->args[1], "");
	assert_string_equal(f->args[2], "7");
	assert_int_equal(f->fd_count, 0);
}

static void
verb_alone_arrives(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(channel_send(f->ours, -1, "go", NULL), 0);
	run_until(f, 1);
	assert_string_equal(f->verb, "go");
	assert_int_equal(f->arg_count, 0);
}

static void
as_many_arguments_as_allowed_and_no_more(void **state)
{
	struct fixture *f = *state;
	const char *args[IPC_MAX_ARGS + 1];

	for (size_t i = 0; i < ARRAY_LEN(args); i++) {
		args[i] = "a";
	}
	assert_int_equal(
	    channel_sendv(f->ours, -1, "sentinels", args, IPC_MAX_ARGS + 1), -EMSGSIZE);
	assert_int_equal(channel_sendv(f->ours, -1, "sentinels", args, IPC_MAX_ARGS), 0);
	run_until(f, 1);
	assert_int_equal(f->arg_count, IPC_MAX_ARGS);
	assert_string_equal(f->verb, "sentinels");
}

static void
descriptor_arrives_and_works(void **state)
{
	struct fixture *f = *state;
	int ends[2];
	char byte = 0;

	assert_int_equal(pipe(ends), 0);
	assert_int_equal(channel_send(f->ours, ends[1], "listen", "proxy.listen", NULL), 0);
	(void)close(ends[1]);
	run_until(f, 1);
	assert_int_equal(f->fd_count, 1);
	assert_true(fcntl(f->fd, F_GETFD) & FD_CLOEXEC);
	assert_int_equal(write(f->fd, "x", 1), 1);
	assert_int_equal(read(ends[0], &byte, 1), 1);
	assert_int_equal(byte, 'x');
	(void)close(ends[0]);
}

/* One datagram, past the channel. */
static void
send_with_fds(struct fixture *f, const char *text, const int *fds, size_t count)
{
	union {
		struct cmsghdr align;
		char bytes[CMSG_SPACE(16 * sizeof(int))];
	} control = {.bytes = {0}};
	char words[16];
	struct iovec iov = {.iov_base = words, .iov_len = strlen(text) + 1};
	struct msghdr msg = {.msg_iov = &iov,
	    .msg_iovlen = 1,
	    .msg_control = control.bytes,
	    .msg_controllen = CMSG_SPACE(count * sizeof(int))};
	struct cmsghdr *c = CMSG_FIRSTHDR(&msg);

	assert_true(count <= 16 && iov.iov_len <= sizeof(words));
	memcpy(words, text, iov.iov_len);
	c->cmsg_level = SOL_SOCKET;
	c->cmsg_type = SCM_RIGHTS;
	c->cmsg_len = CMSG_LEN(count * sizeof(int));
	memcpy(CMSG_DATA(c), fds, count * sizeof(int));
	assert_int_equal(sendmsg(f->our_fd, &msg, 0), (ssize_t)iov.iov_len);
}

static void
descriptor_that_nobody_takes_is_closed(void **state)
{
	struct fixture *f = *state;
	size_t before = open_fds();

	/* The receiver leaves all but the first. */
	int two[2] = {0, 0};

	send_with_fds(f, "two", two, ARRAY_LEN(two));
	run_until(f, 1);
	assert_int_equal(f->fd_count, 2);
	assert_int_equal(open_fds(), before + 1);
}

static void
send_raw(struct fixture *f, const char *bytes, size_t len)
{
	assert_int_equal(send(f->our_fd, bytes, len, 0), (ssize_t)len);
}

static void
datagrams_that_are_no_messages_are_dropped(void **state)
{
	struct fixture *f = *state;
	char words[2 * 70];

	send_raw(f, "no end", 6);
	send_raw(f, "", 1);       /* no verb */
	send_raw(f, "\0args", 6); /* the same, with an argument */
	for (size_t i = 0; i < sizeof(words); i += 2) {
		words[i] = 'w';
		words[i + 1] = '\0';
	}
	send_raw(f, words, sizeof(words)); /* 69 arguments */
	assert_int_equal(channel_send(f->ours, -1, "good", NULL), 0);
	run_until(f, 1);
	assert_string_equal(f->verb, "good");
	assert_int_equal(f->msgs, 1);
	assert_int_equal(f->gone, 0);
}

static void
too_many_descriptors_drop_the_message_and_leak_none(void **state)
{
	struct fixture *f = *state;
	size_t before = open_fds();
	int fds[9] = {0};

	send_with_fds(f, "many", fds, ARRAY_LEN(fds));
	assert_int_equal(channel_send(f->ours, -1, "good", NULL), 0);
	run_until(f, 1);
	assert_string_equal(f->verb, "good");
	assert_int_equal(open_fds(), before);
}

static void
oversized_datagram_is_dropped(void **state)
{
	struct fixture *f = *state;
	size_t len = IPC_MAX_BYTES + 1;
	char *bytes = xcalloc(1, len);

	memset(bytes, 'x', len - 1);
	send_raw(f, bytes, len);
	free(bytes);
	assert_int_equal(channel_send(f->ours, -1, "good", NULL), 0);
	run_until(f, 1);
	assert_string_equal(f->verb, "good");
}

static void
longest_message_passes_and_a_longer_one_is_refused(void **state)
{
	struct fixture *f = *state;
	char *text = xcalloc(1, IPC_MAX_BYTES + 1);

	memset(text, 'x', IPC_MAX_BYTES);
	assert_int_equal(channel_send(f->ours, -1, "config", text, NULL), -EMSGSIZE);
	text[IPC_MAX_BYTES - sizeof("config") - 1] = '\0';
	assert_int_equal(channel_send(f->ours, -1, "config", text, NULL), 0);
	run_until(f, 1);
	assert_int_equal(f->last_len, IPC_MAX_BYTES - sizeof("config") - 1);
	free(text);
}

static void
a_slow_peer_gets_all_in_order_and_no_more_than_the_bound(void **state)
{
	struct fixture *f = *state;
	static char filler[4096];
	char number[24];
	size_t sent = 0;
	int err = 0;

	memset(filler, 'f', sizeof(filler) - 1);
	while (err == 0) {
		(void)snprintf(number, sizeof(number), "%zu", sent);
		err = channel_send(f->ours, -1, "n", number, filler, NULL);
		sent += err == 0;
	}
	assert_int_equal(err, -ENOBUFS);
	assert_in_range(sent * sizeof(filler), 4 << 20, 5 << 20);
	run_until(f, sent);
	assert_int_equal(f->msgs, sent);
	assert_true(f->in_order);
	assert_int_equal(channel_send(f->ours, -1, "n", "0", NULL), 0);
}

static void
a_queued_descriptor_outlives_its_senders_copy(void **state)
{
	struct fixture *f = *state;
	static char filler[4096];
	size_t sent = 0, before = open_fds();
	int ends[2];

	memset(filler, 'f', sizeof(filler) - 1);
	/* Fill the socket, so that the next message has to wait. */
	while (sent * sizeof(filler) < 1 << 20) {
		assert_int_equal(channel_send(f->ours, -1, "x", filler, NULL), 0);
		sent++;
	}
	assert_int_equal(pipe(ends), 0);
	assert_int_equal(channel_send(f->ours, ends[1], "listen", NULL), 0);
	(void)close(ends[1]);
	run_until(f, sent + 1);
	assert_string_equal(f->verb, "listen");
	assert_int_equal(write(f->fd, "x", 1), 1);
	(void)close(ends[0]);
	assert_int_equal(open_fds(), before + 1);
}

static void
a_queue_that_is_never_read_is_freed(void **state)
{
	struct fixture *f = *state;
	size_t before = open_fds();

	for (int i = 0; i < 2000; i++) {
		assert_int_equal(channel_send(f->ours, i % 500 == 0 ? 0 : -1, "x",
				     "0123456789012345678901234567890123456789", NULL),
		    0);
	}
	channel_close(&f->ours);
	channel_close(&f->theirs);
	assert_in_range(open_fds(), 0, before);
}

static void
the_channel_may_be_closed_in_its_callback(void **state)
{
	struct fixture *f = *state;

	f->close_in_callback = true;
	assert_int_equal(channel_send(f->ours, -1, "one", NULL), 0);
	assert_int_equal(channel_send(f->ours, -1, "two", NULL), 0);
	run_until(f, 1);
	/* The other side sees the end; the second message was never delivered. */
	loop_run(f->loop);
	assert_int_equal(f->msgs, 1);
	assert_int_equal(f->gone, 1);
	assert_int_equal(channel_send(f->ours, -1, "three", NULL), -EPIPE);
}

static void
what_a_dying_peer_said_comes_before_its_end(void **state)
{
	struct fixture *f = *state;
	pid_t pid;
	int status;

	/* The peer is another process, killed with a message of ours unread and two of its own on
	 * the way. Its end is in the child alone. */
	assert_int_equal(channel_send(f->ours, -1, "unread", NULL), 0);
	pid = fork();
	if (pid == 0) {
		(void)send(f->their_fd, "one", 4, 0);
		(void)send(f->their_fd, "two", 4, 0);
		(void)raise(SIGKILL);
	}
	channel_close(&f->theirs);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	loop_run(f->loop);
	assert_int_equal(f->msgs, 2);
	assert_string_equal(f->verb, "two");
	assert_int_equal(f->gone, 1);
	assert_int_equal(channel_send(f->ours, -1, "late", NULL), -EPIPE);
}

static void
sending_to_a_dead_peer_fails_and_tells_once(void **state)
{
	struct fixture *f = *state;

	channel_close(&f->theirs);
	assert_int_equal(channel_send(f->ours, -1, "x", NULL), -EPIPE);
	assert_int_equal(f->gone, 0); /* never inside channel_send */
	loop_run(f->loop);
	assert_int_equal(f->gone, 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	    T(verb_and_arguments_arrive),
	    T(verb_alone_arrives),
	    T(as_many_arguments_as_allowed_and_no_more),
	    T(descriptor_arrives_and_works),
	    T(descriptor_that_nobody_takes_is_closed),
	    T(datagrams_that_are_no_messages_are_dropped),
	    T(too_many_descriptors_drop_the_message_and_leak_none),
	    T(oversized_datagram_is_dropped),
	    T(longest_message_passes_and_a_longer_one_is_refused),
	    T(a_slow_peer_gets_all_in_order_and_no_more_than_the_bound),
	    T(a_queued_descriptor_outlives_its_senders_copy),
	    T(a_queue_that_is_never_read_is_freed),
	    T(the_channel_may_be_closed_in_its_callback),
	    T(what_a_dying_peer_said_comes_before_its_end),
	    T(sending_to_a_dead_peer_fails_and_tells_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
