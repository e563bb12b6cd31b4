/*
 * What a transaction has queued about the connection itself: AUTH, HELLO, SELECT, CLIENT SETNAME and their like. The
 * server carries them out with EXEC, for the connection that the transaction is on; its reply says which of them it
 * did; it passes as it comes, but for those. The session takes the same on then, so that the next requests go as that user to that database, over whichever
 * connection; the one that was changed stays with it, and goes back to nobody.
 */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "proxy/proxy_priv.h"
#include "resp/reader.h"

#define QUEUED_BYTES_MAX ((size_t)64 * 1024)
#define REPLY_BYTES_MAX  ((size_t)64 * 1024) /* of one of them */
#define QUEUED_ARGS      8

bool
queued_is_about_session(const struct command *cmd)
{
	return cmd != NULL && (((cmd->flags & CMD_SESSION) != 0 && cmd->id != CMD_INFO) ||
				  cmd->id == CMD_TRACKING || cmd->id == CMD_NO_TOUCH);
}

void
queued_add(struct queued *q, size_t at, struct slice raw)
{
	if (q->at == NULL) {
		buf_init(&q->raw, QUEUED_BYTES_MAX);
	}
	q->lost = q->lost || buf_add_slice(&q->raw, raw) < 0;
	if (!q->lost) {
		q->at = xreallocarray(q->at, q->count + 1, sizeof(*q->at));
		q->at[q->count++] = at;
	}
}

void
queued_fini(struct queued *q)
{
	struct slice raw = buf_slice(&q->raw);

	if (raw.len > 0) {
		explicit_bzero(
		    (void *)(uintptr_t)raw.ptr, raw.len); /* passwords; ours alone: not const */
	}
	buf_fini(&q->raw);
	buf_fini(&q->mine);
	free(q->at);
	*q = (struct queued){0};
}

/* ---- taking effect ---- */

static void
take_user(struct session *s, const struct slice *user, struct slice password)
{
	char *name = user != NULL ? xstrndup((const char *)user->ptr, user->len) : NULL;

	identity_fini(&s->id);
	s->id.user = name;
	s->id.password = xstrndup((const char *)password.ptr, password.len);
}

static void
take_text(char **field, struct slice value)
{
	free(*field);
	*field = value.len > 0 ? xstrndup((const char *)value.ptr, value.len) : NULL;
}

static void
take_hello(struct session *s, const struct slice *argv, size_t argc)
{
	uint64_t protocol;

	if (argc > 1 && slice_to_u64(argv[1], &protocol)) {
		s->id.protocol = (uint8_t)protocol;
	}
	for (size_t i = 2; i < argc; i++) {
		if (slice_caseeq(argv[i], "AUTH") && i + 2 < argc) {
			take_user(s, &argv[i + 1], argv[i + 2]);
			i += 2;
		} else if (slice_caseeq(argv[i], "SETNAME") && i + 1 < argc) {
			take_text(&session_rare(s)->name, argv[++i]);
		}
	}
}

static void
take_client(struct session *s, const struct slice *argv, size_t argc)
{
	if (argc == 3 && slice_caseeq(argv[1], "SETNAME")) {
		take_text(&session_rare(s)->name, argv[2]);
	} else if (argc == 3 && slice_caseeq(argv[1], "NO-EVICT")) {
		s->no_evict = slice_caseeq(argv[2], "ON");
	} else if (argc == 4 && slice_caseeq(argv[1], "SETINFO")) {
		take_text(slice_caseeq(argv[2], "LIB-NAME") ? &session_rare(s)->lib_name
							    : &session_rare(s)->lib_version,
		    argv[3]);
	}
}

/* The server has done it, so it is well formed. */
static int
take_effect(struct session *s, const struct slice *argv, size_t argc, struct slice raw)
{
	const struct command *cmd = command_find(argv, argc);
	uint64_t database;

	switch (cmd != NULL ? (enum command_id)cmd->id : CMD_NONE) {
	case CMD_AUTH:
		take_user(s, argc == 3 ? &argv[1] : NULL, argv[argc - 1]);
		break;
	case CMD_SELECT:
		if (slice_to_u64(argv[1], &database)) {
			s->id.database = (uint32_t)database;
		}
		break;
	case CMD_HELLO:
		take_hello(s, argv, argc);
		break;
	case CMD_CLIENT:
		take_client(s, argv, argc);
		break;
	case CMD_TRACKING:
	case CMD_NO_TOUCH:
		return session_lasting_queued(s, cmd, argc > 2 && slice_caseeq(argv[2], "ON"), raw);
	default:
		break;
	}
	return 0;
}

/* What the client is to have in place of the server's `reply`. */
static int
add_reply(const struct session *s, const struct slice *argv, size_t argc, struct slice reply,
    struct buf *out)
{
	const struct command *cmd = command_find(argv, argc);
	enum command_id id = cmd != NULL ? (enum command_id)cmd->id : CMD_NONE;
	struct slice head, tail;
	int err;

	if (id == CMD_CLIENT && slice_caseeq(argv[1], "ID")) {
		return buf_addf(out, ":%llu\r\n", (unsigned long long)s->number);
	}
	if (id == CMD_CLIENT && slice_caseeq(argv[1], "INFO")) {
		return session_add_info(s, out);
	}
	if (id == CMD_CLIENT && slice_caseeq(argv[1], "GETNAME")) {
		return session_add_name(s, out);
	}
	if (id == CMD_HELLO && session_split_hello(reply, &head, &tail)) {
		err = buf_add_slice(out, head);
		err = err == 0 ? buf_addf(out, "%llu", (unsigned long long)s->number) : err;
		return err == 0 ? buf_add_slice(out, tail) : err;
	}
	return buf_add_slice(out, reply);
}

/* The next of those that were kept, and the server's reply to it. */
static int
next_is_answered(struct session *s, struct queued *q, struct slice reply, struct buf *out)
{
	struct slice all = buf_slice(&q->raw), argv[QUEUED_ARGS];
	struct resp_cursor kept = {{all.ptr + q->used, all.len - q->used}};
	struct resp_item item;
	int64_t left;
	size_t argc = 0, before = q->used;
	int err;

	if (!resp_cursor_next(&kept, &item)) {
		return -EPROTO;
	}
	for (left = item.number; left > 0 && resp_cursor_next(&kept, &item); left--) {
		if (argc < QUEUED_ARGS) {
			argv[argc++] = item.str;
		}
	}
	q->next++;
	q->used = all.len - kept.rest.len;
	if (argc == 0 || reply.ptr[0] == '-') {
		return buf_add_slice(out, reply);
	}
	err = take_effect(s, argv, argc,
	    (struct slice){all.ptr + before, (size_t)(kept.rest.ptr - all.ptr) - before});
	return err == 0 ? add_reply(s, argv, argc, reply, out) : err;
}

static bool
is_mine(const struct queued *q)
{
	return q->next < q->count && q->at[q->next] == q->element;
}

/* Elements pass as they come; of those that are about the connection each is seen whole. */
static int
read_elements(struct session *s, struct queued *q, struct slice rest, struct buf *out)
{
	int err = 0;

	while (rest.len > 0 && err == 0) {
		size_t used = 0;
		enum resp_reply_status status = resp_reply_scan(&q->scan, rest, &used);
		struct slice run = {rest.ptr, status == RESP_REPLY_DONE ? used : rest.len};

		if (status == RESP_REPLY_BAD) {
			return -EPROTO;
		}
		err = buf_add_slice(is_mine(q) ? &q->mine : out, run);
		if (err == 0 && status == RESP_REPLY_DONE) {
			if (is_mine(q)) {
				err = next_is_answered(s, q, buf_slice(&q->mine), out);
				buf_clear(&q->mine);
			}
			q->element++;
		}
		rest.ptr += run.len;
		rest.len -= run.len;
	}
	return err;
}

int
queued_executed(
    struct session *s, struct queued *q, const struct lane_reply *reply, struct buf *out)
{
	struct resp_cursor all = {reply->raw};
	struct resp_item item;
	int err;

	if (q->lost) {
		return buf_add_slice(out, reply->raw);
	}
	if (reply->first) {
		if (!resp_cursor_next(&all, &item)) {
			return -EPROTO;
		}
		resp_reply_init(&q->scan);
		buf_init(&q->mine, REPLY_BYTES_MAX);
		err = buf_add(out, reply->raw.ptr, reply->raw.len - all.rest.len);
		if (err < 0) {
			return err;
		}
	}
	return read_elements(s, q, all.rest, out);
}
