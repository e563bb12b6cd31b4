#include "httpd/reply_status.h"

#include "base/defs.h"

/* REPLY_STATUS(first word of the error, status): all others are 400. */
static const struct {
	struct slice word;
	unsigned status;
} rows[] = {
#define REPLY_STATUS(word, status) {SLICE_LIT("-" word), status},
#include "httpd/reply_status.def"
#undef REPLY_STATUS
};

unsigned
reply_status(struct slice raw)
{
	if (raw.len == 0 || (raw.ptr[0] != '-' && raw.ptr[0] != '$' && raw.ptr[0] != '*')) {
		return 200;
	}
	if (raw.ptr[0] != '-') {
		return raw.len >= 3 && raw.ptr[1] == '-' ? 404 : 200;
	}
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		struct slice word = rows[i].word;

		if (raw.len > word.len && memcmp(raw.ptr, word.ptr, word.len) == 0 &&
		    (raw.ptr[word.len] == ' ' || raw.ptr[word.len] == '\r')) {
			return rows[i].status;
		}
	}
	return 400;
}

unsigned
reply_status_local(struct slice raw)
{
	static const char uncertain[] = "-UNCERTAIN";

	return raw.len >= sizeof(uncertain) - 1 &&
		       memcmp(raw.ptr, uncertain, sizeof(uncertain) - 1) == 0
		   ? 502
		   : 503;
}
