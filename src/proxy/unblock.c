/*
 * CLIENT UNBLOCK: clients know each other by our numbers, the server knows its connections by its own.
 *
 *   number → ours, or another worker's → the server's id of the connection on which it waits, and which server
 *          → CLIENT UNBLOCK with that id, to that server, as whoever asks → the server's own answer
 *
 * So the server says whether it is allowed, and whether the client was blocked. Of a client that waits nowhere it is
 * asked about one that it cannot have.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/others.h"
#include "base/mem.h"
#include "proxy/proxy_priv.h"
#include "resp/write.h"

#define NOBODY   "9223372036854775807"
#define ARGS_MAX 8

struct unblocking {
	struct question *question; /* owned: the other workers are asked; or NULL */
	struct buf rest;           /* owned: what is said behind the id, each word with a NUL */
	struct lane *lane;         /* ref: on which the server is asked; NULL: the session's own */
	uint64_t id;               /* as lane_blocked_id */
	struct endpoint at;
};

void
session_unblock_fini(struct session *s)
{
	struct unblocking *u = s->rare->unblocking;

	if (u != NULL) {
		session_rare(s)->unblocking = NULL;
		question_free(&u->question);
		buf_fini(&u->rest);
		lane_release(&u->lane);
		free(u);
	}
}

/* ---- who it is ---- */

static uint64_t
find(struct proxy *p, uint64_t number, struct endpoint *ret_at)
{
	list_for_each (item, &p->sessions) {
		const struct session *one = CONTAINER_OF(item, struct session, link);

		if (one->number == number) {
			return session_is_blocked(one) && one->own != NULL
				   ? lane_blocked_id(one->own, ret_at)
				   : 0;
		}
	}
	return 0;
}

void
proxy_asked_blocked(struct proxy *p, const char *number, struct buf *out)
{
	struct endpoint at;
	uint64_t n, id = slice_to_u64(slice_str(number), &n) ? find(p, n, &at) : 0;

	if (id > 0) {
		(void)!buf_addf(out, "%llu %s", (unsigned long long)id, ENDPOINT_TEXT(&at));
	}
}

/* "ID ADDRESS" */
static void
read_told(struct unblocking *u, const char *text)
{
	const char *blank = strchr(text, ' ');
	struct errmsg err;
	uint64_t id;

	if (blank != NULL &&
	    slice_to_u64((struct slice){(const uint8_t *)text, (size_t)(blank - text)}, &id) &&
	    endpoint_parse(blank + 1, 0, &u->at, &err) == 0) {
		u->id = id;
	}
}

/* ---- the server ---- */

static bool
leads_to(const struct backend *b, const struct endpoint *at)
{
	struct endpoint master;

	return backend_master(b, &master) && endpoint_equal(&master, at);
}

/* The way to the server where it waits; NULL: there is none any more. */
static struct backend *
way_to(const struct session *s, const struct endpoint *at)
{
	struct proxy *p = s->proxy;

	if (leads_to(s->backend, at)) {
		return s->backend;
	}
	if (leads_to(p->backend, at)) {
		return p->backend;
	}
	for (size_t i = 0; p->readers != NULL && i < readers_count(p->readers); i++) {
		if (leads_to(readers_at(p->readers, i), at)) {
			return readers_at(p->readers, i);
		}
	}
	return NULL;
}

static int
add_command(const struct unblocking *u, const char *id, struct buf *out)
{
	struct slice argv[ARGS_MAX] = {SLICE_LIT("CLIENT"), SLICE_LIT("UNBLOCK"), slice_str(id)};
	struct slice rest = buf_slice(&u->rest);
	size_t argc = 3;

	while (rest.len > 0 && argc < ARRAY_LEN(argv)) {
		argv[argc] = slice_str((const char *)rest.ptr);
		rest.ptr += argv[argc].len + 1;
		rest.len -= argv[argc++].len + 1;
	}
	return resp_add_command(out, argv, argc);
}

static void
ask_server(struct session *s)
{
	struct unblocking *u = s->rare->unblocking;
	struct backend *b = u->id > 0 ? way_to(s, &u->at) : NULL;
	struct lane_key key = session_key(&s->id);
	struct buf ask;
	char id[24] = NOBODY;
	int err;

	if (b != NULL) {
		(void)snprintf(id, sizeof(id), "%llu", (unsigned long long)u->id);
	}
	if (s->own == NULL || (b != NULL && b != s->backend)) {
		u->lane = lane_shared(b != NULL ? b : s->backend, &key);
	}
	buf_init(&ask, 0);
	err = add_command(u, id, &ask);
	if (err == 0) {
		err = lane_send(&s->requester, u->lane != NULL ? u->lane : s->own, buf_slice(&ask),
		    LANE_WHOLE | (unsigned)s->asked << LANE_COMMAND_SHIFT);
	}
	buf_fini(&ask);
	if (err < 0) {
		session_unblock_fini(s);
		session_reply(s, "-MASTERDOWN no master, and too many requests wait for it\r\n");
		return;
	}
	(void)session_wait_for(s, WAIT_REPLIES);
}

void
session_unblock_answer(struct session *s, const struct lane_reply *reply)
{
	if (reply->last) {
		session_unblock_fini(s);
	}
	session_write(s, reply->raw);
}

static void
on_told(void *arg, const char *text)
{
	struct session *s = OBJ_CAST((struct session *)arg, SESSION_MAGIC);
	struct unblocking *u = s->rare->unblocking;

	if (text != NULL) {
		read_told(u, text);
		return;
	}
	question_free(&u->question);
	ask_server(s);
	if (s->conn == NULL || s->rare->unblocking != NULL) {
		return;
	}
	if (s->closing || s->eof) {
		session_close_with(s, "");
	} else {
		session_read_on(s);
	}
}

/* ---- the command ---- */

enum dispatch
session_unblock_command(struct session *s, const struct resp_request *req)
{
	struct unblocking *u;
	struct slice words[2] = {SLICE_LIT("UNBLOCK"), req->argv[2]};
	uint64_t number;

	if (!slice_to_u64(req->argv[2], &number)) {
		return session_forward(s, req->raw, LANE_READ); /* the server says so */
	}
	u = session_rare(s)->unblocking = xcalloc(1, sizeof(*u));
	buf_init(&u->rest, 0);
	for (size_t i = 3; i < req->kept && i < ARGS_MAX; i++) {
		if (buf_add_slice(&u->rest, req->argv[i]) < 0 || buf_add(&u->rest, "", 1) < 0) {
			session_close(s);
			return DISPATCH_CLOSED;
		}
	}
	u->id = find(s->proxy, number, &u->at);
	if (u->id == 0 && s->proxy->worker != NULL) {
		u->question = question_new(worker_others(s->proxy->worker), words, 2, on_told, s);
	}
	if (u->question != NULL) {
		(void)session_wait_for(s, WAIT_OTHERS);
	} else {
		ask_server(s);
	}
	return s->conn != NULL ? DISPATCH_DONE : DISPATCH_CLOSED;
}
