/*
 * The operator's page at /ui/: files that are part of the binary, compressed (made by src/ui/build.mjs; none when configured with
 * --disable-ui). They are the same for everyone and hold nothing of value, so whoever reaches the listener gets them; what the page
 * then asks for is api.h's matter. Its Content-Security-Policy lets it run its own script and ask its own server, and nothing else.
 */
#ifndef HTTPD_ASSETS_H
#define HTTPD_ASSETS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

struct exchange;

struct asset {
	const char *name; /* the path behind /ui/; NULL: the redirect of /ui to /ui/ */
	const char *type;
	const uint8_t *gzip;
	size_t gzip_bytes, bytes; /* compressed, and not */
	const char *tag;          /* MD5 of the compressed bytes, in hex */
	bool hashed;              /* its name tells its content: it never changes */
};

/* What stands at a target ("/ui/app.js?x"), static; NULL: nothing does. */
const struct asset *assets_find(struct slice target);
/* Answers with x->asset: x->status is 200 or 304, x->wants_gzip what the client takes. Writes one whole response. */
void assets_answer(struct exchange *x);

#endif
