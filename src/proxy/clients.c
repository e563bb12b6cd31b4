/*
 * The clients as tools see them: CLIENT LIST, INFO and KILL, and the numbers in INFO. They are this worker's sessions;
 * the links to the server, which it would list, are nobody's. Whether the client may ask is for the server to say: it
 * is asked the same about a client that it cannot have, and an error of it (NOPERM, NOAUTH) is the answer.
 */
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "base/clock.h"
#include "base/mem.h"
#include "net/endpoint.h"
#include "proxy/proxy_priv.h"
#include "proxy/subs.h"
#include "resp/reader.h"
#include "resp/write.h"

#define LIST_BYTES_MAX ((size_t)64 * 1024 * 1024)
#define FILTER_IDS     RESP_ARGV_KEPT
#define NOBODY         "9223372036854775807"

enum client_type { TYPE_ANY, TYPE_NORMAL, TYPE_PUBSUB, TYPE_NONE_OF_OURS };

struct client_filter {
	uint64_t ids[FILTER_IDS];
	size_t id_count;
	bool has_ids;
	enum client_type type;
	char *addr, *laddr, *user; /* owned; NULL: any */
	uint64_t max_age_s;        /* 0: any */
	bool skip_me;
	bool kill, old_form;
};

void
session_filter_fini(struct session *s)
{
	if (s->filter != NULL) {
		free(s->filter->addr);
		free(s->filter->laddr);
		free(s->filter->user);
		free(s->filter);
		s->filter = NULL;
	}
}

/* ---- one line of the list ---- */

static const char *
local_address(const struct session *s, char *text)
{
	struct sockaddr_storage addr = {.ss_family = AF_UNSPEC};
	socklen_t len = sizeof(addr);
	char host[128], port[8];

	if (getsockname(conn_fd(s->conn), (struct sockaddr *)&addr, &len) == -1 ||
	    addr.ss_family == AF_UNIX ||
	    getnameinfo((struct sockaddr *)&addr, len, host, sizeof(host), port, sizeof(port),
		NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
		return "unix";
	}
	(void)snprintf(
	    text, ENDPOINT_TEXT_SIZE, addr.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
	return text;
}

bool
session_is_blocked(const struct session *s)
{
	return s->own_mode == OWN_ONCE && s->requester.unanswered > 0;
}

static const char *
flags_of(const struct session *s, char *text)
{
	size_t n = 0;

	if (session_is_monitor(s)) {
		text[n++] = 'O';
	}
	if (session_sub_count(s, SUBS_KINDS) > 0) {
		text[n++] = 'P';
	}
	if (s->own_mode == OWN_MULTI) {
		text[n++] = 'x';
	}
	if (session_is_blocked(s)) {
		text[n++] = 'b';
	}
	if (s->closing) {
		text[n++] = 'c';
	}
	if (s->no_evict) {
		text[n++] = 'e';
	}
	if (n == 0) {
		text[n++] = 'N';
	}
	text[n] = '\0';
	return text;
}

/* "client|list" */
static const char *
last_command(const struct session *s, char *text, size_t size)
{
	const char *name = s->asked > 0 ? command_at(s->asked - 1u)->name : "NULL";
	size_t n = 0;

	for (; name[n] != '\0' && n < size - 1 && s->asked > 0; n++) {
		text[n] = (char)(name[n] == ' '                     ? '|'
				 : name[n] >= 'A' && name[n] <= 'Z' ? name[n] + 32
								    : name[n]);
	}
	text[n] = '\0';
	return n > 0 ? text : "NULL";
}

static int
add_line(struct buf *out, const struct session *s)
{
	char peer[ENDPOINT_TEXT_SIZE], local[ENDPOINT_TEXT_SIZE], flags[8], command[40];
	uint64_t now = clock_mono_ms();
	size_t unsent = conn_unsent(s->conn);

	return buf_addf(out,
	    "id=%llu addr=%s laddr=%s fd=%d name=%s age=%llu idle=%llu flags=%s db=%u sub=%zu "
	    "psub=%zu ssub=%zu multi=%d "
	    "qbuf=0 qbuf-free=0 argv-mem=0 multi-mem=0 rbs=0 rbp=0 obl=%zu oll=0 omem=0 "
	    "tot-mem=%zu events=%s cmd=%s "
	    "user=%s redir=-1 resp=%u lib-name=%s lib-ver=%s\n",
	    (unsigned long long)s->number, conn_peer(s->conn, peer), local_address(s, local),
	    conn_fd(s->conn), s->name != NULL ? s->name : "",
	    (unsigned long long)(now - s->created_ms) / 1000,
	    (unsigned long long)(now - MIN(now, s->active_ms)) / 1000, flags_of(s, flags),
	    s->id.database, session_sub_count(s, SUBS_CHANNEL), session_sub_count(s, SUBS_PATTERN),
	    session_sub_count(s, SUBS_SHARD), session_multi_queued(s), unsent,
	    sizeof(*s) + unsent + session_held_bytes(s), unsent > 0 ? "rw" : "r",
	    last_command(s, command, sizeof(command)), s->id.user != NULL ? s->id.user : "default",
	    s->id.protocol, s->lib_name != NULL ? s->lib_name : "",
	    s->lib_version != NULL ? s->lib_version : "");
}

/* As one string, which RESP3 calls text. */
static void
reply_text(struct session *s, struct slice text)
{
	if (s->id.protocol >= 3) {
		session_replyf(s, "=%zu\r\ntxt:", text.len + 4);
	} else {
		session_replyf(s, "$%zu\r\n", text.len);
	}
	if (s->conn != NULL) {
		session_write(s, text);
	}
	if (s->conn != NULL) {
		session_reply(s, "\r\n");
	}
}

void
session_reply_client_info(struct session *s)
{
	struct buf line;

	buf_init(&line, 0);
	if (add_line(&line, s) == 0) {
		reply_text(s, buf_slice(&line));
	}
	buf_fini(&line);
}

/* ---- the filter ---- */

static bool
set_text(char **field, struct slice value)
{
	free(*field);
	*field = xstrndup((const char *)value.ptr, value.len);
	return true;
}

/* False: the error was answered. */
static bool
set_type(struct session *s, struct client_filter *f, struct slice value)
{
	if (slice_caseeq(value, "normal")) {
		f->type = TYPE_NORMAL;
	} else if (slice_caseeq(value, "pubsub")) {
		f->type = TYPE_PUBSUB;
	} else if (slice_caseeq(value, "master") || slice_caseeq(value, "replica") ||
		   slice_caseeq(value, "slave")) {
		f->type = TYPE_NONE_OF_OURS;
	} else {
		session_replyf(s, "-ERR Unknown client type '%.*s'\r\n",
		    session_is_good_name(value) ? (int)value.len : 0, (const char *)value.ptr);
		return false;
	}
	return true;
}

static bool
syntax_error(struct session *s)
{
	session_reply(s, "-ERR syntax error\r\n");
	return false;
}

static bool
add_id(struct session *s, struct client_filter *f, struct slice value)
{
	uint64_t id;

	if (!slice_to_u64(value, &id) || id == 0) {
		session_reply(s, f->kill ? "-ERR client-id should be greater than 0\r\n"
					 : "-ERR Invalid client ID\r\n");
		return false;
	}
	f->has_ids = true;
	f->ids[f->id_count++] = id;
	return true;
}

static bool
read_kill_option(struct session *s, struct client_filter *f, struct slice name, struct slice value)
{
	if (slice_caseeq(name, "ID")) {
		return add_id(s, f, value);
	}
	if (slice_caseeq(name, "TYPE")) {
		return set_type(s, f, value);
	}
	if (slice_caseeq(name, "ADDR")) {
		return set_text(&f->addr, value);
	}
	if (slice_caseeq(name, "LADDR")) {
		return set_text(&f->laddr, value);
	}
	if (slice_caseeq(name, "USER")) {
		return set_text(&f->user, value);
	}
	if (slice_caseeq(name, "MAXAGE")) {
		return slice_to_u64(value, &f->max_age_s) || syntax_error(s);
	}
	if (slice_caseeq(name, "SKIPME") &&
	    (slice_caseeq(value, "yes") || slice_caseeq(value, "no"))) {
		f->skip_me = slice_caseeq(value, "yes");
		return true;
	}
	return syntax_error(s);
}

/* CLIENT KILL ADDRESS, or pairs of option and value. */
static bool
read_kill(struct session *s, struct client_filter *f, const struct resp_request *req)
{
	f->kill = true;
	f->skip_me = true;
	if (req->argc == 3) {
		f->old_form = true;
		f->skip_me = false;
		return set_text(&f->addr, req->argv[2]);
	}
	if (req->argc % 2 != 0) {
		return syntax_error(s);
	}
	for (size_t i = 2; i + 1 < req->kept; i += 2) {
		if (!read_kill_option(s, f, req->argv[i], req->argv[i + 1])) {
			return false;
		}
	}
	return true;
}

/* CLIENT LIST [TYPE type] [ID id…] */
static bool
read_list(struct session *s, struct client_filter *f, const struct resp_request *req)
{
	for (size_t i = 2; i < req->kept; i++) {
		if (slice_caseeq(req->argv[i], "TYPE") && i + 1 < req->kept) {
			if (!set_type(s, f, req->argv[++i])) {
				return false;
			}
		} else if (slice_caseeq(req->argv[i], "ID") && i + 1 < req->kept) {
			while (++i < req->kept) {
				if (!add_id(s, f, req->argv[i])) {
					return false;
				}
			}
		} else {
			return syntax_error(s);
		}
	}
	return true;
}

static bool
has_id(const struct client_filter *f, uint64_t id)
{
	for (size_t i = 0; i < f->id_count; i++) {
		if (f->ids[i] == id) {
			return true;
		}
	}
	return !f->has_ids;
}

static bool
is_meant(const struct client_filter *f, const struct session *me, const struct session *s)
{
	bool pubsub = session_sub_count(s, SUBS_KINDS) > 0;
	char text[ENDPOINT_TEXT_SIZE];

	return (s != me || !f->kill || !f->skip_me) && has_id(f, s->number) &&
	       (f->type == TYPE_ANY || f->type == (pubsub ? TYPE_PUBSUB : TYPE_NORMAL)) &&
	       (f->addr == NULL || strcmp(f->addr, conn_peer(s->conn, text)) == 0) &&
	       (f->laddr == NULL || strcmp(f->laddr, local_address(s, text)) == 0) &&
	       (f->user == NULL ||
		   strcmp(f->user, s->id.user != NULL ? s->id.user : "default") == 0) &&
	       clock_mono_ms() - s->created_ms >= f->max_age_s * 1000;
}

/* ---- the commands ---- */

enum dispatch
session_clients_command(struct session *s, const struct resp_request *req)
{
	bool kill = slice_caseeq(req->argv[1], "KILL");
	struct client_filter *f = xcalloc(1, sizeof(*f));
	struct buf ask;
	enum dispatch d = DISPATCH_DONE;

	s->filter = f;
	if (!(kill ? read_kill : read_list)(s, f, req)) {
		session_filter_fini(s);
		return s->conn != NULL ? DISPATCH_DONE : DISPATCH_CLOSED;
	}
	buf_init(&ask, 0);
	if (resp_add_command_str(&ask, "CLIENT", kill ? "KILL" : "LIST", "ID", NOBODY, NULL) == 0) {
		d = session_forward(s, buf_slice(&ask), LANE_READ | LANE_WHOLE);
	}
	buf_fini(&ask);
	if (d != DISPATCH_DONE || s->requester.unanswered == 0) {
		session_filter_fini(s);
	} else {
		(void)session_wait_for(s, WAIT_REPLIES);
	}
	return d;
}

static void
reply_list(struct session *s)
{
	struct buf text;
	int err = 0;

	buf_init(&text, LIST_BYTES_MAX);
	list_for_each (item, &s->proxy->sessions) {
		const struct session *one = CONTAINER_OF(item, struct session, link);

		if (err == 0 && is_meant(s->filter, s, one)) {
			err = add_line(&text, one);
		}
	}
	reply_text(s, buf_slice(&text));
	buf_fini(&text);
}

static void
kill_them(struct session *s)
{
	unsigned count = 0;
	bool me = false;

	list_for_each_safe (item, next, &s->proxy->sessions) {
		struct session *one = CONTAINER_OF(item, struct session, link);

		if (!is_meant(s->filter, s, one)) {
			continue;
		}
		count++;
		if (one == s) {
			me = true;
		} else {
			session_close(one);
		}
	}
	if (!s->filter->old_form) {
		session_replyf(s, ":%u\r\n", count);
	} else {
		session_reply(s, count > 0 ? "+OK\r\n" : "-ERR No such client\r\n");
	}
	s->closing = s->closing || me; /* once that is sent */
}

void
session_clients_answer(struct session *s, const struct lane_reply *reply)
{
	if (reply->type == '-') {
		session_write(s, reply->raw);
	} else if (s->filter->kill) {
		kill_them(s);
	} else {
		reply_list(s);
	}
	session_filter_fini(s);
}

/* Only a client that waits on a connection of its own can be meant, and the server knows it by another id. */
enum dispatch
session_unblock_command(struct session *s, const struct resp_request *req)
{
	uint64_t id;

	if (!slice_to_u64(req->argv[2], &id)) {
		session_reply(s, "-ERR value is not an integer or out of range\r\n");
		return DISPATCH_DONE;
	}
	list_for_each (item, &s->proxy->sessions) {
		const struct session *one = CONTAINER_OF(item, struct session, link);

		if (one->number == id && session_is_blocked(one)) {
			session_reply(s,
			    "-ERR CLIENT UNBLOCK does not reach a client of the proxy; "
			    "CLIENT KILL does\r\n");
			return DISPATCH_DONE;
		}
	}
	session_reply(s, ":0\r\n");
	return DISPATCH_DONE;
}

/* ---- INFO ---- */

struct number {
	const char *name;
	size_t value;
};

static int
add_info_line(struct buf *out, struct slice line, const struct number *numbers, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		size_t len = strlen(numbers[i].name);

		if (line.len > len && memcmp(line.ptr, numbers[i].name, len) == 0 &&
		    line.ptr[len] == ':') {
			return buf_addf(out, "%s:%zu\r\n", numbers[i].name, numbers[i].value);
		}
	}
	return buf_add_slice(out, line);
}

void
session_info_answer(struct session *s, const struct lane_reply *reply)
{
	struct number numbers[] = {{"connected_clients", s->proxy->session_count},
	    {"maxclients", s->proxy->conf.max_clients}, {"blocked_clients", 0}};
	struct resp_cursor c = {reply->raw};
	struct resp_item item;
	struct slice rest;
	struct buf out;
	int err = 0;

	s->info_due = !reply->last;
	if (!reply->first || !reply->last || !resp_cursor_next(&c, &item) ||
	    (item.type != RESP_BULK && item.type != RESP_VERBATIM)) {
		session_write(s, reply->raw);
		return;
	}
	list_for_each (it, &s->proxy->sessions) {
		numbers[2].value += session_is_blocked(CONTAINER_OF(it, struct session, link));
	}
	rest = item.str;
	buf_init(&out, 0);
	while (rest.len > 0 && err == 0) {
		const uint8_t *end = memchr(rest.ptr, '\n', rest.len);
		size_t len = end != NULL ? (size_t)(end - rest.ptr) + 1 : rest.len;

		err =
		    add_info_line(&out, (struct slice){rest.ptr, len}, numbers, ARRAY_LEN(numbers));
		rest.ptr += len;
		rest.len -= len;
	}
	if (err == 0) {
		session_replyf(s, "%c%zu\r\n", reply->type, buf_len(&out));
		session_write(s, buf_slice(&out));
	}
	if (s->conn != NULL) {
		session_reply(s, "\r\n");
	}
	buf_fini(&out);
}
