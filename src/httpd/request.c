#include "httpd/request.h"

#include <errno.h>

#include "conf/conf.h"
#include "httpd/access.h"
#include "httpd/answer.h"
#include "httpd/exchange.h"
#include "httpd/route.h"
#include "httpd/session.h"

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

/* At "/" stands what http.default_root says. */
static bool
is_default_root(const struct httpd *h, const struct route *route, const struct http_request *req)
{
	return route != NULL && route->answer == answer_root &&
	       h->conf->http_default_root != NULL &&
	       (req->verb == HTTP_VERB_GET || req->verb == HTTP_VERB_HEAD);
}

static bool
check(struct httpd *h, const struct http_request *req, const struct route *route,
    struct http_fault *fault)
{
	if (route == NULL || !(route->flags & ROUTE_OPEN)) {
		enum access_verdict v = access_check(&h->rules, req);

		if (v != ACCESS_OK) {
			*fault =
			    (struct http_fault){v == ACCESS_BAD_HOST ? 400 : 403, access_text(v)};
			return false;
		}
	}
	if (req->verb == HTTP_VERB_OPTIONS) {
		return true;
	}
	if (!is_command_verb(req->verb) ||
	    (is_route(route, req) && route->answer != answer_reserved &&
		req->verb != HTTP_VERB_GET && req->verb != HTTP_VERB_HEAD)) {
		*fault = (struct http_fault){405, "this method is not served here; see Allow"};
		return false;
	}
	return true;
}

bool
request_is_welcome(struct httpd *h, const struct http_request *req, struct http_fault *ret_fault)
{
	return check(h, req, route_find(req->target), ret_fault);
}

static void
answer_locally(struct exchange *x, void (*answer)(struct exchange *x), struct http_fault fault)
{
	x->state = EXCHANGE_LOCAL;
	x->answer = answer;
	x->fault = fault;
}

/* The command stands in h->resp: keeps what the exchange needs of it. */
static int
take_command(struct exchange *x, struct http_request *req)
{
	struct httpd *h = x->httpd;
	int err = exchange_take(x, req);

	x->state = EXCHANGE_WAITING;
	x->status = 200;
	if (err == 0 && x->call.tail.len > 0) {
		err = http_reader_take_body(&x->session->reader, req, &x->body);
		x->call.tail = buf_slice(&x->body);
	}
	if (err < 0) {
		return err;
	}
	x->session->unsent++; /* until it is sent */
	x->pieces = x->call.tail.len > 0 || buf_len(&h->resp) > PIECES_FROM;
	if (x->pieces) {
		x->call.way = CALL_OWN;
		x->request = h->resp;
		buf_init(&h->resp, 0);
		return 0;
	}
	if (x->call.way == CALL_SHARED) {
		exchange_find_lane(x);
		if (x->session->queued == 0 && exchange_send_now(x, buf_slice(&h->resp))) {
			return 0;
		}
	}
	return buf_add_slice(&x->request, buf_slice(&h->resp));
}

void
request_begin(struct exchange *x, struct http_request *req)
{
	struct httpd *h = x->httpd;
	const struct route *route = route_find(req->target);
	struct http_fault fault = {0};
	int err;

	x->verb = req->verb;
	x->old_keep_alive = req->minor == 0 && req->keep_alive;
	x->wants_cors = access_wants_cors(&h->rules, req);
	if (!check(h, req, route, &fault)) {
		answer_locally(x, answer_fault, fault);
		return;
	}
	if (req->verb == HTTP_VERB_OPTIONS) {
		answer_locally(x, answer_options, fault);
		return;
	}
	if (is_default_root(h, route, req)) {
		req->target = slice_str(h->conf->http_default_root);
	} else if (is_route(route, req) || (route != NULL && req->body.len == 0)) {
		x->route = route;
		answer_locally(x, route->answer, fault);
		return;
	}
	buf_clear(&h->resp);
	err = call_read(req, h->conf->http_database, &h->resp, &x->text, &x->call, &fault);
	if (err == 0) {
		err = call_admit(&x->call, (const char *const *)h->conf->proxy_allow.items,
		    h->conf->proxy_allow.count, &fault);
	}
	if (err == 0) {
		err = take_command(x, req);
		fault = (struct http_fault){503, "out of memory"};
	} else if (err != -EBADMSG && err != -EACCES) {
		fault = (struct http_fault){503, "out of memory"};
	}
	if (err < 0) {
		answer_locally(x, answer_fault, fault);
	}
}
