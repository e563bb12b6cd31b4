#include "httpd/jsonout.h"

#include <errno.h>
#include <string.h>

#include "base/jsontext.h"
#include "http/base64.h"

static void
put(struct jsonout *j, const void *bytes, size_t len)
{
	if (j->err == 0) {
		j->err = buf_add(j->out, bytes, len);
	}
}

#define PUT(j, text) put((j), (text), sizeof(text) - 1)

static void
put_name(struct jsonout *j, const char *name)
{
	if (j->err == 0) {
		j->err = buf_addf(j->out, "\"%s\":", name);
	}
}

static void
put_int(struct jsonout *j, int64_t value)
{
	char text[21];
	size_t at = sizeof(text);
	uint64_t left = value < 0 ? 0 - (uint64_t)value : (uint64_t)value;

	do {
		text[--at] = (char)('0' + left % 10);
		left /= 10;
	} while (left > 0);
	if (value < 0) {
		text[--at] = '-';
	}
	put(j, text + at, sizeof(text) - at);
}

static void
comma(struct jsonout *j, struct walk_frame *f)
{
	if (f->wrote) {
		PUT(j, ",");
	}
	f->wrote = true;
}

/* What stands between the elements: commas and names. False: this element is left out. */
static bool
begin_element(struct jsonout *j, enum resp_type type)
{
	struct walk_frame *f = walk_top(&j->walk);

	if (f == NULL) {
		return true;
	}
	if (walk_leaves_out(f, type)) {
		return false;
	}
	switch ((enum walk_mode)f->mode) {
	case WALK_ARRAY:
		comma(j, f);
		break;
	case WALK_MAP:
		if (f->at % 2 == 0) {
			comma(j, f);
		}
		break;
	case WALK_TUPLE:
	case WALK_PLACE:
		comma(j, f);
		put_name(j, walk_name(f, type));
		break;
	case WALK_PAIRS:
		comma(j, f);
		if (!resp_type_is_aggregate(type)) {
			PUT(j, "\"\":"); /* no pair: still valid JSON */
		}
		break;
	case WALK_PAIR:
		break;
	}
	return true;
}

static void
close_frame(struct jsonout *j, const struct walk_frame *f)
{
	switch ((enum walk_mode)f->mode) {
	case WALK_ARRAY:
		PUT(j, "]");
		break;
	case WALK_MAP:
		if (f->at % 2 != 0) {
			PUT(j, "null"); /* a key without its value */
		}
		PUT(j, "}");
		break;
	case WALK_PAIR:
		if (f->at == 0) {
			PUT(j, "\"\":null");
		} else if (f->at == 1) {
			PUT(j, "null");
		}
		break;
	case WALK_TUPLE:
	case WALK_PLACE:
	case WALK_PAIRS:
		PUT(j, "}");
		break;
	}
}

/* An element is complete, and perhaps what it is in. */
static void
end_element(struct jsonout *j)
{
	struct walk_frame *f;

	while ((f = walk_top(&j->walk)) != NULL) {
		f->at++;
		if (--f->left > 0) {
			return;
		}
		close_frame(j, f);
		j->walk.depth--;
	}
}

static void
open_frame(struct jsonout *j, enum resp_type type, uint64_t count)
{
	const struct walk_frame *f = walk_open(&j->walk, type, count);

	if (f == NULL) {
		j->err = -EBADMSG;
		return;
	}
	if (f->mode != WALK_PAIR) {
		put(j, f->mode == WALK_ARRAY ? "[" : "{", 1);
	}
	if (f->left == 0) {
		close_frame(j, f);
		j->walk.depth--;
		end_element(j);
	}
}

static void
begin_string(struct jsonout *j, enum resp_type type, bool wanted)
{
	const struct walk_frame *f = walk_top(&j->walk);

	j->carried = 0;
	j->encodes = j->base64 && (type == RESP_BULK || type == RESP_VERBATIM);
	j->bracket = j->collects = j->is_key = false;
	j->skips = !wanted;
	if (!wanted) {
		return;
	}
	if (walk_is_key_place(f)) {
		j->is_key = true;
	} else if (type == RESP_ERROR || (type == RESP_SIMPLE && f == NULL)) {
		j->bracket = true;
		put(j, type == RESP_ERROR ? "[false," : "[true,", type == RESP_ERROR ? 7 : 6);
	} else if (type == RESP_BULK && f == NULL && j->walk.shape->kind == SHAPE_INFO) {
		j->collects = true; /* text of the server's own */
		return;
	}
	PUT(j, "\"");
}

static void
put_scalar(struct jsonout *j, enum resp_type type, int64_t number)
{
	const struct walk_frame *f = walk_top(&j->walk);
	bool is_key = walk_is_key_place(f);

	if (is_key) {
		PUT(j, "\"");
	}
	if (type == RESP_INT) {
		put_int(j, number);
	} else if (type == RESP_BOOL) {
		put(j, number != 0 ? "true" : "false", number != 0 ? 4 : 5);
	} else if (!is_key) {
		PUT(j, "null");
	}
	if (is_key) {
		PUT(j, "\":");
	}
}

static void
on_item(void *arg, enum resp_type type, int64_t number)
{
	struct jsonout *j = arg;
	bool wanted;

	if (j->err != 0) {
		return;
	}
	if (walk_is_out_of_place(walk_top(&j->walk))) {
		j->err = -EBADMSG;
		return;
	}
	wanted = begin_element(j, type);
	if (resp_type_is_aggregate(type)) {
		if (!wanted) {
			j->err = -EBADMSG; /* more fields than the shape knows, and deep ones */
			return;
		}
		open_frame(j, type, (uint64_t)number);
	} else if (resp_type_has_bytes(type)) {
		begin_string(j, type, wanted);
	} else {
		if (wanted) {
			put_scalar(j, type, number);
		}
		end_element(j);
	}
}

/* How many bytes at the end may be the beginning of a UTF-8 sequence. */
static size_t
open_tail(struct slice s)
{
	for (size_t n = 1; n <= 3 && n <= s.len; n++) {
		uint8_t c = s.ptr[s.len - n];

		if ((c & 0xc0) == 0x80) {
			continue;
		}
		return (c >= 0xf0 && n < 4) || (c >= 0xe0 && n < 3) || (c >= 0xc0 && n < 2) ? n : 0;
	}
	return 0;
}

static void
put_escaped(struct jsonout *j, struct slice s)
{
	if (j->err == 0) {
		j->err = jsontext_add_escaped(j->out, s);
	}
}

/* Three bytes are four characters; one or two that are left wait for the next run. */
static void
put_base64(struct jsonout *j, struct slice s)
{
	while (j->carried > 0 && j->carried < 3 && s.len > 0) {
		j->carry[j->carried++] = *s.ptr++;
		s.len--;
	}
	if (j->carried == 3) {
		j->err = base64_add(j->out, (struct slice){j->carry, 3});
		j->carried = 0;
	}
	if (j->err == 0 && j->carried == 0) {
		j->carried = s.len % 3;
		j->err = base64_add(j->out, (struct slice){s.ptr, s.len - j->carried});
		memcpy(j->carry, s.ptr + s.len - j->carried, j->carried);
	}
}

static void
on_bytes(void *arg, struct slice bytes)
{
	struct jsonout *j = arg;
	size_t tail;

	if (j->err != 0 || j->skips || bytes.len == 0) {
		return;
	}
	if (j->collects) {
		j->err = buf_add_slice(&j->scratch, bytes);
		return;
	}
	if (j->encodes) {
		put_base64(j, bytes);
		return;
	}
	while (j->carried > 0 && bytes.len > 0) {
		/* byte by byte until the sequence that was cut is complete or is none */
		j->carry[j->carried++] = *bytes.ptr++;
		bytes.len--;
		tail = open_tail((struct slice){j->carry, j->carried});
		put_escaped(j, (struct slice){j->carry, j->carried - tail});
		memmove(j->carry, j->carry + j->carried - tail, tail);
		j->carried = tail;
	}
	tail = open_tail(bytes);
	put_escaped(j, (struct slice){bytes.ptr, bytes.len - tail});
	if (tail > 0) {
		memcpy(j->carry + j->carried, bytes.ptr + bytes.len - tail, tail);
		j->carried += tail;
	}
}

/* "key:value" lines → object. */
static void
put_info(struct jsonout *j)
{
	struct slice text = buf_slice(&j->scratch), key, value;
	bool wrote = false;

	PUT(j, "{");
	while (j->err == 0 && walk_info_next(&text, &key, &value)) {
		if (wrote) {
			PUT(j, ",");
		}
		wrote = true;
		PUT(j, "\"");
		put_escaped(j, key);
		PUT(j, "\":\"");
		put_escaped(j, value);
		PUT(j, "\"");
	}
	PUT(j, "}");
}

static void
on_end(void *arg)
{
	struct jsonout *j = arg;

	if (j->collects) {
		put_info(j);
		buf_fini(&j->scratch);
	} else if (!j->skips) {
		if (!j->encodes) {
			put_escaped(j, (struct slice){j->carry, j->carried});
		} else if (j->err == 0) {
			j->err = base64_add(j->out, (struct slice){j->carry, j->carried});
		}
		PUT(j, "\"");
		if (j->is_key) {
			PUT(j, ":");
		} else if (j->bracket) {
			PUT(j, "]");
		}
	}
	if (j->err == 0) {
		end_element(j);
	}
}

void
jsonout_init(struct jsonout *j, struct buf *out, const struct shape *shape, bool base64)
{
	memset(j, 0, offsetof(struct jsonout, walk.frames));
	j->out = out;
	j->walk.shape = shape;
	j->base64 = base64;
	buf_init(&j->scratch, 0);
}

void
jsonout_fini(struct jsonout *j)
{
	buf_fini(&j->scratch);
}

const struct resp_reader_ops jsonout_ops = {
    .on_item = on_item, .on_bytes = on_bytes, .on_end = on_end};
