#include "httpd/sse.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "http/response.h"
#include "httpd/exchange.h"
#include "httpd/session.h"
#include "net/conn.h"

bool
sse_begin(struct api *a)
{
	struct exchange *x = a->x;
	struct http_response r;
	int err = exchange_respond(x, &r, 200, SLICE_LIT("text/event-stream"));

	if (err == 0) {
		err = http_response_header(&r, "Cache-Control", SLICE_LIT("no-store"));
	}
	if (err == 0) {
		err = http_response_header(&r, "X-Content-Type-Options", SLICE_LIT("nosniff"));
	}
	if (err == 0 && !x->old_version) {
		err = http_response_header(&r, "Transfer-Encoding", SLICE_LIT("chunked"));
	}
	if (err == 0) {
		err = buf_add(r.out, "\r\n", 2);
	}
	if (err < 0) {
		http_response_abort(&r);
		x->session->broken = true;
		a->done = true;
		return false;
	}
	a->began_stream = true;
	x->session->streams = true;
	session_renew(x->session);
	conn_flush(x->session->conn);
	return true;
}

/* Bytes of an event went out; is there still somebody to hear the next? */
static bool
check(struct api *a, int err)
{
	struct session *s = a->x->session;
	char peer[ENDPOINT_TEXT_SIZE];

	if (err < 0) {
		session_kill(s);
		return false;
	}
	conn_flush(s->conn);
	if (conn_unsent(s->conn) <= SSE_UNSENT_MAX &&
	    (session_account(s) || !conn_is_full(s->conn))) {
		return true;
	}
	log_peer(LOG_WARN,
	    "a reader of the operator's interface does not read and is closed client=%s",
	    conn_peer(s->conn, peer));
	session_abort(s);
	return false;
}

bool
sse_send(struct api *a, const char *event, const char *id, struct slice data)
{
	struct buf *out = conn_out(a->x->session->conn);
	char *head = id != NULL ? xasprintf("event: %s\nid: %s\ndata: ", event, id)
				: xasprintf("event: %s\ndata: ", event);
	int err = a->x->old_version ? 0 : buf_addf(out, "%zx\r\n", strlen(head) + data.len + 2);

	if (err == 0) {
		err = buf_add_str(out, head);
	}
	free(head);
	if (err == 0) {
		err = buf_add_slice(out, data);
	}
	if (err == 0) {
		err = buf_add_str(out, a->x->old_version ? "\n\n" : "\n\n\r\n");
	}
	return check(a, err);
}

bool
sse_comment(struct api *a)
{
	return check(a, buf_add_str(conn_out(a->x->session->conn),
			    a->x->old_version ? ":\n\n" : "3\r\n:\n\n\r\n"));
}

bool
sse_is_busy(const struct api *a)
{
	return conn_unsent(a->x->session->conn) > SSE_BUSY_BYTES;
}

void
sse_end(struct api *a)
{
	struct session *s = a->x->session;

	if (!a->x->old_version && conn_write(s->conn, "0\r\n\r\n", sizeof("0\r\n\r\n") - 1) < 0) {
		s->broken = true;
	}
	s->streams = false;
	a->ended = true;
	if (!a->in_begin) {
		session_go_on(s);
	}
}

void
sse_end_with(struct api *a, json_t *doc)
{
	char *text = json_dumps(doc, JSON_COMPACT);

	json_decref(doc);
	if (sse_send(a, "end", NULL, slice_str(text))) {
		sse_end(a);
	}
	free(text);
}
