#include "net/conn.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/mem.h"
#include "net/conn_priv.h"

#define ALERT_LINGER_MS  1000
#define DEFAULT_IN_MAX   ((size_t)64 * 1024)
#define DEFAULT_OUT_HIGH ((size_t)1024 * 1024)

void
conn_update_watch(struct conn *c)
{
	int events = 0;

	if (c->fd == -1) {
		return;
	}
	if (c->shaking) {
		events = tls_wants_write(c->tls) ? EV_WRITE : EV_READ;
	} else if (c->lingering) {
		events = EV_READ;
	} else if (!c->connecting && !c->paused && !c->eof) {
		events = EV_READ | (c->tls != NULL && tls_wants_write(c->tls) ? EV_WRITE : 0);
	}
	if (c->connecting || c->blocked) {
		events |= EV_WRITE;
	}
	if (ev_is_active(&c->io) && (c->io.events & (EV_READ | EV_WRITE)) == events) {
		return;
	}
	ev_io_stop(loop_ev(c->loop), &c->io);
	if (events != 0) {
		ev_io_set(&c->io, c->fd, events);
		ev_io_start(loop_ev(c->loop), &c->io);
	}
}

static void
on_deadline(struct ev_loop *ev, ev_timer *w, int revents)
{
	conn_end(OBJ_CAST((struct conn *)w->data, CONN_MAGIC), -ETIMEDOUT);
}

static struct conn_rare *
rare_of(struct conn *c)
{
	if (c->rare == NULL) {
		c->rare = xcalloc(1, sizeof(*c->rare));
		ev_init(&c->rare->deadline, on_deadline);
		c->rare->deadline.data = c;
	}
	return c->rare;
}

static void
free_rare(struct conn *c)
{
	if (c->rare != NULL) {
		free(c->rare->announced);
		free(c->rare);
		c->rare = NULL;
	}
}

void
conn_stop_deadline(struct conn *c)
{
	if (c->rare != NULL) {
		ev_timer_stop(loop_ev(c->loop), &c->rare->deadline);
	}
}

static void
free_now(void *obj)
{
	struct conn *c = obj;

	tls_free(&c->tls);
	free_rare(c);
	buf_fini(&c->in);
	buf_fini(&c->out);
	c->magic = 0;
	free(c);
}

/* Stops everything; the memory goes at the end of the turn. */
static void
shut(struct conn *c)
{
	if (c->fd == -1) {
		return;
	}
	ev_io_stop(loop_ev(c->loop), &c->io);
	conn_stop_deadline(c);
	loop_hook_cancel(&c->flush);
	if (c->rare != NULL) {
		loop_unorphan(&c->rare->orphan);
	}
	(void)close(c->fd);
	c->fd = -1;
	loop_bury(c->loop, free_now, c);
}

void
conn_end(struct conn *c, int error)
{
	bool silent = c->closing;

	if (error == 0 && c->tls != NULL) {
		tls_shutdown(c->tls);
	}
	shut(c);
	if (!silent && c->ops->on_close != NULL) {
		c->ops->on_close(c, c->owner, error);
	}
}

static void
end_orphan(void *obj)
{
	shut(obj);
}

/* All is sent: tells the peer, and throws away what it still sends until it closes. */
static void
linger(struct conn *c)
{
	if (c->tls != NULL) {
		tls_shutdown(c->tls);
	}
	if (c->eof || shutdown(c->fd, SHUT_WR) == -1) {
		shut(c);
		return;
	}
	c->lingering = true;
	buf_fini(&c->in);
	buf_fini(&c->out);
	conn_update_watch(c);
}

void
conn_end_told(struct conn *c, int error)
{
	bool silent = c->closing;

	c->shaking = false;
	c->closing = c->paused = true;
	if (!silent) {
		loop_orphan(c->loop, &rare_of(c)->orphan, end_orphan, c);
	}
	conn_set_deadline(c, ALERT_LINGER_MS);
	if (!silent && c->ops->on_close != NULL) {
		c->ops->on_close(c, c->owner, error);
	}
	linger(c);
}

static void
read_nothing(struct conn *c)
{
	ssize_t n = read(c->fd, loop_scratch(c->loop), LOOP_SCRATCH_BYTES);

	if (n == 0 || (n == -1 && errno != EAGAIN && errno != EINTR)) {
		shut(c);
	}
}

/* What the peer sent, as read(2) has it, but for negative errnos. */
static ssize_t
take(struct conn *c, uint8_t *into, size_t room)
{
	ssize_t n;

	if (c->tls == NULL) {
		n = read(c->fd, into, room);
		return n != -1 ? n : errno == EINTR ? -EAGAIN : -errno;
	}
	n = tls_read(c->tls, into, room);
	c->read_again = tls_has_more(c->tls);
	if (c->read_again) {
		loop_hook_ask(c->loop, &c->flush);
	}
	conn_update_watch(c);
	return n;
}

/* How much of it the socket took, as send(2) has it, but for negative errnos. Less than all: it is full. */
static ssize_t
put(struct conn *c, const uint8_t *bytes, size_t len)
{
	ssize_t n;

	if (c->tls != NULL) {
		return tls_write(c->tls, bytes, len);
	}
	do {
		n = send(c->fd, bytes, len, MSG_NOSIGNAL);
	} while (n == -1 && errno == EINTR);
	return n != -1 ? n : -errno;
}

/* Shows the owner `in`; false when the conn was closed meanwhile. */
static bool
deliver(struct conn *c, struct slice in, size_t *ret_used)
{
	size_t used;

	c->in_on_data = true;
	used = c->ops->on_data(c, c->owner, in);
	c->in_on_data = false;
	if (c->fd == -1 || c->closing) {
		return false;
	}
	assert(used <= in.len);
	*ret_used = used;
	return true;
}

/* Where the next read goes, behind what is kept; false when the conn ended. */
static bool
find_room(struct conn *c, bool *ret_in_scratch, uint8_t **ret_into, size_t *ret_room)
{
	size_t kept = buf_len(&c->in), room = LOOP_SCRATCH_BYTES;

	if (kept > 0 && c->in_max != 0) {
		room = MIN(room, c->in_max - MIN(c->in_max, kept));
		if (room == 0) {
			conn_end(c, -ENOBUFS);
			return false;
		}
	}
	*ret_in_scratch = kept <= LOOP_SCRATCH_BYTES / 2;
	if (*ret_in_scratch) {
		/* The usual partial request is short: with it in front of the scratch memory the read is
		 * as large as ever. */
		if (kept > 0) {
			memcpy(loop_scratch(c->loop), buf_slice(&c->in).ptr, kept);
		}
		*ret_into = loop_scratch(c->loop) + kept;
		*ret_room = MIN(room, LOOP_SCRATCH_BYTES - kept);
		return true;
	}
	/* A longer one grows in steps, so that a lying length header costs nothing. */
	room = MIN(room, kept);
	if (buf_reserve(&c->in, room) < 0) {
		conn_end(c, -ENOMEM);
		return false;
	}
	*ret_into = buf_tail(&c->in);
	*ret_room = room;
	return true;
}

static void
on_end_of_stream(struct conn *c)
{
	c->eof = true;
	c->read_again = false;
	if (c->ops->on_eof == NULL) {
		conn_end(c, 0);
		return;
	}
	conn_update_watch(c);
	c->ops->on_eof(c, c->owner);
}

static void
read_some(struct conn *c)
{
	size_t kept = buf_len(&c->in), room, used;
	struct slice all;
	bool in_scratch;
	uint8_t *into;
	ssize_t n;

	if (!find_room(c, &in_scratch, &into, &room)) {
		return;
	}
	n = take(c, into, room);
	if (n < 0) {
		if (n != -EAGAIN) {
			conn_end(c, (int)n);
		}
		return;
	}
	if (n == 0) {
		on_end_of_stream(c);
		return;
	}
	if (c->expect_plain && conn_is_strange(c, into[0])) {
		return;
	}
	if (!in_scratch) {
		buf_commit(&c->in, (size_t)n);
		if (deliver(c, buf_slice(&c->in), &used)) {
			buf_consume(&c->in, used);
			buf_release(&c->in);
		}
		return;
	}
	all = (struct slice){into - kept, kept + (size_t)n};
	if (!deliver(c, all, &used)) {
		return;
	}
	if (kept > 0 && used == 0) {
		/* what was kept stays where it is */
		all = (struct slice){into, (size_t)n};
	} else {
		buf_clear(&c->in);
		all.ptr += used;
		all.len -= used;
	}
	if (c->in_max != 0 && !c->paused && buf_len(&c->in) + all.len > c->in_max) {
		conn_end(c, -ENOBUFS);
	} else if (buf_add_slice(&c->in, all) < 0) {
		conn_end(c, -ENOMEM);
	} else {
		buf_release(&c->in);
	}
}

static void
flush_out(struct conn *c)
{
	while (buf_len(&c->out) > 0) {
		struct slice s = buf_slice(&c->out);
		ssize_t n = put(c, s.ptr, s.len);

		if (n == -EAGAIN) {
			break;
		}
		if (n < 0) {
			conn_end(c, (int)n);
			return;
		}
		c->sent_total += (uint64_t)n;
		buf_consume(&c->out, (size_t)n);
		if ((size_t)n < s.len) {
			break;
		}
	}
	c->blocked = buf_len(&c->out) > 0;
	if (!c->blocked) {
		buf_release(&c->out);
		if (c->closing) {
			linger(c);
			return;
		}
	}
	if (buf_len(&c->out) >= c->out_high) {
		c->was_full = true;
	} else if (c->was_full && buf_len(&c->out) <= c->out_high / 2) {
		c->was_full = false;
		if (c->ops->on_room != NULL && !c->closing) {
			c->ops->on_room(c, c->owner);
		}
	}
	if (c->fd != -1) {
		conn_update_watch(c);
	}
}

static void
on_turn_end(void *arg)
{
	struct conn *c = OBJ_CAST((struct conn *)arg, CONN_MAGIC);

	if (c->tls_begins) {
		c->tls_begins = false;
		c->shaking = true;
		tls_feed(c->tls, &c->in);
		conn_shake_hands(c);
		return;
	}
	if (c->show_again && !c->paused && !c->closing) {
		size_t used;

		c->show_again = false;
		if (buf_len(&c->in) > 0) {
			if (!deliver(c, buf_slice(&c->in), &used)) {
				return;
			}
			buf_consume(&c->in, used);
			buf_release(&c->in);
		}
	}
	if (c->read_again && !c->paused && !c->closing && !c->eof) {
		read_some(c);
		if (c->fd == -1) {
			return;
		}
	}
	if (!conn_is_beginning(c) && !c->lingering && (buf_len(&c->out) > 0 || c->closing)) {
		flush_out(c);
	}
}

static void
on_ready(struct ev_loop *ev, ev_io *w, int revents)
{
	struct conn *c = OBJ_CAST((struct conn *)w->data, CONN_MAGIC);

	if (c->connecting) {
		conn_on_connected(c);
		return;
	}
	if (c->tls_begins) {
		return;
	}
	if (c->shaking) {
		conn_shake_hands(c);
		return;
	}
	if (c->lingering) {
		read_nothing(c);
		return;
	}
	if ((revents & EV_READ) ||
	    (c->tls != NULL && tls_wants_write(c->tls) && !c->paused && !c->eof)) {
		read_some(c);
	}
	if ((revents & EV_WRITE) && c->fd != -1) {
		flush_out(c);
	}
}

struct conn *
conn_make(struct loop *loop, int fd, bool connecting, const struct conn_ops *ops, void *owner)
{
	struct conn *c = xcalloc(1, sizeof(*c));

	*c = (struct conn){.magic = CONN_MAGIC,
	    .fd = fd,
	    .loop = loop,
	    .out_high = DEFAULT_OUT_HIGH,
	    .ops = ops,
	    .owner = owner,
	    .connecting = connecting};
	c->in_max = DEFAULT_IN_MAX;
	buf_init(&c->in, 0);
	buf_init(&c->out, 0);
	loop_hook_init(&c->flush, on_turn_end, c);
	ev_io_init(&c->io, on_ready, fd, 0);
	c->io.data = c;
	conn_update_watch(c);
	return c;
}

struct conn *
conn_new(struct loop *loop, int fd, const struct conn_ops *ops, void *owner)
{
	return conn_make(loop, fd, false, ops, owner);
}

void
conn_hand_over(struct conn *c, const struct conn_ops *ops, void *owner)
{
	c->ops = ops;
	c->owner = owner;
	conn_stop_deadline(c);
	if (c->rare != NULL && c->rare->announced == NULL) {
		free_rare(c); /* it served the arrival only */
	}
	conn_show_again(c);
}

void
conn_close(struct conn **cp)
{
	struct conn *c = *cp;

	*cp = NULL;
	if (c != NULL) {
		shut(c);
	}
}

void
conn_close_after_flush(struct conn **cp, uint64_t timeout_ms)
{
	struct conn *c = *cp;

	*cp = NULL;
	if (c == NULL || c->fd == -1) {
		return;
	}
	c->closing = true;
	c->paused = true;
	loop_orphan(c->loop, &rare_of(c)->orphan, end_orphan, c);
	conn_set_deadline(c, timeout_ms);
	if (timeout_ms == 0) {
		ev_timer_set(&c->rare->deadline, 0., 0.);
		ev_timer_start(loop_ev(c->loop), &c->rare->deadline);
	}
	loop_hook_ask(c->loop, &c->flush);
	conn_update_watch(c);
}

void
conn_set_limits(struct conn *c, size_t in_max, size_t out_high)
{
	c->in_max = in_max;
	c->out_high = out_high;
}

void
conn_set_deadline(struct conn *c, uint64_t timeout_ms)
{
	conn_stop_deadline(c);
	if (timeout_ms > 0) {
		ev_timer *timer = &rare_of(c)->deadline;

		/* the loop's time stands still during a turn, and before its first */
		ev_now_update(loop_ev(c->loop));
		ev_timer_set(timer, (double)timeout_ms / 1000., 0.);
		ev_timer_start(loop_ev(c->loop), timer);
	}
}

int
conn_write(struct conn *c, const void *bytes, size_t len)
{
	int err = buf_add(&c->out, bytes, len);

	if (err == 0) {
		conn_flush(c);
	}
	return err;
}

int
conn_send(struct conn *c, const void *bytes, size_t len)
{
	const uint8_t *p = bytes;
	ssize_t n = 0;
	int err = 0;

	if (c->fd == -1) {
		return 0;
	}
	if (buf_len(&c->out) == 0 && !conn_is_beginning(c) && !c->blocked && !c->closing &&
	    len > 0) {
		/* an error shows again at the flush, where it may end the conn */
		n = put(c, p, len);
		n = n < 0 ? 0 : n;
		c->sent_total += (uint64_t)n;
	}
	if ((size_t)n < len) {
		err = buf_add(&c->out, p + n, len - (size_t)n);
		conn_flush(c);
	}
	return err;
}

struct buf *
conn_out(struct conn *c)
{
	return &c->out;
}

void
conn_flush(struct conn *c)
{
	if (c->fd == -1) {
		return;
	}
	if (buf_len(&c->out) >= c->out_high) {
		c->was_full = true;
	}
	if (!conn_is_beginning(c) && !c->blocked) {
		loop_hook_ask(c->loop, &c->flush);
	}
}

bool
conn_is_full(const struct conn *c)
{
	return buf_len(&c->out) >= c->out_high;
}

size_t
conn_unsent(const struct conn *c)
{
	return buf_len(&c->out);
}

uint64_t
conn_sent_total(const struct conn *c)
{
	return c->sent_total;
}

void
conn_pause(struct conn *c, bool paused)
{
	if (c->fd == -1 || c->closing || c->paused == paused) {
		return;
	}
	c->paused = paused;
	if (!paused) {
		conn_show_again(c);
		if (c->read_again) {
			loop_hook_ask(c->loop, &c->flush);
		}
	}
	conn_update_watch(c);
}

void
conn_show_again(struct conn *c)
{
	if (c->fd != -1 && !c->closing && (c->in_on_data || buf_len(&c->in) > 0)) {
		c->show_again = true;
		loop_hook_ask(c->loop, &c->flush);
	}
}

bool
conn_is_paused(const struct conn *c)
{
	return c->paused;
}

void
conn_end_output(struct conn *c)
{
	if (c->fd == -1 || conn_is_beginning(c)) {
		return;
	}
	if (c->tls != NULL) {
		tls_shutdown(c->tls);
	}
	(void)shutdown(c->fd, SHUT_WR);
}

bool
conn_is_tls(const struct conn *c)
{
	return c->tls != NULL;
}

int
conn_fd(const struct conn *c)
{
	return c->fd;
}

void
conn_set_peer(struct conn *c, const char *text)
{
	free(rare_of(c)->announced);
	c->rare->announced = xstrdup(text);
}

char *
conn_peer(const struct conn *c, char *text)
{
	if (c->rare != NULL && c->rare->announced != NULL) {
		(void)snprintf(text, ENDPOINT_TEXT_SIZE, "%s", c->rare->announced);
		return text;
	}
	return endpoint_peer(c->fd, text);
}
