#include "httpd/typed.h"

#include <errno.h>
#include <inttypes.h>
#include <stdbool.h>

#include "base/jsontext.h"
#include "http/base64.h"
#include "resp/reader.h"

#define DEPTH 30
#define EXACT_MAX                                                                                  \
	((INT64_C(1) << 53) - 1) /* of a JSON number, which is a double for most readers */

struct level {
	uint64_t left; /* elements to come */
	uint64_t at;
	bool pairs; /* of a map */
	bool named; /* in an object */
};

int
typed_add_bytes(struct buf *out, struct slice bytes)
{
	int err;

	if (jsontext_is_utf8(bytes)) {
		return jsontext_add_string(out, bytes);
	}
	err = buf_add_str(out, "{\"base64\":\"");
	if (err == 0) {
		err = base64_add(out, bytes);
	}
	return err < 0 ? err : buf_add_str(out, "\"}");
}

static int
add_named(struct buf *out, const char *name, struct slice text)
{
	int err = buf_addf(out, "{\"%s\":", name);

	if (err == 0) {
		err = jsontext_add_string(out, text);
	}
	return err < 0 ? err : buf_add_str(out, "}");
}

int
typed_add_error(struct buf *out, const char *text)
{
	return add_named(out, "error", slice_str(text));
}

/* "txt:" and the text. */
static int
add_verbatim(struct buf *out, struct slice s)
{
	int err;

	if (s.len < 4 || s.ptr[3] != ':' || !jsontext_is_utf8(s)) {
		return typed_add_bytes(out, s);
	}
	err = buf_add_str(out, "{\"verbatim\":");
	if (err == 0) {
		err = jsontext_add_string(out, (struct slice){s.ptr + 4, s.len - 4});
	}
	if (err == 0) {
		err = buf_add_str(out, ",\"format\":");
	}
	if (err == 0) {
		err = jsontext_add_string(out, (struct slice){s.ptr, 3});
	}
	return err < 0 ? err : buf_add_str(out, "}");
}

static int
add_scalar(struct buf *out, const struct resp_item *item)
{
	switch (item->type) {
	case RESP_SIMPLE:
		return add_named(out, "status", item->str);
	case RESP_ERROR:
		return add_named(out, "error", item->str);
	case RESP_BULK:
		return typed_add_bytes(out, item->str);
	case RESP_VERBATIM:
		return add_verbatim(out, item->str);
	case RESP_INT:
		return item->number > EXACT_MAX || item->number < -EXACT_MAX
			   ? buf_addf(out, "{\"integer\":\"%" PRId64 "\"}", item->number)
			   : buf_addf(out, "%" PRId64, item->number);
	case RESP_DOUBLE:
		return add_named(out, "double", item->str);
	case RESP_BIGNUM:
		return add_named(out, "bignum", item->str);
	case RESP_BOOL:
		return buf_add_str(out, item->number != 0 ? "true" : "false");
	case RESP_NULL:
		return buf_add_str(out, "null");
	default:
		return -EBADMSG; /* attributes, which servers send to nobody who has not asked */
	}
}

static int
open_level(struct buf *out, const struct resp_item *item, struct level *level)
{
	*level = (struct level){.left = (uint64_t)item->number};
	switch (item->type) {
	case RESP_ARRAY:
		return buf_add_str(out, "[");
	case RESP_SET:
		level->named = true;
		return buf_add_str(out, "{\"set\":[");
	case RESP_PUSH:
		level->named = true;
		return buf_add_str(out, "{\"push\":[");
	case RESP_MAP:
		level->named = level->pairs = true;
		level->left *= 2;
		return buf_add_str(out, "{\"map\":[");
	default:
		return -EBADMSG;
	}
}

/* What stands before the next element. */
static int
begin_element(struct buf *out, struct level *level)
{
	const char *before = level->at > 0 ? "," : "";

	if (level->pairs) {
		before = level->at % 2 == 1 ? "," : level->at > 0 ? "],[" : "[";
	}
	level->at++;
	level->left--;
	return buf_add_str(out, before);
}

static int
close_level(struct buf *out, const struct level *level)
{
	int err = level->pairs && level->at > 0 ? buf_add_str(out, "]") : 0;

	return err < 0 ? err : buf_add_str(out, level->named ? "]}" : "]");
}

int
typed_add_reply(struct buf *out, struct slice raw)
{
	struct level levels[DEPTH];
	struct resp_cursor c = {raw};
	struct resp_item item;
	size_t depth = 0;
	int err = 0;

	do {
		if (!resp_cursor_next(&c, &item)) {
			return -EBADMSG;
		}
		if (depth > 0) {
			err = begin_element(out, &levels[depth - 1]);
		}
		if (err < 0) {
			return err;
		}
		if (!resp_type_is_aggregate(item.type)) {
			err = add_scalar(out, &item);
		} else if (depth == DEPTH) {
			err = -EBADMSG;
		} else {
			err = open_level(out, &item, &levels[depth]);
			depth++;
		}
		while (err == 0 && depth > 0 && levels[depth - 1].left == 0) {
			err = close_level(out, &levels[--depth]);
		}
	} while (err == 0 && depth > 0);
	return err;
}
