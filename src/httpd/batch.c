#include "httpd/batch.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "backend/metrics.h"
#include "backend/refusal.h"
#include "base/mem.h"
#include "httpd/exchange.h"
#include "httpd/jsonin.h"
#include "httpd/reply_status.h"
#include "httpd/session.h"
#include "resp/reader.h"
#include "resp/reply.h"
#include "resp/write.h"

#define ERROR_MAX ((size_t)512) /* kept of an error of one command */
#define MIXED     207           /* Multi-Status (RFC 4918): each answer has its own */

static const char multi[] = "*1\r\n$5\r\nMULTI\r\n";
static const char exec[] = "*1\r\n$4\r\nEXEC\r\n";

struct item {
	size_t len;               /* of the command in exchange.request */
	size_t name_at, name_len; /* in exchange.text */
	const struct shape *shape;
	unsigned lane_flags;
	char *error; /* owned: atomic, what the server said when it was queued */
};

struct batch {
	bool atomic, single;
	bool
	    refused; /* atomic: by a server that is no proper master, so it did not happen and begins anew */
	size_t count;         /* of items */
	size_t sent;          /* commands, MULTI and EXEC included */
	size_t done;          /* replies */
	size_t at;            /* what of exchange.request is sent */
	unsigned item_status; /* of the one that is being rendered … */
	unsigned status;      /* … and the one that all have so far; 0: none yet */
	struct render_wish wish;
	struct buf reply; /* owned: EXEC's */
	struct item items[];
};

size_t
batch_held(const struct batch *b)
{
	return b->reply.cap;
}

static void
forget_errors(struct batch *b)
{
	for (size_t i = 0; i < b->count; i++) {
		free(b->items[i].error);
		b->items[i].error = NULL;
	}
}

void
batch_free(struct batch **bp)
{
	struct batch *b = *bp;

	*bp = NULL;
	if (b == NULL) {
		return;
	}
	forget_errors(b);
	buf_fini(&b->reply);
	free(b);
}

/* ---- reading ---- */

static int
refuse(struct http_fault *fault, const char *why)
{
	*fault = (struct http_fault){.status = 400, .why = why};
	return -EBADMSG;
}

static int
read_item(struct exchange *x, const json_t *doc, struct item *it,
    int (*check)(struct exchange *x, struct http_fault *fault), struct http_fault *fault)
{
	struct call *call = &x->call;
	size_t start = buf_len(&x->request);
	struct slice argv[2] = {{0}}, resp;
	struct resp_cursor c;
	struct resp_item arg;
	size_t n = 0;
	int err = jsonin_add_command(&x->request, doc);

	if (err == -EINVAL) {
		return refuse(
		    fault, "a command is an array of strings and numbers, as in [\"GET\",\"key\"]");
	}
	if (err < 0) {
		return err;
	}
	resp = buf_slice(&x->request);
	c.rest = (struct slice){resp.ptr + start, resp.len - start};
	(void)resp_cursor_next(&c, &arg);
	while (n < ARRAY_LEN(argv) && resp_cursor_next(&c, &arg)) {
		argv[n++] = arg.str;
	}
	*it = (struct item){
	    .len = resp.len - start, .name_at = buf_len(&x->text), .name_len = argv[0].len};
	err = buf_add_slice(&x->text, argv[0]);
	if (err < 0) {
		return err;
	}
	call->command = command_find(argv, n);
	call->argc = json_array_size(doc);
	call->wish.command = argv[0];
	it->shape = shape_of(argv[0], call->argc);
	err = check(x, fault);
	it->lane_flags = call->lane_flags;
	if (err == 0 && call->way == CALL_STREAM) {
		return refuse(fault, "a subscription stands alone: /SUBSCRIBE/channel");
	}
	return err;
}

int
batch_read(struct exchange *x, const json_t *doc, bool atomic,
    int (*check)(struct exchange *x, struct http_fault *fault), struct http_fault *ret_fault)
{
	bool single = json_is_string(json_array_get(doc, 0));
	size_t count = single ? 1 : json_array_size(doc);
	bool own = atomic, known = true;
	struct batch *b;
	int err = 0;

	if (!json_is_array(doc) || count == 0 || count > BATCH_MAX) {
		return refuse(ret_fault,
		    "the body is a command, [\"GET\",\"key\"], or an array of up to 1000 of them");
	}
	b = xcalloc(1, sizeof(*b) + count * sizeof(b->items[0]));
	x->batch = b;
	x->is_batch = true;
	b->atomic = atomic;
	b->single = single && !atomic;
	b->count = count;
	buf_init(&b->reply, x->httpd->held_max);
	for (size_t i = 0; err == 0 && i < count; i++) {
		err = read_item(
		    x, single ? doc : json_array_get(doc, i), &b->items[i], check, ret_fault);
		own = own || x->call.way == CALL_OWN;
		known = known && x->call.command != NULL;
	}
	x->call.way = own ? CALL_OWN : CALL_SHARED;
	x->call.lane_flags = 0;
	if (!known) {
		x->call.command =
		    NULL; /* it may leave something behind: that lane serves nobody else */
	}
	return err;
}

/* ---- sending ---- */

/* For the counters. */
static unsigned
named(const char *word)
{
	struct slice name = slice_str(word);

	return metrics_command(command_find(&name, 1)) << LANE_COMMAND_SHIFT;
}

static struct slice
next_command(struct exchange *x, unsigned *ret_flags)
{
	struct batch *b = x->batch;
	size_t i = b->sent - b->atomic;

	*ret_flags = LANE_WHOLE;
	if (b->atomic && b->sent == 0) {
		/* begun twice, it is begun once on each link */
		*ret_flags |= LANE_READ | named("MULTI");
		return SLICE_LIT(multi);
	}
	if (b->atomic && i == b->count) {
		*ret_flags |= named("EXEC");
		return SLICE_LIT(exec);
	}
	*ret_flags |=
	    b->atomic ? b->items[i].lane_flags & ~(unsigned)LANE_READ : b->items[i].lane_flags;
	return (struct slice){buf_slice(&x->request).ptr + b->at, b->items[i].len};
}

/* Of commands, MULTI and EXEC included. */
static size_t
total(const struct batch *b)
{
	return b->count + (b->atomic ? 2 : 0);
}

int
batch_send(struct exchange *x)
{
	struct session *s = x->session;
	struct batch *b = x->batch;

	while (b->sent < total(b)) {
		unsigned flags;
		struct slice raw = next_command(x, &flags);
		int err;

		/* without MULTI's OK the commands would be carried out one by one */
		if ((b->atomic && b->sent == 1 && b->done == 0) || session_is_full(s) ||
		    lane_is_full(&s->requester, x->lane)) {
			return 1;
		}
		err = lane_send(&s->requester, x->lane, raw, flags);
		if (err < 0 && b->sent > 0) {
			s->broken =
			    true; /* half of it is out, and there is no memory for the rest */
			return 1;
		}
		if (err < 0) {
			return err;
		}
		s->lane = x->lane;
		if (raw.ptr != (const uint8_t *)multi && raw.ptr != (const uint8_t *)exec) {
			b->at += raw.len;
		}
		b->sent++;
	}
	return 0;
}

/* ---- answers ---- */

static void
begin_item(struct exchange *x, size_t i)
{
	struct batch *b = x->batch;
	struct kept_reply *k = exchange_keep(x);

	b->wish = x->call.wish;
	b->wish.command =
	    (struct slice){buf_slice(&x->text).ptr + b->items[i].name_at, b->items[i].name_len};
	b->wish.shape = b->items[i].shape;
	if (!b->single && buf_add(&k->body, i == 0 ? "[" : ",", 1) < 0) {
		exchange_fail(x, -ENOMEM);
		return;
	}
	render_init(&k->render, &b->wish, &k->body);
	k->renders = true;
}

/* ?status=1: each of several answers says its own, {"GET":null,"status":404}; the response has the one that all have, or 207. */
static void
note_status(struct exchange *x)
{
	struct batch *b = x->batch;
	struct buf *body = &x->kept->body;

	b->status = b->status == 0 || b->status == b->item_status ? b->item_status : MIXED;
	if (b->single) {
		return;
	}
	buf_truncate(body, buf_len(body) - 1); /* the brace */
	if (buf_addf(body, ",\"status\":%u}", b->item_status) < 0) {
		exchange_fail(x, -ENOMEM);
	}
}

static void
feed_item(struct exchange *x, struct slice raw, bool last)
{
	struct kept_reply *k = x->kept;
	int err = x->failed == 0 ? render_feed(&k->render, raw, last) : 0;

	if (err < 0) {
		exchange_fail(x, err);
	} else if (x->failed == 0 && last) {
		render_fini(&k->render);
		k->renders = false;
		if (x->call.maps_status) {
			note_status(x);
		}
	}
}

static void
put_item(struct exchange *x, size_t i, struct slice raw)
{
	if (x->failed == 0) {
		begin_item(x, i);
		x->batch->item_status = reply_status(raw);
		feed_item(x, raw, true);
	}
}

static void
end_answer(struct exchange *x)
{
	if (x->failed == 0 && !x->batch->single && buf_add(&x->kept->body, "]", 1) < 0) {
		exchange_fail(x, -ENOMEM);
	}
	if (x->failed == 0 && x->call.maps_status) {
		x->status = x->batch->status;
	}
	if (x->failed == 0) {
		exchange_sum(x);
	}
}

/* EXEC's array is what each command was answered; anything else is the answer to all that have none of their own. */
static void
take_exec_apart(struct exchange *x)
{
	struct batch *b = x->batch;
	struct slice rest = buf_slice(&b->reply);
	struct resp_cursor c = {rest};
	struct resp_item head;
	bool whole = resp_cursor_next(&c, &head) && head.type == RESP_ARRAY &&
		     head.number == (int64_t)b->count;

	if (whole) {
		rest = c.rest;
	}
	for (size_t i = 0; i < b->count; i++) {
		struct resp_reply_scanner scan;
		size_t used = 0;

		if (!whole) {
			put_item(
			    x, i, b->items[i].error != NULL ? slice_str(b->items[i].error) : rest);
			continue;
		}
		resp_reply_init(&scan);
		if (resp_reply_scan(&scan, rest, &used) != RESP_REPLY_DONE) {
			exchange_fail(x, -EBADMSG);
			return;
		}
		put_item(x, i, (struct slice){rest.ptr, used});
		rest.ptr += used;
		rest.len -= used;
	}
	if (!whole) {
		b->status = reply_status(buf_slice(&b->reply)); /* nothing of it was carried out */
	}
}

static void
on_queued(struct batch *b, const struct lane_reply *reply)
{
	struct item *it = &b->items[b->done - 1];

	if (reply->first && reply->type == '-' && reply->last && reply->raw.len <= ERROR_MAX) {
		it->error = xstrndup((const char *)reply->raw.ptr, reply->raw.len);
	}
}

/* True when all is known. */
static bool
on_atomic_reply(struct exchange *x, const struct lane_reply *reply)
{
	struct batch *b = x->batch;
	bool is_begin = b->done == 0, is_exec = b->done == b->count + 1;

	if (!is_begin && !b->refused && !reply->local && reply->first && reply->last &&
	    refusal_ends_multi(reply->raw)) {
		b->refused = true;
		lane_abandon(x->lane); /* batch_is_lost comes from within */
		return false;
	}
	if (is_exec || (is_begin && reply->type == '-')) {
		if (buf_add_slice(&b->reply, reply->raw) < 0) {
			exchange_fail(x, -ENOBUFS);
		}
	} else if (!is_begin) {
		on_queued(b, reply);
	}
	if (!reply->last) {
		return false;
	}
	if (is_begin && reply->type != '-') {
		lane_set_pinned(x->lane, true); /* from here on it dies with its link */
	}
	b->done++;
	if (is_exec || (is_begin && reply->type == '-')) {
		if (x->failed == 0) {
			take_exec_apart(x);
		}
		return true;
	}
	return false;
}

bool
batch_on_reply(struct exchange *x, const struct lane_reply *reply)
{
	struct batch *b = x->batch;
	bool over;

	if (b->atomic) {
		over = on_atomic_reply(x, reply);
	} else {
		if (x->failed == 0 && reply->first) {
			b->item_status = reply->local ? reply_status_local(reply->raw)
						      : reply_status(reply->raw);
			begin_item(x, b->done);
		}
		if (x->failed == 0) {
			feed_item(x, reply->raw, reply->last);
		}
		b->done += reply->last;
		over = b->done == b->count;
	}
	if (over) {
		end_answer(x);
	}
	return over;
}

bool
batch_is_lost(struct exchange *x, unsigned unsent)
{
	struct batch *b = x->batch;

	if (!b->atomic || b->done == 0) {
		return false; /* the lane sees to its own, MULTI included */
	}
	if (b->sent == total(b) && unsent == 0 && !b->refused) {
		return true;
	}
	/* EXEC, the last of it, did not reach the server whole, or was refused: it begins anew */
	lane_set_pinned(x->lane, false);
	forget_errors(b);
	b->sent = b->done = b->at = 0;
	b->refused = false;
	exchange_send_again(x);
	return false;
}
