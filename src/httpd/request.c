#include "httpd/request.h"

#include <errno.h>

#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "http/gzip.h"
#include "http/uri.h"
#include "httpd/access.h"
#include "httpd/answer.h"
#include "httpd/api.h"
#include "httpd/assets.h"
#include "httpd/batch.h"
#include "httpd/events.h"
#include "httpd/exchange.h"
#include "httpd/route.h"
#include "httpd/jsonin.h"
#include "httpd/session.h"
#include "httpd/site.h"
#include "httpd/ws.h"

/* Larger requests travel in pieces over a connection of their own, so that nobody waits behind them. */
#define PIECES_FROM ((size_t)1024 * 1024)

static bool
is_command_verb(enum http_verb verb)
{
	return verb == HTTP_VERB_GET || verb == HTTP_VERB_HEAD || verb == HTTP_VERB_POST ||
	       verb == HTTP_VERB_PUT;
}

/* The path is no command's, whatever comes. At "/" a POST brings its command in the body. */
static bool
is_route(const struct route *route, const struct http_request *req)
{
	return route != NULL && !(route->answer == answer_root && req->verb == HTTP_VERB_POST);
}

/* The methods of a path, for Allow. NULL: there is nothing at it. */
static const char *
methods_of(const struct route *route, const struct http_request *req)
{
	if (route == NULL) {
		return ANSWER_ALLOW;
	}
	if ((route->flags & ROUTE_API) != 0) {
		return api_methods(uri_split(req->target).path);
	}
	return route->answer == answer_root ? "GET,POST,OPTIONS,HEAD" : "GET,OPTIONS,HEAD";
}

/* At "/" stands what default_root says. */
static bool
is_default_root(const char *root, const struct route *route, const struct http_request *req)
{
	return route != NULL && route->answer == answer_root && root != NULL &&
	       (req->verb == HTTP_VERB_GET || req->verb == HTTP_VERB_HEAD);
}

/* Under this name, at this address? */
static bool
is_served(struct session *s, const struct http_request *req, const struct route *route)
{
	const struct httpd *h = s->httpd;
	const struct conf_site *site = site_find(h->conf, req->authority, s->at);
	const char *root = site_default_root(h->conf, site);

	if (is_default_root(root, route, req) && !ws_is_asked(h, req)) {
		route = route_find(slice_str(root)); /* what stands there counts */
	}
	return site_serves(h->conf, site, route);
}

/* It is a page that attacks, or a name that is missing in our settings: which one says the log, by default too. */
static void
note_foreign(struct session *s, const struct http_request *req)
{
	const struct http_header *origin = http_header_find(req, "origin");
	char peer[ENDPOINT_TEXT_SIZE];

	log_peer(LOG_WARN,
	    "a request under a foreign name or of a foreign page is refused (http.hosts and "
	    "http.cors_origin "
	    "let it in) client=%s host=%s origin=%s",
	    conn_peer(s->conn, peer), LOG_QUOTE(req->authority),
	    LOG_QUOTE(origin != NULL ? origin->value : SLICE_LIT("")));
}

static bool
check(struct session *s, const struct http_request *req, const struct route *route,
    struct http_fault *fault)
{
	struct httpd *h = s->httpd;

	if (route == NULL || !(route->flags & ROUTE_OPEN)) {
		struct access_rules rules = h->rules;
		enum access_verdict v;

		if (route != NULL && (route->flags & ROUTE_API) != 0) {
			rules.cors_origin = NULL; /* only our own page may steer */
		}
		v = access_check(&rules, req);

		if (v != ACCESS_OK) {
			note_foreign(s, req);
			*fault = (struct http_fault){.status = v == ACCESS_BAD_HOST ? 400 : 403,
			    .why = v == ACCESS_FOREIGN_PAGE && rules.cors_origin == NULL &&
					   h->rules.cors_origin != NULL
				       ? "a page of another site made this request; the operator's "
					 "interface is for its own page and for programs alone, "
					 "whatever http.cors_origin says"
				       : access_text(v)};
			return false;
		}
	}
	if (!is_served(s, req, route)) {
		*fault = (struct http_fault){.status = 404,
		    .why = "this is not served under this name at this address (http.serves, "
			   "site-NAME)"};
		return false;
	}
	if (req->verb == HTTP_VERB_OPTIONS || (route != NULL && (route->flags & ROUTE_API) != 0)) {
		return true;
	}
	if (!is_command_verb(req->verb) ||
	    (is_route(route, req) && req->verb != HTTP_VERB_GET && req->verb != HTTP_VERB_HEAD)) {
		*fault = (struct http_fault){
		    .status = 405, .why = "this method is not served here; see Allow"};
		return false;
	}
	return true;
}

bool
request_is_welcome(struct session *s, const struct http_request *req, struct http_fault *ret_fault)
{
	return check(s, req, route_find(req->target), ret_fault);
}

static const struct acl_address *
peer_of(struct session *s)
{
	char text[ENDPOINT_TEXT_SIZE];

	if (!s->peer_known) {
		s->peer = acl_address_of(conn_peer(s->conn, text));
		s->peer_known = true;
	}
	return &s->peer;
}

/*
 * 0, or -EACCES with the fault: an access rule forbids the command. Credentials that are of no rule are those of a user of
 * Redis, where that is wanted.
 */
static int
check_rules(struct exchange *x, struct slice authorization, struct http_fault *fault)
{
	const struct httpd *h = x->httpd;
	uint8_t text[ACL_CREDENTIALS_MAX];
	struct acl_client client = {0};
	int err = 0;

	if (h->acl == NULL && (!h->conf->http_redis_users || authorization.len == 0)) {
		return 0;
	}
	client.address = peer_of(x->session);
	(void)acl_credentials(authorization, text, &client);
	if (h->conf->http_redis_users && authorization.len > 0 && client.user.len == 0) {
		/* not as nobody in particular: the client takes itself for somebody */
		*fault = (struct http_fault){.status = 401,
		    .why = "the Authorization header names no user: Basic or Bearer takes "
			   "user:password in base64"};
		err = -EACCES;
	} else if (!acl_allows(h->acl, &client, x->call.wish.command, x->call.command)) {
		*fault = (struct http_fault){
		    .status = 403, .why = "an access rule (acl-NAME) forbids this command to you"};
		err = -EACCES;
	} else if (h->conf->http_redis_users && client.user.len > 0 && buf_len(&x->secret) == 0 &&
		   !acl_knows(h->acl, &client)) {
		x->user_len = client.user.len;
		err = buf_add_slice(&x->secret, client.user);
		if (err == 0) {
			err = buf_add_slice(&x->secret, client.password);
		}
	}
	explicit_bzero(text, sizeof(text));
	return err;
}

static bool
accepts_events(const struct http_request *req)
{
	const struct http_header *accept = http_header_find(req, "accept");

	struct slice rest = accept != NULL ? accept->value : (struct slice){0}, item, type;

	while (http_next_item(
	    &rest, ',', &item)) { /* what stands behind a semicolon changes nothing */
		if (http_next_item(&item, ';', &type) && slice_caseeq(type, "text/event-stream")) {
			return true;
		}
	}
	return false;
}

static struct slice
authorization_of(const struct http_request *req)
{
	const struct http_header *header = http_header_find(req, "authorization");

	return header != NULL ? header->value : (struct slice){0};
}

static void
answer_locally(struct exchange *x, void (*answer)(struct exchange *x), struct http_fault fault)
{
	x->state = EXCHANGE_LOCAL;
	x->answer = answer;
	x->fault = fault;
}

/* The command stands in h->resp: on its way, or kept until it may go. */
static int
dispatch(struct exchange *x)
{
	struct httpd *h = x->httpd;
	int err;

	x->state = EXCHANGE_WAITING;
	x->status = 200;
	if (x->call.way == CALL_STREAM) {
		x->state = EXCHANGE_STREAMING;
		return buf_add_slice(&x->request, buf_slice(&h->resp));
	}
	if (x->call.timeout_ms > 0) {
		x->limit_ms = clock_mono_ms() + x->call.timeout_ms;
		x->call.way = CALL_OWN; /* a lane that may be closed when it is over */
	}
	if (x->batch != NULL) {
		if (x->call.way == CALL_SHARED) {
			exchange_find_lane(x);
		}
		x->session->unsent++;
		return 0;
	}
	x->pieces = x->call.tail.len > 0 || buf_len(&h->resp) > PIECES_FROM;
	if (x->pieces) {
		x->call.way = x->call.way == CALL_SESSION ? CALL_SESSION : CALL_OWN;
		x->request = h->resp;
		buf_init(&h->resp, 0);
		x->session->unsent++; /* until it is sent */
		return 0;
	}
	if (x->call.way == CALL_SHARED) {
		exchange_find_lane(x);
		if (exchange_send_now(x, buf_slice(&h->resp))) {
			return 0;
		}
	}
	err = buf_add_slice(&x->request, buf_slice(&h->resp));
	if (err == 0) {
		x->session->unsent++;
	}
	return err;
}

/* The same, and what the answer will need of the request is kept. */
static int
take_command(struct exchange *x, struct http_request *req)
{
	int err = exchange_take(x, req);

	if (err == 0 && x->call.tail.len > 0) {
		err = http_reader_take_body(&x->session->reader, req, &x->body);
		x->call.tail = buf_slice(&x->body);
	}
	return err < 0 ? err : dispatch(x);
}

int
request_from_message(struct exchange *x, enum render_kind kind, struct http_fault *ret_fault)
{
	struct httpd *h = x->httpd;
	struct session *s = x->session;
	int err = call_read_resp(buf_slice(&h->resp), s->database, kind, &x->text, &x->call);

	if (err == 0) {
		err = check_rules(x, buf_slice(&s->authorization), ret_fault);
	} else {
		*ret_fault = (struct http_fault){.status = 503, .why = "out of memory"};
	}
	if (err == 0) {
		/* subscriptions are the WebSocket's own business */
		err = call_admit(&x->call, (const char *const *)h->conf->proxy_allow.items,
		    h->conf->proxy_allow.count, true, ret_fault);
	}
	return err;
}

void
request_dispatch(struct exchange *x)
{
	session_note_state(x);
	if (dispatch(x) < 0) {
		answer_locally(
		    x, answer_fault, (struct http_fault){.status = 503, .why = "out of memory"});
	}
}

static int
admit(struct exchange *x, struct http_fault *fault)
{
	const struct conf *c = x->httpd->conf;

	return call_admit(&x->call, (const char *const *)c->proxy_allow.items, c->proxy_allow.count,
	    false, fault);
}

/* One command of a JSON body. */
static int
check_item(struct exchange *x, struct http_fault *fault)
{
	int err = check_rules(x, x->authorization, fault);

	return err < 0 ? err : admit(x, fault);
}

/* If-Range: our tag. False: a date, or a weak one, which is no condition for a part (RFC 9110 section 13.1.5). */
static bool
read_range_condition(struct exchange *x, const struct http_request *req)
{
	const struct http_header *tag = http_header_find(req, "if-range");

	if (tag == NULL) {
		return true;
	}
	if (tag->value.len != sizeof(x->range_tag) + 2 || tag->value.ptr[0] != '"') {
		return false;
	}
	memcpy(x->range_tag, tag->value.ptr + 1, sizeof(x->range_tag));
	x->range_has_tag = true;
	return true;
}

/*
 * "bytes=5-9", "bytes=5-" and "bytes=-5". Several at once and other units are answered with the whole, which is always
 * right.
 */
static void
read_range(struct exchange *x, const struct http_request *req)
{
	static const char unit[] = "bytes=";
	const struct http_header *range = http_header_find(req, "range");
	const uint8_t *dash;
	struct slice from, to;

	if (range == NULL || !read_range_condition(x, req) || range->value.len < sizeof(unit) ||
	    strncasecmp((const char *)range->value.ptr, unit, sizeof(unit) - 1) != 0) {
		return;
	}
	from = (struct slice){
	    range->value.ptr + sizeof(unit) - 1, range->value.len - sizeof(unit) + 1};
	dash = memchr(from.ptr, '-', from.len);
	if (dash == NULL) {
		return;
	}
	to = (struct slice){dash + 1, from.len - (size_t)(dash - from.ptr) - 1};
	from.len = (size_t)(dash - from.ptr);
	x->range_to = UINT64_MAX;
	x->range_is_tail = from.len == 0;
	x->wants_range = (from.len == 0 || slice_to_u64(from, &x->range_from)) &&
			 (to.len > 0 ? slice_to_u64(to, &x->range_to) : from.len > 0);
}

/* Of forms that are text; images are small already, and RESP is for programs that said so. */
static bool
accepts_gzip(const struct http_request *req, const struct call *call)
{
	static const char *const types[] = {
	    "text/", "application/json", "application/javascript", "application/xhtml+xml"};
	const struct http_header *accept = http_header_find(req, "accept-encoding");

	for (size_t i = 0; accept != NULL && i < ARRAY_LEN(types); i++) {
		size_t len = strlen(types[i]);

		if (call->content_type.len >= len &&
		    memcmp(call->content_type.ptr, types[i], len) == 0) {
			return gzip_is_accepted(accept->value);
		}
	}
	return false;
}

static int
read_json(struct exchange *x, const struct http_request *req, bool atomic, struct http_fault *fault)
{
	json_t *doc = NULL;
	int err = jsonin_load(req->body, x->httpd->limits.body_bytes, &doc);

	if (err == -E2BIG) {
		*fault = (struct http_fault){.status = 413,
		    .why = "the body has more values than http.max_request_bytes allows (one for "
			   "128 bytes)",
		    .warns = true};
		return -EBADMSG;
	}
	if (err < 0) {
		*fault = (struct http_fault){
		    .status = 400, .why = err == -ERANGE ? JSONIN_BEYOND : "the body is no JSON"};
		return -EBADMSG;
	}
	/* no name is longer than the body, so what is in `text` stays where it is */
	err = call_read_json(
	    req, x->httpd->conf->http_database, req->body.len, &x->text, &x->call, fault);
	if (err == 0) {
		x->authorization = authorization_of(req);
		err = batch_read(x, doc, atomic || x->call.atomic, check_item, fault);
		x->authorization = (struct slice){0};
	}
	json_decref(doc);
	return err;
}

static int
read_command(struct exchange *x, const struct http_request *req, struct http_fault *fault)
{
	struct httpd *h = x->httpd;
	bool atomic;
	int err;

	buf_clear(&h->resp);
	if (call_is_json(req, &atomic)) {
		return read_json(x, req, atomic, fault);
	}
	err = call_read(req, h->conf->http_database, &h->resp, &x->text, &x->call, fault);
	if (err == 0) {
		err = check_rules(x, authorization_of(req), fault);
	}
	if (err == 0) {
		err = admit(x, fault);
	}
	if (err == 0 && req->verb == HTTP_VERB_GET &&
	    events_are_asked(x, buf_slice(&h->resp), req)) {
		x->call.way = CALL_STREAM;
	}
	/* of what a command takes away (RPOP) the rest would be lost */
	x->has_ranges = err == 0 && x->call.wish.kind == RENDER_BARE &&
			x->call.way != CALL_STREAM && exchange_only_reads(x);
	if (x->has_ranges && req->verb == HTTP_VERB_GET) {
		read_range(x, req);
	}
	if (err == 0 && x->call.way == CALL_STREAM && req->verb == HTTP_VERB_HEAD) {
		x->allow = "GET,POST,PUT,OPTIONS";
		*fault = (struct http_fault){
		    .status = 405, .why = "a subscription has no end, and so no HEAD"};
		err = -EBADMSG;
	}
	return err;
}

/* A file of the page: which one, and in what form. */
static void
take_asset(struct exchange *x, const struct http_request *req)
{
	const struct http_header *tag = http_header_find(req, "if-none-match");
	const struct http_header *accept = http_header_find(req, "accept-encoding");

	x->asset = assets_find(req->target);
	x->wants_gzip = accept != NULL && gzip_is_accepted(accept->value);
	x->status = x->asset != NULL && x->asset->name != NULL && tag != NULL &&
			    http_tag_is_known(tag->value, x->asset->tag)
			? 304
			: 200;
}

void
request_begin(struct exchange *x, struct http_request *req)
{
	struct httpd *h = x->httpd;
	const struct route *route = route_find(req->target);
	struct http_fault fault = {0};
	const char *root;
	int err;

	x->began_us = backend_now_us(h->backend);
	x->verb = req->verb;
	x->old_version = req->minor == 0;
	x->wants_events = accepts_events(req);
	x->old_keep_alive = req->minor == 0 && req->keep_alive;
	x->wants_cors =
	    (route == NULL || (route->flags & ROUTE_API) == 0) && access_wants_cors(&h->rules, req);
	x->allow = methods_of(route, req);
	if (!check(x->session, req, route, &fault)) {
		answer_locally(x, answer_fault, fault);
		return;
	}
	if (req->verb == HTTP_VERB_OPTIONS) {
		answer_locally(x, answer_options, fault);
		return;
	}
	if (route != NULL && (route->flags & ROUTE_API) != 0) {
		x->route = route;
		api_take(x, req);
		return;
	}
	if (route != NULL && (route->flags & ROUTE_PAGE) != 0) {
		take_asset(x, req);
	}
	if (ws_is_asked(h, req)) {
		ws_prepare(x, req);
		return;
	}
	root = site_default_root(h->conf, site_find(h->conf, req->authority, x->session->at));
	if (is_default_root(root, route, req)) {
		req->target = slice_str(root);
		if (route_find(req->target) != NULL && root[1] != '\0') {
			buf_clear(&x->text);
			fault = (struct http_fault){.status = 503, .why = "out of memory"};
			answer_locally(x,
			    buf_add_str(&x->text, root) == 0 ? answer_elsewhere : answer_fault,
			    fault);
			return;
		}
	} else if (is_route(route, req) || (route != NULL && req->body.len == 0)) {
		x->route = route;
		answer_locally(x, route->answer, fault);
		return;
	}
	err = read_command(x, req, &fault);
	x->wants_gzip = err == 0 && accepts_gzip(req, &x->call);
	if (err == 0) {
		err = take_command(x, req);
		fault = (struct http_fault){.status = 503, .why = "out of memory"};
	} else if (err != -EBADMSG && err != -EACCES) {
		fault = (struct http_fault){.status = 503, .why = "out of memory"};
	}
	if (err < 0) {
		answer_locally(x, answer_fault, fault);
	}
}
