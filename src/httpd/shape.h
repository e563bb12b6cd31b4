/*
 * What a command's reply means, where Webdis gives it as something else than nested arrays. A shape is
 * const data; a reply that does not fit (an error, a nil, a string where an array was meant) is given
 * plainly, so the result is valid JSON whatever comes.
 */
#ifndef HTTPD_SHAPE_H
#define HTTPD_SHAPE_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"

enum shape_kind {
	SHAPE_PLAIN, /* arrays are arrays */
	SHAPE_INFO, /* a text of key:value lines → object; lines that begin with '#' are dropped */
	SHAPE_MAP,  /* key, value, key, value … → object of `of` */
	SHAPE_LIST,  /* array of `of` */
	SHAPE_PAIRS, /* array of [key, value] → object of `of` */
	SHAPE_TUPLE, /* fixed fields → object with `fields` */
	SHAPE_PLACE, /* name first, then by type: bulk "dist", integer "hash", array "coords" */
};

struct shape;

struct shape_field {
	const char *name;
	const struct shape *of;
};

struct shape {
	enum shape_kind kind;
	bool skip_null; /* TUPLE: a field that is nil is left out */
	const struct shape *of;
	const struct shape_field *fields;
	size_t field_count;
};

extern const struct shape shape_plain;
extern const struct shape shape_message; /* one entry of a stream */

/* Never NULL. `argc` counts the name. */
const struct shape *shape_of(struct slice command, size_t argc);

#endif
