/* Connections that stand: reading, writing, and how they end. How they begin: test_conn_handshake.c, test_tls.c. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "conn_world.h"
#include "loop_until.h"
#include "net/conn.h"

/* ---- reading */

static void
unconsumed_bytes_are_shown_again_with_the_next(void **state)
{
	start();
	owner.take = 1;
	peer_says("abc");
	peer_says("d");
	owner.take = SIZE_MAX;
	peer_says("e");
	peer_says("f");
	assert_string_equal(owner.seen, "[abc][bcd][cde][f]");
}

static void
nothing_is_read_while_paused(void **state)
{
	start();
	conn_pause(owner.conn, true);
	assert_true(conn_is_paused(owner.conn));
	peer_says("abc");
	assert_string_equal(owner.seen, "");
	conn_pause(owner.conn, false);
	turn();
	assert_string_equal(owner.seen, "[abc]");
}

static void
what_was_left_at_a_pause_is_shown_when_it_ends(void **state)
{
	start();
	owner.take = 1;
	owner.pause_on_data = true;
	peer_says("abc");
	turn();
	assert_string_equal(owner.seen, "[abc]");
	owner.take = SIZE_MAX;
	owner.pause_on_data = false;
	conn_pause(owner.conn, false);
	assert_string_equal(owner.seen, "[abc]"); /* never from inside conn_pause */
	turn();
	assert_string_equal(owner.seen, "[abc][bc]");
}

static void
also_when_it_ends_inside_on_data(void **state)
{
	start();
	owner.take = 1;
	owner.pause_on_data = owner.resume_on_data = true;
	peer_says("abc");
	turn();
	assert_string_equal(owner.seen, "[abc][bc][c]");
}

static void
a_pause_lifted_and_set_again_shows_nothing(void **state)
{
	start();
	owner.take = 1;
	owner.pause_on_data = true;
	peer_says("abc");
	conn_pause(owner.conn, false);
	conn_pause(owner.conn, true);
	turn();
	assert_string_equal(owner.seen, "[abc]");
}

static void
too_much_unconsumed_ends_the_conn(void **state)
{
	start();
	owner.take = 0;
	conn_set_limits(owner.conn, 8, 1024);
	peer_says("12345678");
	assert_int_equal(owner.closes, 0);
	peer_says("9");
	assert_int_equal(owner.closes, 1);
	assert_int_equal(owner.error, -ENOBUFS);
}

static void
also_within_one_read(void **state)
{
	start();
	owner.take = 1;
	conn_set_limits(owner.conn, 8, 1024);
	peer_says("1234567890");
	assert_int_equal(owner.error, -ENOBUFS);
}

static void
but_not_when_its_owner_paused_it(void **state)
{
	start();
	owner.take = 1;
	owner.pause_on_data = true;
	conn_set_limits(owner.conn, 8, 1024);
	peer_says("1234567890abc");
	assert_int_equal(owner.closes, 0);
	owner.pause_on_data = false;
	owner.take = SIZE_MAX;
	conn_pause(owner.conn, false);
	turn();
	assert_string_equal(owner.seen, "[1234567890abc][234567890abc]");
	assert_int_equal(owner.closes, 0);
}

static void
big_unconsumed_values_arrive_whole(void **state)
{
	const size_t total = 1 << 20;
	size_t sent = 0;
	char *big = malloc(total);

	assert_non_null(big);
	memset(big, 'x', total);
	start();
	owner.take = 0;
	conn_set_limits(owner.conn, 0, 1024);
	while (sent < total) {
		ssize_t n = send(peer, big + sent, total - sent, MSG_NOSIGNAL);

		sent += n > 0 ? (size_t)n : 0;
		owner.seen[0] = '\0';
		turn();
	}
	owner.take = SIZE_MAX;
	peer_says("!");
	turn();
	assert_int_equal(owner.closes, 0);
	owner.seen[0] = '\0';
	peer_says("next");
	assert_string_equal(owner.seen, "[next]");
	free(big);
}

/* ---- the end of the stream */

static void
without_on_eof_the_end_of_the_stream_closes(void **state)
{
	start();
	peer_says("abc");
	(void)shutdown(peer, SHUT_WR);
	turn();
	assert_int_equal(owner.closes, 1);
	assert_int_equal(owner.error, 0);
	assert_true(peer_hears_the_end());
}

static void
with_on_eof_the_owner_may_still_answer(void **state)
{
	start_kind(SOCK_STREAM, &owner_ops_with_eof);
	owner.answer = "bye";
	(void)shutdown(peer, SHUT_WR);
	turn();
	turn();
	assert_int_equal(owner.eofs, 1);
	assert_int_equal(owner.closes, 0);
	assert_string_equal(peer_hears(), "bye");
	conn_close_after_flush(&owner.conn, 1000);
	turn();
	assert_true(peer_hears_the_end());
}

static void
a_reset_is_told_as_an_error(void **state)
{
	start();
	assert_int_equal(conn_write(owner.conn, "unread", 6), 0);
	turn();
	(void)close(peer); /* with bytes unread: a reset */
	peer = -1;
	turn();
	assert_int_equal(owner.closes, 1);
	assert_int_equal(owner.error, -ECONNRESET);
}

/* ---- closing inside callbacks */

static void
the_owner_may_close_in_on_data(void **state)
{
	start();
	owner.close_on_data = true;
	owner.answer = "lost";
	owner.take = 1;
	peer_says("abc");
	assert_null(owner.conn);
	assert_string_equal(owner.seen, "[abc]");
	assert_int_equal(owner.closes, 0);
	assert_true(peer_hears_the_end());
}

static void
also_when_bytes_are_shown_again(void **state)
{
	start();
	owner.take = 1;
	owner.pause_on_data = true;
	peer_says("abc");
	owner.close_on_data = true;
	conn_pause(owner.conn, false);
	turn();
	assert_string_equal(owner.seen, "[abc][bc]");
	assert_null(owner.conn);
	assert_int_equal(owner.closes, 0);
}

static void
also_in_on_eof(void **state)
{
	start_kind(SOCK_STREAM, &owner_ops_with_eof);
	owner.close_on_eof = true;
	(void)shutdown(peer, SHUT_WR);
	turn();
	assert_int_equal(owner.eofs, 1);
	assert_int_equal(owner.closes, 0);
	assert_true(peer_hears_the_end());
}

static void
closing_nothing_is_fine(void **state)
{
	struct conn *none = NULL;

	conn_close(&none);
	conn_close_after_flush(&none, 1);
	assert_null(none);
}

/* ---- writing */

/* A packet socket keeps apart what was written apart. */
static void
all_writes_of_a_turn_go_at_once(void **state)
{
	start_kind(SOCK_SEQPACKET, &owner_ops);
	assert_int_equal(conn_write(owner.conn, "a", 1), 0);
	assert_int_equal(conn_write(owner.conn, "b", 1), 0);
	assert_int_equal(buf_add_str(conn_out(owner.conn), "c"), 0);
	conn_flush(owner.conn);
	assert_int_equal(conn_unsent(owner.conn), 3);
	assert_string_equal(peer_hears(), ""); /* not before the turn ends */
	turn();
	assert_string_equal(peer_hears(), "abc");
	assert_int_equal(conn_unsent(owner.conn), 0);
	assert_int_equal(conn_sent_total(owner.conn), 3);
	assert_int_equal(conn_write(owner.conn, "d", 1), 0);
	turn();
	assert_string_equal(peer_hears(), "d");
	assert_int_equal(conn_sent_total(owner.conn), 4);
}

static void
answers_to_several_requests_go_at_once(void **state)
{
	start_kind(SOCK_SEQPACKET, &owner_ops);
	owner.answer = "+OK;";
	assert_int_equal(send(peer, "a", 1, 0), 1);
	turn();
	assert_string_equal(peer_hears(), "+OK;");
}

/* Makes `out` longer than the socket takes; returns what was queued. */
static size_t
fill(size_t blocks)
{
	char block[1024];
	int small = 4096;

	memset(block, 'x', sizeof(block));
	(void)setsockopt(conn_fd(owner.conn), SOL_SOCKET, SO_SNDBUF, &small, sizeof(small));
	for (size_t i = 0; i < blocks; i++) {
		assert_int_equal(conn_write(owner.conn, block, sizeof(block)), 0);
	}
	return blocks * sizeof(block);
}

/* Reads all that comes until the peer sees nothing more for now; returns how much. */
static size_t
drain(void)
{
	char bytes[8192];
	size_t total = 0;
	ssize_t n;

	do {
		n = read(peer, bytes, sizeof(bytes));
		total += n > 0 ? (size_t)n : 0;
		turn();
	} while (n > 0);
	return total;
}

static void
room_is_told_once_after_it_had_been_full(void **state)
{
	size_t queued;

	start();
	conn_set_limits(owner.conn, 0, 8192);
	queued = fill(7);
	assert_false(conn_is_full(owner.conn));
	turn();
	assert_int_equal(owner.rooms, 0);
	(void)drain();
	assert_int_equal(owner.rooms, 0); /* it never was full */
	queued += fill(64);
	assert_true(conn_is_full(owner.conn));
	turn();
	assert_true(conn_is_full(owner.conn));
	assert_int_equal(owner.rooms, 0);
	(void)drain();
	assert_int_equal(owner.rooms, 1);
	assert_false(conn_is_full(owner.conn));
	assert_int_equal(conn_unsent(owner.conn), 0);
	assert_int_equal(conn_sent_total(owner.conn), queued);
}

static void
on_event(struct ev_loop *ev, ev_timer *w, int revents)
{
	++*(unsigned *)w->data;
}

/* An owner that fills the conn again at each on_room must not keep all other events out. */
static void
on_room_may_write_again(void **state)
{
	unsigned events = 0;
	ev_timer timer;

	start();
	conn_set_limits(owner.conn, 0, 2048);
	owner.fill_on_room = 4096;
	for (int i = 0; i < 4; i++) {
		assert_int_equal(conn_write(owner.conn, (char[1024]){0}, 1024), 0);
	}
	ev_timer_init(&timer, on_event, 0., 0.);
	timer.data = &events;
	ev_timer_start(loop_ev(loop), &timer);
	(void)ev_run(loop_ev(loop), EVRUN_NOWAIT);
	assert_int_equal(events, 1);
	assert_int_equal(owner.rooms, 1);
	(void)ev_run(loop_ev(loop), EVRUN_NOWAIT);
	assert_int_equal(owner.rooms, 2);
	owner.fill_on_room = 0;
	(void)drain();
}

static void
the_owner_may_close_in_on_room(void **state)
{
	start();
	conn_set_limits(owner.conn, 0, 1024);
	owner.close_on_room = true;
	(void)fill(64);
	turn();
	(void)drain();
	assert_int_equal(owner.rooms, 1);
	assert_null(owner.conn);
	assert_int_equal(owner.closes, 0);
}

/* ---- closing after the last bytes */

static void
close_after_flush_sends_all_of_a_long_queue(void **state)
{
	size_t queued;

	start();
	queued = fill(256);
	conn_close_after_flush(&owner.conn, 10000);
	assert_null(owner.conn);
	turn();
	assert_int_equal(drain(), queued);
	assert_true(peer_hears_the_end());
	assert_int_equal(owner.closes, 0);
}

/* An error reply to a client that has sent more than was read: a plain close would reset the connection, and the
 * client would never see the reply. */
static void
close_after_flush_is_heard_by_a_peer_that_still_talks(void **state)
{
	start();
	owner.answer = "-ERR go away";
	owner.finish_on_data = true;
	peer_says("bad");
	peer_says("more");
	assert_string_equal(owner.seen, "[bad]");
	peer_says("and more");
	assert_string_equal(peer_hears(), "-ERR go away");
	assert_true(peer_hears_the_end());
	assert_int_equal(owner.closes, 0);
}

static void
close_after_flush_gives_up_in_time(void **state)
{
	ev_timer later;
	unsigned events = 0;

	start();
	(void)fill(256);
	conn_close_after_flush(&owner.conn, 20);
	ev_timer_init(&later, on_event, 0.2, 0.);
	later.data = &events;
	ev_timer_start(loop_ev(loop), &later);
	while (events == 0) {
		(void)ev_run(loop_ev(loop), EVRUN_ONCE);
	}
	assert_int_equal(send(peer, "x", 1, MSG_NOSIGNAL), -1); /* the other end is gone */
	assert_int_equal(errno, EPIPE);
	assert_int_equal(owner.closes, 0);
}

static void
close_after_flush_with_no_time_sends_what_goes_at_once(void **state)
{
	start();
	assert_int_equal(conn_write(owner.conn, "bye", 3), 0);
	conn_close_after_flush(&owner.conn, 0);
	turn();
	turn();
	assert_string_equal(peer_hears(), "bye");
	assert_true(peer_hears_the_end());
	assert_int_equal(send(peer, "x", 1, MSG_NOSIGNAL), -1);
}

static void
the_end_of_the_loop_ends_what_still_flushes(void **state)
{
	start();
	(void)fill(256);
	conn_close_after_flush(&owner.conn, 10000);
	turn();
	/* teardown frees the loop; the leak sanitizer sees a conn that is left */
}

/* ---- deadlines */

static bool
is_closed(void *arg)
{
	return owner.closes > 0;
}

static void
a_deadline_ends_the_conn(void **state)
{
	start();
	conn_set_deadline(owner.conn, 10);
	assert_true(loop_until(loop, is_closed, NULL));
	assert_int_equal(owner.closes, 1);
	assert_int_equal(owner.error, -ETIMEDOUT);
}

static void
a_deadline_can_be_lifted_and_moved(void **state)
{
	unsigned events = 0;
	ev_timer later;

	start();
	conn_set_deadline(owner.conn, 1);
	conn_set_deadline(owner.conn, 0);
	ev_timer_init(&later, on_event, 0.03, 0.);
	later.data = &events;
	ev_timer_start(loop_ev(loop), &later);
	while (events == 0) {
		(void)ev_run(loop_ev(loop), EVRUN_ONCE);
	}
	assert_int_equal(owner.closes, 0);
	conn_set_deadline(owner.conn, 60000);
	conn_set_deadline(owner.conn, 1);
	assert_true(loop_until(loop, is_closed, NULL));
	assert_int_equal(owner.error, -ETIMEDOUT);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, conn_world_setup, conn_world_teardown)
	const struct CMUnitTest tests[] = {
	    T(unconsumed_bytes_are_shown_again_with_the_next),
	    T(nothing_is_read_while_paused),
	    T(what_was_left_at_a_pause_is_shown_when_it_ends),
	    T(also_when_it_ends_inside_on_data),
	    T(a_pause_lifted_and_set_again_shows_nothing),
	    T(too_much_unconsumed_ends_the_conn),
	    T(also_within_one_read),
	    T(but_not_when_its_owner_paused_it),
	    T(big_unconsumed_values_arrive_whole),
	    T(without_on_eof_the_end_of_the_stream_closes),
	    T(with_on_eof_the_owner_may_still_answer),
	    T(a_reset_is_told_as_an_error),
	    T(the_owner_may_close_in_on_data),
	    T(also_when_bytes_are_shown_again),
	    T(also_in_on_eof),
	    T(closing_nothing_is_fine),
	    T(all_writes_of_a_turn_go_at_once),
	    T(answers_to_several_requests_go_at_once),
	    T(room_is_told_once_after_it_had_been_full),
	    T(on_room_may_write_again),
	    T(the_owner_may_close_in_on_room),
	    T(close_after_flush_sends_all_of_a_long_queue),
	    T(close_after_flush_is_heard_by_a_peer_that_still_talks),
	    T(close_after_flush_gives_up_in_time),
	    T(close_after_flush_with_no_time_sends_what_goes_at_once),
	    T(the_end_of_the_loop_ends_what_still_flushes),
	    T(a_deadline_ends_the_conn),
	    T(a_deadline_can_be_lifted_and_moved),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
