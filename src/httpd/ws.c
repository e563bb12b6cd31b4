#include "httpd/ws.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "backend/metrics.h"
#include "base/jsontext.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "http/websocket.h"
#include "httpd/answer.h"
#include "httpd/exchange.h"
#include "httpd/hub.h"
#include "httpd/jsonin.h"
#include "httpd/request.h"
#include "httpd/session.h"
#include "httpd/stream.h"
#include "resp/reader.h"
#include "resp/write.h"

#define TAKE_BYTES     ((size_t)16 * 1024) /* of input at a time, so that few messages wait at once */
#define NAME_MAX_BYTES 16                  /* of the longest command that subscribes, and more */

struct ws {
	struct session *session;  /* borrowed (its owner) */
	struct websocket *socket; /* owned */
	struct subscriber subscriber;
	bool raw;   /* RESP, not JSON */
	bool asked; /* a ping is out, and nothing was heard since */
	/* the commands that subscribed last, as they were sent: what messages are called */
	char names[HUB_KINDS][NAME_MAX_BYTES];
};

/* ---- the upgrade ---- */

/* The place, without what follows '?'. */
static bool
is_place(struct slice target, bool *ret_raw)
{
	const uint8_t *mark = target.len > 0 ? memchr(target.ptr, '?', target.len) : NULL;

	if (mark != NULL) {
		target.len = (size_t)(mark - target.ptr);
	}
	*ret_raw = slice_eq(target, "/.raw");
	return *ret_raw || slice_eq(target, "/") || slice_eq(target, "/.json");
}

static bool
has_token(const struct http_request *req, const char *name, const char *token)
{
	for (size_t i = 0; i < req->header_count; i++) {
		if (slice_caseeq(req->headers[i].name, name) &&
		    http_token_in(req->headers[i].value, token)) {
			return true;
		}
	}
	return false;
}

bool
ws_is_asked(const struct httpd *h, const struct http_request *req)
{
	bool raw;

	return h->conf->http_websockets && req->verb == HTTP_VERB_GET && req->minor >= 1 &&
	       req->keep_alive && has_token(req, "upgrade", "websocket") &&
	       has_token(req, "connection", "upgrade") && is_place(req->target, &raw);
}

static int
on_write(void *owner, struct slice bytes)
{
	struct session *s = OBJ_CAST((struct session *)owner, SESSION_MAGIC);

	return s->conn != NULL ? conn_write(s->conn, bytes.ptr, bytes.len) : -EPIPE;
}

static void on_message(void *owner, bool is_text, struct slice message);

static const struct subscriber_ops subscriber_ops;

static struct ws *
ws_new(struct session *s, bool raw)
{
	const struct websocket_ops ops = {.on_message = on_message, .write = on_write, .owner = s};
	struct ws *ws = xcalloc(1, sizeof(*ws));

	ws->session = s;
	ws->raw = raw;
	subscriber_init(&ws->subscriber, s->httpd, &subscriber_ops, ws);
	ws->socket = websocket_new(&ops, s->httpd->limits.body_bytes);
	if (ws->socket == NULL) {
		ws_free(&ws);
	}
	return ws;
}

void
ws_leave(struct ws *ws)
{
	subscriber_fini(&ws->subscriber);
}

void
ws_free(struct ws **wsp)
{
	struct ws *ws = *wsp;

	*wsp = NULL;
	if (ws != NULL) {
		ws_leave(ws);
		websocket_free(&ws->socket);
		free(ws);
	}
}

/* The exchange's text is the accept key, then "r" or "j". */
static void
answer_upgrade(struct exchange *x)
{
	struct session *s = x->session;
	struct slice text = buf_slice(&x->text);
	struct http_response r;
	int err;

	s->ws = ws_new(s, text.ptr[WEBSOCKET_ACCEPT_BYTES] == 'r');
	if (s->ws == NULL) {
		s->broken = true;
		return;
	}
	x->answered = 101;
	err = http_response_begin(&r, conn_out(s->conn), 101);
	if (err == 0) {
		err = http_response_header(&r, "Upgrade", SLICE_LIT("websocket"));
	}
	if (err == 0) {
		err = http_response_header(&r, "Connection", SLICE_LIT("Upgrade"));
	}
	if (err == 0) {
		err = http_response_header(
		    &r, "Sec-WebSocket-Accept", (struct slice){text.ptr, WEBSOCKET_ACCEPT_BYTES});
	}
	if (err == 0) {
		err = buf_add(r.out, "\r\n", 2);
	}
	if (err < 0) {
		s->broken = true;
		return;
	}
	session_upgraded(s);
}

void
ws_prepare(struct exchange *x, const struct http_request *req)
{
	const struct http_header *key = http_header_find(req, "sec-websocket-key");
	const struct http_header *version = http_header_find(req, "sec-websocket-version");
	const struct http_header *header = http_header_find(req, "authorization");
	char accept[WEBSOCKET_ACCEPT_BYTES];
	bool raw = false;

	x->state = EXCHANGE_LOCAL;
	x->answer = answer_fault;
	x->fault = (struct http_fault){
	    .status = 400, .why = "Sec-WebSocket-Key is no sixteen bytes in base64"};
	if (version == NULL || !slice_eq(version->value, "13")) {
		x->fault = (struct http_fault){
		    .status = 426, .why = "WebSockets are spoken in version 13 here"};
		return;
	}
	if (key == NULL || websocket_accept(key->value, accept) < 0) {
		return;
	}
	(void)is_place(req->target, &raw);
	buf_clear(&x->text);
	if (buf_add(&x->text, accept, sizeof(accept)) < 0 ||
	    buf_add(&x->text, raw ? "r" : "j", 1) < 0) {
		x->fault = (struct http_fault){.status = 503, .why = "out of memory"};
		return;
	}
	if (header != NULL && buf_add_slice(&x->session->authorization, header->value) < 0) {
		x->fault = (struct http_fault){.status = 503, .why = "out of memory"};
		return;
	}
	x->answer = answer_upgrade;
	x->session->upgrading = true;
}

/* ---- answers ---- */

int
ws_answer(struct ws *ws, struct slice message)
{
	return websocket_send(ws->socket, !ws->raw || jsontext_is_utf8(message), message);
}

int
ws_answer_error(struct ws *ws, unsigned status, const char *why)
{
	const char *text = status == 403 ? "Forbidden" : why;
	struct buf *out = &ws->session->httpd->scratch;
	int err;

	buf_clear(out);
	if (ws->raw) {
		err = resp_add_error(out, "ERR %s", text);
	} else {
		err = buf_add_str(out, "{\"message\":");
		if (err == 0) {
			err = jsontext_add_string(out, slice_str(text));
		}
		if (err == 0) {
			err = buf_addf(out, ",\"error\":true,\"http_status\":%u}", status);
		}
	}
	return err < 0 ? err : ws_answer(ws, buf_slice(out));
}

/* ---- subscriptions ---- */

static void
end_if_not_reading(struct session *s, int err)
{
	char peer[ENDPOINT_TEXT_SIZE];

	if (err < 0) {
		session_kill(s);
		return;
	}
	conn_flush(s->conn);
	if (conn_unsent(s->conn) > STREAM_UNSENT_MAX ||
	    (!session_account(s) && conn_is_full(s->conn))) {
		log_peer(LOG_WARN,
		    "a subscriber that does not read is closed, others go on client=%s",
		    conn_peer(s->conn, peer));
		s->httpd->slow++;
		session_abort(s);
	}
}

/* A message is called by the command that asked for it. */
static void
send_message(struct ws *ws, const char *name, struct slice raw)
{
	struct render_wish wish = {.kind = ws->raw ? RENDER_RAW : RENDER_JSON,
	    .shape = &shape_plain,
	    .command = slice_str(name)};
	struct buf *out = &ws->session->httpd->scratch;
	struct render render;
	int err;

	buf_clear(out);
	render_init(&render, &wish, out);
	err = render_feed(&render, raw, true);
	render_fini(&render);
	end_if_not_reading(ws->session, err < 0 ? err : ws_answer(ws, buf_slice(out)));
}

static void
on_hub_message(void *owner, enum hub_kind kind, struct slice raw)
{
	struct ws *ws = owner;

	send_message(ws, ws->names[kind], raw);
}

static void
on_hub_refused(void *owner, struct slice error, bool local)
{
	struct ws *ws = owner;

	(void)local;
	send_message(ws, "SUBSCRIBE", error);
}

static const struct subscriber_ops subscriber_ops = {
    .on_message = on_hub_message, .on_refused = on_hub_refused};

static void
note_name(struct ws *ws, enum hub_kind kind, struct slice name)
{
	size_t len = MIN(name.len, sizeof(ws->names[kind]) - 1);

	memcpy(ws->names[kind], name.ptr, len);
	ws->names[kind][len] = '\0';
}

/* True when the command is one of these; it was carried out, and may have ended the session. */
static bool
run_subscription(struct session *s, const struct exchange *x, struct slice resp)
{
	struct ws *ws = s->ws;
	struct resp_cursor c = {resp};
	struct resp_item item;
	const struct call *call = &x->call;
	struct lane_key key = exchange_key(x);
	enum hub_kind kind;
	bool subscribes;
	int err = 0;

	if (call->command == NULL || !hub_kind_of(call->command->id, &kind, &subscribes) ||
	    (subscribes && call->argc < 2)) {
		return false;
	}
	note_name(ws, kind, call->wish.command);
	(void)resp_cursor_next(&c, &item);
	(void)resp_cursor_next(&c, &item);
	if (call->argc < 2) {
		hub_unsubscribe_all(&ws->subscriber, kind);
	}
	while (err == 0 && s->conn != NULL && resp_cursor_next(&c, &item)) {
		if (subscribes) {
			err = hub_subscribe(&ws->subscriber, &key, kind, item.str);
		} else {
			hub_unsubscribe(&ws->subscriber, kind, item.str);
		}
	}
	metrics_add_local(
	    backend_metrics(s->httpd->backend), metrics_command(call->command), err < 0);
	if (err < 0 && s->conn != NULL) {
		end_if_not_reading(s, ws_answer_error(ws, 400, "too many subscriptions"));
	}
	return true;
}

/* ---- commands ---- */

/* The command that stands in h->resp. */
static void
run_command(struct session *s)
{
	struct httpd *h = s->httpd;
	struct exchange *x = exchange_new(h, s);
	struct http_fault fault = {0};

	x->began_us = backend_now_us(h->backend);
	if (request_from_message(x, s->ws->raw ? RENDER_RAW : RENDER_JSON, &fault) < 0) {
		x->state = EXCHANGE_LOCAL;
		x->answer = answer_fault;
		x->fault = fault;
	} else if (run_subscription(s, x, buf_slice(&h->resp))) {
		exchange_free(&x);
		return;
	} else {
		request_dispatch(x);
	}
	session_queue(s, x);
}

static void
refuse_message(struct session *s, const char *why)
{
	struct exchange *x = exchange_new(s->httpd, s);

	x->state = EXCHANGE_LOCAL;
	x->answer = answer_fault;
	x->fault = (struct http_fault){.status = 400, .why = why};
	session_queue(s, x);
}

static void
take_json(struct session *s, struct slice message)
{
	json_t *doc = NULL;
	int err = jsonin_load(message, s->httpd->limits.body_bytes, &doc);

	buf_clear(&s->httpd->resp);
	if (err == 0) {
		err = jsonin_add_command(&s->httpd->resp, doc);
	}
	json_decref(doc);
	if (err < 0) {
		refuse_message(
		    s, err == -ERANGE
			   ? JSONIN_BEYOND
			   : "a message is a JSON array of strings and numbers: [\"GET\",\"key\"]");
		return;
	}
	run_command(s);
}

/* One command of RESP: an array of strings; its length, or 0 when it is none. */
static size_t
command_length(struct slice in)
{
	struct resp_cursor c = {in};
	struct resp_item item;

	if (!resp_cursor_next(&c, &item) || item.type != RESP_ARRAY || item.number < 1 ||
	    (uint64_t)item.number > CALL_ARGS_MAX) {
		return 0;
	}
	for (int64_t left = item.number; left > 0; left--) {
		if (!resp_cursor_next(&c, &item) || item.type != RESP_BULK) {
			return 0;
		}
	}
	return (size_t)(c.rest.ptr - in.ptr);
}

static void
take_resp(struct session *s, struct slice message)
{
	while (message.len > 0 && s->conn != NULL) {
		size_t len = command_length(message);

		buf_clear(&s->httpd->resp);
		if (len == 0 ||
		    buf_add_slice(&s->httpd->resp, (struct slice){message.ptr, len}) < 0) {
			refuse_message(s, "a message is one or more commands of RESP");
			return;
		}
		run_command(s);
		message.ptr += len;
		message.len -= len;
	}
}

static void
on_message(void *owner, bool is_text, struct slice message)
{
	struct session *s = OBJ_CAST((struct session *)owner, SESSION_MAGIC);

	(void)is_text;
	if (s->conn == NULL) {
		return;
	}
	if (s->ws->raw) {
		take_resp(s, message);
	} else {
		take_json(s, message);
	}
}

/* ---- the session's side ---- */

static void
note_close(struct session *s, unsigned code)
{
	bool is_limit = code == WS_TOO_LARGE || code == WS_TRY_AGAIN;
	char peer[ENDPOINT_TEXT_SIZE];

	if (code != WS_NORMAL && code != WS_GOING_AWAY && code != WS_NO_CODE) {
		log_peer(is_limit ? LOG_WARN : LOG_INFO, "websocket closed code=%u client=%s%s",
		    code, conn_peer(s->conn, peer),
		    is_limit ? " why=\"larger messages than http.max_request_bytes allows\"" : "");
	}
}

size_t
ws_take(struct session *s, struct slice in)
{
	size_t done = 0;
	int err = 0;

	s->ws->asked = false;
	while (err == 0 && done < in.len && session_takes_more(s)) {
		struct slice step = {in.ptr + done, MIN(in.len - done, TAKE_BYTES)};

		err = websocket_feed(s->ws->socket, step);
		done += step.len;
		if (s->conn != NULL) {
			session_go_on(s);
		}
		if (s->conn == NULL) {
			return in.len;
		}
	}
	if (err < 0) {
		note_close(s, websocket_close_code(s->ws->socket));
		conn_flush(s->conn);
		ws_leave(s->ws);
		session_finish(s);
		return in.len;
	}
	conn_flush(s->conn);
	if (done < in.len) {
		conn_pause(s->conn, true);
	}
	return done;
}

void
ws_close(struct session *s, unsigned code, const char *why)
{
	note_close(s, code);
	websocket_close(s->ws->socket, (uint16_t)code, why);
	conn_flush(s->conn);
	ws_leave(s->ws);
	session_finish(s);
}

bool
ws_ask_alive(struct session *s)
{
	if (s->ws->asked || websocket_ping(s->ws->socket) < 0) {
		return false;
	}
	s->ws->asked = true;
	conn_flush(s->conn);
	return true;
}

size_t
ws_held(const struct ws *ws)
{
	return websocket_held(ws->socket);
}
