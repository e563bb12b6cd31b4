/*
 * Commands about the connection itself. Who the client is and which database it uses is kept here
 * and becomes the key of a lane; whether the server agrees is asked over that very lane, so that
 * every error is the server's own.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "proxy/proxy_priv.h"
#include "proxy/subs.h"
#include "resp/write.h"

#define NAME_BYTES_MAX 4096

static const char bad_name[] =
    "-ERR Client names cannot contain spaces, newlines or special characters.\r\n";

struct login {
	struct identity next;
	struct lane *lane; /* ref: the lane of `next`; NULL with an own lane */
	char *name;        /* owned: HELLO … SETNAME */
	bool is_hello;     /* its reply names the connection's id: ours, not the link's */
};

static void
wipe(char **text)
{
	if (*text != NULL) {
		explicit_bzero(*text, strlen(*text));
		free(*text);
		*text = NULL;
	}
}

void
identity_fini(struct identity *id)
{
	wipe(&id->user);
	wipe(&id->password);
}

static struct identity
identity_dup(const struct identity *id)
{
	return (struct identity){.user = xstrdup(id->user),
	    .password = xstrdup(id->password),
	    .database = id->database,
	    .protocol = id->protocol};
}

static char *
dup_arg(struct slice s)
{
	return xstrndup((const char *)s.ptr, s.len);
}

static bool
has_nul(struct slice s)
{
	return s.len > 0 && memchr(s.ptr, '\0', s.len) != NULL;
}

void
session_login_answered(struct session *s, bool ok)
{
	struct login *l = s->rare->login;

	if (l == NULL) {
		return;
	}
	session_rare(s)->login = NULL;
	if (ok) {
		identity_fini(&s->id);
		s->id = l->next;
		l->next = (struct identity){0};
		lane_release(&s->lane);
		s->lane = l->lane;
		l->lane = NULL;
		if (s->own != NULL) {
			struct lane_key key = session_key(&s->id);

			lane_set_key(s->own, &key);
		}
		if (l->name != NULL) {
			free(s->rare->name);
			session_rare(s)->name = l->name;
			l->name = NULL;
		}
	}
	lane_release(&l->lane);
	identity_fini(&l->next);
	free(l->name);
	free(l);
}

bool
session_split_hello(struct slice raw, struct slice *ret_head, struct slice *ret_tail)
{
	static const char id[] = "\r\n$2\r\nid\r\n:";
	const uint8_t *at = memmem(raw.ptr, raw.len, id, sizeof(id) - 1), *end = raw.ptr + raw.len;

	if (at == NULL) {
		return false;
	}
	at += sizeof(id) - 1;
	*ret_head = (struct slice){raw.ptr, (size_t)(at - raw.ptr)};
	while (at < end && *at != '\r') {
		at++;
	}
	*ret_tail = (struct slice){at, (size_t)(end - at)};
	return true;
}

/* Writes the reply to AUTH, HELLO or SELECT. */
void
session_write_login(struct session *s, struct slice raw)
{
	bool is_hello = s->rare->login != NULL && s->rare->login->is_hello;
	struct slice head, tail;

	if (!is_hello || !session_split_hello(raw, &head, &tail)) {
		session_write(s, raw);
		return;
	}
	session_write(s, head);
	if (s->conn != NULL) {
		session_replyf(s, "%llu", (unsigned long long)s->number);
		session_write(s, tail);
	}
}

/* Asks the server over the lane of `l`; takes `l`. */
static enum dispatch
ask(struct session *s, struct login *l, struct slice raw)
{
	struct lane_key key = session_key(&l->next);
	struct lane *lane = s->own;
	enum dispatch d;
	int err;

	if (s->own_mode == OWN_RAW) {
		session_rare(s)->login = l;
		d = session_raw_ask(s, raw);
		if (d == DISPATCH_LATER) {
			session_login_answered(s, false);
		}
		return d;
	}
	if (lane == NULL) {
		l->lane = lane_shared(s->backend, &key);
		lane = l->lane;
	}
	session_rare(s)->login = l;
	if (lane_is_full(&s->requester, lane)) {
		session_login_answered(s, false);
		return session_wait_for(s, WAIT_ROOM);
	}
	err = lane_send(&s->requester, lane, raw,
	    LANE_READ | LANE_WHOLE | (unsigned)s->asked << LANE_COMMAND_SHIFT);
	if (err < 0) {
		session_login_answered(s, false);
		session_reply(s, "-MASTERDOWN no master, and too many requests wait for it\r\n");
		return DISPATCH_DONE;
	}
	(void)session_wait_for(s, WAIT_REPLIES);
	return DISPATCH_DONE;
}

static enum dispatch
let_server_say(struct session *s, const struct resp_request *req)
{
	return s->own_mode == OWN_RAW ? session_raw_ask(s, req->raw)
				      : session_forward(s, req->raw, LANE_READ);
}

static enum dispatch
on_auth(struct session *s, const struct resp_request *req)
{
	struct login *l;
	struct slice password = req->argv[req->argc - 1];

	if (req->argc > 3) {
		session_reply(s, "-ERR syntax error\r\n");
		return DISPATCH_DONE;
	}
	if (has_nul(password) || (req->argc == 3 && has_nul(req->argv[1]))) {
		session_reply(
		    s, "-WRONGPASS invalid username-password pair or user is disabled.\r\n");
		return DISPATCH_DONE;
	}
	l = xcalloc(1, sizeof(*l));
	l->next = identity_dup(&s->id);
	identity_fini(&l->next);
	l->next.user = req->argc == 3 ? dup_arg(req->argv[1]) : NULL;
	l->next.password = dup_arg(password);
	return ask(s, l, req->raw);
}

static enum dispatch
on_select(struct session *s, const struct resp_request *req)
{
	struct login *l;
	uint64_t db;

	if (!slice_to_u64(req->argv[1], &db) || db > INT32_MAX) {
		return let_server_say(s, req);
	}
	l = xcalloc(1, sizeof(*l));
	l->next = identity_dup(&s->id);
	l->next.database = (uint32_t)db;
	return ask(s, l, req->raw);
}

/* HELLO [protocol [AUTH user password] [SETNAME name]]; false: the error was answered. */
static bool
read_hello(struct session *s, const struct resp_request *req, struct login *l, struct buf *out)
{
	struct slice argv[5] = {SLICE_LIT("HELLO"), req->argv[1]};
	size_t argc = 2;

	for (size_t i = 2; i < req->kept; i++) {
		if (slice_caseeq(req->argv[i], "AUTH") && i + 2 < req->kept &&
		    !has_nul(req->argv[i + 1]) && !has_nul(req->argv[i + 2])) {
			wipe(&l->next.user);
			wipe(&l->next.password);
			l->next.user = dup_arg(req->argv[i + 1]);
			l->next.password = dup_arg(req->argv[i + 2]);
			argv[2] = SLICE_LIT("AUTH");
			argv[3] = req->argv[i + 1];
			argv[4] = req->argv[i + 2];
			argc = 5;
			i += 2;
		} else if (slice_caseeq(req->argv[i], "SETNAME") && i + 1 < req->kept &&
			   req->argv[i + 1].len < NAME_BYTES_MAX) {
			if (!session_is_good_name(req->argv[i + 1])) {
				session_reply(s, bad_name);
				return false;
			}
			free(l->name);
			l->name = dup_arg(req->argv[++i]);
		} else {
			session_replyf(s, "-ERR Syntax error in HELLO option '%.*s'\r\n",
			    (int)MIN(req->argv[i].len, (size_t)128),
			    has_nul(req->argv[i]) ? "" : (const char *)req->argv[i].ptr);
			return false;
		}
	}
	return resp_add_command(out, argv, argc) == 0;
}

static enum dispatch
on_hello(struct session *s, const struct resp_request *req)
{
	struct login *l;
	struct buf out;
	enum dispatch d = DISPATCH_DONE;
	uint64_t protocol;

	/* of a protocol that does not exist the server says so */
	if (req->argc > 1 &&
	    (!slice_to_u64(req->argv[1], &protocol) || protocol < 2 || protocol > 3)) {
		return let_server_say(s, req);
	}
	l = xcalloc(1, sizeof(*l));
	l->next = identity_dup(&s->id);
	l->is_hello = true;
	if (req->argc == 1) {
		return ask(s, l, req->raw);
	}
	l->next.protocol = (uint8_t)protocol;
	buf_init(&out, 0);
	if (read_hello(s, req, l, &out)) {
		d = ask(s, l, buf_slice(&out));
	} else {
		session_rare(s)->login = l;
		session_login_answered(s, false);
	}
	buf_fini(&out);
	return d;
}

/* ---- CLIENT ---- */

bool
session_is_good_name(struct slice name)
{
	for (size_t i = 0; i < name.len; i++) {
		if (name.ptr[i] < '!' || name.ptr[i] > '~') {
			return false;
		}
	}
	return name.len < NAME_BYTES_MAX;
}

/* CLIENT SETINFO LIB-NAME|LIB-VER text */
static void
on_setinfo(struct session *s, const struct resp_request *req)
{
	struct slice name = req->argv[2], value = req->argv[3];
	bool is_name = slice_caseeq(name, "LIB-NAME");
	char **field = slice_caseeq(name, "LIB-NAME")  ? &session_rare(s)->lib_name
		       : slice_caseeq(name, "LIB-VER") ? &session_rare(s)->lib_version
						       : NULL;

	if (field == NULL) {
		session_replyf(s, "-ERR Unrecognized option '%.*s'\r\n",
		    session_is_good_name(name) ? (int)name.len : 0, (const char *)name.ptr);
	} else if (!session_is_good_name(value)) {
		session_replyf(s,
		    "-ERR %s cannot contain spaces, newlines or special characters.\r\n",
		    is_name ? "lib-name" : "lib-ver");
	} else {
		free(*field);
		*field = value.len > 0 ? dup_arg(value) : NULL;
		session_reply(s, "+OK\r\n");
	}
}

/* What the server evicts is its own connections, which are not the client's: there is nothing to keep from it. */
static void
on_no_evict(struct session *s, struct slice word)
{
	if (slice_caseeq(word, "ON") || slice_caseeq(word, "OFF")) {
		s->no_evict = slice_caseeq(word, "ON");
		session_reply(s, "+OK\r\n");
	} else {
		session_reply(s, "-ERR syntax error\r\n");
	}
}

/*
 * It is for us alone: what the client does not want to hear is dropped here, so that nothing of it is lost with a connection to the
 * server. In RESP2 the server refuses it beside subscriptions.
 */
static enum dispatch
on_client_reply(struct session *s, const struct command *cmd, const struct resp_request *req)
{
	struct slice word = req->argv[2];

	if (s->own_mode == OWN_RAW && s->id.protocol == 2 && session_sub_count(s, SUBS_KINDS) > 0) {
		return session_own_command(s, cmd, req, false);
	}
	session_count_local(s, false);
	if (slice_caseeq(word, "ON")) {
		s->reply_off = s->skip_now = false;
		session_reply(s, "+OK\r\n");
	} else if (slice_caseeq(word, "OFF")) {
		s->reply_off = true;
	} else if (slice_caseeq(word, "SKIP")) {
		s->skip_next = !s->reply_off;
	} else {
		session_reply(s, "-ERR syntax error\r\n");
	}
	return s->conn != NULL ? DISPATCH_DONE : DISPATCH_CLOSED;
}

int
session_add_name(const struct session *s, struct buf *out)
{
	const char *name = s->rare->name;

	return name != NULL ? buf_addf(out, "$%zu\r\n%s\r\n", strlen(name), name)
			    : buf_add_str(out, s->id.protocol >= 3 ? "_\r\n" : "$-1\r\n");
}

static void
reply_with(struct session *s, int (*add)(const struct session *s, struct buf *out))
{
	struct buf out;

	buf_init(&out, 0);
	if (add(s, &out) == 0) {
		session_write(s, buf_slice(&out));
	}
	buf_fini(&out);
}

static enum dispatch
on_client(struct session *s, const struct resp_request *req)
{
	struct slice sub = req->argv[1];

	if (slice_caseeq(sub, "SETNAME")) {
		if (!session_is_good_name(req->argv[2])) {
			session_reply(s, bad_name);
			return DISPATCH_DONE;
		}
		free(s->rare->name);
		session_rare(s)->name = req->argv[2].len > 0 ? dup_arg(req->argv[2]) : NULL;
		session_reply(s, "+OK\r\n");
	} else if (slice_caseeq(sub, "GETNAME")) {
		reply_with(s, session_add_name);
	} else if (slice_caseeq(sub, "ID")) {
		session_replyf(s, ":%llu\r\n", (unsigned long long)s->number);
	} else if (slice_caseeq(sub, "INFO")) {
		reply_with(s, session_add_info);
	} else if (slice_caseeq(sub, "LIST") || slice_caseeq(sub, "KILL")) {
		return session_clients_command(s, req);
	} else if (slice_caseeq(sub, "UNBLOCK")) {
		return session_unblock_command(s, req);
	} else if (slice_caseeq(sub, "NO-EVICT")) {
		on_no_evict(s, req->argv[2]);
	} else {
		on_setinfo(s, req);
	}
	return DISPATCH_DONE;
}

/* The server's, but its clients are ours. */
static enum dispatch
on_info(struct session *s, const struct resp_request *req)
{
	enum dispatch d = session_forward(s, req->raw, LANE_READ | LANE_WHOLE);

	if (d == DISPATCH_DONE && s->requester.unanswered > 0) {
		s->info_due = true;
		(void)session_wait_for(s, WAIT_REPLIES);
	}
	return d;
}

bool
session_is_about_others(struct slice sub)
{
	return slice_caseeq(sub, "LIST") || slice_caseeq(sub, "KILL") ||
	       slice_caseeq(sub, "UNBLOCK");
}

/* ---- RESET, QUIT ---- */

static enum dispatch
on_reset(struct session *s)
{
	session_lasting_fini(s);
	if (s->own != NULL) {
		s->own_sticky = false;
		session_drop_own(s, false);
	}
	lane_release(&s->lane);
	identity_fini(&s->id);
	s->id = (struct identity){.protocol = 2};
	if (s->rare->name != NULL) {
		free(s->rare->name);
		session_rare(s)->name = NULL;
	}
	s->no_evict = false;
	s->reply_off = false;
	session_reply(s, "+RESET\r\n");
	return DISPATCH_DONE;
}

enum dispatch
session_state_command(struct session *s, const struct command *cmd, const struct resp_request *req)
{
	bool ends = cmd->id == CMD_RESET || cmd->id == CMD_QUIT;
	bool ours = ends || cmd->id == CMD_CLIENT_REPLY;
	bool apart = !ours && cmd->id != CMD_INFO && session_raw_is_apart(s);
	enum dispatch d;

	/* there the server has its own mind about them */
	if ((s->own_mode == OWN_RAW && !ours && !apart) || (s->own_mode == OWN_MULTI && !ends)) {
		return session_own_command(s, cmd, req, false);
	}
	d = apart ? session_raw_alone(s) : session_settle(s);
	if (d != DISPATCH_DONE) {
		return d;
	}
	if ((cmd->arity > 0 && req->argc != (uint64_t)cmd->arity) ||
	    req->argc < (uint64_t)abs(cmd->arity) ||
	    (req->argc > req->kept && (cmd->flags & CMD_CLIENTS) == 0)) {
		char name[40];
		size_t n = 0;

		for (const char *c = cmd->name; *c != '\0' && n < sizeof(name) - 1; c++) {
			name[n++] = *c == ' ' ? '|' : (char)(*c >= 'A' && *c <= 'Z' ? *c + 32 : *c);
		}
		name[n] = '\0';
		session_replyf(s, "-ERR wrong number of arguments for '%s' command\r\n", name);
		return DISPATCH_DONE;
	}
	if (apart && cmd->id == CMD_CLIENT && session_is_about_others(req->argv[1])) {
		session_replyf(s,
		    "-ERR %s beside subscriptions is not possible here: use another connection "
		    "for it\r\n",
		    cmd->name);
		return DISPATCH_DONE;
	}
	if ((cmd->id == CMD_CLIENT && !session_is_about_others(req->argv[1])) || ends) {
		session_count_local(s, false);
	}
	switch ((enum command_id)cmd->id) {
	case CMD_AUTH:
		return on_auth(s, req);
	case CMD_HELLO:
		return on_hello(s, req);
	case CMD_SELECT:
		return on_select(s, req);
	case CMD_CLIENT:
		return on_client(s, req);
	case CMD_CLIENT_REPLY:
		return on_client_reply(s, cmd, req);
	case CMD_INFO:
		return on_info(s, req);
	case CMD_RESET:
		return on_reset(s);
	case CMD_QUIT:
		session_close_with(s, "+OK\r\n");
		return DISPATCH_CLOSED;
	default:
		return session_forward(s, req->raw, 0);
	}
}
