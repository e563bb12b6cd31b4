/*
 * The clients as tools see them: CLIENT LIST, INFO and KILL, and the numbers in INFO. They are the sessions of all the proxy's
 * workers: the others are asked (backend/others.h) and answer for theirs. The links to the server, which it would list,
 * are nobody's. Whether the client may ask is for the server to say: it is asked the same about a client that it cannot have, and an
 * error of it (NOPERM, NOAUTH) is the answer.
 */
#include <assert.h>
#include <netdb.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include "backend/others.h"
#include "base/clock.h"
#include "base/mem.h"
#include "ipc/share.h"
#include "net/endpoint.h"
#include "proxy/proxy_priv.h"
#include "proxy/subs.h"
#include "resp/reader.h"
#include "resp/write.h"

#define LIST_BYTES_MAX ((size_t)64 * 1024 * 1024)
#define ARGS_MAX       ((uint64_t)1024)
#define WORDS_MAX      16 /* for the other workers, where all ids are one of them */
#define NOBODY         "9223372036854775807"

enum client_type { TYPE_ANY, TYPE_NORMAL, TYPE_PUBSUB, TYPE_NONE_OF_OURS };

struct client_filter {
	uint64_t *ids; /* owned; NULL: any */
	size_t id_count;
	enum client_type type;
	char *addr, *laddr, *user; /* owned; NULL: any */
	uint64_t max_age_s;        /* 0: any */
	bool skip_me;
	bool kill, old_form;
	bool told;              /* another worker asks */
	char error[192];        /* it could not be read */
	char *words[WORDS_MAX]; /* owned: as it was asked, for the other workers */
	size_t word_count;
	/* the answer */
	struct question *question; /* owned: the other workers are asked; or NULL */
	struct buf text;
	uint64_t killed;
	bool me; /* the asker is among them */
};

static void
filter_fini(struct client_filter *f)
{
	question_free(&f->question);
	buf_fini(&f->text);
	free(f->addr);
	free(f->laddr);
	free(f->user);
	free(f->ids);
	for (size_t i = 0; i < f->word_count; i++) {
		free(f->words[i]);
	}
}

void
session_filter_fini(struct session *s)
{
	if (s->rare->filter != NULL) {
		filter_fini(s->rare->filter);
		free(s->rare->filter);
		session_rare(s)->filter = NULL;
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
	return s->blocks && s->requester.unanswered > 0;
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
	    conn_fd(s->conn), s->rare->name != NULL ? s->rare->name : "",
	    (unsigned long long)(now / 1000 - s->created_s),
	    (unsigned long long)(now / 1000 - MIN(now / 1000, (uint64_t)s->active_s)),
	    flags_of(s, flags), s->id.database, session_sub_count(s, SUBS_CHANNEL),
	    session_sub_count(s, SUBS_PATTERN), session_sub_count(s, SUBS_SHARD),
	    session_multi_queued(s), unsent, sizeof(*s) + unsent + session_held_bytes(s),
	    unsent > 0 ? "rw" : "r", last_command(s, command, sizeof(command)),
	    s->id.user != NULL ? s->id.user : "default", s->id.protocol,
	    s->rare->lib_name != NULL ? s->rare->lib_name : "",
	    s->rare->lib_version != NULL ? s->rare->lib_version : "");
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

int
session_add_info(const struct session *s, struct buf *out)
{
	struct buf line;
	int err;

	buf_init(&line, 0);
	err = add_line(&line, s);
	if (err == 0) {
		err = s->id.protocol >= 3 ? buf_addf(out, "=%zu\r\ntxt:", buf_len(&line) + 4)
					  : buf_addf(out, "$%zu\r\n", buf_len(&line));
	}
	err = err == 0 ? buf_add_slice(out, buf_slice(&line)) : err;
	buf_fini(&line);
	return err == 0 ? buf_add_str(out, "\r\n") : err;
}

/* ---- the filter ---- */

static bool
set_text(char **field, struct slice value)
{
	free(*field);
	*field = xstrndup((const char *)value.ptr, value.len);
	return true;
}

/* False: f->error says why. */
static bool
set_type(struct client_filter *f, struct slice value)
{
	if (slice_caseeq(value, "normal")) {
		f->type = TYPE_NORMAL;
	} else if (slice_caseeq(value, "pubsub")) {
		f->type = TYPE_PUBSUB;
	} else if (slice_caseeq(value, "master") || slice_caseeq(value, "replica") ||
		   slice_caseeq(value, "slave")) {
		f->type = TYPE_NONE_OF_OURS;
	} else {
		(void)snprintf(f->error, sizeof(f->error), "Unknown client type '%.*s'",
		    session_is_good_name(value) ? (int)MIN(value.len, (size_t)128) : 0,
		    (const char *)value.ptr);
		return false;
	}
	return true;
}

static bool
wrong(struct client_filter *f, const char *what)
{
	(void)snprintf(f->error, sizeof(f->error), "%s", what);
	return false;
}

static bool
add_id(struct client_filter *f, struct slice value)
{
	uint64_t id;

	if (!slice_to_u64(value, &id) || (f->kill && id == 0)) {
		return wrong(
		    f, f->kill ? "client-id should be greater than 0" : "Invalid client ID");
	}
	f->ids = xreallocarray(f->ids, f->id_count + 1, sizeof(*f->ids));
	f->ids[f->id_count++] = id;
	return true;
}

/* Another worker gives all of them as one word: "3,17,20". */
static bool
add_ids(struct client_filter *f, struct slice list)
{
	const uint8_t *comma;

	while ((comma = list.len > 0 ? memchr(list.ptr, ',', list.len) : NULL) != NULL) {
		size_t len = (size_t)(comma - list.ptr);

		if (!add_id(f, (struct slice){list.ptr, len})) {
			return false;
		}
		list = (struct slice){comma + 1, list.len - len - 1};
	}
	return add_id(f, list);
}

static bool
read_kill_option(struct client_filter *f, struct slice name, struct slice value)
{
	if (slice_caseeq(name, "ID")) {
		return f->told ? add_ids(f, value) : add_id(f, value);
	}
	if (slice_caseeq(name, "TYPE")) {
		return set_type(f, value);
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
		return slice_to_u64(value, &f->max_age_s) || wrong(f, "syntax error");
	}
	if (slice_caseeq(name, "SKIPME") &&
	    (slice_caseeq(value, "yes") || slice_caseeq(value, "no"))) {
		f->skip_me = slice_caseeq(value, "yes");
		return true;
	}
	return wrong(f, "syntax error");
}

/* KILL ADDRESS, or pairs of option and value. */
static bool
read_kill(struct client_filter *f, const struct slice *argv, size_t argc)
{
	f->kill = true;
	f->skip_me = true;
	if (argc == 2) {
		f->old_form = true;
		f->skip_me = false;
		return set_text(&f->addr, argv[1]);
	}
	if (argc % 2 == 0) {
		return wrong(f, "syntax error");
	}
	for (size_t i = 1; i + 1 < argc; i += 2) {
		if (!read_kill_option(f, argv[i], argv[i + 1])) {
			return false;
		}
	}
	return true;
}

/* LIST [TYPE type] [ID id…] */
static bool
read_list(struct client_filter *f, const struct slice *argv, size_t argc)
{
	for (size_t i = 1; i < argc; i++) {
		if (slice_caseeq(argv[i], "TYPE") && i + 1 < argc) {
			if (!set_type(f, argv[++i])) {
				return false;
			}
		} else if (slice_caseeq(argv[i], "ID") && i + 1 < argc) {
			while (++i < argc) {
				if (!(f->told ? add_ids : add_id)(f, argv[i])) {
					return false;
				}
			}
		} else {
			return wrong(f, "syntax error");
		}
	}
	return true;
}

static bool
filter_read(struct client_filter *f, const struct slice *argv, size_t argc)
{
	buf_init(&f->text, LIST_BYTES_MAX);
	return (slice_caseeq(argv[0], "KILL") ? read_kill : read_list)(f, argv, argc);
}

static bool
has_id(const struct client_filter *f, uint64_t id)
{
	for (size_t i = 0; i < f->id_count; i++) {
		if (f->ids[i] == id) {
			return true;
		}
	}
	return f->ids == NULL;
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
	       clock_mono_ms() / 1000 - s->created_s >= f->max_age_s;
}

/* ---- the answer ---- */

/* All of this worker's that are meant; `me` NULL: another worker's client asks. */
static void
look_at_ours(struct proxy *p, struct client_filter *f, struct session *me)
{
	list_for_each_safe (item, next, &p->sessions) {
		struct session *one = CONTAINER_OF(item, struct session, link);

		if (!is_meant(f, me, one)) {
			continue;
		}
		if (!f->kill) {
			(void)add_line(&f->text, one); /* there is a bound to what is shown */
			continue;
		}
		f->killed++;
		if (one == me) {
			f->me = true;
		} else {
			session_close(one);
		}
	}
}

/* All is known. */
static void
reply(struct session *s)
{
	struct client_filter *f = s->rare->filter;

	if (!f->kill) {
		reply_text(s, buf_slice(&f->text));
	} else if (!f->old_form) {
		session_replyf(s, ":%llu\r\n", (unsigned long long)f->killed);
	} else {
		session_reply(s, f->killed > 0 ? "+OK\r\n" : "-ERR No such client\r\n");
	}
	s->closing = s->closing || f->me; /* once that is sent */
	session_filter_fini(s);
}

static void
on_told(void *arg, const char *text)
{
	struct session *s = OBJ_CAST((struct session *)arg, SESSION_MAGIC);
	struct client_filter *f = s->rare->filter;
	uint64_t killed;

	if (text == NULL) {
		reply(s);
		if (s->conn != NULL && (s->closing || s->eof)) {
			session_close_with(s, "");
		} else if (s->conn != NULL) {
			session_read_on(s);
		}
	} else if (!f->kill) {
		(void)!buf_add_str(&f->text, text);
	} else if (slice_to_u64(slice_str(text), &killed)) {
		f->killed += killed;
	}
}

void
proxy_asked(void *state, const char *const *words, size_t count, struct buf *out)
{
	struct proxy *p = OBJ_CAST((struct proxy *)state, PROXY_MAGIC);
	struct slice argv[WORDS_MAX];
	struct client_filter f = {.told = true};

	if (count == 2 && strcmp(words[0], "UNBLOCK") == 0) {
		proxy_asked_blocked(p, words[1], out);
		return;
	}
	for (size_t i = 0; i < count && i < ARRAY_LEN(argv); i++) {
		argv[i] = slice_str(words[i]);
	}
	if (count > 0 && count <= ARRAY_LEN(argv) && filter_read(&f, argv, count)) {
		look_at_ours(p, &f, NULL);
		if (f.kill) {
			(void)!buf_addf(out, "%llu", (unsigned long long)f.killed);
		} else {
			(void)!buf_add_slice(out, buf_slice(&f.text));
		}
	}
	filter_fini(&f);
}

/* ---- the commands ---- */

/* All arguments behind CLIENT, which may be more than a request shows; borrowed from it. False: too many. */
static bool
take_args(const struct resp_request *req, struct slice **ret_argv, size_t *ret_argc)
{
	struct resp_cursor c = {req->raw};
	struct resp_item item;

	*ret_argc = 0;
	*ret_argv = NULL;
	if (req->argc > ARGS_MAX) {
		return false;
	}
	*ret_argv = xcalloc(req->argc, sizeof(**ret_argv));
	(void)resp_cursor_next(&c, &item); /* the array */
	(void)resp_cursor_next(&c, &item); /* CLIENT */
	while (resp_cursor_next(&c, &item)) {
		(*ret_argv)[(*ret_argc)++] = item.str;
	}
	return true;
}

/* What the other workers are asked; the ids last, as one word. False: too many options. */
static bool
put_words(struct client_filter *f, const struct slice *argv, size_t argc)
{
	size_t ids = f->id_count > 0 ? 2 : 0;
	struct buf list;
	int err = 0;

	for (size_t i = 0; i < argc; i++) {
		if (i > 0 && ids > 0 && slice_caseeq(argv[i], "ID") && (!f->kill || i % 2 == 1)) {
			i += f->kill ? 1 : argc;
		} else if (f->word_count + ids == WORDS_MAX) {
			return wrong(f, "syntax error");
		} else {
			f->words[f->word_count++] =
			    xstrndup((const char *)argv[i].ptr, argv[i].len);
		}
	}
	if (ids == 0) {
		return true;
	}
	buf_init(&list, 0);
	for (size_t i = 0; i < f->id_count && err == 0; i++) {
		err = buf_addf(&list, "%s%llu", i > 0 ? "," : "", (unsigned long long)f->ids[i]);
	}
	f->words[f->word_count++] = xstrdup("ID");
	f->words[f->word_count++] = xstrndup((const char *)buf_slice(&list).ptr, buf_len(&list));
	buf_fini(&list);
	return true;
}

enum dispatch
session_clients_command(struct session *s, const struct resp_request *req)
{
	bool kill = slice_caseeq(req->argv[1], "KILL");
	struct client_filter *f = xcalloc(1, sizeof(*f));
	struct slice *argv;
	size_t argc;
	struct buf ask;
	enum dispatch d = DISPATCH_DONE;
	bool good;

	session_rare(s)->filter = f;
	good = take_args(req, &argv, &argc) ? filter_read(f, argv, argc) && put_words(f, argv, argc)
					    : wrong(f, "too many arguments");
	free(argv);
	if (!good) {
		session_replyf(s, "-ERR %s\r\n", f->error);
		session_filter_fini(s);
		return s->conn != NULL ? DISPATCH_DONE : DISPATCH_CLOSED;
	}
	buf_init(&ask, 0);
	/* of a user that does not exist the server says so */
	if (resp_add_command_str(&ask, "CLIENT", kill ? "KILL" : "LIST", "ID", NOBODY,
		f->user != NULL ? "USER" : NULL, f->user, NULL) == 0) {
		d = session_forward(s, buf_slice(&ask), LANE_READ | LANE_WHOLE);
	}
	buf_fini(&ask);
	if (d != DISPATCH_DONE || s->requester.unanswered == 0) {
		session_filter_fini(s);
		return d;
	}
	(void)session_wait_for(s, WAIT_REPLIES);
	return d;
}

void
session_clients_answer(struct session *s, const struct lane_reply *answer)
{
	struct client_filter *f = s->rare->filter;
	struct slice words[WORDS_MAX];

	if (answer->type == '-') {
		session_write(s, answer->raw);
		session_filter_fini(s);
		return;
	}
	look_at_ours(s->proxy, f, s);
	for (size_t i = 0; i < f->word_count; i++) {
		words[i] = slice_str(f->words[i]);
	}
	if (s->proxy->worker != NULL) {
		f->question =
		    question_new(worker_others(s->proxy->worker), words, f->word_count, on_told, s);
	}
	if (f->question == NULL) {
		reply(s);
	} else {
		(void)session_wait_for(s, WAIT_OTHERS);
	}
}

/* ---- INFO ---- */

size_t
proxy_clients(const struct proxy *p)
{
	return p->share != NULL ? (size_t)share_sum(p->share, SHARE_CLIENTS) : p->session_count;
}

void
proxy_count(struct proxy *p)
{
	if (p->share != NULL) {
		share_set(p->share, p->slot, SHARE_CLIENTS, (uint32_t)p->session_count);
	}
}

size_t
proxy_blocked(struct proxy *p)
{
	uint32_t count = 0;

	list_for_each (item, &p->sessions) {
		count += session_is_blocked(CONTAINER_OF(item, struct session, link));
	}
	if (p->share == NULL) {
		return count;
	}
	share_set(p->share, p->slot, SHARE_BLOCKED, count);
	return (size_t)share_sum(p->share, SHARE_BLOCKED);
}

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
	struct number numbers[] = {{"connected_clients", proxy_clients(s->proxy)},
	    {"maxclients", s->proxy->conf.max_clients},
	    {"blocked_clients", proxy_blocked(s->proxy)}};
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
