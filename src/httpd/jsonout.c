#include "httpd/jsonout.h"

#include <errno.h>
#include <string.h>

#include "base/jsontext.h"

/* What a level of the reply is written as. */
enum mode {
	MODE_ARRAY,
	MODE_MAP,   /* object; elements are key, value, key … */
	MODE_TUPLE, /* object with names from the shape */
	MODE_PLACE, /* object with names by type */
	MODE_PAIRS, /* object; each element is an array of two … */
	MODE_PAIR,  /* … which writes no brackets of its own */
};

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
comma(struct jsonout *j, struct jsonout_frame *f)
{
	if (f->wrote) {
		PUT(j, ",");
	}
	f->wrote = true;
}

static struct jsonout_frame *
top(struct jsonout *j)
{
	return j->depth > 0 ? &j->frames[j->depth - 1] : NULL;
}

static bool
is_key_place(const struct jsonout_frame *f)
{
	return (f->mode == MODE_MAP && f->at % 2 == 0) || (f->mode == MODE_PAIR && f->at == 0);
}

static const char *
place_name(const struct jsonout_frame *f, enum resp_type type)
{
	return f->at == 0                     ? "name"
	       : type == RESP_INT             ? "hash"
	       : resp_type_is_aggregate(type) ? "coords"
					      : "dist";
}

/* What stands between the elements: commas and names. False: this element is left out. */
static bool
begin_element(struct jsonout *j, enum resp_type type)
{
	struct jsonout_frame *f = top(j);

	if (f == NULL) {
		return true;
	}
	switch ((enum mode)f->mode) {
	case MODE_ARRAY:
		comma(j, f);
		break;
	case MODE_MAP:
		if (f->at % 2 == 0) {
			comma(j, f);
		}
		break;
	case MODE_TUPLE:
		if (f->at >= f->shape->field_count || (type == RESP_NULL && f->shape->skip_null)) {
			return false;
		}
		comma(j, f);
		put_name(j, f->shape->fields[f->at].name);
		break;
	case MODE_PLACE:
		comma(j, f);
		put_name(j, place_name(f, type));
		break;
	case MODE_PAIRS:
		comma(j, f);
		if (!resp_type_is_aggregate(type)) {
			PUT(j, "\"\":"); /* no pair: still valid JSON */
		}
		break;
	case MODE_PAIR:
		break;
	}
	return true;
}

static const struct shape *
shape_of_element(struct jsonout *j)
{
	const struct jsonout_frame *f = top(j);

	if (f == NULL) {
		return j->shape;
	}
	switch ((enum mode)f->mode) {
	case MODE_ARRAY:
		return f->shape->kind == SHAPE_LIST ? f->shape->of : &shape_plain;
	case MODE_MAP:
	case MODE_PAIR:
		return f->shape->of != NULL ? f->shape->of : &shape_plain;
	case MODE_TUPLE:
		return f->at < f->shape->field_count ? f->shape->fields[f->at].of : &shape_plain;
	case MODE_PAIRS:
		return f->shape;
	case MODE_PLACE:
		break;
	}
	return &shape_plain;
}

static void
close_frame(struct jsonout *j, const struct jsonout_frame *f)
{
	switch ((enum mode)f->mode) {
	case MODE_ARRAY:
		PUT(j, "]");
		break;
	case MODE_MAP:
		if (f->at % 2 != 0) {
			PUT(j, "null"); /* a key without its value */
		}
		PUT(j, "}");
		break;
	case MODE_PAIR:
		if (f->at == 0) {
			PUT(j, "\"\":null");
		} else if (f->at == 1) {
			PUT(j, "null");
		}
		break;
	case MODE_TUPLE:
	case MODE_PLACE:
	case MODE_PAIRS:
		PUT(j, "}");
		break;
	}
}

/* An element is complete, and perhaps what it is in. */
static void
end_element(struct jsonout *j)
{
	struct jsonout_frame *f;

	while ((f = top(j)) != NULL) {
		f->at++;
		if (--f->left > 0) {
			return;
		}
		close_frame(j, f);
		j->depth--;
	}
}

static void
open_frame(struct jsonout *j, enum resp_type type, uint64_t count)
{
	const struct jsonout_frame *in = top(j);
	const struct shape *shape = shape_of_element(j);
	struct jsonout_frame *f = &j->frames[j->depth];
	enum mode mode = MODE_ARRAY;

	if (j->depth == ARRAY_LEN(j->frames) || type == RESP_ATTRIBUTE) {
		j->err = j->err != 0 ? j->err : -EBADMSG;
		return;
	}
	if (type == RESP_MAP) {
		count *= 2;
	}
	if (in != NULL && in->mode == MODE_PAIRS) {
		mode = MODE_PAIR;
	} else if (type == RESP_MAP) {
		mode = MODE_MAP;
		shape = shape->kind == SHAPE_MAP ? shape : &shape_plain;
	} else if (shape->kind == SHAPE_MAP) {
		mode = MODE_MAP;
	} else if (shape->kind == SHAPE_TUPLE) {
		mode = MODE_TUPLE;
	} else if (shape->kind == SHAPE_PLACE) {
		mode = MODE_PLACE;
	} else if (shape->kind == SHAPE_PAIRS) {
		mode = MODE_PAIRS;
	}
	if (mode != MODE_PAIR) {
		put(j, mode == MODE_ARRAY ? "[" : "{", 1);
	}
	*f = (struct jsonout_frame){.shape = shape, .left = count, .mode = (uint8_t)mode};
	if (count == 0) {
		close_frame(j, f);
		end_element(j);
	} else {
		j->depth++;
	}
}

/* A pair of more than two, or a map's element that is no string where the name should be. */
static bool
is_out_of_place(struct jsonout *j)
{
	const struct jsonout_frame *f = top(j);

	return f != NULL && f->mode == MODE_PAIR && f->at >= 2;
}

static void
begin_string(struct jsonout *j, enum resp_type type, bool wanted)
{
	const struct jsonout_frame *f = top(j);

	j->carried = 0;
	j->bracket = j->collects = j->is_key = false;
	j->skips = !wanted;
	if (!wanted) {
		return;
	}
	if (f != NULL && is_key_place(f)) {
		j->is_key = true;
	} else if (type == RESP_ERROR || (type == RESP_SIMPLE && f == NULL)) {
		j->bracket = true;
		put(j, type == RESP_ERROR ? "[false," : "[true,", type == RESP_ERROR ? 7 : 6);
	} else if (type == RESP_BULK && f == NULL && j->shape->kind == SHAPE_INFO) {
		j->collects = true;
		return;
	}
	PUT(j, "\"");
}

static void
put_scalar(struct jsonout *j, enum resp_type type, int64_t number)
{
	const struct jsonout_frame *f = top(j);
	bool is_key = f != NULL && is_key_place(f);

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
	if (is_out_of_place(j)) {
		j->err = -EBADMSG;
		return;
	}
	wanted = begin_element(j, type);
	if (resp_type_is_aggregate(type)) {
		const struct jsonout_frame *f = top(j);

		if (!wanted) {
			j->err = -EBADMSG; /* more fields than the shape knows, and deep ones */
			return;
		}
		if (f != NULL && is_key_place(f)) {
			j->err = -EBADMSG;
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

/* "# Comment", "key:value" lines → object. */
static void
put_info(struct jsonout *j)
{
	struct slice text = buf_slice(&j->scratch);
	bool wrote = false;

	PUT(j, "{");
	while (text.len > 0) {
		const uint8_t *lf = memchr(text.ptr, '\n', text.len), *colon;
		struct slice line = {text.ptr, lf != NULL ? (size_t)(lf - text.ptr) : text.len};

		text.ptr += line.len + (lf != NULL);
		text.len -= line.len + (lf != NULL);
		if (line.len > 0 && line.ptr[line.len - 1] == '\r') {
			line.len--;
		}
		colon = line.len > 0 ? memchr(line.ptr, ':', line.len) : NULL;
		if (colon == NULL || line.ptr[0] == '#' || j->err != 0) {
			continue;
		}
		if (wrote) {
			PUT(j, ",");
		}
		wrote = true;
		PUT(j, "\"");
		put_escaped(j, (struct slice){line.ptr, (size_t)(colon - line.ptr)});
		PUT(j, "\":\"");
		put_escaped(
		    j, (struct slice){colon + 1, (size_t)(line.ptr + line.len - colon) - 1});
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
		put_escaped(j, (struct slice){j->carry, j->carried});
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
jsonout_init(struct jsonout *j, struct buf *out, const struct shape *shape)
{
	memset(j, 0, offsetof(struct jsonout, frames));
	j->out = out;
	j->shape = shape;
	buf_init(&j->scratch, 0);
}

void
jsonout_fini(struct jsonout *j)
{
	buf_fini(&j->scratch);
}

const struct resp_reader_ops jsonout_ops = {
    .on_item = on_item, .on_bytes = on_bytes, .on_end = on_end};
