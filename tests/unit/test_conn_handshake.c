/* How an outgoing connection comes to stand, or does not. With TLS: test_tls.c. */
#include "unit.h"

#include <errno.h>
#include <sys/socket.h>
#include <unistd.h>

#include "conn_world.h"
#include "net/conn.h"
#include "net/listener.h"

static int accepted;

static void
on_accept(void *arg, int fd)
{
	accepted = fd;
}

static struct listener *
listen_somewhere(struct endpoint *ret_ep)
{
	struct sockaddr_storage addr;
	socklen_t len = sizeof(addr);
	struct endpoint any = endpoint_tcp("127.0.0.1", 0);
	char text[32];
	int fd;

	accepted = -1;
	assert_int_equal(listener_bind(&any, &fd, NULL), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
	(void)snprintf(text, sizeof(text), "127.0.0.1:%u",
	    (unsigned)(((uint8_t *)&addr)[2] << 8 | ((uint8_t *)&addr)[3]));
	assert_int_equal(endpoint_parse(text, 0, ret_ep, NULL), 0);
	return listener_new(loop, fd, on_accept, NULL);
}

static void
connecting_opens_later_and_sends_what_was_written_before(void **state)
{
	struct endpoint ep;
	struct listener *l = listen_somewhere(&ep);
	char text[ENDPOINT_TEXT_SIZE];

	owner.conn = conn_connect(loop, &ep, 5000, &owner_ops, &owner, NULL);
	assert_non_null(owner.conn);
	assert_int_equal(owner.opens, 0);
	assert_int_equal(conn_write(owner.conn, "hello", 5), 0);
	turn();
	turn();
	assert_int_equal(owner.opens, 1);
	assert_string_equal(conn_peer(owner.conn, text), ENDPOINT_TEXT(&ep));
	peer = accepted;
	assert_string_equal(peer_hears(), "hello");
	listener_free(&l);
}

static void
a_refused_connection_has_a_reason(void **state)
{
	struct errmsg err = ERRMSG_NONE;
	struct endpoint ep, path = {.kind = ENDPOINT_UNIX, .host = "/no/such/socket"};
	struct listener *l = listen_somewhere(&ep);

	listener_free(&l);
	turn();
	owner.conn = conn_connect(loop, &ep, 5000, &owner_ops, &owner, &err);
	if (owner.conn != NULL) {
		turn();
		assert_int_equal(owner.error, -ECONNREFUSED);
	} else {
		assert_non_null(strstr(err.text, ENDPOINT_TEXT(&ep)));
	}
	assert_int_equal(owner.opens, 0);
	assert_null(conn_connect(loop, &path, 5000, &owner_ops, &owner, &err));
	assert_non_null(strstr(err.text, "/no/such/socket"));
	ep = endpoint_tcp("not.a.number", 1);
	assert_null(conn_connect(loop, &ep, 5000, &owner_ops, &owner, &err));
}

static void
the_owner_may_close_in_on_open(void **state)
{
	struct endpoint ep;
	struct listener *l = listen_somewhere(&ep);

	owner.close_on_open = true;
	owner.conn = conn_connect(loop, &ep, 5000, &owner_ops, &owner, NULL);
	assert_int_equal(conn_write(owner.conn, "hello", 5), 0);
	turn();
	turn();
	assert_int_equal(owner.opens, 1);
	assert_int_equal(owner.closes, 0);
	peer = accepted;
	assert_true(peer_hears_the_end());
	listener_free(&l);
}

static void
close_after_flush_works_before_the_connection_stands(void **state)
{
	struct endpoint ep;
	struct listener *l = listen_somewhere(&ep);

	owner.conn = conn_connect(loop, &ep, 5000, &owner_ops, &owner, NULL);
	assert_int_equal(conn_write(owner.conn, "last words", 10), 0);
	conn_close_after_flush(&owner.conn, 5000);
	turn();
	turn();
	peer = accepted;
	assert_string_equal(peer_hears(), "last words");
	assert_true(peer_hears_the_end());
	(void)close(peer);
	owner.conn = conn_connect(loop, &ep, 5000, &owner_ops, &owner, NULL);
	conn_close_after_flush(&owner.conn, 60000); /* with nothing to send */
	turn();
	turn();
	peer = accepted;
	assert_true(peer_hears_the_end());
	assert_int_equal(owner.opens, 0);
	listener_free(&l);
}

int
main(void)
{
#define T(f) cmocka_unit_test_setup_teardown(f, conn_world_setup, conn_world_teardown)
	const struct CMUnitTest tests[] = {
	    T(connecting_opens_later_and_sends_what_was_written_before),
	    T(a_refused_connection_has_a_reason),
	    T(the_owner_may_close_in_on_open),
	    T(close_after_flush_works_before_the_connection_stands),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
