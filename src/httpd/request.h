/* What is to be done for a request: refused, answered here, or sent to the master. */
#ifndef HTTPD_REQUEST_H
#define HTTPD_REQUEST_H

#include <stdbool.h>

#include "http/parser.h"

struct exchange;
struct httpd;

/* May the request come in at all, by its path, its method and where it comes from? */
bool request_is_welcome(
    struct httpd *h, const struct http_request *req, struct http_fault *ret_fault);
/* Makes the exchange LOCAL or WAITING. Slices of `req` are not needed afterwards. */
void request_begin(struct exchange *x, struct http_request *req);

#endif
