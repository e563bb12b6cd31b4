/*
 * How a connection comes to stand.
 *
 *   conn_connect → connecting → (TLS: shaking) → on_open
 *   conn_start_tls → the turn ends → shaking → on_open
 */
#include <assert.h>
#include <errno.h>
#include <sys/socket.h>

#include "net/conn_priv.h"

#define TLS_HANDSHAKE 22 /* the first byte of a record that begins TLS (RFC 8446, 5.1) */

static bool always_tls; /* for the whole process */

void
conn_connect_by_tls(bool always)
{
	always_tls = always;
}

static struct conn *
connect_to(struct loop *loop, const struct endpoint *ep, uint64_t timeout_ms,
    const struct conn_ops *ops, void *owner, bool tls, struct errmsg *err)
{
	struct conn *c;
	int fd;

	if (endpoint_connect(ep, &fd, err) < 0) {
		return NULL;
	}
	c = conn_make(loop, fd, true, ops, owner);
	c->wants_tls = tls;
	conn_set_deadline(c, timeout_ms);
	return c;
}

struct conn *
conn_connect(struct loop *loop, const struct endpoint *ep, uint64_t timeout_ms,
    const struct conn_ops *ops, void *owner, struct errmsg *err)
{
	bool tls = ep->tls || (always_tls && ep->kind == ENDPOINT_TCP);

	return connect_to(loop, ep, timeout_ms, ops, owner, tls, err);
}

struct conn *
conn_connect_door(struct loop *loop, const struct endpoint *ep, uint64_t timeout_ms,
    const struct conn_ops *ops, void *owner, struct errmsg *err)
{
	return connect_to(loop, ep, timeout_ms, ops, owner, ep->tls, err);
}

void
conn_on_connected(struct conn *c)
{
	int error = 0;
	socklen_t len = sizeof(error);

	if (getsockopt(c->fd, SOL_SOCKET, SO_ERROR, &error, &len) == -1) {
		error = errno;
	}
	if (error != 0) {
		conn_end(c, -error);
		return;
	}
	c->connecting = false;
	if (c->wants_tls) {
		c->tls = tls_new_client(c->fd);
		if (c->tls == NULL) {
			conn_end(c, -EPROTO);
			return;
		}
		c->shaking = true;
		conn_shake_hands(c);
		return;
	}
	if (!c->closing) {
		/* the deadline of a conn that closes is another one, and stays */
		conn_stop_deadline(c);
		if (c->ops->on_open != NULL) {
			c->ops->on_open(c, c->owner);
		}
	}
	if (c->fd != -1) {
		conn_update_watch(c);
		if (c->closing || buf_len(&c->out) > 0) {
			loop_hook_ask(c->loop, &c->flush);
		}
	}
}

/* ---- TLS ---- */

int
conn_start_tls(struct conn *c, const struct tls_server *server)
{
	assert(c->tls == NULL && !c->connecting && buf_len(&c->out) == 0);
	if (c->fd == -1) {
		return 0;
	}
	c->tls = tls_new(server, c->fd);
	if (c->tls == NULL) {
		return -ENOMEM;
	}
	/* the bytes that on_data leaves are in `in` only when it has returned: see on_turn_end of conn.c */
	c->tls_begins = true;
	loop_hook_ask(c->loop, &c->flush);
	return 0;
}

void
conn_shake_hands(struct conn *c)
{
	int rc = tls_handshake(c->tls);

	if (rc == -EAGAIN) {
		conn_update_watch(c);
		return;
	}
	if (rc < 0) {
		conn_end_told(c, rc);
		return;
	}
	c->shaking = false;
	c->read_again = true;
	if (c->wants_tls && !c->closing) {
		conn_stop_deadline(c); /* that of connecting */
	}
	if (!c->closing && c->ops->on_open != NULL) {
		c->ops->on_open(c, c->owner);
	}
	if (c->fd != -1) {
		conn_update_watch(c);
		loop_hook_ask(c->loop, &c->flush);
	}
}

void
conn_expect_plain(struct conn *c)
{
	c->expect_plain = true;
}

bool
conn_is_strange(struct conn *c, uint8_t first)
{
	/* handshake_failure: it is what clients put best into words (RFC 8446, 6) */
	static const uint8_t alert[] = {21, 3, 1, 0, 2, 2, 40};

	c->expect_plain = false;
	if (first != TLS_HANDSHAKE) {
		return false;
	}
	(void)send(c->fd, alert, sizeof(alert), MSG_NOSIGNAL);
	conn_end_told(c, -EPROTONOSUPPORT);
	return true;
}

const char *
conn_fault(const struct conn *c)
{
	if (c->wants_tls && c->tls == NULL) {
		return "TLS is wanted there, but no authorities are configured (redis.tls_ca)";
	}
	return c->tls != NULL ? tls_fault(c->tls) : "";
}
