/*
 * May this request reach Redis at all, by where it says it comes from? Pure decisions, no state.
 *
 * Any page that a browser shows can make it send a GET to 127.0.0.1, and here a GET can write. So a
 * request is refused when it names a host that is not ours (a name of the attacker's that was rebound
 * to our address) or when the browser says that another site made it. Programs that are no browsers
 * send none of these headers and a plain Host, and notice nothing.
 */
#ifndef HTTPD_ACCESS_H
#define HTTPD_ACCESS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/slice.h"
#include "http/parser.h"

struct access_rules {
	const char *const
	    *hosts; /* names that are ours besides addresses and localhost; "*": any */
	size_t host_count;
	const char *cors_origin; /* pages from there are welcome; "*": from anywhere; NULL: none */
};

enum access_verdict {
	ACCESS_OK,
	ACCESS_BAD_HOST,     /* not understood */
	ACCESS_FOREIGN_HOST, /* DNS rebinding */
	ACCESS_FOREIGN_PAGE, /* Origin, Sec-Fetch-Site or Referer of another site */
};

enum access_verdict access_check(const struct access_rules *rules, const struct http_request *req);
/* What to tell the client: what was wrong, and what to do. Empty for ACCESS_OK. */
const char *access_text(enum access_verdict verdict);
/* Is the page that asks one of those that http.cors_origin names? Its browser wants to be told. */
bool access_wants_cors(const struct access_rules *rules, const struct http_request *req);

#endif
