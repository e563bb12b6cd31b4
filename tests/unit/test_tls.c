/* TLS below a connection: a real client at the other end of a socket pair, stepped through turns of a real loop. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/buf.h"
#include "net/conn.h"
#include "net/tls.h"
#include "tls_own.h"

#define MANY_TURNS 2000

struct owner {
	struct conn *conn;
	struct buf seen;
	unsigned opens, eofs, closes;
	int error;
	char fault[128];
	size_t take; /* most that one on_data consumes */
	bool pause_on_data, begin_on_data;
};

static struct loop *loop;
static struct owner owner;
static struct tls_own own;
static struct tls_peer *client;
static int peer_fd; /* the peer of a test without a client */
static int raw_fd;  /* the client's socket itself */

static void
on_open(struct conn *c, void *arg)
{
	((struct owner *)arg)->opens++;
}

static size_t
on_data(struct conn *c, void *arg, struct slice in)
{
	struct owner *o = arg;
	size_t used = MIN(in.len, o->take);

	if (o->begin_on_data) {
		o->begin_on_data = false;
		assert_int_equal(conn_start_tls(c, own.server), 0);
		return 0;
	}
	assert_int_equal(buf_add(&o->seen, in.ptr, used), 0);
	if (o->pause_on_data) {
		conn_pause(c, true);
	}
	return used;
}

static void
on_eof(struct conn *c, void *arg)
{
	((struct owner *)arg)->eofs++;
}

static void
on_close(struct conn *c, void *arg, int error)
{
	struct owner *o = arg;

	o->closes++;
	o->error = error;
	(void)snprintf(o->fault, sizeof(o->fault), "%s", conn_fault(c));
	o->conn = NULL;
}

static const struct conn_ops ops = {
    .on_open = on_open, .on_data = on_data, .on_eof = on_eof, .on_close = on_close};

static void
turn(void)
{
	(void)ev_run(loop_ev(loop), EVRUN_NOWAIT);
}

static int
setup(void **state)
{
	loop = loop_new();
	owner = (struct owner){.take = SIZE_MAX};
	buf_init(&owner.seen, 0);
	peer_fd = -1;
	return tls_own_make(&own);
}

static int
teardown(void **state)
{
	conn_close(&owner.conn);
	loop_free(&loop);
	tls_peer_free(&client);
	buf_fini(&owner.seen);
	if (peer_fd != -1) {
		(void)close(peer_fd);
	}
	tls_own_free(&own);
	return 0;
}

static int
make_pair(void)
{
	int fds[2];

	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	conn_close(&owner.conn);
	owner.conn = conn_new(loop, fds[1], &ops, &owner);
	raw_fd = fds[0];
	return fds[0];
}

static void
begin(const struct tls_issuer *shown)
{
	tls_peer_free(&client);
	client = tls_peer_new(make_pair(), shown);
	assert_int_equal(conn_start_tls(owner.conn, own.server), 0);
}

/* Both sides go on until the client's handshake stands or has failed. */
static bool
shake(void)
{
	for (int i = 0; i < MANY_TURNS; i++) {
		bool stands = tls_peer_shake(client);

		turn();
		turn();
		if (stands || tls_peer_fault(client)[0] != '\0') {
			return stands;
		}
	}
	return false;
}

static void
stand(void)
{
	begin(NULL);
	assert_true(shake());
	assert_int_equal(owner.opens, 1);
}

static void
client_says(const char *text)
{
	assert_int_equal(tls_peer_write(client, text, strlen(text)), (ssize_t)strlen(text));
	turn();
	turn();
}

static const char *
client_hears(void)
{
	static char text[4096];
	ssize_t n = tls_peer_read(client, text, sizeof(text) - 1);

	if (n == 0) {
		return "the end";
	}
	text[n > 0 ? n : 0] = '\0';
	return text;
}

static const char *
seen(void)
{
	assert_int_equal(buf_add(&owner.seen, "", 1), 0);
	return (const char *)buf_slice(&owner.seen).ptr;
}

/* ---- both ways */

static void
bytes_go_both_ways(void **state)
{
	stand();
	assert_true(conn_is_tls(owner.conn));
	assert_string_equal(tls_peer_sees(client), "here.example.org");
	client_says("PING");
	assert_int_equal(conn_write(owner.conn, "PONG", 4), 0);
	turn();
	assert_string_equal(client_hears(), "PONG");
	assert_int_equal(conn_send(owner.conn, "direct", 6), 0);
	assert_string_equal(client_hears(), "direct");
	assert_string_equal(seen(), "PING");
}

static void
what_was_written_before_it_stands_is_sent_then(void **state)
{
	begin(NULL);
	assert_int_equal(conn_write(owner.conn, "hello", 5), 0);
	assert_int_equal(conn_send(owner.conn, " world", 6), 0);
	assert_true(shake());
	assert_string_equal(client_hears(), "hello world");
}

/* Its first bytes were shown to an owner that then knew that they are TLS. */
static void
it_may_begin_with_bytes_that_were_read_already(void **state)
{
	client = tls_peer_new(make_pair(), NULL);
	owner.begin_on_data = true;
	assert_true(shake());
	assert_int_equal(owner.opens, 1);
	client_says("abc");
	assert_string_equal(seen(), "abc");
}

static void
a_handshake_in_single_bytes(void **state)
{
	int fds[2];

	begin(NULL);
	/* the client talks to fds[0]; what it says goes on byte by byte */
	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	tls_peer_free(&client);
	peer_fd = make_pair();
	assert_int_equal(conn_start_tls(owner.conn, own.server), 0);
	client = tls_peer_new(fds[0], NULL);
	for (int i = 0; i < MANY_TURNS * 4 && owner.opens == 0; i++) {
		char bytes[4096];
		ssize_t n;

		(void)tls_peer_shake(client);
		if (read(fds[1], bytes, 1) == 1) {
			assert_int_equal(write(peer_fd, bytes, 1), 1);
		}
		turn();
		n = read(peer_fd, bytes, sizeof(bytes));
		if (n > 0) {
			assert_int_equal(write(fds[1], bytes, (size_t)n), n);
		}
	}
	assert_int_equal(owner.opens, 1);
	(void)close(fds[1]);
}

/* More than the socket takes, in records of the library's own making. */
static void
a_long_answer_arrives_whole(void **state)
{
	const size_t total = 3 << 20;
	uint8_t *bytes = malloc(total), *got = malloc(total);
	size_t have = 0;

	for (size_t i = 0; i < total; i++) {
		bytes[i] = (uint8_t)(i * 7 + i / 251);
	}
	stand();
	assert_int_equal(conn_send(owner.conn, bytes, total / 2), 0);
	assert_true(conn_unsent(owner.conn) > 0);
	assert_int_equal(conn_write(owner.conn, bytes + total / 2, total - total / 2), 0);
	while (have < total) {
		ssize_t n = tls_peer_read(client, got + have, total - have);

		have += n > 0 ? (size_t)n : 0;
		assert_string_equal(tls_peer_fault(client), "");
		turn();
	}
	assert_memory_equal(bytes, got, total);
	assert_int_equal(conn_unsent(owner.conn), 0);
	free(bytes);
	free(got);
}

static void
a_long_request_arrives_whole(void **state)
{
	const size_t total = 2 << 20;
	uint8_t *bytes = malloc(total);
	size_t sent = 0;

	memset(bytes, 'x', total);
	stand();
	while (sent < total || buf_len(&owner.seen) < total) {
		ssize_t n = sent < total ? tls_peer_write(client, bytes + sent, total - sent) : 0;

		sent += n > 0 ? (size_t)n : 0;
		turn();
		assert_int_equal(owner.closes, 0);
	}
	assert_int_equal(buf_len(&owner.seen), total);
	free(bytes);
}

/* What the library holds is announced by no event of the socket. */
static void
after_a_pause_what_the_library_holds_is_shown(void **state)
{
	stand();
	conn_set_limits(owner.conn, 0, 1024);
	owner.pause_on_data = true;
	for (int i = 0; i < 40; i++) {
		char record[2000];

		memset(record, 'a' + i % 26, sizeof(record));
		assert_int_equal(tls_peer_write(client, record, sizeof(record)), sizeof(record));
	}
	turn();
	turn();
	assert_true(conn_is_paused(owner.conn));
	assert_true(buf_len(&owner.seen) < 80000);
	owner.pause_on_data = false;
	conn_pause(owner.conn, false);
	for (int i = 0; i < 100; i++) {
		turn();
	}
	assert_int_equal(buf_len(&owner.seen), 80000);
	for (int i = 0; i < 40; i++) {
		assert_int_equal(owner.seen.data[i * 2000], 'a' + i % 26);
	}
}

/* ---- the end */

static void
the_end_of_the_clients_stream_is_told(void **state)
{
	stand();
	assert_int_equal(tls_peer_write(client, "last", 4), 4);
	tls_peer_finish(client);
	for (int i = 0; i < 10; i++) {
		turn();
	}
	assert_int_equal(owner.eofs, 1);
	assert_string_equal(seen(), "last");
	assert_int_equal(conn_write(owner.conn, "bye", 3), 0);
	conn_close_after_flush(&owner.conn, 1000);
	turn();
	turn();
	assert_string_equal(client_hears(), "bye");
	assert_string_equal(client_hears(), "the end");
}

static void
a_client_that_just_closes_has_ended_its_stream(void **state)
{
	stand();
	(void)client_hears(); /* the tickets: unread they would make the close a reset */
	tls_peer_free(&client);
	turn();
	turn();
	assert_int_equal(owner.eofs, 1);
	assert_int_equal(owner.closes, 0);
}

static void
a_clean_end_is_told_to_the_client(void **state)
{
	stand();
	assert_int_equal(conn_write(owner.conn, "bye", 3), 0);
	conn_close_after_flush(&owner.conn, 1000);
	turn();
	turn();
	assert_string_equal(client_hears(), "bye");
	assert_string_equal(client_hears(), "the end");
}

/* Else a cut answer would look like a whole one. */
static void
a_close_with_bytes_unsent_is_no_clean_end(void **state)
{
	stand();
	assert_int_equal(conn_write(owner.conn, "lost", 4), 0);
	conn_close(&owner.conn);
	turn();
	assert_string_equal(client_hears(), "");
	assert_string_not_equal(tls_peer_fault(client), "");
}

static void
the_output_alone_can_be_ended(void **state)
{
	stand();
	conn_end_output(owner.conn);
	assert_string_equal(client_hears(), "the end");
	client_says("still here");
	assert_string_equal(seen(), "still here");
}

/* ---- who is refused */

static void
garbage_ends_it_with_words(void **state)
{
	peer_fd = make_pair();
	assert_int_equal(conn_start_tls(owner.conn, own.server), 0);
	assert_int_equal(write(peer_fd, "\x16\x03\x01\x00\x05hello", 10), 10);
	turn();
	turn();
	assert_int_equal(owner.closes, 1);
	assert_int_equal(owner.error, -EPROTO);
	assert_true(strlen(owner.fault) > 5);
}

static void
a_broken_record_ends_it(void **state)
{
	stand();
	/* past the client's library: with nobody's keys */
	assert_int_equal(write(raw_fd,
			     "\x17\x03\x03\x00\x20"
			     "abcdefghijklmnopqrstuvwxyzabcdef",
			     37),
	    37);
	turn();
	turn();
	assert_int_equal(owner.closes, 1);
	assert_int_equal(owner.error, -EPROTO);
	assert_int_equal(buf_len(&owner.seen), 0);
}

static void
without_a_certificate_where_one_is_needed(void **state)
{
	char c;

	assert_int_equal(tls_own_read(&own, true), 0);
	begin(NULL);
	(void)shake(); /* in TLS 1.3 the client is told afterwards */
	assert_int_equal(owner.opens, 0);
	assert_int_equal(owner.closes, 1);
	assert_int_equal(owner.error, -EPROTO);
	assert_non_null(strstr(owner.fault, "certificate"));
	assert_int_equal(tls_peer_read(client, &c, 1), -1);
	assert_non_null(strstr(tls_peer_fault(client), "certificate"));
}

static void
with_a_certificate_of_somebody_else(void **state)
{
	struct tls_issuer *stranger = tls_issuer_new("Stranger", -DAY, DAY);

	assert_int_equal(tls_own_read(&own, true), 0);
	begin(stranger);
	(void)shake();
	assert_int_equal(owner.opens, 0);
	assert_int_equal(owner.error, -EPROTO);
	tls_issuer_free(&stranger);
}

static void
with_a_certificate_that_is_out_of_date(void **state)
{
	struct tls_issuer *old = tls_issued_by(own.authority, "old client", -2 * DAY, -DAY);

	assert_int_equal(tls_own_read(&own, true), 0);
	begin(old);
	(void)shake();
	assert_int_equal(owner.opens, 0);
	assert_int_equal(owner.error, -EPROTO);
	tls_issuer_free(&old);
}

static void
with_a_certificate_of_the_authority(void **state)
{
	struct tls_issuer *shown = tls_issued_by(own.authority, "client", -DAY, DAY);

	assert_int_equal(tls_own_read(&own, true), 0);
	begin(shown);
	assert_true(shake());
	assert_int_equal(owner.opens, 1);
	client_says("hello");
	assert_string_equal(seen(), "hello");
	tls_issuer_free(&shown);
}

static void
a_deadline_ends_a_handshake(void **state)
{
	peer_fd = make_pair();
	assert_int_equal(conn_start_tls(owner.conn, own.server), 0);
	conn_set_deadline(owner.conn, 5);
	while (owner.closes == 0) {
		(void)ev_run(loop_ev(loop), EVRUN_ONCE);
	}
	assert_int_equal(owner.error, -ETIMEDOUT);
}

static void
tls_where_plain_text_is_expected(void **state)
{
	client = tls_peer_new(make_pair(), NULL);
	conn_expect_plain(owner.conn);
	assert_false(shake());
	assert_int_equal(owner.closes, 1);
	assert_int_equal(owner.error, -EPROTONOSUPPORT);
	assert_non_null(strstr(tls_peer_fault(client), "alert"));
	assert_int_equal(buf_len(&owner.seen), 0);
}

static void
plain_text_where_it_is_expected(void **state)
{
	peer_fd = make_pair();
	conn_expect_plain(owner.conn);
	assert_int_equal(write(peer_fd, "PING", 4), 4);
	turn();
	assert_int_equal(write(peer_fd, "\x16\x03", 2), 2); /* only the first byte counts */
	turn();
	assert_string_equal(seen(), "PING\x16\x03");
}

/* ---- another owner */

static size_t
second_data(struct conn *c, void *arg, struct slice in)
{
	(void)snprintf(arg, 32, "%.*s", (int)in.len, (const char *)in.ptr);
	return in.len;
}

static void
another_owner_is_shown_what_is_unconsumed(void **state)
{
	static const struct conn_ops second = {.on_data = second_data};
	char text[32] = "";

	peer_fd = make_pair();
	owner.take = 2;
	assert_int_equal(write(peer_fd, "abcd", 4), 4);
	turn();
	conn_hand_over(owner.conn, &second, text);
	turn();
	assert_string_equal(text, "cd");
}

/* ---- sessions */

static bool
is_resumed_after(bool change_ca, const char *secret)
{
	struct tls_peer *first;
	bool resumed;

	stand();
	(void)client_hears(); /* the tickets come behind the handshake */
	first = client;
	client = NULL;
	if (change_ca) {
		struct tls_issuer *shown = tls_issued_by(own.authority, "client", -DAY, DAY);

		assert_int_equal(tls_own_read(&own, true), 0);
		begin(shown);
		tls_issuer_free(&shown);
	} else {
		assert_int_equal(tls_own_read(&own, false), 0); /* as after a reload */
		begin(NULL);
	}
	if (secret != NULL) {
		tls_set_ticket_secret(secret, strlen(secret));
	}
	tls_peer_resume(client, first);
	assert_true(shake());
	resumed = tls_peer_is_resumed(client);
	tls_peer_free(&first);
	return resumed;
}

static void
a_session_is_resumed_also_after_a_reload(void **state)
{
	assert_true(is_resumed_after(false, NULL));
}

static void
not_with_keys_from_another_secret(void **state)
{
	assert_false(is_resumed_after(false, "another"));
}

/* It was made without a certificate: it must not open a door that asks for one. */
static void
not_where_other_authorities_are_asked_for(void **state)
{
	assert_false(is_resumed_after(true, NULL));
}

/* ---- our own client's */

static int door_fd;

static int
setup_client(void **state)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	struct errmsg err = ERRMSG_NONE;
	int rc = setup(state);
	struct tls_files files = {.ca = own.ca};

	door_fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_int_equal(bind(door_fd, (struct sockaddr *)&at, sizeof(at)), 0);
	assert_int_equal(listen(door_fd, 1), 0);
	assert_int_equal(tls_set_client(&files, &err), 0);
	return rc;
}

static int
teardown_client(void **state)
{
	struct errmsg err = ERRMSG_NONE;

	(void)close(door_fd);
	assert_int_equal(tls_set_client(NULL, &err), 0);
	return teardown(state);
}

/* A connection to the door, whose tickets are read; was it a resumed one? -1: the handshake failed. */
static int
visit(void)
{
	struct sockaddr_in at;
	socklen_t len = sizeof(at);
	uint8_t byte;
	struct tls *t;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0), rc, resumed;

	assert_int_equal(getsockname(door_fd, (struct sockaddr *)&at, &len), 0);
	assert_int_equal(connect(fd, (struct sockaddr *)&at, len), 0);
	assert_int_equal(fcntl(fd, F_SETFL, O_NONBLOCK), 0);
	conn_close(&owner.conn);
	owner.conn = conn_new(
	    loop, accept4(door_fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC), &ops, &owner);
	assert_int_equal(conn_start_tls(owner.conn, own.server), 0);
	t = tls_new_client(fd);
	assert_non_null(t);
	for (int i = 0; (rc = tls_handshake(t)) == -EAGAIN && i < MANY_TURNS; i++) {
		turn();
	}
	for (int i = 0; rc == 0 && i < MANY_TURNS; i++) {
		turn();
		(void)tls_read(t, &byte, 1);
	}
	resumed = rc == 0 ? tls_is_resumed(t) : -1;
	tls_free(&t);
	(void)close(fd);
	return resumed;
}

static void
the_second_connection_goes_on_from_the_first(void **state)
{
	assert_int_equal(visit(), 0);
	assert_int_equal(visit(), 1);
	assert_int_equal(visit(), 1);
}

static void
with_other_files_nothing_is_gone_on_from(void **state)
{
	struct tls_files files = {.ca = own.ca};
	struct errmsg err = ERRMSG_NONE;

	assert_int_equal(visit(), 0);
	assert_int_equal(tls_set_client(&files, &err), 0);
	assert_int_equal(visit(), 0);
}

/* It has the address of the other one, and not its keys. */
static void
another_server_in_its_place_shows_its_certificate(void **state)
{
	assert_int_equal(visit(), 0);
	tls_set_ticket_secret("a third", 7);
	assert_int_equal(visit(), 0);
	assert_int_equal(visit(), 1);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	    T(bytes_go_both_ways),
	    T(what_was_written_before_it_stands_is_sent_then),
	    T(it_may_begin_with_bytes_that_were_read_already),
	    T(a_handshake_in_single_bytes),
	    T(a_long_answer_arrives_whole),
	    T(a_long_request_arrives_whole),
	    T(after_a_pause_what_the_library_holds_is_shown),
	    T(the_end_of_the_clients_stream_is_told),
	    T(a_client_that_just_closes_has_ended_its_stream),
	    T(a_clean_end_is_told_to_the_client),
	    T(a_close_with_bytes_unsent_is_no_clean_end),
	    T(the_output_alone_can_be_ended),
	    T(garbage_ends_it_with_words),
	    T(a_broken_record_ends_it),
	    T(without_a_certificate_where_one_is_needed),
	    T(with_a_certificate_of_somebody_else),
	    T(with_a_certificate_that_is_out_of_date),
	    T(with_a_certificate_of_the_authority),
	    T(a_deadline_ends_a_handshake),
	    T(tls_where_plain_text_is_expected),
	    T(plain_text_where_it_is_expected),
	    T(another_owner_is_shown_what_is_unconsumed),
	    T(a_session_is_resumed_also_after_a_reload),
	    T(not_with_keys_from_another_secret),
	    T(not_where_other_authorities_are_asked_for),
#define C(name) cmocka_unit_test_setup_teardown(name, setup_client, teardown_client)
	    C(the_second_connection_goes_on_from_the_first),
	    C(with_other_files_nothing_is_gone_on_from),
	    C(another_server_in_its_place_shows_its_certificate),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
