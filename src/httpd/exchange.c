#include "httpd/exchange.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "http/gzip.h"
#include "httpd/answer.h"
#include "httpd/api.h"
#include "httpd/batch.h"
#include "httpd/events.h"
#include "httpd/reply_status.h"
#include "httpd/session.h"
#include "httpd/stream.h"
#include "httpd/ws.h"

#define SPARES_MAX 1024                 /* 50 clients with 16 requests each are common */
#define TEXT_KEPT  ((size_t)1024)       /* of memory that a spare may keep */
#define GZIP_MIN   ((size_t)1024)       /* of a body: less is not worth it */
#define PUMP_BYTES ((size_t)256 * 1024) /* queued to the client at a time */

/* Seconds, for Retry-After: what a failover takes, and how long wrong passwords count (identity.c). */
#define RETRY_AFTER_FAILOVER "1"
#define RETRY_AFTER_WRONG    "60"

struct exchange *
exchange_new(struct httpd *h, struct session *s)
{
	struct list *item = list_shift(&h->spares);
	struct exchange *x;

	if (item != NULL) {
		x = CONTAINER_OF(item, struct exchange, link);
		h->spare_count--;
	} else {
		x = xcalloc(1, sizeof(*x));
		*x = (struct exchange){.magic = EXCHANGE_MAGIC, .httpd = h};
		list_init(&x->link);
		buf_init(&x->text, 0);
		buf_init(&x->request, 0);
		buf_init(&x->body, 0);
	}
	x->session = s;
	return x;
}

static void
drop_kept(struct exchange *x)
{
	if (x->kept != NULL) {
		if (x->kept->renders) {
			render_fini(&x->kept->render);
		}
		buf_fini(&x->kept->body);
		free(x->kept);
		x->kept = NULL;
	}
}

/* Done with the lane: an own one goes back when the server keeps nothing of ours in it. */
static void
release_lane(struct exchange *x, bool clean)
{
	if (x->lane == NULL) {
		return;
	}
	if (x->home != NULL) {
		x->lane = NULL;
		httpd_home_leave(&x->home);
	} else if (x->borrows) {
		x->lane = NULL;
		x->borrows = false;
		if (x->ends_state) {
			session_state_over(x->session, clean);
		}
	} else if (lane_is_own(x->lane) && clean && x->call.command != NULL) {
		lane_return(&x->lane);
	} else {
		lane_release(&x->lane);
	}
}

void
exchange_drop_lane(struct exchange *x)
{
	release_lane(x, false);
	batch_free(&x->batch);
	drop_kept(x);
}

void
exchange_free(struct exchange **xp)
{
	struct exchange *x = *xp;
	struct httpd *h;

	*xp = NULL;
	if (x == NULL) {
		return;
	}
	h = x->httpd;
	release_lane(x, false);
	api_free(&x->api);
	stream_free(&x->stream);
	events_free(&x->events);
	batch_free(&x->batch);
	if (x->secret.data != NULL) {
		explicit_bzero(x->secret.data, x->secret.cap);
	}
	buf_fini(&x->secret);
	drop_kept(x);
	buf_fini(&x->request);
	buf_fini(&x->body);
	if (h->spare_count >= SPARES_MAX) {
		buf_fini(&x->text);
		x->magic = 0;
		free(x);
		return;
	}
	if (x->text.cap > TEXT_KEPT) {
		buf_fini(&x->text);
	}
	buf_clear(&x->text);
	*x = (struct exchange){.magic = EXCHANGE_MAGIC, .httpd = h, .text = x->text};
	list_init(&x->link);
	buf_init(&x->request, 0);
	buf_init(&x->body, 0);
	list_unshift(&h->spares, &x->link);
	h->spare_count++;
}

size_t
exchange_held(const struct exchange *x)
{
	return x->request.cap + x->body.cap + exchange_kept(x) +
	       (x->batch != NULL ? batch_held(x->batch) : 0) +
	       (x->api != NULL ? api_held(x->api) : 0);
}

size_t
exchange_kept(const struct exchange *x)
{
	return x->kept != NULL ? x->kept->body.cap : 0;
}

bool
exchange_only_reads(const struct exchange *x)
{
	const struct command *c = x->call.command;

	return (x->verb == HTTP_VERB_GET || x->verb == HTTP_VERB_HEAD) &&
	       (c == NULL || (c->flags & CMD_WRITE) == 0);
}

int
exchange_take(struct exchange *x, const struct http_request *req)
{
	const struct http_header *tag = http_header_find(req, "if-none-match");
	size_t at = buf_len(&x->text);
	int err;

	/* 304 says that nothing was done */
	if (tag == NULL || tag->value.len == 0 || !exchange_only_reads(x)) {
		return 0;
	}
	/* `text` may move: what points into it moves along */
	if (buf_room(&x->text) < tag->value.len) {
		const uint8_t *was = buf_slice(&x->text).ptr;
		struct slice *const ours[] = {&x->call.content_type, &x->call.wish.command,
		    &x->call.wish.jsonp, &x->call.wish.separator};
		size_t offsets[ARRAY_LEN(ours)];

		for (size_t i = 0; i < ARRAY_LEN(ours); i++) {
			offsets[i] = (uintptr_t)ours[i]->ptr - (uintptr_t)was;
		}
		err = buf_reserve(&x->text, tag->value.len);
		if (err < 0) {
			return err;
		}
		for (size_t i = 0; i < ARRAY_LEN(ours); i++) {
			if (offsets[i] < at) {
				ours[i]->ptr = buf_slice(&x->text).ptr + offsets[i];
			}
		}
	}
	err = buf_add_slice(&x->text, tag->value);
	x->if_none_match = (struct slice){buf_slice(&x->text).ptr + at, tag->value.len};
	return err;
}

bool
exchange_is_answered(const struct exchange *x)
{
	return x->state == EXCHANGE_LOCAL || x->state == EXCHANGE_API ||
	       x->state == EXCHANGE_REPLIED;
}

/* An answer to who named no origin lacks the first header: a cache must not give it to a page that would need it. */
static int
add_cors(const struct exchange *x, struct http_response *r)
{
	int err = http_response_header(r, "Vary", SLICE_LIT("Origin"));

	if (err == 0 && x->wants_cors) {
		err = http_response_header(
		    r, "Access-Control-Allow-Origin", slice_str(x->httpd->rules.cors_origin));
	}
	return err;
}

int
exchange_respond(
    struct exchange *x, struct http_response *r, unsigned status, struct slice content_type)
{
	int err = http_response_begin(r, conn_out(x->session->conn), status);

	x->answered = status;
	r->memo = x->httpd->tags;
	if (err == 0) {
		err =
		    http_response_header(r, "Date", http_date_at(&x->httpd->date, clock_wall_ms()));
	}
	if (err == 0 && content_type.len > 0) {
		err = http_response_header(r, "Content-Type", content_type);
	}
	if (err == 0 && session_is_last(x->session, x)) {
		err = http_response_header(r, "Connection", SLICE_LIT("close"));
	} else if (err == 0 && x->old_keep_alive) {
		err = http_response_header(r, "Connection", SLICE_LIT("keep-alive"));
	}
	if (err == 0 && status == 401) {
		err = http_response_header(r, "WWW-Authenticate",
		    x->quiet_401 ? SLICE_LIT("Session realm=\"holdfast\"")
				 : SLICE_LIT("Basic realm=\"redis\""));
	}
	if (err == 0 && status == 405 && x->allow != NULL) {
		err = http_response_header(r, "Allow", slice_str(x->allow));
	}
	if (err == 0 && (status == 503 || status == 429)) {
		err = http_response_header(r, "Retry-After",
		    status == 503 ? SLICE_LIT(RETRY_AFTER_FAILOVER) : SLICE_LIT(RETRY_AFTER_WRONG));
	}
	if (err == 0 && x->httpd->rules.cors_origin != NULL && x->api == NULL) {
		err = add_cors(x, r);
	}
	return err;
}

void
exchange_respond_whole(struct exchange *x, struct http_response *r, int err, struct slice body)
{
	x->bytes = body.len;
	if (err == 0) {
		err = http_response_body(r, false, body.len);
	}
	if (err == 0) {
		err = buf_add_slice(r->out, body);
	}
	if (err == 0) {
		err = http_response_end(r, (struct slice){0}, x->verb == HTTP_VERB_HEAD);
	}
	if (err < 0) {
		http_response_abort(r);
		x->session->broken = true;
	}
}

static int
add_accept_ranges(const struct exchange *x, struct http_response *r, unsigned status)
{
	return x->has_ranges && (status == 200 || status == 206 || status == 416)
		   ? http_response_header(r, "Accept-Ranges", SLICE_LIT("bytes"))
		   : 0;
}

/* A whole reply, and it is our turn: a WebSocket's message. */
static int
render_message(struct exchange *x, struct slice raw)
{
	struct buf *out = &x->httpd->scratch;
	struct render render;
	int err;

	buf_clear(out);
	render_init(&render, &x->call.wish, out);
	err = render_feed(&render, raw, true);
	render_fini(&render);
	x->answered = x->status;
	x->bytes = buf_len(out);
	return err < 0 ? err : ws_answer(x->session->ws, buf_slice(out));
}

/* … or straight into the output. */
static int
render_now(struct exchange *x, struct slice raw, unsigned status)
{
	struct http_response r;
	struct render render;
	bool nil = false;
	int err = exchange_respond(x, &r, status, x->call.content_type);

	if (err == 0) {
		err = add_accept_ranges(x, &r, status);
	}
	if (err == 0) {
		err = http_response_body(&r, status == 200, raw.len + x->call.wish.command.len + 1);
	}
	if (err == 0) {
		render_init(&render, &x->call.wish, r.out);
		err = render_feed(&render, raw, true);
		nil = render.is_nil;
		render_fini(&render);
	}
	if (err == 0 && !nil) {
		err = http_response_end(&r, x->if_none_match, x->verb == HTTP_VERB_HEAD);
		x->answered = r.status;
		x->bytes = r.status != 304 ? buf_len(r.out) - r.body_at : 0;
	}
	if (err < 0 || nil) {
		http_response_abort(&r);
	}
	if (nil) {
		answer_error(x, 404, "");
	}
	return err;
}

void
exchange_fail(struct exchange *x, int err)
{
	drop_kept(x);
	if (err == -ENOBUFS) {
		x->failed = 507;
		x->failed_why =
		    "the reply is larger than can be given over HTTP; ask for a part of it, "
		    "or connect to the proxy";
	} else if (err == -ENOMEM) {
		x->failed = 503;
		x->failed_why = "out of memory";
	} else {
		x->failed = 502;
		x->failed_why = "the server's reply could not be read";
	}
}

struct kept_reply *
exchange_keep(struct exchange *x)
{
	if (x->kept == NULL) {
		x->kept = xcalloc(1, sizeof(*x->kept));
		buf_init(&x->kept->body, x->httpd->held_max);
		md5_init(&x->kept->md5);
	}
	return x->kept;
}

void
exchange_sum(struct exchange *x)
{
	struct kept_reply *k = x->kept;
	struct slice body = buf_slice(&k->body);

	md5_add(&k->md5, (struct slice){body.ptr + k->summed, body.len - k->summed});
	k->summed = body.len;
}

static void
keep_piece(struct exchange *x, const struct lane_reply *reply)
{
	struct kept_reply *k = exchange_keep(x);
	int err;

	if (!k->renders) {
		render_init(&k->render, &x->call.wish, &k->body);
		k->renders = true;
	}
	err = render_feed(&k->render, reply->raw, reply->last);
	if (err < 0) {
		exchange_fail(x, err);
		return;
	}
	exchange_sum(x);
}

struct lane_key
exchange_key(const struct exchange *x)
{
	struct lane_key key = httpd_lane_key(x->httpd, x->call.database);
	struct slice secret = buf_slice(&x->secret);

	if (secret.len > 0) {
		key.user = (struct slice){secret.ptr, x->user_len};
		key.password = (struct slice){secret.ptr + x->user_len, secret.len - x->user_len};
	}
	return key;
}

void
exchange_give_up(struct exchange *x, unsigned status, const char *why)
{
	if (x->kept != NULL && x->kept->began) {
		return;
	}
	drop_kept(x);
	x->failed = status;
	x->failed_why = why;
}

static void
end_reply(struct exchange *x, bool clean)
{
	if (x->state == EXCHANGE_WAITING) {
		x->session->unsent--; /* a batch that ended before all of it was sent */
	}
	x->state = EXCHANGE_REPLIED;
	release_lane(x, clean);
	buf_fini(&x->request);
	buf_fini(&x->body);
}

void
exchange_on_reply(struct exchange *x, const struct lane_reply *reply, bool is_first)
{
	if (x->events != NULL) {
		events_on_reply(x, reply);
		return;
	}
	if (reply->first && reply->local) {
		x->status = reply_status_local(reply->raw);
	} else if (reply->first && x->batch == NULL) {
		x->status =
		    x->call.maps_status && x->session->ws == NULL ? reply_status(reply->raw) : 200;
	} else if (reply->local && x->failed == 0) {
		x->failed = 502;
		x->failed_why = "the server went away while it was answering; ask again";
		drop_kept(x);
	}
	if (x->batch != NULL) {
		if (batch_on_reply(x, reply)) {
			end_reply(x, !reply->local);
		}
		return;
	}
	if (x->failed == 0 && is_first && reply->first && reply->last && !x->wants_range &&
	    !(x->wants_gzip && reply->raw.len >= GZIP_MIN)) {
		int err = x->session->ws != NULL ? render_message(x, reply->raw)
						 : render_now(x, reply->raw, x->status);

		if (err < 0) {
			exchange_fail(x, err);
		}
	} else if (x->failed == 0) {
		keep_piece(x, reply);
	}
	if (x->state == EXCHANGE_SENDING) {
		x->session->unsent--; /* lost, or refused before it was all there */
	}
	x->state = EXCHANGE_REPLYING;
	if (reply->last) {
		end_reply(x, !reply->local);
	}
}

/* Compresses the body; false where it gains nothing, or there is no memory. */
static bool
zip(struct kept_reply *k)
{
	struct buf out;

	buf_init(&out, k->body.max);
	if (buf_len(&k->body) < GZIP_MIN || gzip_add(&out, buf_slice(&k->body)) < 0 ||
	    buf_len(&out) >= buf_len(&k->body)) {
		buf_fini(&out);
		return false;
	}
	buf_fini(&k->body);
	k->body = out;
	return true;
}

/* What of a body of `len` bytes is asked for; false: nothing of it is there. */
static bool
find_range(const struct exchange *x, size_t len, size_t *ret_from, size_t *ret_len)
{
	uint64_t from = x->range_from, to = MIN(x->range_to, (uint64_t)len - (len > 0));

	if (x->range_is_tail) {
		from = len - MIN(x->range_to, (uint64_t)len);
		to = (uint64_t)len - (len > 0);
	}
	if (from >= len || to < from) {
		return false;
	}
	*ret_from = (size_t)from;
	*ret_len = (size_t)(to - from + 1);
	return true;
}

/* 206 with that part of the body, or 416. `r` has its status line. */
static int
begin_range(struct exchange *x, struct http_response *r, size_t from, size_t len)
{
	struct kept_reply *k = x->kept;
	size_t whole = buf_len(&k->body);

	if (len == 0) {
		buf_clear(&k->body);
		return buf_addf(r->out, "Content-Range: bytes */%zu\r\n", whole);
	}
	buf_consume(&k->body, from);
	buf_truncate(&k->body, len);
	return buf_addf(
	    r->out, "Content-Range: bytes %zu-%zu/%zu\r\n", from, from + len - 1, whole);
}

/* The head of the response to a reply that was kept; true when nothing follows it. */
static bool
begin_kept(struct exchange *x)
{
	struct kept_reply *k = x->kept;
	char tag[MD5_HEX_BYTES];
	struct http_response r;
	bool known, none, tagged, ranged, zipped;
	size_t from = 0, len = 0;
	int err;

	if (k->render.is_nil) {
		answer_error(x, 404, "");
		return true;
	}
	md5_end(&k->md5, tag);
	known = x->status == 200 && http_tag_is_known(x->if_none_match, tag);
	none = known || x->verb == HTTP_VERB_HEAD;
	tagged = x->status == 200;
	ranged = tagged && !known && x->wants_range &&
		 (!x->range_has_tag || memcmp(x->range_tag, tag, sizeof(tag)) == 0);
	if (ranged) {
		x->status = find_range(x, buf_len(&k->body), &from, &len) ? 206 : 416;
	}
	zipped = tagged && !known && !ranged && x->wants_gzip && zip(k);
	err = exchange_respond(x, &r, known ? 304 : x->status, x->call.content_type);
	if (err == 0 && x->wants_gzip) {
		err = http_response_header(&r, "Vary", SLICE_LIT("Accept-Encoding"));
	}
	/* of what is compressed a part would be no part of the value */
	if (err == 0) {
		err = zipped ? http_response_header(&r, "Content-Encoding", SLICE_LIT("gzip"))
			     : add_accept_ranges(x, &r, x->status);
	}
	if (err == 0 && ranged) {
		err = begin_range(x, &r, from, len);
	}
	if (err == 0) {
		err = http_response_known(&r, tagged ? tag : NULL, zipped, buf_len(&k->body));
	}
	if (err < 0) {
		http_response_abort(&r);
		answer_error(x, 503, "out of memory");
		return true;
	}
	k->began = true;
	x->bytes = none ? 0 : buf_len(&k->body);
	return none;
}

/* True when all of it is queued. */
static bool
pump_kept(struct exchange *x)
{
	struct kept_reply *k = x->kept;
	struct conn *c = x->session->conn;

	if (x->session->ws != NULL) {
		x->session->broken = ws_answer(x->session->ws, buf_slice(&k->body)) < 0;
		return true;
	}
	if (!k->began && begin_kept(x)) {
		return true;
	}
	while (buf_len(&k->body) > 0 && !conn_is_full(c)) {
		size_t n = MIN(buf_len(&k->body), PUMP_BYTES);

		if (conn_write(c, buf_slice(&k->body).ptr, n) < 0) {
			return false; /* no memory now: the session's deadline ends it */
		}
		buf_consume(&k->body, n);
	}
	return buf_len(&k->body) == 0;
}

bool
exchange_pump(struct exchange *x)
{
	switch (x->state) {
	case EXCHANGE_LOCAL:
		x->answer(x);
		return true;
	case EXCHANGE_API:
		return api_pump(x->api);
	case EXCHANGE_REPLIED:
		if (x->failed != 0) {
			x->fault = (struct http_fault){
			    .status = x->failed, .why = x->failed_why, .warns = x->failed != 502};
			answer_fault(x);
			return true;
		}
		return x->kept == NULL || pump_kept(x);
	case EXCHANGE_STREAMING:
		if (x->events != NULL) {
			return events_go_on(x);
		}
		return x->stream == NULL && stream_begin(x);
	case EXCHANGE_WAITING:
	case EXCHANGE_SENDING:
	case EXCHANGE_SENT:
	case EXCHANGE_REPLYING:
		break;
	}
	return false;
}
