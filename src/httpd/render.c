#include "httpd/render.h"

#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include "base/jsontext.h"

/* ---- the value alone ---- */

static void
put(struct render *r, struct slice s)
{
	if (r->err == 0) {
		r->err = buf_add_slice(r->out, s);
	}
}

/*
 * As Webdis gives it: a string as it is, a number in digits, a status or an error with its sign, of an
 * array the strings that are directly in it.
 */
static void
on_bare_item(void *arg, enum resp_type type, int64_t number)
{
	struct render *r = arg;
	bool in_array = r->at > 0;
	char digits[24];

	/* The reader counts levels down as it closes them: depth 1 is an element of the outer array. */
	r->skips = r->reader.depth > 1 || (in_array && type != RESP_BULK);
	if (!in_array) {
		r->at = 1;
		if (type == RESP_SIMPLE || type == RESP_ERROR) {
			put(r, type == RESP_ERROR ? SLICE_LIT("-") : SLICE_LIT("+"));
		} else if (type == RESP_INT || type == RESP_BOOL) {
			(void)snprintf(digits, sizeof(digits), "%" PRId64, number);
			put(r, slice_str(digits));
		} else if (type == RESP_NULL) {
			r->is_nil = true;
		}
		return;
	}
	if (r->reader.depth == 1) {
		if (!r->skips && r->at > 1) {
			put(r, r->wish->separator);
		}
		r->at++;
	}
}

static void
on_bare_bytes(void *arg, struct slice bytes)
{
	struct render *r = arg;

	if (!r->skips) {
		put(r, bytes);
	}
}

static void
on_bare_end(void *arg)
{
	(void)arg;
}

static const struct resp_reader_ops bare_ops = {on_bare_item, on_bare_bytes, on_bare_end};

/* ---- all forms ---- */

static void
begin_json(struct render *r)
{
	const struct render_wish *w = r->wish;

	jsonout_init(&r->json, r->out, w->shape, w->base64);
	if (w->jsonp.len > 0) {
		put(r, w->jsonp);
		put(r, SLICE_LIT("("));
	}
	put(r, SLICE_LIT("{"));
	if (r->err == 0) {
		r->err = jsontext_add_string(r->out, w->command);
	}
	put(r, SLICE_LIT(":"));
}

static void
end_json(struct render *r)
{
	put(r, r->wish->jsonp.len > 0 ? SLICE_LIT("});\n") : SLICE_LIT("}"));
}

void
render_init(struct render *r, const struct render_wish *wish, struct buf *out)
{
	r->wish = wish;
	r->out = out;
	r->err = 0;
	r->is_nil = false;
	r->at = 0;
	r->skips = false;
	resp_reader_init(&r->reader, 0);
	if (wish->kind == RENDER_JSON) {
		begin_json(r);
	} else if (wish->kind == RENDER_MSGPACK) {
		msgout_init(&r->msg, out, wish->shape);
		msgout_begin(&r->msg, wish->command);
	}
}

void
render_fini(struct render *r)
{
	if (r->wish->kind == RENDER_JSON) {
		jsonout_fini(&r->json);
	} else if (r->wish->kind == RENDER_MSGPACK) {
		msgout_fini(&r->msg);
	}
}

static enum resp_reader_status
feed(struct render *r, struct slice raw, size_t *ret_used)
{
	enum resp_reader_status status;

	if (r->wish->kind == RENDER_JSON) {
		status = resp_reader_feed(&r->reader, raw, &jsonout_ops, &r->json, ret_used);
		r->err = r->err != 0 ? r->err : r->json.err;
	} else if (r->wish->kind == RENDER_MSGPACK) {
		status = resp_reader_feed(&r->reader, raw, &msgout_ops, &r->msg, ret_used);
		r->err = r->err != 0 ? r->err : r->msg.err;
	} else {
		status = resp_reader_feed(&r->reader, raw, &bare_ops, r, ret_used);
	}
	return status;
}

int
render_feed(struct render *r, struct slice raw, bool last)
{
	enum resp_reader_status status, expected = last ? RESP_READER_DONE : RESP_READER_MORE;
	size_t used;

	if (r->err != 0) {
		return r->err;
	}
	if (r->wish->kind == RENDER_RAW) {
		put(r, raw);
		return r->err;
	}
	status = feed(r, raw, &used);
	if (r->err == 0 && (status != expected || (last && used != raw.len))) {
		r->err = -EBADMSG;
	}
	if (r->err == 0 && last && r->wish->kind == RENDER_JSON) {
		end_json(r);
	}
	return r->err;
}
