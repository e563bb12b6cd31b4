/*
 * CLIENT TRACKING and CLIENT NO-TOUCH: the server keeps them for the connection, and they end with it. What the client
 * has asked for is told to each next connection when that is set up, so that nothing is read over it before. What
 * changed between the two nobody has told the client: it is told to forget all that it has, as it would for itself if its
 * own connection had broken.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "proxy/proxy_priv.h"

enum lasting_kind { LASTING_TRACKING, LASTING_NO_TOUCH, LASTING_KINDS };

struct lasting {
	struct buf on[LASTING_KINDS]; /* owned: as it was asked; empty: off */
	struct buf asked;             /* owned: it waits for its reply … */
	enum lasting_kind kind;       /* … this … */
	bool is_on, due;              /* … and is on then */
	bool lost;                    /* there is no connection that tracks */
};

void
session_lasting_fini(struct session *s)
{
	struct lasting *l = s->rare->lasting;

	if (l != NULL) {
		for (size_t i = 0; i < LASTING_KINDS; i++) {
			buf_fini(&l->on[i]);
		}
		buf_fini(&l->asked);
		free(l);
		session_rare(s)->lasting = NULL;
	}
}

static bool
has_word(const struct resp_request *req, const char *word)
{
	for (size_t i = 3; i < req->kept; i++) {
		if (slice_caseeq(req->argv[i], word)) {
			return true;
		}
		i += slice_caseeq(req->argv[i], "PREFIX");
	}
	return false;
}

enum dispatch
session_lasting_command(
    struct session *s, const struct command *cmd, const struct resp_request *req)
{
	struct lasting *l = s->rare->lasting;
	enum dispatch d = session_settle(s);

	if (d != DISPATCH_DONE) {
		return d;
	}
	if (cmd->id == CMD_TRACKING && has_word(req, "REDIRECT")) {
		session_reply(s, "-ERR CLIENT TRACKING cannot REDIRECT to a client of the proxy; "
				 "with HELLO 3 the connection itself is told\r\n");
		return s->conn != NULL ? DISPATCH_DONE : DISPATCH_CLOSED;
	}
	d = session_forward(s, req->raw, (cmd->flags & CMD_READ) != 0 ? LANE_READ : 0);
	if (d != DISPATCH_DONE || s->requester.unanswered == 0) {
		return d;
	}
	if (l == NULL) {
		l = xcalloc(1, sizeof(*l));
		session_rare(s)->lasting = l;
	}
	l->kind = cmd->id == CMD_TRACKING ? LASTING_TRACKING : LASTING_NO_TOUCH;
	l->is_on = req->kept > 2 && slice_caseeq(req->argv[2], "ON");
	l->due = true;
	buf_fini(&l->asked);
	if (buf_add_slice(&l->asked, req->raw) < 0) {
		session_close(s);
		return DISPATCH_CLOSED;
	}
	(void)session_wait_for(s, WAIT_REPLIES);
	return d;
}

void
session_lasting_answered(struct session *s, bool ok)
{
	struct lasting *l = s->rare->lasting;
	struct buf all;
	unsigned count = 0;

	if (!l->due) {
		return;
	}
	l->due = false;
	if (ok) {
		buf_fini(&l->on[l->kind]);
		if (l->is_on) {
			l->on[l->kind] = l->asked;
			l->asked = (struct buf){0};
		}
	}
	buf_init(&all, 0);
	for (size_t i = 0; i < LASTING_KINDS; i++) {
		if (buf_len(&l->on[i]) > 0 && buf_add_slice(&all, buf_slice(&l->on[i])) == 0) {
			count++;
		}
	}
	if (s->own != NULL) {
		lane_set_more(s->own, buf_slice(&all), count);
	}
	buf_fini(&all);
	if (count == 0) {
		session_lasting_fini(s);
	}
}

/* In RESP2 nobody can tell the client without being asked. */
static void
forget_all(struct session *s)
{
	if (s->id.protocol >= 3) {
		s->is_push = true;
		session_write(s, SLICE_LIT(">2\r\n$10\r\ninvalidate\r\n_\r\n"));
		s->is_push = false;
	}
}

void
session_lasting_lost(struct session *s)
{
	struct lasting *l = s->rare->lasting;

	if (l != NULL && buf_len(&l->on[LASTING_TRACKING]) > 0) {
		l->lost = true;
		forget_all(s);
		if (s->conn != NULL) {
			lane_want(&s->requester, s->own); /* it may be told of what others read */
		}
	}
}

void
session_lasting_room(struct session *s)
{
	struct lasting *l = s->rare->lasting;

	if (!l->lost || s->own == NULL) {
		return;
	}
	if (!lane_is_ready(s->own)) {
		lane_want(&s->requester, s->own);
		return;
	}
	l->lost = false;
	forget_all(s);
}
