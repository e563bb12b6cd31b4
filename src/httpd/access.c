#include "httpd/access.h"

#include "http/uri.h"

static bool
is_our_host(const struct access_rules *rules, struct slice host)
{
	if (uri_host_is_address(host) || uri_host_is(host, "localhost")) {
		return true;
	}
	for (size_t i = 0; i < rules->host_count; i++) {
		if (strcmp(rules->hosts[i], "*") == 0 || uri_host_is(host, rules->hosts[i])) {
			return true;
		}
	}
	return false;
}

static bool
any_origin(const struct access_rules *rules)
{
	return rules->cors_origin != NULL && strcmp(rules->cors_origin, "*") == 0;
}

/* "http://authority" or "https://authority", with more behind it where `prefix` says so. */
static bool
is_from(struct slice url, struct slice authority, bool prefix)
{
	static const char *const schemes[] = {"http://", "https://"};

	for (size_t i = 0; i < 2; i++) {
		size_t len = strlen(schemes[i]);
		size_t whole = len + authority.len;

		if (url.len < whole || strncasecmp((const char *)url.ptr, schemes[i], len) != 0 ||
		    strncasecmp((const char *)url.ptr + len, (const char *)authority.ptr,
			authority.len) != 0) {
			continue;
		}
		return url.len == whole || (prefix && url.ptr[whole] == '/');
	}
	return false;
}

static bool
is_welcome_origin(
    const struct access_rules *rules, const struct http_request *req, struct slice origin)
{
	if (any_origin(rules) ||
	    (rules->cors_origin != NULL && slice_caseeq(origin, rules->cors_origin))) {
		return true;
	}
	return req->authority.len > 0 && is_from(origin, req->authority, false);
}

static bool
is_welcome_referer(
    const struct access_rules *rules, const struct http_request *req, struct slice url)
{
	if (req->authority.len > 0 && is_from(url, req->authority, true)) {
		return true;
	}
	if (rules->cors_origin != NULL) {
		size_t len = strlen(rules->cors_origin);

		return url.len > len && url.ptr[len] == '/' &&
		       strncasecmp((const char *)url.ptr, rules->cors_origin, len) == 0;
	}
	return false;
}

/*
 * Origin comes with what scripts and forms send, Sec-Fetch-Site with everything a present browser
 * sends to an address that it trusts, Referer with most of the rest. The first that is there decides,
 * since the later ones are only weaker words about the same thing.
 */
static bool
is_foreign_page(const struct access_rules *rules, const struct http_request *req)
{
	const struct http_header *site, *referer;
	bool named = false;

	if (any_origin(rules)) {
		return false;
	}
	for (size_t i = 0; i < req->header_count; i++) {
		if (slice_caseeq(req->headers[i].name, "origin")) {
			if (!is_welcome_origin(rules, req, req->headers[i].value)) {
				return true;
			}
			named = true;
		}
	}
	if (named) {
		return false;
	}
	site = http_header_find(req, "sec-fetch-site");
	if (site != NULL) {
		return !slice_eq(site->value, "none") && !slice_eq(site->value, "same-origin");
	}
	referer = http_header_find(req, "referer");
	return referer != NULL && referer->value.len > 0 &&
	       !is_welcome_referer(rules, req, referer->value);
}

enum access_verdict
access_check(const struct access_rules *rules, const struct http_request *req)
{
	struct slice host, port;

	if (req->authority.len > 0) {
		if (!uri_split_authority(req->authority, &host, &port)) {
			return ACCESS_BAD_HOST;
		}
		if (!is_our_host(rules, host)) {
			return ACCESS_FOREIGN_HOST;
		}
	}
	return is_foreign_page(rules, req) ? ACCESS_FOREIGN_PAGE : ACCESS_OK;
}

const char *
access_text(enum access_verdict verdict)
{
	switch (verdict) {
	case ACCESS_OK:
		break;
	case ACCESS_BAD_HOST:
		return "the Host header is malformed";
	case ACCESS_FOREIGN_HOST:
		return "this server is not known under the name in the Host header; reach it by "
		       "its "
		       "address or as localhost, or add the name to http.hosts. Unknown names are "
		       "refused because a web page could lead its own name to this address and "
		       "then "
		       "read and write here";
	case ACCESS_FOREIGN_PAGE:
		return "another web site made this request (Origin, Sec-Fetch-Site or Referer); "
		       "such "
		       "requests are refused because they could read and write here without the "
		       "user's knowledge. Name the site in http.cors_origin to allow it";
	}
	return "";
}

bool
access_wants_cors(const struct access_rules *rules, const struct http_request *req)
{
	const struct http_header *origin = http_header_find(req, "origin");

	return any_origin(rules) || (rules->cors_origin != NULL && origin != NULL &&
					slice_caseeq(origin->value, rules->cors_origin));
}
