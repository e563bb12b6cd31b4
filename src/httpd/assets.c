#include "httpd/assets.h"

#include <string.h>

#include "base/defs.h"
#include "http/gzip.h"
#include "http/response.h"
#include "httpd/answer.h"
#include "httpd/exchange.h"
#include "httpd/route.h"
#include "httpd/session.h"

#define PREFIX "/ui"
#define POLICY                                                                                     \
	"default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data: blob:; "    \
	"connect-src 'self'; "                                                                     \
	"base-uri 'none'; form-action 'none'; frame-ancestors 'none'"

static const struct asset page[] = {
    {.name = NULL},
#ifdef WITH_UI
#include "ui/dist/assets.inc"
#endif
};

const struct asset *
assets_find(struct slice target)
{
	const uint8_t *mark = memchr(target.ptr, '?', target.len);
	size_t len = mark != NULL ? (size_t)(mark - target.ptr) : target.len;
	struct slice name = {
	    target.ptr + sizeof(PREFIX), len > sizeof(PREFIX) ? len - sizeof(PREFIX) : 0};

	if (len < sizeof(PREFIX)) {
		return ARRAY_LEN(page) > 1 ? &page[0] : NULL;
	}
	if (name.len == 0) {
		name = SLICE_LIT("index.html");
	}
	for (size_t i = 1; i < ARRAY_LEN(page); i++) {
		if (strlen(page[i].name) == name.len &&
		    memcmp(page[i].name, name.ptr, name.len) == 0) {
			return &page[i];
		}
	}
	return NULL;
}

static int
add_headers(struct exchange *x, struct http_response *r, const struct asset *a)
{
	static const struct {
		const char *name, *value;
	} fixed[] = {
	    {"Content-Security-Policy", POLICY},
	    {"X-Content-Type-Options", "nosniff"},
	    {"Referrer-Policy", "no-referrer"},
	    {"Cross-Origin-Opener-Policy", "same-origin"},
	    {"Vary", "Accept-Encoding"},
	};
	int err = http_response_header(r, "Cache-Control",
	    slice_str(a->hashed ? "public, max-age=31536000, immutable" : "no-cache"));

	for (size_t i = 0; err == 0 && i < ARRAY_LEN(fixed); i++) {
		err = http_response_header(r, fixed[i].name, slice_str(fixed[i].value));
	}
	if (err == 0 && x->status == 200 && x->wants_gzip) {
		err = http_response_header(r, "Content-Encoding", SLICE_LIT("gzip"));
	}
	return err;
}

static int
respond(struct exchange *x, struct http_response *r, const struct asset *a)
{
	struct slice gzip = {a->gzip, a->gzip_bytes};
	bool whole = x->status == 200 && x->verb != HTTP_VERB_HEAD;
	int err = exchange_respond(x, r, x->status, slice_str(a->type));

	if (err == 0) {
		err = add_headers(x, r, a);
	}
	if (err == 0) {
		err =
		    http_response_known(r, a->tag, true, x->wants_gzip ? a->gzip_bytes : a->bytes);
	}
	if (err == 0 && whole) {
		x->bytes = x->wants_gzip ? a->gzip_bytes : a->bytes;
		err =
		    x->wants_gzip ? buf_add_slice(r->out, gzip) : gzip_undo(r->out, gzip, a->bytes);
	}
	return err;
}

static int
redirect(struct exchange *x, struct http_response *r)
{
	int err = exchange_respond(x, r, 302, (struct slice){0});

	if (err == 0) {
		err = http_response_header(r, "Location", SLICE_LIT(PREFIX "/"));
	}
	return err < 0 ? err : http_response_known(r, NULL, false, 0);
}

void
assets_answer(struct exchange *x)
{
	struct http_response r;
	int err;

	if (x->asset == NULL) {
		answer_error(x, 404,
		    ARRAY_LEN(page) > 1
			? "the page has no such file"
			: "this build has no page: it was configured with --disable-ui");
		return;
	}
	err = x->asset->name == NULL ? redirect(x, &r) : respond(x, &r, x->asset);
	if (err < 0) {
		http_response_abort(&r);
		x->session->broken = true;
	}
}
