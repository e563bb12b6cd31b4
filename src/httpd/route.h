/* Which paths are not commands: the table routes.def. */
#ifndef HTTPD_ROUTE_H
#define HTTPD_ROUTE_H

#include "base/slice.h"

struct exchange;

enum route_match { ROUTE_EXACT, ROUTE_BELOW /* the path, and everything below it */ };
enum route_flag { ROUTE_OPEN = 1 << 0, ROUTE_API = 1 << 1, ROUTE_PAGE = 1 << 2 };

struct route {
	const char *path;
	size_t path_len;
	enum route_match match;
	unsigned flags;
	void (*answer)(struct exchange *x); /* answer.h */
	const char *words;
};

/* The row for a target ("/path?query"), or NULL: a command. */
const struct route *route_find(struct slice target);
/* The rows, from 0 to route_count() - 1. */
size_t route_count(void);
const struct route *route_at(size_t i);

#endif
