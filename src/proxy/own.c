/*
 * Commands that need a connection of their own, and what becomes of the session when that
 * connection is lost.
 */
#include <string.h>

#include "proxy/proxy_priv.h"
#include "resp/write.h"

/* Does this call wait on the server? XREAD and XREADGROUP do only with BLOCK. */
static bool
blocks(const struct command *cmd, const struct resp_request *req)
{
	if (cmd->name[0] != 'X') {
		return true;
	}
	for (size_t i = 1; i < req->kept; i++) {
		if (slice_caseeq(req->argv[i], "BLOCK")) {
			return true;
		}
		if (slice_caseeq(req->argv[i], "STREAMS")) {
			return false;
		}
	}
	return true;
}

/* Which mode a command begins when there is no own lane yet. */
static enum session_own
mode_for(const struct command *cmd, const struct resp_request *req, bool begin)
{
	if (cmd == NULL) {
		return OWN_ALWAYS;
	}
	if ((cmd->flags & CMD_PUBSUB) != 0) {
		return OWN_RAW;
	}
	switch ((enum command_id)cmd->id) {
	case CMD_MULTI:
		return OWN_MULTI;
	case CMD_WATCH:
		return OWN_WATCH;
	case CMD_EXEC:
	case CMD_DISCARD:
	case CMD_UNWATCH:
		return OWN_NONE; /* nothing to end: the server says so */
	default:
		break;
	}
	if ((cmd->flags & CMD_OWN) != 0) {
		return OWN_ALWAYS;
	}
	if (begin || ((cmd->flags & CMD_BLOCKING) != 0 && blocks(cmd, req))) {
		return OWN_ONCE;
	}
	return OWN_NONE;
}

/* The own lane's wire must stand before this goes on. */
static enum dispatch
wait_until_ready(struct session *s)
{
	lane_want(&s->requester, s->own);
	return session_wait_for(s, WAIT_ROOM);
}

static enum dispatch
begin_streaming(struct session *s, const struct resp_request *req, unsigned flags)
{
	if (!lane_is_ready(s->own)) {
		return s->requester.unanswered > 0 ? session_wait_for(s, WAIT_REPLIES)
						   : wait_until_ready(s);
	}
	if (lane_is_full(&s->requester, s->own)) {
		return session_wait_for(s, WAIT_ROOM);
	}
	if (lane_send_piece(&s->requester, s->own, req->raw, true, req->last, flags) < 0) {
		session_close(s);
		return DISPATCH_CLOSED;
	}
	return DISPATCH_DONE;
}

/* EXEC, DISCARD and what comes between, when the transaction's connection is gone. */
static enum dispatch
in_lost_multi(struct session *s, const struct command *cmd)
{
	if (s->requester.unanswered > 0) {
		return session_wait_for(s, WAIT_REPLIES);
	}
	if (cmd != NULL && cmd->id == CMD_EXEC) {
		session_reply(
		    s, "-EXECABORT Transaction discarded because the master was lost\r\n");
		session_drop_own(s, false);
	} else if (cmd != NULL && cmd->id == CMD_DISCARD) {
		session_reply(s, "+OK\r\n");
		session_drop_own(s, false);
	} else {
		session_reply(s, "+QUEUED\r\n");
	}
	return DISPATCH_DONE;
}

static enum dispatch
in_multi(struct session *s, const struct command *cmd, const struct resp_request *req)
{
	static const char discard[] = "*1\r\n$7\r\nDISCARD\r\n";
	bool is_exec = cmd != NULL && cmd->id == CMD_EXEC;
	bool ends = is_exec || (cmd != NULL && cmd->id == CMD_DISCARD);
	struct slice raw = req->raw;
	enum dispatch d;

	if (s->multi_lost) {
		return in_lost_multi(s, cmd);
	}
	if (cmd != NULL && (cmd->flags & CMD_PUBSUB) != 0) {
		if (s->requester.unanswered > 0) {
			return session_wait_for(s, WAIT_REPLIES);
		}
		session_replyf(
		    s, "-ERR %s inside a transaction is not possible here\r\n", cmd->name);
		return DISPATCH_DONE;
	}
	if (is_exec && s->watch_lost) {
		/* what was watched may have changed unseen: EXEC fails as if it had */
		if (s->requester.unanswered > 0) {
			return session_wait_for(s, WAIT_REPLIES);
		}
		raw = (struct slice){(const uint8_t *)discard, sizeof(discard) - 1};
		s->null_for_reply = true;
	}
	d = session_forward(s, raw, 0);
	if (d == DISPATCH_DONE && (cmd == NULL || cmd->id == CMD_SELECT)) {
		s->own_sticky = true; /* takes effect with EXEC, out of our sight */
	}
	if (d == DISPATCH_DONE && ends && s->requester.unanswered > 0) {
		s->own_ends = true;
		s->exec_sent = is_exec;
		(void)session_wait_for(s, WAIT_REPLIES);
	}
	return d;
}

/*
 * Once the lane is connected and pinned, all that follows goes over this one link or not at all, so
 * nothing of the transaction can be executed outside of it. Until then MULTI's own reply is awaited.
 */
static enum dispatch
begin_multi(struct session *s, const struct resp_request *req)
{
	bool ready = lane_is_ready(s->own);
	enum dispatch d;

	if (s->requester.unanswered > 0) {
		return session_wait_for(s, WAIT_REPLIES);
	}
	d = session_forward(s, req->raw, LANE_READ);
	if (d == DISPATCH_DONE && s->requester.unanswered > 0) {
		s->multi_asked = true;
		if (ready) {
			s->own_mode = OWN_MULTI;
			lane_set_pinned(s->own, true);
		} else {
			(void)session_wait_for(s, WAIT_REPLIES);
		}
	}
	return d;
}

/* WAIT is about the writes before it. The offset that it compares with is set by every command, so
 * one on the same connection makes it the present offset, which those writes are not behind of. */
static enum dispatch
send_wait(struct session *s, const struct resp_request *req)
{
	static const char ping[] = "*1\r\n$4\r\nPING\r\n";

	if (lane_is_full(&s->requester, s->own)) {
		return session_wait_for(s, WAIT_ROOM);
	}
	if (lane_send(&s->requester, s->own,
		(struct slice){(const uint8_t *)ping, sizeof(ping) - 1},
		LANE_READ | LANE_SILENT) < 0) {
		session_reply(s, "-MASTERDOWN no master, and too many requests wait for it\r\n");
		return DISPATCH_DONE;
	}
	return session_forward(s, req->raw, LANE_READ);
}

/* A streamed request in the own lane's present mode. */
static enum dispatch
own_stream(struct session *s, const struct resp_request *req, unsigned flags)
{
	enum dispatch d;

	if (s->own_mode == OWN_RAW && session_raw_may_leave(s)) {
		return session_raw_leave(s);
	}
	if (s->own_mode == OWN_RAW || s->multi_lost) {
		session_close_with(s, "-ERR too big a request here\r\n");
		return DISPATCH_CLOSED;
	}
	d = begin_streaming(s, req, flags);
	if (d == DISPATCH_DONE) {
		s->own_ends = s->own_mode == OWN_ONCE;
	}
	return d;
}

enum dispatch
session_own_command(
    struct session *s, const struct command *cmd, const struct resp_request *req, bool begin)
{
	unsigned flags = cmd != NULL && (cmd->flags & CMD_READ) != 0 ? LANE_READ : 0;
	enum session_own mode = mode_for(cmd, req, begin);
	bool is_wait = cmd != NULL && cmd->name[0] == 'W' && (cmd->flags & CMD_BLOCKING) != 0;
	enum dispatch d;

	if (s->own == NULL && mode == OWN_NONE && s->large_reads > 0 && flags == LANE_READ) {
		if (s->requester.unanswered > 0) {
			return session_wait_for(s, WAIT_REPLIES);
		}
		s->large_reads--;
		mode = OWN_ONCE;
	}
	if (s->own == NULL && mode == OWN_NONE) {
		return session_forward(s, req->raw, flags);
	}
	if (s->own == NULL) {
		if (s->requester.unanswered > 0) {
			return session_wait_for(s, WAIT_REPLIES);
		}
		session_take_own(s, OWN_ONCE);
	}
	if (mode == OWN_ALWAYS && !s->own_sticky && s->own_mode != OWN_MULTI) {
		if (s->requester.unanswered > 0) {
			return session_wait_for(s, WAIT_REPLIES);
		}
		s->own_sticky = true;
		s->own_mode = s->own_mode == OWN_ONCE ? OWN_ALWAYS : s->own_mode;
	}
	if (begin) {
		return own_stream(s, req, flags);
	}
	if (s->own_mode == OWN_MULTI) {
		return in_multi(s, cmd, req);
	}
	if (s->own_mode == OWN_RAW || mode == OWN_RAW) {
		return session_raw_command(s, cmd, req);
	}
	if (mode == OWN_MULTI) {
		return begin_multi(s, req);
	}
	d = is_wait ? send_wait(s, req) : session_forward(s, req->raw, flags);
	if (d != DISPATCH_DONE) {
		return d;
	}
	if (cmd == NULL) {
		/* if the server does not know it either, nothing came of it */
		s->unknown_asked = true;
		(void)session_wait_for(s, WAIT_REPLIES);
	}
	if (mode == OWN_WATCH) {
		s->own_mode = OWN_WATCH;
	} else if (s->own_mode == OWN_ONCE ||
		   (s->own_mode == OWN_WATCH && cmd != NULL && cmd->id == CMD_UNWATCH)) {
		s->own_ends = true;
		(void)session_wait_for(s, WAIT_REPLIES);
	}
	return d;
}

static bool
is_unknown_command(struct slice raw)
{
	static const char words[] = "-ERR unknown command";

	return raw.len >= sizeof(words) && memcmp(raw.ptr, words, sizeof(words) - 1) == 0;
}

void
session_own_answered(struct session *s, const struct lane_reply *reply)
{
	if (s->multi_asked) {
		s->multi_asked = false;
		if (s->own_mode != OWN_MULTI && reply->type != '-') {
			s->own_mode = OWN_MULTI;
			lane_set_pinned(s->own, true);
		} else if (s->own_mode == OWN_ONCE) {
			s->own_ends = true;
		}
	}
	if (s->unknown_asked && s->requester.unanswered == 0) {
		s->unknown_asked = false;
		if (reply->first && is_unknown_command(reply->raw)) {
			s->own_sticky = false;
			s->own_ends = s->own_mode == OWN_ALWAYS;
		}
	}
	if (s->own_ends && s->requester.unanswered == 0 && !resp_request_is_streaming(&s->scan)) {
		session_drop_own(s, true);
	}
}

/* The replies that are due in a transaction whose connection is gone. */
static void
answer_lost_multi(struct session *s, unsigned dropped)
{
	for (unsigned i = 0; i < dropped && s->conn != NULL; i++) {
		if (s->multi_asked) {
			s->multi_asked = false;
			session_reply(s, "+OK\r\n");
		} else if (!s->own_ends || i + 1 < dropped) {
			session_reply(s, "+QUEUED\r\n");
		} else if (s->null_for_reply) {
			s->null_for_reply = false;
			session_reply(s, s->id.protocol >= 3 ? "_\r\n" : "*-1\r\n");
		} else if (s->exec_sent) {
			session_reply(s, "-UNCERTAIN master lost before it answered; the "
					 "transaction may or may not have happened\r\n");
		} else {
			session_reply(s, "+OK\r\n"); /* DISCARD */
		}
	}
	s->multi_lost = true;
	if (s->own_ends && s->conn != NULL) {
		session_drop_own(s, false);
	}
}

void
session_own_lost(struct session *s, unsigned dropped)
{
	switch ((enum session_own)s->own_mode) {
	case OWN_MULTI:
		answer_lost_multi(s, dropped);
		break;
	case OWN_WATCH:
		s->watch_lost = true;
		break;
	case OWN_RAW:
		session_raw_lost(s);
		break;
	default:
		break;
	}
}
