/* What is to be done for a request: refused, answered here, or sent to the master. */
#ifndef HTTPD_REQUEST_H
#define HTTPD_REQUEST_H

#include <stdbool.h>

#include "http/parser.h"
#include "httpd/format.h"

struct exchange;
struct session;

/* May the request come in at all, by its path, its method and where it comes from? */
bool request_is_welcome(
    struct session *s, const struct http_request *req, struct http_fault *ret_fault);
/* Makes the exchange LOCAL or WAITING. Slices of `req` are not needed afterwards. */
void request_begin(struct exchange *x, struct http_request *req);

/*
 * A command of a WebSocket, which stands in h->resp: reads it into x->call and asks the rules. 0, or -EACCES with the
 * fault. Then request_dispatch makes the exchange WAITING or SENT, or LOCAL with a fault.
 */
int request_from_message(
    struct exchange *x, enum render_kind kind, struct http_fault *ret_fault) ATTR_WARN_UNUSED;
void request_dispatch(struct exchange *x);

#endif
