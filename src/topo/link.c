#include "topo/link.h"

#include <assert.h>
#include <errno.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <hiredis/hiredis.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/conn.h"
#include "topo/reply.h"

#define LINK_MAGIC      0x4c494e4bU
#define LINK_MAX_UNANSW 1024
#define LINK_MAX_WORDS  64
#define LINK_MAX_ARRAY  16384 /* elements of one array: memory is taken before they arrive */

enum link_state {
	LINK_RESTING,
	LINK_WAITING,    /* for the next attempt */
	LINK_CONNECTING, /* TCP */
	LINK_ENTERING,   /* AUTH, SUBSCRIBE */
	LINK_UP,
	LINK_FREED,
};

struct request {
	struct list link;
	link_reply_fn *fn; /* NULL: nobody waits any more, but the reply still comes */
	void *arg;         /* borrowed */
	uint64_t sent_ms, deadline_ms;
};

struct link {
	uint32_t magic;
	enum link_state state;
	struct loop *loop; /* borrowed (outlives all) */
	struct link_spec spec;
	const struct link_ops *ops; /* borrowed (static) */
	void *owner;                /* borrowed (frees the link before it goes) */
	struct conn *conn;          /* owned; NULL while not connected */
	redisReader *reader;        /* owned; lives as long as the conn */
	struct list unanswered;     /* struct request.link, in the order sent */
	struct list failed;         /* struct request.link, whose callbacks the hook runs */
	size_t unanswered_count;
	ev_timer timer; /* waiting: the next attempt; up: the next thing that may be late */
	struct loop_hook hook;
	uint64_t retry_ms; /* the next pause */
	uint64_t heard_ms; /* when the peer last said anything */
	uint64_t
	    refused_ms; /* since when nothing listens there; 0: the last attempt was not refused */
	uint64_t fed, parsed; /* bytes given to the reader, bytes of whole replies */
	size_t confirmed;     /* channels */
	bool auth_sent, ping_sent, broke;
	int broke_error;
	char broke_why[256];
};

static void arm(struct link *l);

/* ---- breaking ---- */

static void
set_timer(struct link *l, uint64_t ms)
{
	ev_timer_stop(loop_ev(l->loop), &l->timer);
	ev_timer_set(&l->timer, (double)ms / 1000., 0.);
	ev_timer_start(loop_ev(l->loop), &l->timer);
}

/* Drops the connection; who waits for an answer is told at the end of the turn. */
static void
disconnect(struct link *l, int error)
{
	conn_close(&l->conn);
	if (l->reader != NULL) {
		redisReaderFree(l->reader);
		l->reader = NULL;
	}
	ev_timer_stop(loop_ev(l->loop), &l->timer);
	if (!list_is_empty(&l->unanswered)) {
		list_move(&l->failed, &l->unanswered);
		l->unanswered_count = 0;
		l->broke_error = error;
		loop_hook_ask(l->loop, &l->hook);
	}
}

static void break_link(struct link *l, int error, const char *fmt, ...) ATTR_PRINTF(3, 4);

static void
break_link(struct link *l, int error, const char *fmt, ...)
{
	va_list ap;

	if (l->state == LINK_UP) {
		l->retry_ms = l->spec.retry_min_ms;
	}
	disconnect(l, error);
	va_start(ap, fmt);
	(void)vsnprintf(l->broke_why, sizeof(l->broke_why), fmt, ap);
	va_end(ap);
	l->broke_error = error;
	l->broke = true;
	l->state = LINK_WAITING;
	set_timer(l, l->retry_ms);
	l->retry_ms = MIN(l->retry_ms * 2, l->spec.retry_max_ms);
	loop_hook_ask(l->loop, &l->hook);
}

static void
on_turn_end(void *arg)
{
	struct link *l = OBJ_CAST((struct link *)arg, LINK_MAGIC);
	int error = l->broke_error;

	while (l->state != LINK_FREED && !list_is_empty(&l->failed)) {
		struct request *req = CONTAINER_OF(list_shift(&l->failed), struct request, link);

		if (req->fn != NULL) {
			req->fn(req->arg, NULL, error);
		}
		free(req);
	}
	if (l->state != LINK_FREED && l->broke) {
		l->broke = false;
		if (l->ops->on_down != NULL) {
			l->ops->on_down(l, l->owner, error, l->broke_why);
		}
	}
}

/* ---- replies ---- */

static void
go_up(struct link *l)
{
	l->state = LINK_UP;
	conn_set_deadline(l->conn, 0);
	arm(l);
	if (l->ops->on_up != NULL) {
		l->ops->on_up(l, l->owner);
	}
}

static void
write_words(struct link *l, size_t count, const char *const *words, const size_t *lengths)
{
	const char *copy[LINK_MAX_WORDS];
	char *text = NULL;
	int len;

	assert(count > 0 && count <= LINK_MAX_WORDS);
	memcpy(copy, words, count * sizeof(*copy)); /* hiredis wants them not const */
	len = redisFormatCommandArgv(&text, (int)count, copy, lengths);
	if (len < 0 || conn_write(l->conn, text, (size_t)len) < 0) {
		log_error("out of memory");
		abort();
	}
	explicit_bzero(text, (size_t)len);
	redisFreeCommand(text);
}

static void
subscribe_or_up(struct link *l)
{
	const char *words[LINK_MAX_WORDS] = {"SUBSCRIBE"};
	size_t count = 1;

	if (l->spec.channels == NULL) {
		go_up(l);
		return;
	}
	while (l->spec.channels[count - 1] != NULL) {
		words[count] = l->spec.channels[count - 1];
		count++;
	}
	l->confirmed = 0;
	write_words(l, count, words, NULL);
}

/* The words with which servers of all ages turn a user away. */
static bool
is_refusal(const struct redisReply *r)
{
	static const char *const words[] = {
	    "WRONGPASS", "NOAUTH", "NOPERM", "DENIED", "ERR AUTH", "ERR invalid password"};
	struct slice text = reply_text(r);

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		size_t len = strlen(words[i]);

		if (text.len >= len && memcmp(text.ptr, words[i], len) == 0) {
			return true;
		}
	}
	return false;
}

/* An error where none belongs: the peer will not have us. */
static void
refused(struct link *l, const struct redisReply *r)
{
	break_link(l, is_refusal(r) ? -EACCES : -EPROTO, "the server answered %s",
	    LOG_QUOTE(reply_text(r)));
}

static bool
takes_reply_to_auth(struct link *l, const struct redisReply *r)
{
	if (!l->auth_sent) {
		return false;
	}
	l->auth_sent = false;
	if (reply_is_ok(r)) {
		subscribe_or_up(l);
	} else {
		refused(l, r);
	}
	return true;
}

static void
take_push(struct link *l, const struct redisReply *r)
{
	struct slice kind = reply_text(reply_at(r, 0));

	if (reply_is_error(r)) {
		refused(l, r);
	} else if (slice_eq(kind, "subscribe") && l->state == LINK_ENTERING) {
		l->confirmed++;
		if (l->spec.channels[l->confirmed] == NULL) {
			go_up(l);
		}
	} else if (slice_eq(kind, "message") && reply_count(r) == 3) {
		if (l->state == LINK_UP) { /* before that nobody has heard of on_up yet */
			l->ops->on_push(l, l->owner, r);
		}
	} else if (slice_eq(kind, "pong") || slice_eq(kind, "subscribe")) {
		return;
	} else {
		break_link(l, -EPROTO, "the server sent something that is no message");
	}
}

static void
take_reply(struct link *l, const struct redisReply *r)
{
	struct request *req;

	if (takes_reply_to_auth(l, r)) {
		return;
	}
	if (l->spec.channels != NULL) {
		take_push(l, r);
		return;
	}
	if (list_is_empty(&l->unanswered)) {
		if (reply_is_error(r)) {
			refused(l, r);
		} else {
			break_link(l, -EPROTO, "the server sent a reply to nothing");
		}
		return;
	}
	req = CONTAINER_OF(list_shift(&l->unanswered), struct request, link);
	l->unanswered_count--;
	if (req->fn != NULL) {
		req->fn(req->arg, r, 0);
	}
	free(req);
}

/* hiredis takes memory for all elements of an array when it reads their number. */
#if HIREDIS_MAJOR < 1
static redisReplyObjectFunctions bounded, original;

static void *
create_array(const redisReadTask *task, int elements)
{
	return elements > LINK_MAX_ARRAY ? NULL : original.createArray(task, elements);
}
#endif

static redisReader *
new_reader(void)
{
	redisReader *r = redisReaderCreate();

	if (r == NULL) {
		log_error("out of memory");
		abort();
	}
#if HIREDIS_MAJOR < 1
	original = *r->fn;
	bounded = original;
	bounded.createArray = create_array;
	r->fn = &bounded;
#else
	r->maxelements = LINK_MAX_ARRAY;
#endif
	return r;
}

/* The next whole reply, NULL when there is none; on garbage the link is broken and gone. */
static redisReply *
next_reply(struct link *l)
{
	void *reply = NULL;

	if (redisReaderGetReply(l->reader, &reply) != REDIS_OK) {
		break_link(l, -EPROTO, "the server sent no valid or too big a reply");
		return NULL;
	}
	if (reply != NULL) {
		l->parsed = l->fed - (l->reader->len - l->reader->pos);
	} else if (l->fed - l->parsed > l->spec.reply_max_bytes) {
		break_link(l, -EMSGSIZE, "the server sent a reply of more than %zu bytes",
		    l->spec.reply_max_bytes);
	}
	return reply;
}

static size_t
on_data(struct conn *c, void *owner, struct slice in)
{
	struct link *l = OBJ_CAST((struct link *)owner, LINK_MAGIC);
	redisReply *reply;

	l->heard_ms = clock_mono_ms();
	l->ping_sent = false;
	if (redisReaderFeed(l->reader, (const char *)in.ptr, in.len) != REDIS_OK) {
		break_link(l, -ENOMEM, "no memory for a reply");
		return 0;
	}
	l->fed += in.len;
	while (l->reader != NULL && (reply = next_reply(l)) != NULL) {
		take_reply(l, reply);
		freeReplyObject(reply);
	}
	if (l->state == LINK_UP) {
		arm(l);
	}
	return in.len;
}

/* ---- connecting ---- */

static void
on_open(struct conn *c, void *owner)
{
	struct link *l = OBJ_CAST((struct link *)owner, LINK_MAGIC);

	l->state = LINK_ENTERING;
	l->refused_ms = 0;
	conn_set_deadline(c, l->spec.connect_ms);
	if (l->spec.password == NULL) {
		subscribe_or_up(l);
		return;
	}
	l->auth_sent = true;
	if (l->spec.user != NULL) {
		write_words(
		    l, 3, (const char *const[]){"AUTH", l->spec.user, l->spec.password}, NULL);
	} else {
		write_words(l, 2, (const char *const[]){"AUTH", l->spec.password}, NULL);
	}
}

static void
on_close(struct conn *c, void *owner, int error)
{
	struct link *l = OBJ_CAST((struct link *)owner, LINK_MAGIC);
	const char *did = l->state == LINK_CONNECTING ? "cannot connect" : "the connection broke";

	l->conn = NULL;
	if (error != -ECONNREFUSED || l->state != LINK_CONNECTING) {
		l->refused_ms = 0;
	} else if (l->refused_ms == 0) {
		l->refused_ms = clock_mono_ms();
	}
	if ((error == 0 || error == -ECONNRESET) && l->state == LINK_ENTERING && !conn_is_tls(c)) {
		break_link(l, error == 0 ? -EPIPE : error,
		    "the server closed the connection without an answer: does it listen for TLS "
		    "only?");
	} else if (error == 0) {
		break_link(l, -EPIPE, "the server closed the connection");
	} else if (error == -ETIMEDOUT && l->state == LINK_CONNECTING && conn_is_tls(c)) {
		break_link(l, error,
		    "connected, but no TLS within %llu ms: does it listen without TLS?",
		    (unsigned long long)l->spec.connect_ms);
	} else if (error == -ETIMEDOUT) {
		break_link(l, error, "%s: no answer within %llu ms", did,
		    (unsigned long long)l->spec.connect_ms);
	} else {
		break_link(
		    l, error, "%s: %s", did, error == -EPROTO ? conn_fault(c) : strerror(-error));
	}
}

static const struct conn_ops conn_ops = {
    .on_open = on_open, .on_data = on_data, .on_close = on_close};

static void
try_connect(struct link *l)
{
	struct errmsg err = ERRMSG_NONE;

	l->auth_sent = l->ping_sent = false;
	l->fed = l->parsed = 0;
	l->state = LINK_CONNECTING;
	l->conn = conn_connect(l->loop, &l->spec.at, l->spec.connect_ms, &conn_ops, l, &err);
	if (l->conn == NULL) {
		l->refused_ms = 0;
		break_link(l, -ECONNREFUSED, "%s", err.text);
		return;
	}
	l->reader = new_reader();
}

/* ---- what is late ---- */

/* When the link is given up because of its oldest command, unless that was given more time. */
static uint64_t
stall_due(const struct link *l, const struct request *req)
{
	return MAX(req->sent_ms + l->spec.stall_ms, req->deadline_ms);
}

/* The earliest moment at which something is late; UINT64_MAX: never. */
static uint64_t
next_due(const struct link *l)
{
	uint64_t due = UINT64_MAX;

	list_for_each (it, &l->unanswered) {
		const struct request *req = CONTAINER_OF(it, struct request, link);

		if (it == l->unanswered.next) {
			due = stall_due(l, req);
		}
		if (req->fn != NULL) {
			due = MIN(due, req->deadline_ms);
		}
	}
	if (l->spec.ping_ms > 0) {
		uint64_t patience = l->ping_sent ? l->spec.stall_ms : 0;

		due = MIN(due, l->heard_ms + l->spec.ping_ms + patience);
	}
	return due;
}

static void
arm(struct link *l)
{
	uint64_t due = next_due(l), now = clock_mono_ms();

	ev_timer_stop(loop_ev(l->loop), &l->timer);
	if (due != UINT64_MAX) {
		set_timer(l, due > now ? due - now : 0);
	}
}

/*
 * Tells who has waited too long. One at a time and from the start, since a callback may change the
 * list.
 */
static bool
expire_one(struct link *l, uint64_t now)
{
	list_for_each (it, &l->unanswered) {
		struct request *req = CONTAINER_OF(it, struct request, link);

		if (req->fn != NULL && req->deadline_ms <= now) {
			link_reply_fn *fn = req->fn;

			req->fn = NULL;
			fn(req->arg, NULL, -ETIMEDOUT);
			return true;
		}
	}
	return false;
}

static void
send_ping(struct link *l)
{
	static const char *const words[] = {"PING"};

	l->ping_sent = true;
	if (l->spec.channels != NULL) {
		write_words(l, 1, words, NULL); /* answered by a push */
	} else {
		(void)link_sendv(l, 0, NULL, NULL, 1, words, NULL);
	}
}

static void
check_late(struct link *l)
{
	uint64_t now = clock_mono_ms();

	while (l->state == LINK_UP && expire_one(l, now)) {
		continue;
	}
	if (l->state != LINK_UP) {
		return;
	}
	if (!list_is_empty(&l->unanswered)) {
		const struct request *first =
		    CONTAINER_OF(l->unanswered.next, struct request, link);

		if (stall_due(l, first) <= now) {
			break_link(l, -ETIMEDOUT, "no answer for %llu ms",
			    (unsigned long long)(now - first->sent_ms));
			return;
		}
	}
	if (l->spec.ping_ms > 0 && now >= l->heard_ms + l->spec.ping_ms) {
		if (!l->ping_sent) {
			send_ping(l);
		} else if (now >= l->heard_ms + l->spec.ping_ms + l->spec.stall_ms) {
			break_link(l, -ETIMEDOUT, "nothing heard for %llu ms",
			    (unsigned long long)(now - l->heard_ms));
			return;
		}
	}
	arm(l);
}

static void
on_timer(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct link *l = OBJ_CAST((struct link *)w->data, LINK_MAGIC);

	if (l->state == LINK_WAITING) {
		try_connect(l);
	} else if (l->state == LINK_UP) {
		check_late(l);
	}
}

/* ---- for the owner ---- */

struct link *
link_new(struct loop *loop, const struct link_spec *spec, const struct link_ops *ops, void *owner)
{
	struct link *l = xcalloc(1, sizeof(*l));

	assert(spec->channels == NULL || (spec->channels[0] != NULL && ops->on_push != NULL));
	l->magic = LINK_MAGIC;
	l->state = LINK_WAITING;
	l->loop = loop;
	l->spec = *spec;
#define DEFAULT(field, value) (l->spec.field = l->spec.field != 0 ? l->spec.field : (value))
	DEFAULT(connect_ms, 1000);
	DEFAULT(stall_ms, 5000);
	DEFAULT(retry_min_ms, 100);
	DEFAULT(retry_max_ms, 2000);
	DEFAULT(reply_max_bytes, (size_t)1024 * 1024);
#undef DEFAULT
	l->ops = ops;
	l->owner = owner;
	list_init(&l->unanswered);
	list_init(&l->failed);
	loop_hook_init(&l->hook, on_turn_end, l);
	ev_init(&l->timer, on_timer);
	l->timer.data = l;
	l->retry_ms = l->spec.retry_min_ms;
	l->heard_ms = clock_mono_ms();
	set_timer(l, 0);
	return l;
}

static void
free_requests(struct list *list)
{
	struct list *item;

	while ((item = list_shift(list)) != NULL) {
		free(CONTAINER_OF(item, struct request, link));
	}
}

static void
free_now(void *obj)
{
	struct link *l = obj;

	l->magic = 0;
	free(l);
}

void
link_free(struct link **lp)
{
	struct link *l = *lp;

	*lp = NULL;
	if (l == NULL || l->state == LINK_FREED) {
		return;
	}
	disconnect(l, -ECANCELED);
	loop_hook_cancel(&l->hook);
	free_requests(&l->failed);
	l->state = LINK_FREED;
	loop_bury(l->loop, free_now, l);
}

bool
link_is_up(const struct link *l)
{
	return l->state == LINK_UP;
}

const struct endpoint *
link_at(const struct link *l)
{
	return &l->spec.at;
}

uint64_t
link_silent_ms(const struct link *l)
{
	return clock_mono_ms() - l->heard_ms;
}

uint64_t
link_refused_ms(const struct link *l)
{
	return l->refused_ms > 0 ? MAX(clock_mono_ms() - l->refused_ms, 1) : 0;
}

bool
link_is_unheard(const struct link *l, uint64_t for_ms)
{
	struct tcp_info info;
	socklen_t len = sizeof(info);

	return l->state == LINK_UP && l->conn != NULL &&
	       getsockopt(conn_fd(l->conn), IPPROTO_TCP, TCP_INFO, &info, &len) == 0 &&
	       info.tcpi_unacked > 0 && info.tcpi_last_ack_recv >= for_ms;
}

void
link_kick(struct link *l)
{
	if (l->state == LINK_WAITING) {
		l->retry_ms = l->spec.retry_min_ms;
		set_timer(l, 0);
	}
}

void
link_rest(struct link *l, bool resting)
{
	if (resting == (l->state == LINK_RESTING) || l->state == LINK_FREED) {
		return;
	}
	l->retry_ms = l->spec.retry_min_ms;
	if (resting) {
		disconnect(l, -ECANCELED);
		l->broke = false;
		l->state = LINK_RESTING;
	} else {
		l->state = LINK_WAITING;
		l->heard_ms = clock_mono_ms();
		set_timer(l, 0);
	}
}

void
link_move(struct link *l, const struct endpoint *at)
{
	if (endpoint_equal(&l->spec.at, at) || l->state == LINK_FREED) {
		return;
	}
	l->spec.at = *at;
	l->refused_ms = 0;
	if (l->state != LINK_RESTING) {
		if (l->conn != NULL) {
			break_link(l, -ECANCELED, "the address has changed");
		}
		l->retry_ms = l->spec.retry_min_ms;
		set_timer(l, 0);
	}
}

int
link_sendv(struct link *l, uint64_t timeout_ms, link_reply_fn *fn, void *arg, size_t count,
    const char *const *words, const size_t *lengths)
{
	struct request *req;

	assert(l->spec.channels == NULL);
	if (l->state != LINK_UP) {
		return -ENOTCONN;
	}
	if (l->unanswered_count >= LINK_MAX_UNANSW) {
		return -ENOBUFS;
	}
	req = xcalloc(1, sizeof(*req));
	list_init(&req->link);
	req->fn = fn;
	req->arg = arg;
	req->sent_ms = clock_mono_ms();
	req->deadline_ms = req->sent_ms + (timeout_ms > 0 ? timeout_ms : l->spec.stall_ms);
	list_push(&l->unanswered, &req->link);
	l->unanswered_count++;
	write_words(l, count, words, lengths);
	arm(l);
	return 0;
}

int
link_send(struct link *l, uint64_t timeout_ms, link_reply_fn *fn, void *arg, const char *verb, ...)
{
	const char *words[LINK_MAX_WORDS];
	size_t count = 0;
	va_list ap;

	va_start(ap, verb);
	for (const char *word = verb; word != NULL; word = va_arg(ap, const char *)) {
		assert(count < LINK_MAX_WORDS);
		words[count++] = word;
	}
	va_end(ap);
	return link_sendv(l, timeout_ms, fn, arg, count, words, NULL);
}

void
link_forget(struct link *l, const void *arg)
{
	struct list *both[] = {&l->unanswered, &l->failed};

	for (size_t i = 0; i < ARRAY_LEN(both); i++) {
		list_for_each (it, both[i]) {
			struct request *req = CONTAINER_OF(it, struct request, link);

			if (req->arg == arg) {
				req->fn = NULL;
			}
		}
	}
}
