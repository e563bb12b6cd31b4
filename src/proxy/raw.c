/*
 * Subscriptions and MONITOR: the server speaks when it likes, so requests and replies are not
 * matched; bytes go both ways as they are, and what the server says about subscriptions is
 * remembered. After a failover the same is subscribed again on the new master, and what was asked and not yet answered is asked
 * again; the replies that the client has already are dropped.
 *
 * To leave this mode it must be known that nothing is on its way any more: before the first command
 * that is none of it, while nothing is subscribed, a PING with a mark of ours is sent; when the mark
 * comes back, all before it has been answered.
 */
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "proxy/proxy_priv.h"
#include "proxy/subs.h"
#include "resp/write.h"

/* Of what was asked and not yet answered. */
#define ASKED_BYTES_MAX ((size_t)64 * 1024)
/* What is asked again besides: PING's reply is as long, and in parts it would look like a message. */
#define AGAIN_BYTES_MAX ((size_t)1024)

static const char mark_request[] = "*2\r\n$4\r\nPING\r\n$13\r\nholdfast-mark\r\n";
/* Without subscriptions, and with some in RESP2. */
static const char mark_reply[] = "$13\r\nholdfast-mark\r\n";
static const char mark_reply_subscribed[] = "*2\r\n$4\r\npong\r\n$13\r\nholdfast-mark\r\n";

struct raw {
	struct subs subs;
	uint64_t due;         /* replies that the client waits for */
	uint64_t rebuilt;     /* replies to come to what we asked ourselves … */
	uint64_t swallow;     /* … and then to what is asked once more and was answered */
	struct buf asked;     /* since `due` was 0 … */
	uint64_t given;       /* … and how many replies to that the client has */
	bool lost_asked;      /* that is not all of it, or cannot be asked twice */
	uint64_t lost_ms;     /* since when there is no link; 0: there is one */
	bool monitor;         /* it was asked for … */
	bool asked_monitor;   /* … among `asked` … */
	uint64_t monitor_due; /* those up to its reply; 0: it came */
	bool forever;         /* more than is remembered: it cannot be rebuilt */
	bool marked;          /* our mark is on its way */
	bool awaits;          /* the first reply to `asked` is about the connection itself */
};

void
session_raw_fini(struct session *s)
{
	if (s->rare->raw != NULL) {
		subs_fini(&s->rare->raw->subs);
		buf_fini(&s->rare->raw->asked);
		free(s->rare->raw);
		session_rare(s)->raw = NULL;
	}
}

size_t
session_sub_count(const struct session *s, unsigned kind)
{
	size_t n = 0;

	for (size_t i = 0; s->rare->raw != NULL && i < subs_count(&s->rare->raw->subs); i++) {
		n += kind == SUBS_KINDS || subs_at(&s->rare->raw->subs, i)->kind == kind;
	}
	return n;
}

bool
session_is_monitor(const struct session *s)
{
	return s->rare->raw != NULL && s->rare->raw->monitor;
}

uint64_t
session_raw_lost_ms(const struct session *s, uint64_t now_ms)
{
	return s->rare->raw != NULL && s->rare->raw->lost_ms != 0 ? now_ms - s->rare->raw->lost_ms
								  : 0;
}

/* ---- requests ---- */

/* How many replies that are no messages the request will get. */
static uint64_t
replies_to(const struct session *s, const struct command *cmd, const struct resp_request *req)
{
	const struct subs *subs = &s->rare->raw->subs;
	enum subs_kind kind = SUBS_CHANNEL;
	uint64_t n = 0;

	if (cmd == NULL || (cmd->flags & CMD_PUBSUB) == 0 || cmd->id == CMD_MONITOR) {
		return 1;
	}
	if (req->argc > 1) {
		return req->argc - 1;
	}
	kind = cmd->id == CMD_PUNSUBSCRIBE   ? SUBS_PATTERN
	       : cmd->id == CMD_SUNSUBSCRIBE ? SUBS_SHARD
					     : SUBS_CHANNEL;
	for (size_t i = 0; i < subs_count(subs); i++) {
		n += subs_at(subs, i)->kind == kind;
	}
	return MAX(n, (uint64_t)1);
}

static enum dispatch
begin(struct session *s)
{
	if (s->requester.unanswered > 0) {
		return session_wait_for(s, WAIT_REPLIES);
	}
	if (!lane_is_ready(s->own)) {
		lane_want(&s->requester, s->own);
		return session_wait_for(s, WAIT_ROOM);
	}
	session_rare(s)->raw = xcalloc(1, sizeof(*s->rare->raw));
	buf_init(&s->rare->raw->asked, ASKED_BYTES_MAX);
	s->own_mode = OWN_RAW;
	lane_set_pinned(s->own, true);
	lane_set_raw(s->own, true);
	return DISPATCH_DONE;
}

/* Is the link gone, or about to go since the master hands over? */
static bool
is_away(const struct session *s)
{
	return s->rare->raw->lost_ms != 0 || !lane_is_ready(s->own);
}

/* Sends our mark and waits for it. */
static enum dispatch
send_mark(struct session *s)
{
	enum dispatch d;

	if (is_away(s)) {
		return session_wait_for(s, WAIT_ROOM);
	}
	if (s->rare->raw->marked) {
		return session_wait_for(s, WAIT_REPLIES);
	}
	d = session_forward(s, SLICE_LIT(mark_request), 0);
	if (d == DISPATCH_DONE) {
		s->rare->raw->marked = true;
		return session_wait_for(s, WAIT_REPLIES);
	}
	return d;
}

enum dispatch
session_raw_settle(struct session *s)
{
	return s->rare->raw->due == 0 || s->rare->raw->forever ? DISPATCH_DONE : send_mark(s);
}

bool
session_raw_may_leave(const struct session *s)
{
	return subs_count(&s->rare->raw->subs) == 0 && !s->rare->raw->monitor &&
	       !s->rare->raw->forever;
}

enum dispatch
session_raw_leave(struct session *s)
{
	return send_mark(s);
}

/* Replies are not told apart here, so none of them can be held back. The server itself refuses most in RESP2. */
static bool
cannot_be_confirmed(const struct session *s, const struct command *cmd)
{
	if (cmd != NULL && (cmd->flags & CMD_PUBSUB) != 0) {
		return false;
	}
	return (s->id.protocol >= 3 || s->rare->raw->monitor) &&
	       (cmd == NULL || (cmd->flags & (CMD_WRITE | CMD_OWN)) != 0);
}

/* All is answered. */
static void
forget_asked(struct raw *r)
{
	buf_fini(&r->asked);
	r->given = 0;
	r->lost_asked = false;
	r->asked_monitor = false;
	r->monitor_due = 0;
}

/* May it be asked twice, for as many replies? UNSUBSCRIBE only where it names its channels. */
static bool
is_same_again(const struct command *cmd, const struct resp_request *req)
{
	if (cmd == NULL) {
		return false;
	}
	if (cmd->id >= CMD_SUBSCRIBE && cmd->id <= CMD_SUNSUBSCRIBE) {
		return req->argc > 1;
	}
	return (cmd->flags & (CMD_READ | CMD_BLOCKING | CMD_OWN)) == CMD_READ &&
	       req->raw.len <= AGAIN_BYTES_MAX;
}

bool
session_raw_is_apart(const struct session *s)
{
	return s->own_mode == OWN_RAW && (s->id.protocol >= 3 || s->rare->raw->monitor) &&
	       !s->rare->raw->forever && !session_raw_may_leave(s);
}

enum dispatch
session_raw_alone(struct session *s)
{
	return is_away(s) ? session_wait_for(s, WAIT_ROOM) : session_raw_settle(s);
}

enum dispatch
session_raw_ask(struct session *s, struct slice raw)
{
	struct raw *r = s->rare->raw;
	enum dispatch d = session_forward(s, raw, 0);

	if (d == DISPATCH_DONE) {
		session_count_local(s, false);
		r->due++;
		r->lost_asked = raw.len > AGAIN_BYTES_MAX || buf_add_slice(&r->asked, raw) < 0;
		r->awaits = true;
		(void)session_wait_for(s, WAIT_REPLIES);
	}
	return d;
}

static void
note(struct session *s, const struct command *cmd, const struct resp_request *req)
{
	struct raw *r = s->rare->raw;

	r->due += replies_to(s, cmd, req);
	r->lost_asked =
	    r->lost_asked || !is_same_again(cmd, req) || buf_add_slice(&r->asked, req->raw) < 0;
	if (cmd != NULL && cmd->id == CMD_MONITOR) {
		r->monitor = r->asked_monitor = true;
		r->monitor_due = r->due;
	}
}

enum dispatch
session_raw_command(struct session *s, const struct command *cmd, const struct resp_request *req)
{
	bool is_pubsub = cmd != NULL && (cmd->flags & CMD_PUBSUB) != 0;
	enum dispatch d;

	if (s->rare->raw == NULL) {
		d = begin(s);
		if (d != DISPATCH_DONE) {
			return d;
		}
	}
	if (is_away(s)) {
		return session_wait_for(s, WAIT_ROOM);
	}
	if (!is_pubsub && session_raw_may_leave(s)) {
		return session_raw_leave(s);
	}
	if (session_is_durable(s) && cannot_be_confirmed(s, cmd)) {
		d = session_raw_settle(s);
		if (d == DISPATCH_DONE) {
			session_reply(s,
			    "-NOREPLICAS what is written among subscriptions cannot be "
			    "confirmed: use another connection for it\r\n");
		}
		return d;
	}
	d = session_forward(s, req->raw, 0);
	if (d == DISPATCH_DONE) {
		session_count_local(s, false);
		note(s, cmd, req);
	}
	return d;
}

/* ---- replies ---- */

static void
on_mark(struct session *s)
{
	struct raw *r = s->rare->raw;

	r->marked = false;
	r->due = 0;
	forget_asked(r);
	if (subs_count(&r->subs) == 0) {
		session_drop_own(s, true);
	}
	session_read_on(s);
}

/* A line of MONITOR: +SECONDS.MICROSECONDS [DATABASE ADDRESS] … */
static bool
is_line(const struct raw *r, struct slice raw)
{
	return r->monitor && raw.len > 1 && raw.ptr[0] == '+' && raw.ptr[1] >= '0' &&
	       raw.ptr[1] <= '9';
}

/* A reply that is too long to come whole. */
static enum subs_message
of_part(const struct session *s, const struct lane_reply *reply)
{
	const struct raw *r = s->rare->raw;
	bool is_message = reply->type == '*' && s->id.protocol == 2 && subs_count(&r->subs) > 0;

	return reply->type == '>' || reply->type == '+' || is_message ? SUBS_PUSHED : SUBS_OTHER;
}

/* True when the reply is for us alone. */
static bool
is_ours(struct session *s, const struct lane_reply *reply, enum subs_message m)
{
	struct raw *r = s->rare->raw;
	struct slice raw = reply->raw;

	if (m != SUBS_PUSHED && r->rebuilt > 0) {
		r->rebuilt -= reply->last ? 1 : 0;
		if (reply->type == '-') {
			session_close(s); /* what it had it may not have here */
		}
		return true;
	}
	if (m != SUBS_PUSHED && r->swallow > 0) {
		r->swallow -= reply->last ? 1 : 0;
		return true;
	}
	if (r->marked && (slice_eq(raw, mark_reply) || slice_eq(raw, mark_reply_subscribed))) {
		on_mark(s);
		return true;
	}
	return false;
}

/* What session_raw_ask was for. */
static void
on_awaited(struct session *s, const struct lane_reply *reply)
{
	session_write_login(s, reply->raw);
	if (s->conn == NULL || !reply->last) {
		return;
	}
	s->rare->raw->awaits = false;
	session_login_answered(s, reply->type != '-');
	if (s->rare->lasting != NULL) {
		session_lasting_answered(s, reply->type != '-');
	}
	if (s->closing || s->eof) {
		session_close_with(s, "");
	} else if (s->wait == WAIT_REPLIES) {
		session_read_on(s);
	}
}

void
session_raw_reply(struct session *s, const struct lane_reply *reply)
{
	struct raw *r = s->rare->raw;
	enum subs_kind kind;
	struct slice name;
	enum subs_message m = of_part(s, reply);
	uint64_t left;

	if (reply->first && reply->last) {
		m = subs_read(reply->raw, &kind, &name, &left);
		m = is_line(r, reply->raw) ? SUBS_PUSHED : m;
	}
	if (is_ours(s, reply, m)) {
		s->in_reply = false;
		return;
	}
	if (reply->first && reply->last) {
		if (m == SUBS_SUBSCRIBED && subs_add(&r->subs, kind, name) < 0) {
			r->forever = true; /* more than we remember: it cannot be rebuilt */
		} else if (m == SUBS_UNSUBSCRIBED) {
			subs_remove(&r->subs, kind, name);
		}
	}
	if (reply->last && m != SUBS_PUSHED && r->due > 0) {
		r->due--;
		r->given++;
		if (r->monitor_due > 0 && --r->monitor_due == 0 && reply->type == '-') {
			r->monitor = false; /* it may not */
		}
		if (r->due == 0) {
			forget_asked(r);
		}
	}
	/* MONITOR's lines are not heard either */
	s->is_push = reply->type == '>' || (reply->type == '*' && m != SUBS_OTHER);
	if (r->awaits && m != SUBS_PUSHED && !s->is_push) {
		on_awaited(s, reply);
	} else {
		session_write(s, reply->raw);
	}
}

bool
session_raw_is_settled(const struct session *s)
{
	return s->rare->raw == NULL || (s->rare->raw->due == 0 && s->rare->raw->rebuilt == 0 &&
					   s->rare->raw->swallow == 0 && !s->rare->raw->marked);
}

/* ---- failover ---- */

void
session_raw_lost(struct session *s)
{
	struct raw *r = s->rare->raw;

	if (r->forever || r->lost_asked || (s->eof && s->conn != NULL)) {
		session_close(s); /* what is due cannot be told apart from what was answered */
		return;
	}
	r->lost_ms = clock_mono_ms();
	r->rebuilt = r->swallow = 0;
	if (r->marked) {
		r->marked = false;
		session_read_on(s);
	}
	lane_want(&s->requester, s->own);
}

void
session_raw_room(struct session *s)
{
	struct raw *r = s->rare->raw;
	struct buf out;
	size_t replies = 0;
	int err;

	if (r->lost_ms == 0) {
		return;
	}
	if (!lane_is_ready(s->own)) {
		lane_want(&s->requester, s->own);
		return;
	}
	buf_init(&out, 2 * SUBS_BYTES_MAX + ASKED_BYTES_MAX);
	err = subs_add_commands(&r->subs, &out, &replies);
	if (err == 0 && r->monitor && !r->asked_monitor) {
		err = resp_add_command_str(&out, "MONITOR", NULL);
		replies++;
	}
	r->rebuilt = replies;
	r->swallow = r->given;
	r->lost_ms = 0;
	err = err < 0 ? err : buf_add_slice(&out, buf_slice(&r->asked));
	if (err < 0 ||
	    (buf_len(&out) > 0 && lane_send(&s->requester, s->own, buf_slice(&out), 0) < 0)) {
		session_close(s);
	}
	buf_fini(&out);
}
