/*
 * Transactions. From MULTI to EXEC everything goes over one link or not at all, so that nothing of it
 * is executed outside. What was asked is kept meanwhile: when the link is lost, or its server turns out
 * to be no master, before EXEC could be carried out, the same is asked again of the next master, and the
 * replies that the client has already are dropped. It sees latency only.
 *
 *   open ──link lost──→ away ──the next master──→ asked again ──replies──→ open
 *                        └─ no master for hold_ms, too much to keep, EXEC on its way → lost: EXEC says so
 *
 * With watched keys there is nothing to be asked again: they may have changed unseen, and EXEC fails as if
 * they had.
 */
#include <stdlib.h>
#include <string.h>

#include "backend/refusal.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "proxy/proxy_priv.h"

#define KEPT_BYTES_MAX ((size_t)1024 * 1024) /* of one transaction */

static const char aborted[] = "-EXECABORT Transaction discarded because the master was lost\r\n";

struct multi {
	struct buf log;  /* its requests, MULTI first */
	size_t *lengths; /* owned: of each of them */
	size_t count;    /* asked by the client */
	size_t answered; /* of these; it has the replies */
	size_t swallow;  /* replies to come that it has already */
	struct queued queued;
	bool whole;   /* the log has all of it */
	bool refused; /* the server took none of it */
	bool watched;
	bool away;        /* waits for the next master */
	uint64_t away_ms; /* since when nothing came of it; 0: all is well */
};

void
session_multi_fini(struct session *s)
{
	if (s->rare->multi != NULL) {
		buf_fini(&s->rare->multi->log);
		queued_fini(&s->rare->multi->queued);
		free(s->rare->multi->lengths);
		free(s->rare->multi);
		session_rare(s)->multi = NULL;
	}
}

int
session_multi_queued(const struct session *s)
{
	return s->rare->multi != NULL && s->own_mode == OWN_MULTI ? (int)s->rare->multi->count - 1
								  : -1;
}

static const char *
null_text(const struct session *s)
{
	return s->id.protocol >= 3 ? "_\r\n" : "*-1\r\n";
}

bool
session_multi_is_away(const struct session *s)
{
	return s->rare->multi != NULL && s->rare->multi->away;
}

uint64_t
session_multi_away_ms(const struct session *s, uint64_t now_ms)
{
	return session_multi_is_away(s) ? now_ms - s->rare->multi->away_ms : 0;
}

/* One more request was sent; `raw` NULL: not to be kept. */
static void
note(struct multi *m, struct slice raw)
{
	m->whole = m->whole && raw.ptr != NULL && buf_add_slice(&m->log, raw) == 0;
	if (m->whole) {
		m->lengths = xreallocarray(m->lengths, m->count + 1, sizeof(*m->lengths));
		m->lengths[m->count] = raw.len;
	} else {
		buf_fini(&m->log);
	}
	m->count++;
}

void
session_multi_streamed(struct session *s)
{
	if (s->rare->multi != NULL) {
		note(s->rare->multi, (struct slice){NULL, 0});
	}
}

/* ---- requests ---- */

/* EXEC, DISCARD and what comes between, when there is no transaction any more. */
static enum dispatch
in_lost(struct session *s, const struct command *cmd)
{
	if (s->requester.unanswered > 0) {
		return session_wait_for(s, WAIT_REPLIES);
	}
	if (cmd != NULL && cmd->id == CMD_EXEC) {
		if (s->rare->multi != NULL && s->rare->multi->watched) {
			session_reply(s, null_text(s));
		} else {
			session_reply(s, aborted);
		}
		session_drop_own(s, false);
	} else if (cmd != NULL && cmd->id == CMD_DISCARD) {
		session_reply(s, "+OK\r\n");
		session_drop_own(s, false);
	} else {
		session_reply(s, "+QUEUED\r\n");
	}
	return s->conn != NULL ? DISPATCH_DONE : DISPATCH_CLOSED;
}

/* Who is logged in, what is selected, how it is spoken: what is queued here is the server's alone to carry out. */
static bool
changes_connection(const struct command *cmd)
{
	return cmd == NULL || queued_is_about_session(cmd) ||
	       ((cmd->flags & CMD_OWN) != 0 && cmd->id == CMD_NONE);
}

bool
session_multi_changes(const struct session *s)
{
	const struct multi *m = s->rare->multi;

	return m != NULL && (m->queued.count > 0 || m->queued.lost);
}

/* Those before it are no arrays. */
bool
session_multi_is_executed(const struct session *s, const struct lane_reply *reply)
{
	return s->exec_sent && reply->type == '*' && session_multi_changes(s);
}

int
session_multi_read(struct session *s, const struct lane_reply *reply, struct buf *out)
{
	return queued_executed(s, &s->rare->multi->queued, reply, out);
}

void
session_multi_executed(struct session *s)
{
	struct lane_key key;

	if (s->rare->multi->queued.lost) {
		log_peer(LOG_WARN, "a client is closed: its transaction has more about its "
				   "connection than is kept, so it is not known who it is now");
		s->closing = true;
		return;
	}
	lane_release(&s->lane);
	key = session_key(&s->id);
	lane_set_key(s->own, &key);
}

/* Replies that are not one for each request, or that are not the server's to give. */
static bool
is_impossible(const struct command *cmd, const struct resp_request *req)
{
	return (cmd->flags & CMD_PUBSUB) != 0 || cmd->id == CMD_CLIENT_REPLY ||
	       session_redirects(cmd, req) ||
	       (cmd->id == CMD_CLIENT && session_is_about_others(req->argv[1]));
}

enum dispatch
session_multi_command(struct session *s, const struct command *cmd, const struct resp_request *req)
{
	static const char discard[] = "*1\r\n$7\r\nDISCARD\r\n";
	bool is_exec = cmd != NULL && cmd->id == CMD_EXEC;
	bool ends = is_exec || (cmd != NULL && cmd->id == CMD_DISCARD);
	struct slice raw = req->raw;
	enum dispatch d;

	if (s->multi_lost) {
		return in_lost(s, cmd);
	}
	if (cmd != NULL && is_impossible(cmd, req)) {
		if (s->requester.unanswered > 0) {
			return session_wait_for(s, WAIT_REPLIES);
		}
		s->multi_dirty = true; /* as any error before EXEC */
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
		session_rare(s)->instead = null_text(s);
	} else if (is_exec && s->multi_dirty) {
		/* something in it was refused here, of which the server knows nothing */
		if (s->requester.unanswered > 0) {
			return session_wait_for(s, WAIT_REPLIES);
		}
		raw = (struct slice){(const uint8_t *)discard, sizeof(discard) - 1};
		session_rare(s)->instead =
		    "-EXECABORT Transaction discarded because of previous errors.\r\n";
	}
	d = session_forward(s, raw, 0);
	if (d == DISPATCH_DONE && s->requester.unanswered > 0 && s->rare->multi != NULL) {
		if (queued_is_about_session(cmd)) {
			queued_add(&s->rare->multi->queued, s->rare->multi->count - 1, raw);
		}
		note(s->rare->multi, raw);
	}
	if (d == DISPATCH_DONE && changes_connection(cmd)) {
		s->own_sticky = true; /* with EXEC, out of our sight: nobody else may get it */
	}
	if (d == DISPATCH_DONE && ends && s->requester.unanswered > 0) {
		s->own_ends = true;
		s->exec_sent = is_exec;
		(void)session_wait_for(s, WAIT_REPLIES);
	}
	return d;
}

/* Until the lane is connected and pinned, MULTI's own reply is awaited. */
enum dispatch
session_multi_begin(struct session *s, const struct resp_request *req)
{
	bool ready = lane_is_ready(s->own);
	enum dispatch d;

	if (s->requester.unanswered > 0) {
		return session_wait_for(s, WAIT_REPLIES);
	}
	d = session_forward(s, req->raw, LANE_READ);
	if (d != DISPATCH_DONE || s->requester.unanswered == 0) {
		return d;
	}
	session_multi_fini(s);
	session_rare(s)->multi = xcalloc(1, sizeof(*s->rare->multi));
	s->rare->multi->whole = true;
	s->rare->multi->watched = s->own_mode == OWN_WATCH;
	buf_init(&s->rare->multi->log, KEPT_BYTES_MAX);
	note(s->rare->multi, req->raw);
	s->multi_asked = true;
	if (ready) {
		s->own_mode = OWN_MULTI;
		lane_set_pinned(s->own, true);
	} else {
		(void)session_wait_for(s, WAIT_REPLIES);
	}
	return d;
}

/* ---- replies ---- */

bool
session_multi_hides(struct session *s, const struct lane_reply *reply)
{
	struct multi *m = s->rare->multi;

	if (m == NULL || reply->type == '>') {
		return false;
	}
	if (s->own_mode == OWN_MULTI && m->whole && !s->multi_lost && !reply->local &&
	    reply->first && reply->last && reply->type == '-' && refusal_ends_multi(reply->raw)) {
		/* A refused command dooms the transaction there: EXEC behind it cannot happen. */
		m->refused = true;
		lane_abandon(s->own);
		return true;
	}
	if (m->swallow > 0) {
		m->swallow -= reply->last ? 1 : 0;
		return true;
	}
	m->answered += reply->last ? 1 : 0;
	m->away_ms = 0;
	return false;
}

/* ---- the link is lost ---- */

/* Gives the replies that are due; the transaction is no more. */
static void
give_up(struct session *s, const char *exec_reply)
{
	struct multi *m = s->rare->multi;

	m->away = false;
	session_lesson_fini(s);
	s->multi_lost = true;
	s->multi_asked = false;
	while (m->answered < m->count && s->conn != NULL) {
		bool first = m->answered == 0, last = ++m->answered == m->count;

		if (first) {
			session_reply(s, "+OK\r\n");
		} else if (!s->own_ends || !last) {
			session_reply(s, "+QUEUED\r\n");
		} else if (s->rare->instead != NULL) {
			const char *instead = s->rare->instead;

			session_rare(s)->instead = NULL;
			session_reply(s, instead);
		} else if (!s->exec_sent) {
			session_reply(s, "+OK\r\n"); /* DISCARD */
		} else if (exec_reply == NULL) {
			session_reply(s, null_text(s));
		} else {
			session_reply(s, exec_reply);
		}
	}
	if (s->own_ends && s->conn != NULL) {
		session_drop_own(s, false);
	}
}

void
session_multi_lost(struct session *s, unsigned unsent)
{
	struct multi *m = s->rare->multi;
	bool ends_in_exec = s->own_ends && s->exec_sent && s->rare->instead == NULL;

	if (s->multi_lost) {
		return;
	}
	if (ends_in_exec && unsent == 0 && !m->refused) {
		give_up(s, "-UNCERTAIN master lost before it answered; the transaction may or may "
			   "not have happened\r\n");
	} else if (m->watched) {
		give_up(s, NULL);
	} else if (!m->whole || (s->own_ends && !ends_in_exec && !m->refused)) {
		give_up(
		    s, aborted); /* DISCARD, or nothing that ends it yet, or more than was kept */
	} else {
		m->refused = false;
		m->swallow = m->answered;
		m->away = true;
		m->away_ms = m->away_ms != 0 ? m->away_ms : clock_mono_ms();
		lane_set_pinned(
		    s->own, false); /* ready is now: the master was asked for its role */
		lane_want(&s->requester, s->own);
	}
}

/* There was no master for too long. */
void
session_multi_give_up(struct session *s)
{
	give_up(s, aborted);
	if (s->conn != NULL && s->wait != WAIT_NOTHING && s->requester.unanswered == 0) {
		session_read_on(s);
	}
}

void
session_multi_room(struct session *s)
{
	struct multi *m = s->rare->multi;
	size_t at = 0;

	if (!m->away) {
		return;
	}
	if (!lane_is_ready(s->own)) {
		lane_want(&s->requester, s->own);
		return;
	}
	m->away = false;
	lane_set_pinned(s->own, true);
	for (size_t i = 0; i < m->count; i++) {
		struct slice raw = {buf_slice(&m->log).ptr + at, m->lengths[i]};

		at += raw.len;
		if (lane_send(&s->requester, s->own, raw, 0) < 0) {
			session_close(s);
			return;
		}
	}
}
