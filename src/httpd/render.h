/*
 * Turns one reply into the body of a response, in the asked form, as the reply comes. Until the last piece was fed
 * `out` holds a part of it.
 */
#ifndef HTTPD_RENDER_H
#define HTTPD_RENDER_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/defs.h"
#include "base/slice.h"
#include "httpd/format.h"
#include "httpd/jsonout.h"
#include "httpd/msgout.h"
#include "httpd/shape.h"
#include "resp/reader.h"

/* What is to be made of the reply; slices are borrowed and outlive the render. */
struct render_wish {
	enum render_kind kind;
	const struct shape *shape; /* JSON and MSGPACK */
	struct slice command;      /* likewise: the object's key */
	struct slice jsonp;        /* JSON: wrapped in a call of this function; empty: not */
	struct slice separator;    /* BARE: between the elements of an array */
	bool base64;               /* JSON: strings of data are given so */
};

/* Embedded; large, so not wiped as a whole. */
struct render {
	const struct render_wish *wish; /* borrowed */
	struct buf *out;                /* borrowed */
	int err;
	bool is_nil; /* BARE: there is no value, which is a 404 */
	uint64_t at; /* BARE: elements seen */
	bool skips;  /* BARE: the present string is not an element of the outer array */
	struct resp_reader reader;
	union {
		struct jsonout json;
		struct msgout msg;
	};
};

void render_init(struct render *r, const struct render_wish *wish, struct buf *out);
void render_fini(struct render *r);
/* The next piece of the reply. 0, -EBADMSG (no RESP, deeper than can be told, ends elsewhere), or buf.h's errors. */
int render_feed(struct render *r, struct slice raw, bool last) ATTR_WARN_UNUSED;

#endif
