/*
 * POST /api/v1/command: a list of commands, each answered in its place, exactly. Those that may not be carried out are answered here, with an
 * error as a server would give it, and do not hold back the others.
 */
#include "httpd/api_command.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/command.h"
#include "base/clock.h"
#include "base/jsontext.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "httpd/acl.h"
#include "httpd/api_ask.h"
#include "httpd/call.h"
#include "httpd/exchange.h"
#include "httpd/jsonin.h"
#include "httpd/ledger.h"
#include "httpd/session.h"
#include "httpd/typed.h"
#include "resp/reader.h"

#define COMMANDS_MAX   1000
#define TIMEOUT_MS     15000
#define TIMEOUT_MAX_MS 60000
#define NAME_MAX_BYTES 64

/* ---- who may what ---- */

/*
 * Commands that the table calls reading, since doing them twice does no harm, but that are none of a viewer's: they show secrets,
 * change the server's way or keep it busy.
 */
static const char *const not_for_viewers[] = {"ACL", "ASKING", "CLUSTER", "CONFIG", "EVAL_RO",
    "EVALSHA_RO", "FCALL_RO", "KEYS", "CLIENT|NO-EVICT", "CLIENT|NO-TOUCH", "CLIENT|REPLY",
    "SORT_RO", "WAIT", "WAITAOF", "READONLY", "READWRITE", "TOUCH", "LCS", "MEMORY|DOCTOR"};

static bool
is_for_viewers(const struct command *c)
{
	if (c == NULL || (c->flags & CMD_READ) == 0 ||
	    (c->flags & (CMD_WRITE | CMD_BLOCKING)) != 0) {
		return false;
	}
	for (size_t i = 0; i < ARRAY_LEN(not_for_viewers); i++) {
		if (command_is_named(c, not_for_viewers[i])) {
			return false;
		}
	}
	return true;
}

/* What a sentinel may be asked; SENTINEL has no rows in the table, since no server knows it. */
static bool
asks_sentinel(struct slice resp)
{
	static const char *const words[] = {"MASTER", "MASTERS", "REPLICAS", "SLAVES", "SENTINELS",
	    "GET-MASTER-ADDR-BY-NAME", "CKQUORUM", "MYID", "INFO-CACHE", "PENDING-SCRIPTS", "HELP"};
	struct resp_cursor c = {resp};
	struct resp_item item;

	if (!resp_cursor_next(&c, &item) || !resp_cursor_next(&c, &item) ||
	    !slice_caseeq(item.str, "SENTINEL") || !resp_cursor_next(&c, &item)) {
		return false;
	}
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (slice_caseeq(item.str, words[i])) {
			return true;
		}
	}
	return false;
}

/* For access rules: a user is known under his name and password there, too, however he has shown himself here. */
static struct acl_client
acl_client_of(struct api *a, struct acl_address *address)
{
	const struct conf *conf = a->x->httpd->conf;
	struct acl_client client = {.address = address};
	char peer[ENDPOINT_TEXT_SIZE];

	*address = acl_address_of(conn_peer(a->x->session->conn, peer));
	for (size_t i = 0; i < conf->user_count; i++) {
		if (strcmp(conf->users[i].name, a->who.user) == 0) {
			client.has_user = true;
			client.user = slice_str(conf->users[i].name);
			client.password = slice_str(conf->users[i].password);
		}
	}
	return client;
}

bool
api_acl_allows(struct api *a, const char *name)
{
	struct acl_address address;
	struct acl_client client = acl_client_of(a, &address);
	struct slice word = slice_str(name);

	return acl_allows(a->x->httpd->acl, &client, word, command_find(&word, 1));
}

const char *
api_refuses(struct api *a, struct slice resp, bool *ret_reads)
{
	const struct conf *conf = a->x->httpd->conf;
	struct acl_address address;
	struct acl_client client = acl_client_of(a, &address);
	struct http_fault fault = {0};
	struct call call;
	const char *why = NULL;
	struct buf text;

	buf_init(&text, 0);
	*ret_reads = false;
	if (call_read_resp(resp, 0, RENDER_JSON, &text, &call) < 0) {
		why = "ERR out of memory";
	} else if (call_admit(&call, (const char *const *)conf->proxy_allow.items,
		       conf->proxy_allow.count, false, &fault) < 0) {
		why = "ERR not here: it is refused to keep the cluster whole, or it is about the "
		      "state of a connection, and here each "
		      "request stands alone";
	} else if (call.way == CALL_STREAM) {
		why = "ERR not here: GET /api/v1/subscribe and /api/v1/monitor are for answers "
		      "that go on";
	} else if (!acl_allows(a->x->httpd->acl, &client, call.wish.command, call.command)) {
		why = "NOPERM an access rule ([acl-NAME]) forbids this command";
	} else if (a->who.role < API_OPERATOR && !is_for_viewers(call.command) &&
		   !asks_sentinel(resp)) {
		why = "NOPERM a viewer may only use commands that read; it takes a user with role "
		      "= operator";
	}
	*ret_reads =
	    (call.command != NULL && (call.command->flags & CMD_READ) != 0) || asks_sentinel(resp);
	buf_fini(&text);
	return why;
}

static void
note_command(struct api *a, struct slice resp, const char *target)
{
	struct resp_cursor c = {resp};
	struct resp_item item;
	struct slice argv[4] = {{0}};
	const struct command *row;
	size_t n = 0, words;
	char name[40], quoted[28];

	(void)resp_cursor_next(&c, &item);
	while (n < ARRAY_LEN(argv) && resp_cursor_next(&c, &item)) {
		argv[n++] = item.str;
	}
	row = command_find(argv, n);
	if (row != NULL && (row->flags & CMD_WRITE) == 0) {
		return;
	}
	words = row != NULL && strchr(row->name, ' ') != NULL ? 2 : 1;
	(void)snprintf(name, sizeof(name), "%s",
	    row != NULL ? row->name : log_quote(argv[0], quoted, sizeof(quoted)));
	/* the text of a script is no key, and a command that is not known may begin with anything */
	ledger_add(a->x->httpd->ledger, a->who.by, target, name,
	    row == NULL || strncmp(row->name, "EVAL", 4) == 0 || n <= words ? (struct slice){0}
									    : argv[words]);
}

/* ---- whom ---- */

/* A door of a proxy of this host that takes commands as they are, and not after TLS or the PROXY protocol. */
static bool
find_door(const json_t *proxy, struct endpoint *ret_at)
{
	const json_t *listen = json_object_get(proxy, "listen");

	for (size_t i = 0; i < json_array_size(listen); i++) {
		const char *text = json_string_value(json_array_get(listen, i));
		struct errmsg err = ERRMSG_NONE;
		struct endpoint at;

		if (text != NULL && endpoint_parse(text, 0, &at, &err) == 0 && !at.tls &&
		    !at.proxied) {
			*ret_at = at;
			return true;
		}
	}
	return false;
}

static void
answer_where(struct api *a, json_t *lines, json_t *reply)
{
	bool remote;
	json_t *one = api_pick_instance(a, reply, slice_str(a->target), &remote);
	const char *kind = json_string_value(json_object_get(one, "kind"));
	const char *host = json_string_value(json_object_get(one, "host"));
	json_int_t port = json_integer_value(json_object_get(one, "port"));
	struct run_target target = {.is_instance = true};

	(void)lines;
	if (one == NULL) {
		return; /* it is answered, and `a` may be gone */
	}
	target.as_us = a->who.role == API_OPERATOR;
	target.is_proxy = kind != NULL && strcmp(kind, "proxy") == 0;
	if (target.is_proxy) {
		/* as one of its clients */
		target.as_us = false;
		target.database = a->database;
		if (remote) {
			api_fail(a, 400,
			    "%s is on another host: ask the interface at an HTTP address of that "
			    "one "
			    "for its proxy",
			    a->target);
			return;
		}
		if (!find_door(one, &target.at)) {
			api_fail(a, 400,
			    "%s has no door on this host that can be asked without TLS or the "
			    "PROXY protocol",
			    a->target);
			return;
		}
		a->on_target(a, &target);
		return;
	}
	target.is_sentinel = kind != NULL && strcmp(kind, "sentinel") == 0;
	if ((!target.is_sentinel && (kind == NULL || strcmp(kind, "redis") != 0)) || host == NULL ||
	    port <= 0 || port > UINT16_MAX) {
		api_fail(a, 400,
		    "%s takes no commands of Redis: a redis, sentinel or proxy instance does",
		    a->target);
		return;
	}
	target.at = endpoint_tcp(host, (uint16_t)port);
	target.database = target.is_sentinel ? 0 : a->database;
	a->on_target(a, &target);
}

void
api_find_target(struct api *a, struct slice name, uint32_t database, api_target_fn *fn)
{
	struct run_target target = {.database = database};

	if (name.len == 0) {
		name = SLICE_LIT("master");
	}
	if (name.len > NAME_MAX_BYTES || memchr(name.ptr, 0, name.len) != NULL ||
	    !jsontext_is_utf8(name)) {
		api_fail(
		    a, 404, "there is no instance of that name: GET /api/v1/status names them");
		return;
	}
	memcpy(a->target, name.ptr, name.len);
	a->target[name.len] = '\0';
	a->database = database;
	a->on_target = fn;
	if (strcmp(a->target, "master") == 0) {
		fn(a, &target);
	} else {
		api_ask(a, "status", NULL, 5000, 503, answer_where);
	}
}

/* ---- commands ---- */

struct work {
	struct api *api;                 /* borrowed (its owner) */
	struct run *run;                 /* owned */
	const char *local[COMMANDS_MAX]; /* static: why that one is not carried out; NULL: it is */
	size_t count, next;              /* commands; the first that has no reply in the answer */
	uint64_t began_us;
	char at[ENDPOINT_TEXT_SIZE];
	int err;
};

static void
drop_work(void *arg)
{
	struct work *w = arg;

	run_free(&w->run);
	free(w);
}

static int
add_comma(struct work *w)
{
	return w->next++ > 0 ? buf_add_str(&w->api->out, ",") : 0;
}

/* Those before the next that was sent. */
static void
add_local(struct work *w)
{
	while (w->err == 0 && w->next < w->count && w->local[w->next] != NULL) {
		const char *why = w->local[w->next];

		w->err = add_comma(w);
		if (w->err == 0) {
			w->err = typed_add_error(&w->api->out, why);
		}
	}
}

static void
on_reply(void *owner, size_t i, struct slice raw, size_t bytes)
{
	struct work *w = owner;
	struct buf *out = &w->api->out;
	size_t mark;
	int err;

	(void)i;
	add_local(w);
	if (w->err == 0) {
		w->err = add_comma(w);
	}
	mark = buf_len(out);
	err = raw.len > 0 ? typed_add_reply(out, raw) : -ENOBUFS;
	if (w->err == 0 && err < 0) {
		buf_truncate(out, mark);
		w->err = err == -EBADMSG ? typed_add_error(out,
					       "ERR the reply is no RESP, or deeper than 30 levels")
					 : buf_addf(out, "{\"cut\":%zu}", bytes);
	}
	run_set_budget(w->run, API_ANSWER_MAX / 2 - MIN(buf_len(out), API_ANSWER_MAX / 2));
}

static void
on_end(void *owner, unsigned status, const char *why)
{
	struct work *w = owner;
	struct api *a = w->api;
	int err;

	w->run = NULL;
	if (status != 0) {
		a->work = NULL;
		drop_work(w);
		api_fail(a, status, "%s", why);
		return;
	}
	add_local(w);
	err = w->err;
	if (err == 0) {
		err = buf_addf(&a->out, "],\"target\":");
	}
	if (err == 0) {
		err = jsontext_add_string(&a->out, slice_str(a->target));
	}
	if (err == 0) {
		err =
		    buf_addf(&a->out, ",\"at\":%s%s%s,\"us\":%llu}\n", w->at[0] != '\0' ? "\"" : "",
			w->at[0] != '\0' ? w->at : "null", w->at[0] != '\0' ? "\"" : "",
			(unsigned long long)(clock_mono_us() - w->began_us));
	}
	a->work = NULL;
	drop_work(w);
	if (err < 0) {
		api_fail(a, 507, "the answer is too large; ask for a part of it");
	} else {
		api_done(a, 200);
	}
}

static const struct run_ops run_ops = {.on_reply = on_reply, .on_end = on_end};

/* Commands of the body into the run. False: the request was failed. */
static bool
add_commands(struct api *a, struct work *w)
{
	json_t *commands = json_object_get(a->body, "commands"), *one;
	struct buf resp;
	size_t i;
	int err = 0;

	buf_init(&resp, API_BODY_MAX * 2);
	json_array_foreach(commands, i, one)
	{
		bool reads;

		buf_clear(&resp);
		err = jsonin_add_command(&resp, one);
		if (err < 0) {
			break;
		}
		w->local[i] = api_refuses(a, buf_slice(&resp), &reads);
		if (w->local[i] == NULL) {
			err = run_add(w->run, buf_slice(&resp), reads);
		}
		if (err < 0) {
			break;
		}
		if (w->local[i] == NULL && !reads) {
			note_command(a, buf_slice(&resp), a->target);
		}
	}
	buf_fini(&resp);
	if (err == -EINVAL) {
		api_fail(a, 400,
		    "command %zu is none: each is an array of a name and its arguments, which are "
		    "texts, numbers or {\"base64\":TEXT}",
		    i + 1);
	} else if (err < 0) {
		api_fail(
		    a, 413, "the commands are too large together: send them in several requests");
	}
	return err == 0;
}

static void
run_commands(struct api *a, const struct run_target *target)
{
	struct work *w = xcalloc(1, sizeof(*w));
	uint64_t timeout = (uint64_t)json_integer_value(json_object_get(a->body, "timeout_ms"));
	struct endpoint master;

	*w = (struct work){.api = a,
	    .count = json_array_size(json_object_get(a->body, "commands")),
	    .began_us = clock_mono_us()};
	if (target->is_instance) {
		(void)endpoint_format(&target->at, w->at);
	} else if (backend_master(a->x->httpd->backend, &master)) {
		(void)endpoint_format(&master, w->at);
	}
	w->run = run_new(a->x->httpd, target, API_ANSWER_MAX / 2, &run_ops, w);
	api_set_work(a, w, drop_work);
	if (!add_commands(a, w)) {
		return;
	}
	if (buf_add_str(&a->out, "{\"replies\":[") < 0) {
		api_fail(a, 503, "out of memory");
		return;
	}
	run_go(w->run, timeout != 0 ? timeout : TIMEOUT_MS);
}

/* A number of the body; false: the request was failed. */
static bool
body_number(struct api *a, const char *name, json_int_t lo, json_int_t hi, json_int_t *ret)
{
	const json_t *value = json_object_get(a->body, name);

	if (value == NULL) {
		return true;
	}
	if (!json_is_integer(value) || json_integer_value(value) < lo ||
	    json_integer_value(value) > hi) {
		api_fail(a, 400,
		    "'%s' must be a number of %" JSON_INTEGER_FORMAT " to %" JSON_INTEGER_FORMAT,
		    name, lo, hi);
		return false;
	}
	*ret = json_integer_value(value);
	return true;
}

void
api_command(struct api *a)
{
	const json_t *target = json_object_get(a->body, "target"),
		     *commands = json_object_get(a->body, "commands");
	json_int_t database = 0, timeout = 0;

	if (!api_only(a, "target db commands timeout_ms") ||
	    !body_number(a, "db", 0, 65535, &database) ||
	    !body_number(a, "timeout_ms", 1, TIMEOUT_MAX_MS, &timeout)) {
		return;
	}
	if (json_array_size(commands) == 0 || (target != NULL && !json_is_string(target))) {
		api_fail(a, 400,
		    "the body must be {\"commands\":[[NAME, ARGUMENT…]…]}, and may say \"target\", "
		    "\"db\" and \"timeout_ms\"");
		return;
	}
	if (json_array_size(commands) > COMMANDS_MAX) {
		api_fail(a, 413, "a request has at most %d commands", COMMANDS_MAX);
		return;
	}
	api_find_target(a,
	    target != NULL ? (struct slice){(const uint8_t *)json_string_value(target),
				 json_string_length(target)}
			   : (struct slice){0},
	    (uint32_t)database, run_commands);
}
