/*
 * What a transaction has queued about the connection itself: AUTH, HELLO, SELECT, CLIENT SETNAME and their like. The
 * server carries them out with EXEC, for the connection that the transaction is on; its reply says which of them it
 * did. The session takes the same on then, so that the next requests go as that user to that database, over whichever
 * connection; the one that was changed stays with it, and goes back to nobody.
 */
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "proxy/proxy_priv.h"
#include "resp/reader.h"
#include "resp/reply.h"

#define QUEUED_BYTES_MAX ((size_t)64 * 1024)
#define QUEUED_ARGS      8

bool
queued_is_about_session(const struct command *cmd)
{
	return cmd != NULL && (cmd->flags & CMD_SESSION) != 0 && cmd->id != CMD_INFO;
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
static void
take_effect(struct session *s, const struct slice *argv, size_t argc)
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
	default:
		break;
	}
}

/* The next of those that were kept. */
static void
next_takes_effect(struct session *s, struct resp_cursor *kept, bool done)
{
	struct slice argv[QUEUED_ARGS];
	struct resp_item item;
	int64_t left;
	size_t argc = 0;

	if (!resp_cursor_next(kept, &item)) {
		return;
	}
	for (left = item.number; left > 0 && resp_cursor_next(kept, &item); left--) {
		if (argc < QUEUED_ARGS) {
			argv[argc++] = item.str;
		}
	}
	if (done && argc > 0) {
		take_effect(s, argv, argc);
	}
}

void
queued_take_effect(struct session *s, const struct queued *q, struct slice reply)
{
	struct resp_cursor all = {reply}, kept = {buf_slice(&q->raw)};
	struct resp_item item;
	struct lane_key key;
	size_t next = 0;

	if (!resp_cursor_next(&all, &item) || item.type != RESP_ARRAY) {
		return; /* EXEC failed: nothing was done */
	}
	for (size_t i = 0; (int64_t)i < item.number && next < q->count; i++) {
		struct resp_reply_scanner scan;
		size_t used = 0;

		resp_reply_init(&scan);
		if (resp_reply_scan(&scan, all.rest, &used) != RESP_REPLY_DONE) {
			return;
		}
		if (i == q->at[next]) {
			next_takes_effect(s, &kept, all.rest.ptr[0] != '-');
			next++;
		}
		all.rest.ptr += used;
		all.rest.len -= used;
	}
	lane_release(&s->lane);
	key = session_key(&s->id);
	lane_set_key(s->own, &key);
}
