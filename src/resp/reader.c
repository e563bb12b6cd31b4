#include "resp/reader.h"

#include <string.h>

#define DIGITS_MAX 18

enum state { AT_TYPE, IN_NUMBER, AT_LF, IN_TEXT, AT_TEXT_LF, IN_BYTES, IN_CRLF, AT_BYTES_LF };

void
resp_reader_init(struct resp_reader *r, uint64_t max_elements)
{
	*r = (struct resp_reader){.max_elements = max_elements == 0 ? UINT64_MAX : max_elements};
	r->left[0] = 1;
}

static bool
type_of(uint8_t c, enum resp_type *ret_type)
{
	static const struct {
		uint8_t byte;
		enum resp_type type;
	} types[] = {{'+', RESP_SIMPLE}, {'-', RESP_ERROR}, {'!', RESP_ERROR}, {'$', RESP_BULK},
	    {'=', RESP_VERBATIM}, {':', RESP_INT}, {',', RESP_DOUBLE}, {'(', RESP_BIGNUM},
	    {'#', RESP_BOOL}, {'_', RESP_NULL}, {'*', RESP_ARRAY}, {'~', RESP_SET},
	    {'>', RESP_PUSH}, {'%', RESP_MAP}, {'|', RESP_ATTRIBUTE}};

	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (types[i].byte == c) {
			*ret_type = types[i].type;
			return true;
		}
	}
	return false;
}

/* The present element is complete: so may be those around it. */
static void
element_done(struct resp_reader *r)
{
	r->state = AT_TYPE;
	r->left[r->depth]--;
	while (r->depth > 0 && r->left[r->depth] == 0) {
		r->depth--;
		r->left[r->depth]--;
	}
}

static bool
open_aggregate(
    struct resp_reader *r, enum resp_type type, const struct resp_reader_ops *ops, void *arg)
{
	uint64_t count = r->number;

	if (count > INT64_MAX / 2) {
		return false;
	}
	ops->on_item(arg, type, (int64_t)count);
	if (type == RESP_MAP || type == RESP_ATTRIBUTE) {
		count *= 2;
	}
	if (type == RESP_ATTRIBUTE) {
		r->left[r->depth]++; /* the element it describes is counted by itself */
	}
	if (count == 0) {
		element_done(r);
		return true;
	}
	if (r->depth + 1 == RESP_READER_DEPTH) {
		return false;
	}
	r->left[++r->depth] = count;
	r->state = AT_TYPE;
	return true;
}

/* A line of digits is complete. */
static bool
on_number(struct resp_reader *r, const struct resp_reader_ops *ops, void *arg)
{
	enum resp_type type = RESP_NULL;

	(void)type_of(r->element, &type);
	if (r->digits == 0 && type != RESP_NULL) {
		return false;
	}
	if (type == RESP_INT) {
		ops->on_item(
		    arg, type, r->negative ? (int64_t)(0 - r->number) : (int64_t)r->number);
		element_done(r);
		return true;
	}
	if (type == RESP_NULL) {
		ops->on_item(arg, type, 0);
		element_done(r);
		return r->digits == 0;
	}
	if (r->negative) {
		ops->on_item(arg, RESP_NULL, 0);
		element_done(r);
		return r->number == 1 && (type == RESP_BULK || type == RESP_ARRAY);
	}
	if (resp_type_is_aggregate(type)) {
		return open_aggregate(r, type, ops, arg);
	}
	if (r->number > INT64_MAX) {
		return false;
	}
	ops->on_item(arg, type, (int64_t)r->number);
	r->bytes = r->number;
	r->state = r->bytes > 0 ? IN_BYTES : IN_CRLF;
	return true;
}

static bool
on_type(struct resp_reader *r, uint8_t c, const struct resp_reader_ops *ops, void *arg)
{
	enum resp_type type;

	if (!type_of(c, &type) || r->elements == r->max_elements) {
		return false;
	}
	r->elements++;
	r->element = c;
	r->number = 0;
	r->digits = 0;
	r->negative = false;
	if (c == '+' || c == '-' || c == ',' || c == '(') {
		ops->on_item(arg, type, 0);
		r->state = IN_TEXT;
	} else {
		r->state = IN_NUMBER;
	}
	return true;
}

static bool
on_digit(struct resp_reader *r, uint8_t c)
{
	if (r->element == '#') {
		if (r->digits > 0 || (c != 't' && c != 'f')) {
			return false;
		}
		r->number = c == 't';
		r->digits = 1;
		return true;
	}
	if (c == '-' && r->digits == 0 && !r->negative) {
		r->negative = true;
		return true;
	}
	/* 19 digits: the smallest and largest of int64 have so many */
	if (c < '0' || c > '9' || r->digits > DIGITS_MAX) {
		return false;
	}
	r->number = r->number * 10 + (uint64_t)(c - '0');
	r->digits++;
	return true;
}

static bool
on_line_end(struct resp_reader *r, const struct resp_reader_ops *ops, void *arg)
{
	if (r->element == '#') {
		if (r->digits == 0) {
			return false;
		}
		ops->on_item(arg, RESP_BOOL, (int64_t)r->number);
		element_done(r);
		return true;
	}
	return on_number(r, ops, arg);
}

/* Hands on the bytes of a string or of a line; returns how many of `n` were used. */
static size_t
take_bytes(
    struct resp_reader *r, const uint8_t *p, size_t n, const struct resp_reader_ops *ops, void *arg)
{
	const uint8_t *cr = NULL;
	size_t take = n;

	if (r->state == IN_BYTES) {
		take = (size_t)MIN(r->bytes, (uint64_t)n);
		r->bytes -= take;
	} else {
		cr = memchr(p, '\r', n);
		take = cr != NULL ? (size_t)(cr - p) : n;
	}
	if (take > 0) {
		ops->on_bytes(arg, (struct slice){p, take});
	}
	if (r->state == IN_BYTES && r->bytes == 0) {
		r->state = IN_CRLF;
	} else if (cr != NULL) {
		r->state = AT_TEXT_LF;
		take++;
	}
	return take;
}

static bool
step(struct resp_reader *r, uint8_t c, const struct resp_reader_ops *ops, void *arg)
{
	switch ((enum state)r->state) {
	case AT_TYPE:
		return on_type(r, c, ops, arg);
	case IN_NUMBER:
		if (c == '\r') {
			r->state = AT_LF;
			return true;
		}
		return on_digit(r, c);
	case AT_LF:
		return c == '\n' && on_line_end(r, ops, arg);
	case AT_TEXT_LF:
		if (c != '\n') {
			/* a CR by itself belongs to the text */
			ops->on_bytes(arg, SLICE_LIT("\r"));
			r->state = c == '\r' ? AT_TEXT_LF : IN_TEXT;
			if (c != '\r') {
				ops->on_bytes(arg, (struct slice){&c, 1});
			}
			return true;
		}
		ops->on_end(arg);
		element_done(r);
		return true;
	case IN_CRLF:
		r->state = AT_BYTES_LF;
		return c == '\r';
	case AT_BYTES_LF:
		ops->on_end(arg);
		element_done(r);
		return c == '\n';
	default:
		return false;
	}
}

enum resp_reader_status
resp_reader_feed(struct resp_reader *r, struct slice in, const struct resp_reader_ops *ops,
    void *arg, size_t *ret_used)
{
	size_t at = 0;

	while (at < in.len) {
		if (r->state == IN_BYTES || r->state == IN_TEXT) {
			at += take_bytes(r, in.ptr + at, in.len - at, ops, arg);
		} else if (!step(r, in.ptr[at++], ops, arg)) {
			return RESP_READER_BAD;
		}
		if (r->left[0] == 0) {
			*ret_used = at;
			return RESP_READER_DONE;
		}
	}
	return RESP_READER_MORE;
}

/* ---- the cursor: one element of a reply that is there as a whole ---- */

struct one_item {
	struct resp_item item;
	bool seen;
};

static void
on_one_item(void *arg, enum resp_type type, int64_t number)
{
	struct one_item *o = arg;

	o->item = (struct resp_item){.type = type, .number = number};
	o->seen = true;
}

static void
on_one_bytes(void *arg, struct slice bytes)
{
	struct one_item *o = arg;

	o->item.str = bytes;
}

static void
on_one_end(void *arg)
{
	(void)arg;
}

bool
resp_cursor_next(struct resp_cursor *c, struct resp_item *ret_item)
{
	static const struct resp_reader_ops ops = {on_one_item, on_one_bytes, on_one_end};
	struct one_item one = {0};
	struct resp_reader r;
	size_t at = 0;

	resp_reader_init(&r, 1);
	while (at < c->rest.len && r.left[0] != 0 && r.depth == 0) {
		if (r.state == IN_BYTES || r.state == IN_TEXT) {
			at += take_bytes(&r, c->rest.ptr + at, c->rest.len - at, &ops, &one);
		} else if (!step(&r, c->rest.ptr[at++], &ops, &one)) {
			return false;
		}
		if (one.seen && one.item.type == RESP_ATTRIBUTE) {
			break;
		}
	}
	if (!one.seen || (r.left[0] != 0 && r.depth == 0 && one.item.type != RESP_ATTRIBUTE)) {
		return false;
	}
	c->rest.ptr += at;
	c->rest.len -= at;
	*ret_item = one.item;
	return true;
}
