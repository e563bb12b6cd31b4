/*
 * CLIENT TRACKING and CLIENT NO-TOUCH: the server keeps them for the connection, and they end with it. What the client
 * has asked for is told to each next connection when that is set up, so that nothing is read over it before. What
 * changed between the two nobody has told the client: it is told to forget all that it has, as it would for itself if its
 * own connection had broken.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "proxy/proxy_priv.h"
#include "resp/reader.h"

#define PREFIXES_BYTES_MAX ((size_t)64 * 1024)

enum lasting_kind { LASTING_TRACKING, LASTING_NO_TOUCH, LASTING_KINDS };

struct lasting {
	struct buf on[LASTING_KINDS]; /* owned: what was asked, as it was; empty: off */
	unsigned counts[LASTING_KINDS];
	struct buf asked;       /* owned: it waits for its reply … */
	enum lasting_kind kind; /* … this … */
	bool is_on, due;        /* … and is on then */
	bool lost;              /* there is no connection that tracks */
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

bool
session_redirects(const struct command *cmd, const struct resp_request *req)
{
	for (size_t i = 3; cmd->id == CMD_TRACKING && i < req->kept; i++) {
		if (slice_caseeq(req->argv[i], "REDIRECT")) {
			return true;
		}
		i += slice_caseeq(req->argv[i], "PREFIX");
	}
	return false;
}

/* The next links of the own lane are told what is on. */
static void
tell_lane(struct session *s)
{
	struct lasting *l = s->rare->lasting;
	unsigned count = 0;
	struct buf all;

	buf_init(&all, 0);
	for (size_t i = 0; i < LASTING_KINDS; i++) {
		if (buf_len(&l->on[i]) > 0 && buf_add_slice(&all, buf_slice(&l->on[i])) == 0) {
			count += l->counts[i];
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

static enum lasting_kind
kind_of(const struct command *cmd)
{
	return cmd->id == CMD_TRACKING ? LASTING_TRACKING : LASTING_NO_TOUCH;
}

static struct lasting *
get_lasting(struct session *s)
{
	if (s->rare->lasting == NULL) {
		session_rare(s)->lasting = xcalloc(1, sizeof(struct lasting));
	}
	return s->rare->lasting;
}

/* CLIENT TRACKING ON … BCAST: the first of them in `asked`. */
static bool
is_broadcast(struct slice asked)
{
	struct resp_cursor c = {asked};
	struct resp_item item;
	int64_t left;

	if (!resp_cursor_next(&c, &item)) {
		return false;
	}
	for (left = item.number; left > 0 && resp_cursor_next(&c, &item); left--) {
		if (slice_caseeq(item.str, "BCAST")) {
			return true;
		}
		if (slice_caseeq(item.str, "PREFIX")) {
			(void)resp_cursor_next(&c, &item);
			left--;
		}
	}
	return false;
}

/*
 * The server has done it. Prefixes of BCAST come to those from before (enableBcastTrackingForPrefix in redis' tracking.c); else the last
 * request holds. 0, -ENOBUFS: more than is kept, or -ENOMEM.
 */
static int
take_effect(struct lasting *l, enum lasting_kind kind, bool is_on, struct slice raw)
{
	struct buf *on = &l->on[kind];
	struct slice before = buf_slice(on);

	if (!is_on || kind != LASTING_TRACKING || !is_broadcast(raw) || !is_broadcast(before)) {
		buf_fini(on);
		l->counts[kind] = 0;
	} else if (memmem(before.ptr, before.len, raw.ptr, raw.len) != NULL) {
		return 0;
	} else if (before.len + raw.len > PREFIXES_BYTES_MAX) {
		return -ENOBUFS;
	}
	l->counts[kind] += is_on;
	return is_on ? buf_add_slice(on, raw) : 0;
}

int
session_lasting_queued(struct session *s, const struct command *cmd, bool is_on, struct slice raw)
{
	int err = take_effect(get_lasting(s), kind_of(cmd), is_on, raw);

	if (err == 0) {
		tell_lane(s);
	}
	return err;
}

enum dispatch
session_lasting_command(
    struct session *s, const struct command *cmd, const struct resp_request *req)
{
	bool in_raw = s->own_mode == OWN_RAW;
	enum dispatch d = in_raw ? session_raw_alone(s) : session_settle(s);
	struct lasting *l;

	if (d != DISPATCH_DONE) {
		return d;
	}
	if (session_redirects(cmd, req)) {
		session_reply(s, "-ERR CLIENT TRACKING cannot REDIRECT to a client of the proxy; "
				 "with HELLO 3 the connection itself is told\r\n");
		return s->conn != NULL ? DISPATCH_DONE : DISPATCH_CLOSED;
	}
	d = in_raw ? session_raw_ask(s, req->raw)
		   : session_forward(s, req->raw, (cmd->flags & CMD_READ) != 0 ? LANE_READ : 0);
	if (d != DISPATCH_DONE || (s->requester.unanswered == 0 && !in_raw)) {
		return d;
	}
	l = get_lasting(s);
	l->kind = kind_of(cmd);
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

	if (!l->due) {
		return;
	}
	l->due = false;
	if (ok && take_effect(l, l->kind, l->is_on, buf_slice(&l->asked)) < 0) {
		log_peer(LOG_WARN,
		    "a client is closed that tracks more prefixes than are kept for the next "
		    "master");
		s->closing = true;
		return;
	}
	tell_lane(s);
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
