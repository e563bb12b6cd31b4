/*
 * Where in a reply a writer is: the levels that are open, what each is written as by its shape, and what
 * comes next. Shared by the writers of JSON and MessagePack, which differ only in how things are spelt.
 */
#ifndef HTTPD_WALK_H
#define HTTPD_WALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "httpd/shape.h"
#include "resp/reader.h"

/* What a level of the reply is written as. */
enum walk_mode {
	WALK_ARRAY,
	WALK_MAP,   /* object; elements are key, value, key … */
	WALK_TUPLE, /* object with names from the shape */
	WALK_PLACE, /* object with names by type */
	WALK_PAIRS, /* object; each element is an array of two … */
	WALK_PAIR,  /* … which has no brackets of its own */
};

struct walk_frame {
	const struct shape *shape;
	uint64_t left; /* elements to come */
	uint64_t at;   /* elements done */
	uint8_t mode;  /* enum walk_mode */
	bool wrote;    /* JSON: something, the next element needs a comma */
	uint8_t pairs; /* MessagePack, TUPLE: written so far … */
	size_t mark;   /* … and where their number stands */
};

/* Embedded; large, so not wiped as a whole. */
struct walk {
	const struct shape *shape; /* of the whole reply */
	size_t depth;
	struct walk_frame frames[RESP_READER_DEPTH];
};

static inline struct walk_frame *
walk_top(struct walk *w)
{
	return w->depth > 0 ? &w->frames[w->depth - 1] : NULL;
}

static inline bool
walk_is_key_place(const struct walk_frame *f)
{
	return f != NULL &&
	       ((f->mode == WALK_MAP && f->at % 2 == 0) || (f->mode == WALK_PAIR && f->at == 0));
}

/* A pair of more than two. */
static inline bool
walk_is_out_of_place(const struct walk_frame *f)
{
	return f != NULL && f->mode == WALK_PAIR && f->at >= 2;
}

/* An element that the shape leaves out. */
static inline bool
walk_leaves_out(const struct walk_frame *f, enum resp_type type)
{
	return f != NULL && f->mode == WALK_TUPLE &&
	       (f->at >= f->shape->field_count || (type == RESP_NULL && f->shape->skip_null));
}

/* The name that the next element has by its shape, or NULL. */
const char *walk_name(const struct walk_frame *f, enum resp_type type);
/*
 * An aggregate begins: a level more, with left, mode and shape set. NULL when it is deeper than can be told or
 * stands where none may.
 */
struct walk_frame *walk_open(struct walk *w, enum resp_type type, uint64_t count);

/* The next "key:value" of INFO's text; lines that begin with '#' have none. False at its end. */
bool walk_info_next(struct slice *text, struct slice *ret_key, struct slice *ret_value);

#endif
