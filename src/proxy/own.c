/*
 * Commands that need a connection of their own, and what becomes of the session when that
 * connection is lost.
 */
#include <assert.h>
#include <string.h>

#include "proxy/proxy_priv.h"
#include "resp/reader.h"

void
session_take_own(struct session *s, enum session_own mode)
{
	struct lane_key key = session_key(&s->id);

	assert(s->requester.unanswered == 0);
	if (s->own == NULL) {
		s->own = lane_own(s->backend, &key, &s->requester);
	}
	s->own_mode = (uint8_t)mode;
	s->own_ends = false;
}

void
session_drop_own(struct session *s, bool clean)
{
	assert(s->requester.unanswered == 0);
	lane_set_pinned(s->own, false);
	lane_set_raw(s->own, false);
	session_raw_fini(s);
	session_multi_fini(s);
	s->own_ends = false;
	s->exec_sent = false;
	s->multi_asked = false;
	s->multi_lost = false;
	s->multi_dirty = false;
	s->watch_lost = false;
	s->unknown_asked = false;
	if (s->own_sticky) {
		s->own_mode = OWN_ALWAYS;
		return;
	}
	s->own_mode = OWN_NONE;
	if (clean) {
		lane_return(&s->own);
	} else {
		lane_release(&s->own);
	}
}

/* Does this call wait on the server? XREAD and XREADGROUP do only with BLOCK. */
static bool
blocks(const struct command *cmd, const struct resp_request *req)
{
	if (strncmp(cmd->name, "XREAD", 5) != 0) {
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
	if (!lane_may_stream(s->own)) {
		return s->requester.unanswered > 0 ? session_wait_for(s, WAIT_REPLIES)
						   : wait_until_ready(s);
	}
	if (lane_is_full(&s->requester, s->own)) {
		return session_wait_for(s, WAIT_ROOM);
	}
	if (lane_send_piece(&s->requester, s->own, req->raw, true, req->last,
		flags | (unsigned)s->asked << LANE_COMMAND_SHIFT) < 0) {
		session_close(s);
		return DISPATCH_CLOSED;
	}
	return DISPATCH_DONE;
}

/* How many replicas must have it; UINT64_MAX: no answer confirms anything. */
static uint64_t
replicas_wanted(const struct resp_request *req, bool aof)
{
	size_t at = aof ? 2 : 1;
	uint64_t n;

	return req->kept > at && slice_to_u64(req->argv[at], &n) && n > 0 ? n : UINT64_MAX;
}

/*
 * WAIT and WAITAOF are about the writes before them. The offset that they compare with is set by every command, so one
 * on the same connection makes it the present offset, which those writes are not behind of: INFO, which also tells
 * whether this server process is the one that took them.
 */
static enum dispatch
send_wait(struct session *s, const struct command *cmd, const struct resp_request *req)
{
	static const char info[] = "*2\r\n$4\r\nINFO\r\n$6\r\nserver\r\n";
	enum dispatch d;

	if (s->requester.unanswered > 0) {
		return session_wait_for(s, WAIT_REPLIES);
	}
	if (lane_is_full(&s->requester, s->own)) {
		return session_wait_for(s, WAIT_ROOM);
	}
	if (lane_send(&s->requester, s->own,
		(struct slice){(const uint8_t *)info, sizeof(info) - 1},
		LANE_READ | LANE_WHOLE | LANE_UNCOUNTED) < 0) {
		session_reply(s, "-MASTERDOWN no master, and too many requests wait for it\r\n");
		return DISPATCH_DONE;
	}
	s->info_asked = true;
	session_rare(s)->wait_at = 0;
	d = session_forward(s, req->raw, LANE_READ | LANE_BLOCKS);
	if (d == DISPATCH_DONE && s->requester.unanswered > 0) {
		s->waits_for_aof = cmd->arity == 4;
		session_rare(s)->wait_for = replicas_wanted(req, s->waits_for_aof);
		(void)session_wait_for(s, WAIT_REPLIES);
	}
	return d;
}

/*
 * The master may have died after it acknowledged a write and before WAIT was answered, or asked. Its successor, be it
 * the same server started again, has replicas as well, but knows nothing of that write if it was lost: the client is
 * told that nobody has it.
 */
void
session_wait_info(struct session *s, const struct lane_reply *reply)
{
	static const char name[] = "\nrun_id:";
	const uint8_t *at = memmem(reply->raw.ptr, reply->raw.len, name, sizeof(name) - 1), *end;
	struct slice id = {NULL, 0};

	s->info_asked = !reply->last;
	if (at != NULL) {
		id.ptr = at + sizeof(name) - 1;
		end = memchr(id.ptr, '\r', (size_t)(reply->raw.ptr + reply->raw.len - id.ptr));
		id.len = end != NULL ? (size_t)(end - id.ptr) : 0;
	}
	if (backend_is_process(s->backend, s->written_at, id) ||
	    (reply->type == '-' && s->written_at == reply->process)) { /* may not ask */
		session_rare(s)->wait_at = reply->process;
	}
}

struct slice
session_wait_answer(struct session *s, const struct lane_reply *reply)
{
	struct resp_cursor c = {reply->raw};
	uint64_t wanted = s->rare->wait_for;
	struct resp_item item;

	session_rare(s)->wait_for = 0;
	if (reply->local || !resp_cursor_next(&c, &item) ||
	    item.type != (s->waits_for_aof ? RESP_ARRAY : RESP_INT)) {
		return reply->raw; /* an error */
	}
	/* lost with its link and sent again it may have been answered by another server than INFO */
	if (s->written_at != 0 && reply->process != s->rare->wait_at) {
		s->written_at = 0;
		return slice_str(s->waits_for_aof ? "*2\r\n:0\r\n:0\r\n" : ":0\r\n");
	}
	if (s->waits_for_aof) { /* on so many local disks, then on those of so many replicas */
		(void)resp_cursor_next(&c, &item);
		(void)resp_cursor_next(&c, &item);
	}
	if (item.type == RESP_INT && item.number >= 0 && (uint64_t)item.number >= wanted) {
		s->written_at = 0;
	}
	return reply->raw;
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
		session_multi_streamed(s);
	}
	return d;
}

enum dispatch
session_own_command(
    struct session *s, const struct command *cmd, const struct resp_request *req, bool begin)
{
	unsigned flags = cmd != NULL && (cmd->flags & CMD_READ) != 0 ? LANE_READ : 0;
	enum session_own mode = mode_for(cmd, req, begin);
	bool is_wait = cmd != NULL && cmd->id == CMD_WAIT, may_wait;
	bool is_lasting = cmd != NULL && (cmd->id == CMD_TRACKING || cmd->id == CMD_NO_TOUCH);
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
		s->unknown_asked = cmd == NULL;
		s->own_mode = s->own_mode == OWN_ONCE ? OWN_ALWAYS : s->own_mode;
	}
	if (begin) {
		return own_stream(s, req, flags);
	}
	if (s->own_mode == OWN_MULTI) {
		return session_multi_command(s, cmd, req);
	}
	if (is_lasting && session_raw_is_apart(s)) {
		return session_lasting_command(s, cmd, req);
	}
	if (s->own_mode == OWN_RAW || mode == OWN_RAW) {
		return session_raw_command(s, cmd, req);
	}
	if (mode == OWN_MULTI) {
		return session_multi_begin(s, req);
	}
	if (is_lasting) {
		return session_lasting_command(s, cmd, req);
	}
	may_wait = cmd != NULL && (cmd->flags & CMD_BLOCKING) != 0 && blocks(cmd, req);
	flags |= may_wait ? LANE_BLOCKS : 0;
	d = is_wait ? send_wait(s, cmd, req) : session_forward(s, req->raw, flags);
	if (d != DISPATCH_DONE) {
		return d;
	}
	s->blocks = may_wait;
	if (s->unknown_asked) {
		/* if the server does not know it either, nothing came of it */
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
		} else if (s->own_mode != OWN_MULTI) {
			session_multi_fini(s);
			s->own_ends = s->own_mode == OWN_ONCE;
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
		bool changed = s->exec_sent && session_multi_changes(s);

		if (changed && reply->type == '*') {
			session_multi_executed(s);
		}
		session_drop_own(s, !changed);
	}
}

void
session_own_lost(struct session *s, unsigned unsent)
{
	if (s->in_reply) {
		session_close(s); /* nobody has the rest of it */
		return;
	}
	session_lasting_lost(s);
	if (s->conn == NULL) {
		return;
	}
	switch ((enum session_own)s->own_mode) {
	case OWN_MULTI:
		session_multi_lost(s, unsent);
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
