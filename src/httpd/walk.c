#include "httpd/walk.h"

#include "base/defs.h"

static const struct shape *
shape_of_element(struct walk *w)
{
	const struct walk_frame *f = walk_top(w);

	if (f == NULL) {
		return w->shape;
	}
	switch ((enum walk_mode)f->mode) {
	case WALK_ARRAY:
		return f->shape->kind == SHAPE_LIST ? f->shape->of : &shape_plain;
	case WALK_MAP:
	case WALK_PAIR:
		return f->shape->of != NULL ? f->shape->of : &shape_plain;
	case WALK_TUPLE:
		return f->at < f->shape->field_count ? f->shape->fields[f->at].of : &shape_plain;
	case WALK_PAIRS:
		return f->shape;
	case WALK_PLACE:
		break;
	}
	return &shape_plain;
}

const char *
walk_name(const struct walk_frame *f, enum resp_type type)
{
	if (f == NULL) {
		return NULL;
	}
	if (f->mode == WALK_TUPLE) {
		return f->shape->fields[f->at].name;
	}
	if (f->mode == WALK_PLACE) {
		return f->at == 0                     ? "name"
		       : type == RESP_INT             ? "hash"
		       : resp_type_is_aggregate(type) ? "coords"
						      : "dist";
	}
	return NULL;
}

struct walk_frame *
walk_open(struct walk *w, enum resp_type type, uint64_t count)
{
	const struct walk_frame *in = walk_top(w);
	const struct shape *shape = shape_of_element(w);
	struct walk_frame *f = &w->frames[w->depth];
	enum walk_mode mode = WALK_ARRAY;

	if (w->depth == ARRAY_LEN(w->frames) || type == RESP_ATTRIBUTE || walk_is_key_place(in)) {
		return NULL;
	}
	if (type == RESP_MAP) {
		count *= 2;
	}
	if (in != NULL && in->mode == WALK_PAIRS) {
		mode = WALK_PAIR;
	} else if (type == RESP_MAP) {
		mode = WALK_MAP;
		shape = shape->kind == SHAPE_MAP ? shape : &shape_plain;
	} else if (shape->kind == SHAPE_MAP) {
		mode = WALK_MAP;
	} else if (shape->kind == SHAPE_TUPLE) {
		mode = WALK_TUPLE;
	} else if (shape->kind == SHAPE_PLACE) {
		mode = WALK_PLACE;
	} else if (shape->kind == SHAPE_PAIRS) {
		mode = WALK_PAIRS;
	}
	*f = (struct walk_frame){.shape = shape, .left = count, .mode = (uint8_t)mode};
	w->depth++;
	return f;
}

bool
walk_info_next(struct slice *text, struct slice *ret_key, struct slice *ret_value)
{
	while (text->len > 0) {
		const uint8_t *lf = memchr(text->ptr, '\n', text->len), *colon;
		struct slice line = {text->ptr, lf != NULL ? (size_t)(lf - text->ptr) : text->len};

		text->ptr += line.len + (lf != NULL);
		text->len -= line.len + (lf != NULL);
		if (line.len > 0 && line.ptr[line.len - 1] == '\r') {
			line.len--;
		}
		colon = line.len > 0 ? memchr(line.ptr, ':', line.len) : NULL;
		if (colon != NULL && line.ptr[0] != '#') {
			*ret_key = (struct slice){line.ptr, (size_t)(colon - line.ptr)};
			*ret_value =
			    (struct slice){colon + 1, (size_t)(line.ptr + line.len - colon) - 1};
			return true;
		}
	}
	return false;
}
