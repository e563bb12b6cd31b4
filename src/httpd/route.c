#include "httpd/route.h"

#include "base/defs.h"
#include "httpd/answer.h"
#include "httpd/assets.h"

static const struct route routes[] = {
#define ROUTE(path, match, flags, answer, words)                                                   \
	{path, sizeof(path) - 1, match, flags, answer, words},
#include "httpd/routes.def"
#undef ROUTE
};

const struct route *
route_find(struct slice target)
{
	struct slice path = target;
	const uint8_t *mark = target.len > 0 ? memchr(target.ptr, '?', target.len) : NULL;

	if (mark != NULL) {
		path.len = (size_t)(mark - target.ptr);
	}
	if (path.len == 0) {
		path = SLICE_LIT("/"); /* "GET http://host" */
	}
	for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
		const struct route *r = &routes[i];

		if (path.len < r->path_len || memcmp(path.ptr, r->path, r->path_len) != 0) {
			continue;
		}
		if (path.len == r->path_len ||
		    (r->match == ROUTE_BELOW && path.ptr[r->path_len] == '/')) {
			return r;
		}
	}
	return NULL;
}

size_t
route_count(void)
{
	return ARRAY_LEN(routes);
}

const struct route *
route_at(size_t i)
{
	return i < ARRAY_LEN(routes) ? &routes[i] : NULL;
}
