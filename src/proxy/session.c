/*
 * One client.
 *
 *   client → conn → scanner → dispatch ─→ shared lane ─┐
 *                                ├─────→ own lane ─────┼→ on_reply → conn → client
 *                                └─────→ answered here ┘
 *
 * Replies keep the order of requests without any bookkeeping: lanes answer in order, and whatever
 * is not for the lane in use (an answer made here, another lane) waits until nothing is unanswered.
 * Until then the session does not read on: the request stays in the conn and is looked at again.
 */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "backend/arrival.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "ipc/share.h"
#include "proxy/proxy_priv.h"

#define CLOSE_FLUSH_MS    5000
#define WAITING_BYTES_MAX ((size_t)16 * 1024)

/* ---- what few need ---- */

const struct session_rare session_no_rare;

struct session_rare *
session_rare(struct session *s)
{
	if (s->rare == &session_no_rare) {
		s->rare = xcalloc(1, sizeof(*s->rare));
	}
	return (struct session_rare *)(uintptr_t)s->rare; /* ours alone: not const */
}

static void
free_rare(struct session *s)
{
	if (s->rare != &session_no_rare) {
		free((void *)(uintptr_t)s->rare);
		s->rare = &session_no_rare;
	}
}

/* ---- end ---- */

static void
free_now(void *obj)
{
	struct session *s = obj;

	s->magic = 0;
	free(s);
}

/* All but the conn. */
static void
leave(struct session *s)
{
	struct proxy *p = s->proxy;

	requester_fini(&s->requester);
	lane_release(&s->own);
	lane_release(&s->lane);
	session_login_answered(s, false);
	session_raw_fini(s);
	session_multi_fini(s);
	session_lasting_fini(s);
	session_lesson_fini(s);
	session_holding_fini(s);
	identity_fini(&s->id);
	free(s->rare->name);
	free(s->rare->lib_name);
	free(s->rare->lib_version);
	session_filter_fini(s);
	session_unblock_fini(s);
	free_rare(s);
	list_del(&s->link);
	p->session_count--;
	proxy_count(p);
	loop_bury(p->loop, free_now, s);
	if (p->draining && list_is_empty(&p->sessions)) {
		worker_drained(p->worker);
	}
}

void
session_close(struct session *s)
{
	struct conn *c = s->conn;

	if (c != NULL) {
		s->conn = NULL;
		leave(
		    s); /* first: who sees the end may come again at once, and finds the place free */
		conn_close(&c);
	}
}

void
session_close_with(struct session *s, const char *reply)
{
	if (s->conn == NULL) {
		return;
	}
	session_reply(s, reply);
	if (s->conn != NULL && s->rare->holding != NULL) {
		s->closing = s->ending = true;
		conn_pause(s->conn, true);
	} else if (s->conn != NULL) {
		conn_close_after_flush(&s->conn, CLOSE_FLUSH_MS);
		leave(s);
	}
}

void
session_held_are_out(struct session *s)
{
	if (s->ending) {
		conn_close_after_flush(&s->conn, CLOSE_FLUSH_MS);
		leave(s);
	} else if (s->wait == WAIT_CLIENT && !conn_is_full(s->conn)) {
		session_read_on(s);
	}
}

/* CLIENT LIST, KILL or UNBLOCK: the reply is still to be put together. */
static bool
asks_others(const struct session *s)
{
	return s->rare->filter != NULL || s->rare->unblocking != NULL;
}

void
session_drain(struct session *s)
{
	s->closing = true;
	if ((s->requester.unanswered == 0 && !asks_others(s)) || s->own_mode == OWN_RAW) {
		session_close_with(s, "");
	} else if (!resp_request_is_streaming(&s->scan)) {
		conn_pause(s->conn, true);
	}
}

/* Its last request is one that comes in pieces; then all is asked. */
static bool
has_asked_all(const struct session *s)
{
	return s->closing && !resp_request_is_streaming(&s->scan);
}

/* ---- replies ---- */

/* An error of the socket shows at the flush. */
void
session_put(struct session *s, struct slice bytes)
{
	int err = bytes.len >= PROXY_DIRECT_BYTES ? conn_send(s->conn, bytes.ptr, bytes.len)
						  : conn_write(s->conn, bytes.ptr, bytes.len);

	s->proxy->stats.out_bytes += bytes.len;
	if (err < 0) {
		session_close(s);
	} else if (conn_unsent(s->conn) > s->proxy->conf.max_output_bytes) {
		s->proxy->stats.slow++;
		log_peer(LOG_INFO, "a client that does not read its replies is closed");
		session_close(s);
	} else if (conn_is_full(s->conn)) {
		requester_set_slow(&s->requester, true);
	}
}

/* The client wants to hear no replies. */
static bool
is_quiet(const struct session *s)
{
	return (s->reply_off || s->skip_next || s->skip_now) && !s->is_push;
}

void
session_write(struct session *s, struct slice bytes)
{
	if (s->ending || is_quiet(s)) {
		return; /* its last word was said, or none is wanted */
	}
	if (s->rare->holding != NULL) {
		session_hold(s, bytes);
	} else {
		session_put(s, bytes);
	}
}

void
session_reply(struct session *s, const char *reply)
{
	session_write(s, slice_str(reply));
}

void
session_replyf(struct session *s, const char *fmt, ...)
{
	struct buf held;
	va_list ap;

	if (is_quiet(s)) {
		return;
	}
	buf_init(&held, 0);
	va_start(ap, fmt);
	if (buf_vaddf(s->rare->holding != NULL ? &held : conn_out(s->conn), fmt, ap) == 0) {
		conn_flush(s->conn);
	}
	va_end(ap);
	if (buf_len(&held) > 0) {
		session_write(s, buf_slice(&held));
	}
	buf_fini(&held);
}

void
session_count_local(struct session *s, bool error)
{
	metrics_add_local(backend_metrics(s->backend), s->asked, error);
}

void
session_read_on(struct session *s)
{
	s->wait = WAIT_NOTHING;
	if (s->conn != NULL && !has_asked_all(s)) {
		conn_pause(s->conn, false);
		conn_show_again(s->conn);
	}
}

/* The reply was handed on: what may happen now? */
static void
after_reply(struct session *s, const struct lane_reply *reply)
{
	s->blocks = s->blocks && s->requester.unanswered > 0;
	if (s->rare->login != NULL && s->requester.unanswered == 0) {
		session_login_answered(s, reply->type != '-');
	}
	if (s->rare->lasting != NULL && s->requester.unanswered == 0) {
		session_lasting_answered(s, reply->type != '-');
	}
	if (s->rare->lesson != NULL && s->requester.unanswered == 0) {
		session_lesson_answered(s, reply->type != '-');
	}
	if (s->own != NULL) {
		session_own_answered(s, reply);
	}
	if (s->conn == NULL || s->requester.unanswered > 0 || asks_others(s)) {
		return;
	}
	if (s->rare != &session_no_rare &&
	    memcmp(s->rare, &session_no_rare, sizeof(*s->rare)) == 0) {
		free_rare(s);
	}
	if (s->closing || s->eof) {
		session_close_with(s, "");
	} else if (s->wait == WAIT_REPLIES) {
		session_read_on(s);
	}
}

/* Does it say that something is written, where that is to be said only when replicas have it? Within a transaction
 * nothing is until EXEC, behind which nothing is asked. */
static bool
is_acknowledgment(const struct session *s, const struct lane_reply *reply)
{
	bool behind = s->requester.unanswered > (reply->last ? 0 : 1);

	return !reply->read && !reply->local && reply->type != '-' && reply->type != '>' &&
	       !is_quiet(s) && !(s->own_mode == OWN_MULTI && (!s->own_ends || behind)) &&
	       session_is_durable(s);
}

/* One for the client, but for what is put in its place. */
static void
pass_on(struct session *s, const struct lane_reply *reply)
{
	if (!reply->read && !reply->local && reply->type != '-' && s->written_at == 0) {
		s->written_at = reply->process;
	}
	if (s->rare->login != NULL) {
		session_write_login(s, reply->raw);
	} else if (s->rare->filter != NULL) {
		session_clients_answer(s, reply);
	} else if (s->info_due) {
		session_info_answer(s, reply);
	} else if (s->rare->wait_for > 0) {
		session_write(s, session_wait_answer(s, reply));
	} else if (s->rare->instead == NULL && is_acknowledgment(s, reply)) {
		session_hold_write(s, reply);
	} else if (s->rare->instead == NULL) {
		session_write(s, reply->raw);
	} else if (reply->last) {
		const char *instead = s->rare->instead;

		session_rare(s)->instead = NULL;
		session_reply(s, instead);
	}
	if (!reply->last && s->large_reads > 0) {
		s->large_reads = SESSION_LARGE_READS;
	}
	if (s->conn != NULL && reply->last && reply->type != '>') {
		after_reply(s, reply);
	}
}

/* EXEC has changed the connection: the client is told so in its own terms. */
static void
take_executed(struct session *s, const struct lane_reply *reply)
{
	struct lane_reply ours = *reply;
	struct buf out;

	buf_init(&out, 0);
	if (session_multi_read(s, reply, &out) < 0) {
		log_peer(LOG_WARN, "a client is closed: EXEC's reply does not tell who it is now");
		session_close(s);
	} else if (buf_len(&out) > 0) {
		ours.raw = buf_slice(&out);
		pass_on(s, &ours);
	}
	buf_fini(&out);
}

static void
take_reply(struct session *s, const struct lane_reply *reply)
{
	if (reply->local && reply->raw.len == 0) {
		session_close(s); /* the reply was cut in the middle */
		return;
	}
	s->in_reply = !reply->last;
	if (s->own_mode == OWN_RAW) {
		session_raw_reply(s, reply);
		return;
	}
	if (session_multi_hides(s, reply)) {
		if (s->conn != NULL && reply->last && !session_multi_is_away(s)) {
			after_reply(s, reply);
		}
		return;
	}
	if (s->info_asked) {
		session_wait_info(s, reply);
		if (reply->last) {
			after_reply(s, reply);
		}
		return;
	}
	if (s->rare->unblocking != NULL && reply->type != '>') {
		session_unblock_answer(s, reply);
		if (s->conn != NULL && reply->last) {
			after_reply(s, reply);
		}
		return;
	}
	if (session_multi_is_executed(s, reply)) {
		take_executed(s, reply);
		return;
	}
	pass_on(s, reply);
}
static void
on_reply(void *owner, const struct lane_reply *reply)
{
	struct session *s = OBJ_CAST((struct session *)owner, SESSION_MAGIC);

	s->is_push = reply->type == '>';
	take_reply(s, reply);
	s->is_push = false;
}

static void
on_lane_room(void *owner)
{
	struct session *s = OBJ_CAST((struct session *)owner, SESSION_MAGIC);

	if (s->conn != NULL && s->rare->raw != NULL) {
		session_raw_room(s);
	}
	if (s->conn != NULL && s->rare->lasting != NULL) {
		session_lasting_room(s);
	}
	if (s->conn != NULL && s->rare->multi != NULL) {
		session_multi_room(s);
	}
	if (s->conn != NULL && s->wait == WAIT_ROOM) {
		session_read_on(s);
	}
}

static void
on_lost(void *owner, struct lane *lane, unsigned dropped, unsigned unsent)
{
	struct session *s = OBJ_CAST((struct session *)owner, SESSION_MAGIC);

	session_own_lost(s, unsent);
	if (s->conn != NULL && s->wait == WAIT_REPLIES && s->requester.unanswered == 0 &&
	    !session_multi_is_away(s)) {
		session_read_on(s);
	}
}

/* Once more, on a lane of its own. */
static void
on_large(void *owner, struct slice raw)
{
	struct session *s = OBJ_CAST((struct session *)owner, SESSION_MAGIC);

	s->large_reads = SESSION_LARGE_READS;
	session_take_own(s, OWN_ONCE);
	if (session_send_once(s, raw, LANE_READ) != DISPATCH_DONE) {
		session_close(s);
	}
}

static bool
is_settled(void *owner)
{
	return session_raw_is_settled(OBJ_CAST((struct session *)owner, SESSION_MAGIC));
}

static const struct requester_ops requester_ops = {.on_reply = on_reply,
    .on_large = on_large,
    .is_settled = is_settled,
    .on_room = on_lane_room,
    .on_lost = on_lost};

/* ---- lanes ---- */

struct lane_key
session_key(const struct identity *id)
{
	struct lane_key key = {.database = id->database, .protocol = id->protocol};

	if (id->user != NULL) {
		key.user = slice_str(id->user);
	}
	if (id->password != NULL) {
		key.password = slice_str(id->password);
	}
	return key;
}

static struct lane *
shared_lane(struct session *s)
{
	if (s->lane == NULL) {
		struct lane_key key = session_key(&s->id);

		s->lane = lane_shared(s->backend, &key);
	}
	return s->lane;
}

enum dispatch
session_wait_for(struct session *s, enum session_wait what)
{
	s->wait = (uint8_t)what;
	if (what == WAIT_CLIENT) {
		conn_pause(s->conn, true);
	}
	return DISPATCH_LATER; /* on_data pauses the conn if much comes meanwhile */
}

enum dispatch
session_send_once(struct session *s, struct slice raw, unsigned flags)
{
	enum dispatch d = session_forward(s, raw, flags);

	if (d == DISPATCH_DONE) {
		s->own_ends = true;
		if (s->requester.unanswered > 0) {
			(void)session_wait_for(s, WAIT_REPLIES);
		} else {
			session_drop_own(s, true);
		}
	}
	return d;
}

enum dispatch
session_forward(struct session *s, struct slice raw, unsigned flags)
{
	struct lane *lane = s->own != NULL ? s->own : shared_lane(s);
	int err;

	if (lane_is_full(&s->requester, lane)) {
		return session_wait_for(s, WAIT_ROOM);
	}
	flags |= s->door == DOOR_READ ? LANE_READ : 0;
	err = lane_send(&s->requester, lane, raw, flags | (unsigned)s->asked << LANE_COMMAND_SHIFT);
	if (err < 0) {
		if (s->requester.unanswered > 0) {
			return session_wait_for(s, WAIT_REPLIES);
		}
		session_reply(s, "-MASTERDOWN no master, and too many requests wait for it\r\n");
	}
	return s->conn != NULL ? DISPATCH_DONE : DISPATCH_CLOSED;
}

/* ---- requests ---- */

static const char readonly[] = "-READONLY You can't write against a read only replica.\r\n";

enum dispatch
session_settle(struct session *s)
{
	if (s->requester.unanswered > 0) {
		return session_wait_for(s, WAIT_REPLIES);
	}
	return s->own_mode == OWN_RAW ? session_raw_settle(s) : DISPATCH_DONE;
}

/*
 * `cmd` NULL: for it writes, or may write, where only reads are. What follows of a request in pieces is thrown away, as
 * long as no own lane would take it.
 */
static enum dispatch
refuse(struct session *s, const struct command *cmd, bool begin)
{
	enum dispatch d = session_settle(s);

	if (d != DISPATCH_DONE) {
		return d;
	}
	session_count_local(s, true);
	s->multi_dirty = s->own_mode == OWN_MULTI; /* as any error before EXEC */
	if (cmd == NULL) {
		session_reply(s, readonly);
	} else {
		session_replyf(
		    s, "-ERR %s is not allowed here; proxy.allow may name it\r\n", cmd->name);
	}
	if (begin && s->own != NULL) {
		session_close_with(s, "");
		return DISPATCH_CLOSED;
	}
	return s->conn != NULL ? DISPATCH_DONE : DISPATCH_CLOSED;
}

/* Transactions and what else is about the connection are no writes; what they lead to is looked at by itself. */
static bool
is_refused_write(const struct session *s, const struct command *cmd)
{
	return s->door == DOOR_READ &&
	       (cmd == NULL ||
		   (cmd->flags & (CMD_WRITE | CMD_OWN | CMD_SESSION | CMD_PUBSUB)) == CMD_WRITE);
}

/* A browser was made to talk to us: Redis hangs up on these two, and so do we. */
static bool
is_http(const struct resp_request *req)
{
	return req->kept > 0 &&
	       (slice_caseeq(req->argv[0], "POST") || slice_caseeq(req->argv[0], "HOST:"));
}

static enum dispatch
take(struct session *s, const struct resp_request *req, bool begin)
{
	const struct command *cmd = command_find(req->argv, req->kept);

	s->asked = (uint16_t)metrics_command(cmd);
	if (cmd == NULL) {
		if (is_http(req)) {
			log_peer(LOG_WARN, "a client that speaks HTTP is closed");
			session_close(s);
			return DISPATCH_CLOSED;
		}
		return is_refused_write(s, NULL) ? refuse(s, NULL, begin)
						 : session_own_command(s, NULL, req, begin);
	}
	if (is_refused_write(s, cmd)) {
		return refuse(s, NULL, begin);
	}
	if ((cmd->flags & CMD_REFUSED) != 0 &&
	    !command_is_allowed(cmd, s->proxy->conf.allow, s->proxy->conf.allow_count)) {
		return refuse(s, cmd, begin);
	}
	if ((cmd->flags & CMD_SESSION) != 0 && !begin) {
		return session_state_command(s, cmd, req);
	}
	if (s->own == NULL && !begin &&
	    (cmd->flags & (CMD_BLOCKING | CMD_OWN | CMD_PUBSUB | CMD_SCRIPT)) == 0) {
		return session_forward(s, req->raw, (cmd->flags & CMD_READ) != 0 ? LANE_READ : 0);
	}
	if ((cmd->flags & CMD_SCRIPT) != 0 && !begin) {
		return session_script_command(s, cmd, req);
	}
	return session_own_command(s, cmd, req, begin);
}

static enum dispatch
dispatch(struct session *s, const struct resp_request *req, bool begin)
{
	bool skips = s->skip_next;
	enum dispatch d;

	if (session_multi_is_away(s)) {
		return session_wait_for(s, WAIT_ROOM); /* its replies come first */
	}
	if (s->skip_now) {
		d = session_settle(s); /* all that is to be dropped must have come */
		if (d != DISPATCH_DONE) {
			return d;
		}
	}
	s->skip_now = skips;
	s->skip_next = false;
	d = take(s, req, begin);
	if (d == DISPATCH_LATER && skips) {
		s->skip_next = true;
		s->skip_now = false;
	}
	return d;
}

static enum dispatch
protocol_error(struct session *s, const char *error)
{
	if (s->requester.unanswered > 0 && !resp_request_is_streaming(&s->scan)) {
		return session_wait_for(s, WAIT_REPLIES);
	}
	if (s->own_mode == OWN_RAW && session_raw_settle(s) != DISPATCH_DONE) {
		return s->conn != NULL ? DISPATCH_LATER : DISPATCH_CLOSED;
	}
	s->skip_now = false; /* it was about what came before */
	s->proxy->stats.violations++;
	log_peer(LOG_INFO, "a client is closed: %s", error);
	session_replyf(s, "-ERR %s\r\n", error);
	session_close_with(s, "");
	return DISPATCH_CLOSED;
}

static enum dispatch
on_piece(struct session *s, const struct resp_request *req)
{
	if (s->own != NULL &&
	    lane_send_piece(&s->requester, s->own, req->raw, false, req->last, 0) < 0) {
		session_close(s);
		return DISPATCH_CLOSED;
	}
	if (req->last && s->requester.unanswered == 0 && s->own != NULL && s->own_ends) {
		session_drop_own(s, false); /* it was answered before it was complete */
	}
	return DISPATCH_DONE;
}

/* One request or piece; how many bytes it took in *ret_used. */
static enum dispatch
next_request(struct session *s, struct slice in, size_t *ret_used)
{
	struct proxy *p = s->proxy;
	struct resp_request req;
	enum dispatch d;

	if (resp_request_is_streaming(&s->scan) && s->own != NULL &&
	    lane_is_full(&s->requester, s->own)) {
		return session_wait_for(s, WAIT_ROOM);
	}
	switch (resp_request_scan(&s->scan, &p->limits, in, &p->inline_buf, &req)) {
	case RESP_REQUEST_MORE:
		*ret_used = req.used;
		return DISPATCH_LATER;
	case RESP_REQUEST_BAD:
		return protocol_error(s, req.error);
	case RESP_REQUEST_PIECE:
		d = on_piece(s, &req);
		break;
	case RESP_REQUEST_BEGIN:
		d = dispatch(s, &req, true);
		if (d == DISPATCH_LATER) {
			resp_request_init(&s->scan); /* its beginning is shown again */
		}
		break;
	default:
		d = dispatch(s, &req, false);
		break;
	}
	if (d == DISPATCH_DONE) {
		*ret_used = req.used;
	}
	return d;
}

static size_t
on_data(struct conn *c, void *owner, struct slice in)
{
	struct session *s = OBJ_CAST((struct session *)owner, SESSION_MAGIC);
	size_t at = 0;

	s->active_s = (uint32_t)(backend_tick(s->backend) / 1000000);
	while (at < in.len && s->wait == WAIT_NOTHING) {
		size_t used = 0;
		enum dispatch d;

		if (has_asked_all(s)) {
			conn_pause(s->conn, true);
			break;
		}
		if (conn_is_full(s->conn) || session_holds_much(s)) {
			(void)session_wait_for(s, WAIT_CLIENT);
			break;
		}
		d = next_request(s, (struct slice){in.ptr + at, in.len - at}, &used);
		at += used;
		if (d == DISPATCH_CLOSED || s->conn == NULL) {
			return in.len;
		}
		if (d == DISPATCH_LATER) {
			break;
		}
	}
	/*
	 * A session that waits reads on for a while, for only so is it seen that the client hung up:
	 * a BLPOP for one that is gone would take an element for nobody.
	 */
	if (s->wait != WAIT_NOTHING && in.len - at >= WAITING_BYTES_MAX) {
		conn_pause(s->conn, true);
	}
	s->proxy->stats.in_bytes += at;
	return at;
}

static void
on_client_room(struct conn *c, void *owner)
{
	struct session *s = OBJ_CAST((struct session *)owner, SESSION_MAGIC);

	requester_set_slow(&s->requester, false);
	if (s->conn != NULL && s->wait == WAIT_CLIENT) {
		session_read_on(s);
	}
}

static void
on_eof(struct conn *c, void *owner)
{
	struct session *s = OBJ_CAST((struct session *)owner, SESSION_MAGIC);

	s->eof = true;
	if (s->own != NULL || (s->requester.unanswered == 0 && s->wait == WAIT_NOTHING)) {
		session_close_with(
		    s, ""); /* Redis, too, drops what a client that left is waiting for */
	}
}

static void
on_close(struct conn *c, void *owner, int error)
{
	struct session *s = OBJ_CAST((struct session *)owner, SESSION_MAGIC);

	if (error == -EPROTONOSUPPORT) {
		arrivals_say_strange(c);
	}
	s->conn = NULL;
	leave(s);
}

static const struct conn_ops conn_ops = {
    .on_data = on_data, .on_room = on_client_room, .on_eof = on_eof, .on_close = on_close};

void
session_new(struct proxy *p, struct conn *c, enum proxy_door door)
{
	struct session *s = xcalloc(1, sizeof(*s));

	*s = (struct session){.magic = SESSION_MAGIC,
	    .proxy = p,
	    .door = (uint8_t)door,
	    .backend = door == DOOR_READ ? readers_next(p->readers) : p->backend,
	    .id = {.protocol = 2},
	    .number = p->share != NULL ? share_next(p->share) : p->next_id++,
	    .rare = &session_no_rare,
	    .created_s = (uint32_t)(clock_mono_ms() / 1000)};
	s->active_s = s->created_s;
	requester_init(&s->requester, &requester_ops, s);
	resp_request_init(&s->scan);
	s->conn = c;
	conn_hand_over(c, &conn_ops, s);
	(void)setsockopt(conn_fd(c), SOL_SOCKET, SO_KEEPALIVE, &(int){1}, sizeof(int));
	conn_set_limits(s->conn, RESP_REQUEST_HELD + LOOP_SCRATCH_BYTES, SESSION_OUT_HIGH);
	p->stats.accepted++;
	list_push(&p->sessions, &s->link);
	p->session_count++;
	proxy_count(p);
}
