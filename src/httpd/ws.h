/*
 * A WebSocket on an HTTP connection, as Webdis has it: at "/" or "/.json" a message is a JSON array of strings and
 * numbers and its answer a JSON document; at "/.raw" both are RESP. Beyond Webdis the connection is the
 * session: MULTI, WATCH and SELECT work as they do on a connection to Redis.
 *
 *   message ─► exchange in the session's queue ─► lanes ─► answer as a message, in order
 *          └─► SUBSCRIBE and its kin ─► hub ─► messages between the answers
 */
#ifndef HTTPD_WS_H
#define HTTPD_WS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/defs.h"
#include "base/slice.h"
#include "http/parser.h"

/* RFC 6455 section 7.4.1, and its registry. */
enum {
	WS_NORMAL = 1000,
	WS_GOING_AWAY = 1001,
	WS_NO_CODE = 1005,
	WS_TOO_LARGE = 1009,
	WS_RESTART = 1012,
	WS_TRY_AGAIN = 1013
};

struct exchange;
struct httpd;
struct session;
struct ws;

/* Does the request ask for a WebSocket, at a place where there is one? */
bool ws_is_asked(const struct httpd *h, const struct http_request *req);
/* Makes the exchange the answer to it: the upgrade, or a fault. No further request may be read. */
void ws_prepare(struct exchange *x, const struct http_request *req);

/* Ends its subscriptions: no callback after this. */
void ws_leave(struct ws *ws);
/* Not from within ws_take. */
void ws_free(struct ws **ws);
/* What the client sent; returns how much was taken. May end the session. */
size_t ws_take(struct session *s, struct slice in);
/* An answer as a message. 0 or a negative errno. */
int ws_answer(struct ws *ws, struct slice message) ATTR_WARN_UNUSED;
/* One of our own: what is refused, and why. */
int ws_answer_error(struct ws *ws, unsigned status, const char *why) ATTR_WARN_UNUSED;
/* Says close; the session winds up. */
void ws_close(struct session *s, unsigned code, const char *why);
/* Nothing was heard for the time of a session: asks whether the client lives. False: it was asked before. */
bool ws_ask_alive(struct session *s);
size_t ws_held(const struct ws *ws);

#endif
