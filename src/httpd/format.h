/* In what form a reply is given: the table formats.def. */
#ifndef HTTPD_FORMAT_H
#define HTTPD_FORMAT_H

#include "base/slice.h"

enum render_kind { RENDER_JSON, RENDER_RAW, RENDER_BARE, RENDER_MSGPACK };

struct format {
	const char *extension;
	enum render_kind kind;
	struct slice content_type;
};

/* For requests without an extension. */
const struct format *format_default(void);
/* A row by its extension (exact), or NULL. */
const struct format *format_find(struct slice extension);

#endif
