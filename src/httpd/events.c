#include "httpd/events.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/conf.h"
#include "httpd/exchange.h"
#include "httpd/jsonout.h"
#include "httpd/session.h"
#include "httpd/stream.h"
#include "resp/reader.h"
#include "resp/reply.h"
#include "resp/write.h"

#define ID_MAX   48      /* two numbers of 64 bits, and a sign between them */
#define PORTION  "100"   /* entries asked for at a time */
#define BLOCK_MS "15000" /* then an empty event shows that the connection lives */

struct events {
	struct buf key;   /* owned */
	struct buf reply; /* owned: a portion so far */
	char
	    id[ID_MAX]; /* of the last entry that was told, or where to begin; "$": not known yet */
	bool began;     /* the head of the response is out */
	bool asked;     /* a portion is on its way */
	bool chunked;   /* HTTP/1.1 */
};

static bool
is_id(struct slice s)
{
	size_t digits = 0, signs = 0;

	for (size_t i = 0; i < s.len; i++) {
		digits += s.ptr[i] >= '0' && s.ptr[i] <= '9';
		signs += s.ptr[i] == '-' && i > 0 && i + 1 < s.len;
	}
	return s.len > 0 && s.len < ID_MAX && digits + signs == s.len && signs <= 1;
}

static void
set_id(struct events *e, struct slice id)
{
	memcpy(e->id, id.ptr, id.len);
	e->id[id.len] = '\0';
}

/* Key and ID of "XREAD [COUNT n] [BLOCK ms] STREAMS key id". */
static bool
read_command(struct slice resp, struct slice *ret_key, struct slice *ret_id)
{
	struct resp_cursor c = {resp};
	struct resp_item item;

	if (!resp_cursor_next(&c, &item) || !resp_cursor_next(&c, &item) ||
	    !slice_caseeq(item.str, "XREAD")) {
		return false;
	}
	while (resp_cursor_next(&c, &item) && !slice_caseeq(item.str, "STREAMS")) {
		if ((!slice_caseeq(item.str, "COUNT") && !slice_caseeq(item.str, "BLOCK")) ||
		    !resp_cursor_next(&c, &item)) {
			return false;
		}
	}
	if (!resp_cursor_next(&c, &item)) {
		return false;
	}
	*ret_key = item.str;
	if (!resp_cursor_next(&c, &item)) {
		return false;
	}
	*ret_id = item.str;
	return !resp_cursor_next(&c, &item) && (is_id(*ret_id) || slice_eq(*ret_id, "$"));
}

bool
events_are_asked(struct exchange *x, struct slice resp, const struct http_request *req)
{
	const struct http_header *last = http_header_find(req, "last-event-id");
	struct slice key, id;
	struct events *e;

	if (!x->wants_events || x->call.wish.kind != RENDER_JSON || x->call.wish.jsonp.len > 0 ||
	    !read_command(resp, &key, &id)) {
		return false;
	}
	e = xcalloc(1, sizeof(*e));
	x->events = e;
	e->chunked = !x->old_version;
	buf_init(&e->key, 0);
	buf_init(&e->reply, x->httpd->held_max);
	set_id(e, last != NULL && is_id(last->value) ? last->value : id);
	if (buf_add_slice(&e->key, key) < 0) {
		events_free(&x->events);
		return false;
	}
	return true;
}

void
events_free(struct events **ep)
{
	struct events *e = *ep;

	*ep = NULL;
	if (e != NULL) {
		buf_fini(&e->key);
		buf_fini(&e->reply);
		free(e);
	}
}

/* ---- asking ---- */

/* First for the newest entry: it shows what the key is, and where "$" is, which would be elsewhere when asked again. */
static int
write_request(const struct events *e, struct buf *out)
{
	const struct slice first[] = {SLICE_LIT("XREVRANGE"), buf_slice(&e->key), SLICE_LIT("+"),
	    SLICE_LIT("-"), SLICE_LIT("COUNT"), SLICE_LIT("1")};
	const struct slice next[] = {SLICE_LIT("XREAD"), SLICE_LIT("COUNT"), SLICE_LIT(PORTION),
	    SLICE_LIT("BLOCK"), SLICE_LIT(BLOCK_MS), SLICE_LIT("STREAMS"), buf_slice(&e->key),
	    slice_str(e->id)};

	return e->began ? resp_add_command(out, next, ARRAY_LEN(next))
			: resp_add_command(out, first, ARRAY_LEN(first));
}

bool
events_go_on(struct exchange *x)
{
	struct events *e = x->events;
	struct session *s = x->session;
	struct lane_key key = exchange_key(x);
	struct buf out;
	int err;

	if (e->asked || conn_is_full(s->conn)) {
		return false;
	}
	if (x->lane == NULL) {
		x->lane = lane_own(x->httpd->backend, &key, &s->requester);
	}
	buf_init(&out, 0);
	err = write_request(e, &out);
	if (err == 0) {
		err = lane_send(&s->requester, x->lane, buf_slice(&out),
		    x->call.lane_flags | LANE_READ | LANE_WHOLE);
	}
	buf_fini(&out);
	e->asked = err == 0;
	if (err < 0 && e->began) {
		s->broken = true;
	} else if (err < 0) {
		stream_refuse(x, "too many requests wait for the master; try again");
		x->answer(x);
		return true;
	}
	return false;
}

/* ---- answers ---- */

static int
write_chunk(struct exchange *x, struct slice body)
{
	struct buf *out = conn_out(x->session->conn);
	int err = x->events->chunked ? buf_addf(out, "%zx\r\n", body.len) : 0;

	if (err == 0) {
		err = buf_add_slice(out, body);
	}
	if (err == 0 && x->events->chunked) {
		err = buf_add(out, "\r\n", 2);
	}
	return err;
}

/* One entry: [id, [field, value …]]. */
static int
write_entry(struct exchange *x, struct slice raw)
{
	struct buf *out = &x->httpd->scratch;
	struct resp_cursor c = {raw};
	struct resp_item id;
	struct resp_reader reader;
	struct jsonout json;
	size_t used;
	int err;

	if (!resp_cursor_next(&c, &id) || !resp_cursor_next(&c, &id) || !is_id(id.str)) {
		return -EBADMSG;
	}
	buf_clear(out);
	err = buf_addf(out, "id: %.*s\ndata: ", (int)id.str.len, (const char *)id.str.ptr);
	resp_reader_init(&reader, 0);
	jsonout_init(&json, out, &shape_message, x->call.wish.base64);
	if (err == 0 &&
	    resp_reader_feed(&reader, raw, &jsonout_ops, &json, &used) != RESP_READER_DONE) {
		err = -EBADMSG;
	}
	err = err < 0 ? err : json.err;
	jsonout_fini(&json);
	if (err == 0) {
		err = buf_add_str(out, "\n\n");
	}
	if (err == 0) {
		err = write_chunk(x, buf_slice(out));
	}
	if (err == 0) {
		set_id(x->events, id.str);
	}
	return err;
}

/* Of XREAD: [[key, [entry …]]], or a nil when nothing came. */
static int
write_portion(struct exchange *x, struct slice raw)
{
	struct resp_cursor c = {raw};
	struct resp_item item;
	int err = 0;

	if (!resp_cursor_next(&c, &item) || item.type != RESP_ARRAY) {
		return write_chunk(x, SLICE_LIT(":\n\n"));
	}
	(void)resp_cursor_next(&c, &item);
	(void)resp_cursor_next(&c, &item);
	if (!resp_cursor_next(&c, &item) || item.type != RESP_ARRAY) {
		return -EBADMSG;
	}
	for (int64_t left = item.number; err == 0 && left > 0; left--) {
		struct resp_reply_scanner scan;
		size_t used = 0;

		resp_reply_init(&scan);
		if (resp_reply_scan(&scan, c.rest, &used) != RESP_REPLY_DONE) {
			return -EBADMSG;
		}
		err = write_entry(x, (struct slice){c.rest.ptr, used});
		c.rest.ptr += used;
		c.rest.len -= used;
	}
	return err;
}

/* The newest entry is known: the response begins. */
static int
begin(struct exchange *x, struct slice raw)
{
	struct events *e = x->events;
	struct resp_cursor c = {raw};
	struct resp_item item;
	struct http_response r;
	bool any = resp_cursor_next(&c, &item) && resp_cursor_next(&c, &item) &&
		   resp_cursor_next(&c, &item) && is_id(item.str);
	int err;

	if (strcmp(e->id, "$") == 0) {
		set_id(e, any ? item.str : SLICE_LIT("0-0"));
	}
	err = exchange_respond(x, &r, 200, SLICE_LIT("text/event-stream"));
	if (err == 0) {
		err = http_response_header(&r, "Cache-Control", SLICE_LIT("no-store"));
	}
	if (err == 0 && e->chunked) {
		err = http_response_header(&r, "Transfer-Encoding", SLICE_LIT("chunked"));
	}
	if (err == 0) {
		err = buf_add(r.out, "\r\n", 2);
	}
	e->began = x->session->streams = err == 0;
	return err;
}

void
events_on_reply(struct exchange *x, const struct lane_reply *reply)
{
	struct events *e = x->events;
	int err = 0;

	if (reply->local && !reply->first) {
		buf_clear(&e->reply); /* it was cut: what it would have been is asked for again */
		err = 0;
	} else {
		err = buf_add_slice(&e->reply, reply->raw);
	}
	if (err < 0) {
		x->session->broken = true;
	}
	if (!reply->last || err < 0) {
		return;
	}
	e->asked = false;
	if (reply->type == '-' && !e->began) {
		/* an ordinary answer */
		struct lane_reply whole = *reply;
		struct buf raw = e->reply;

		buf_init(&e->reply, 0);
		events_free(&x->events);
		whole.raw = buf_slice(&raw);
		x->state = EXCHANGE_SENT;
		exchange_on_reply(x, &whole, true);
		buf_fini(&raw);
		return;
	}
	if (reply->type == '-' && !reply->local) {
		stream_end(x); /* the key is no stream any more */
		return;
	}
	if (buf_len(&e->reply) > 0 && !reply->local) {
		struct slice raw = buf_slice(&e->reply);

		err = e->began ? write_portion(x, raw) : begin(x, raw);
		x->session->broken = x->session->broken || err < 0;
		conn_flush(x->session->conn);
	}
	buf_fini(&e->reply);
}
