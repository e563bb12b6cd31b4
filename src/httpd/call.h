/*
 * From a request to a command: reads path, query and body as Webdis reads them, and decides how the
 * command may travel. Pure: knows neither client nor backend.
 *
 *   GET /7/SET/k/a%2fb.raw?type=…   → database 7, "*3 $3 SET $1 k $3 a/b", wish: raw
 *   POST / with "SET/k/v"           → the body is read like a path
 *   PUT /SET/k with bytes           → the body is the last argument, before those of ?args=EX/60
 */
#ifndef HTTPD_CALL_H
#define HTTPD_CALL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/command.h"
#include "base/buf.h"
#include "base/defs.h"
#include "base/slice.h"
#include "http/parser.h"
#include "httpd/render.h"

#define CALL_ARGS_MAX    ((size_t)1024 * 1024) /* Redis' own limit */
#define CALL_TIMEOUT_MAX ((uint64_t)3600 * 1000)
#define CALL_PARAM_MAX   ((size_t)256) /* of a value in the query that we use */
/* A body larger than this is not copied behind its command but stays where it is (tail). */
#define CALL_TAIL_MIN ((size_t)64 * 1024)

enum call_way {
	CALL_SHARED,  /* over the connection that all requests share */
	CALL_STREAM,  /* a subscription: answered without an end */
	CALL_SESSION, /* over the one that a WebSocket keeps while it has state on the server */
	CALL_OWN,     /* over one of its own: it may wait on the server, or is not known */
};

struct call {
	uint32_t database;
	const struct command *command; /* NULL: the table does not know it */
	size_t argc;
	struct slice
	    tail; /* borrowed from the request: the last argument's bytes, to be sent behind
			      the RESP written, and CRLF behind them; or empty */
	enum call_way way;
	unsigned lane_flags;       /* its metrics_command among them */
	bool maps_status;          /* ?status=1: errors of Redis are errors of HTTP */
	bool atomic;               /* ?atomic=1 */
	uint64_t timeout_ms;       /* ?timeout_ms=; 0: none */
	struct slice content_type; /* static, or in `text` */
	struct render_wish wish;   /* its slices are static or in `text` */
};

/*
 * Writes the command as RESP to the end of `resp`, and everything that is needed when the reply comes
 * into `text`, which is cleared first and must stay as it is as long as the call is used. 0; -EBADMSG
 * with the fault to answer; or buf.h's errors.
 */
int call_read(const struct http_request *req, uint32_t default_database, struct buf *resp,
    struct buf *text, struct call *ret_call, struct http_fault *ret_fault) ATTR_WARN_UNUSED;

/* For a JSON body: the database of the path and the query alone. `room` is how much will be added to `text`. */
int call_read_json(const struct http_request *req, uint32_t default_database, size_t room,
    struct buf *text, struct call *ret_call, struct http_fault *ret_fault) ATTR_WARN_UNUSED;
/* Is it one: POST to "/", "/N", "/MULTI" or "/N/MULTI" with Content-Type: application/json? The last two are atomic. */
bool call_is_json(const struct http_request *req, bool *ret_atomic);

/* The same for a command that stands in `resp` already, alone; `kind` is the form of its answer. */
int call_read_resp(struct slice resp, uint32_t database, enum render_kind kind, struct buf *text,
    struct call *ret_call) ATTR_WARN_UNUSED;

/*
 * Is the command fit for HTTP? Sets way and lane_flags, or says why not: -EACCES with the fault to
 * answer. `allowed`: names of proxy.allow. `session`: of a WebSocket, where commands about the state of a
 * connection have a meaning.
 */
int call_admit(struct call *call, const char *const *allowed, size_t allowed_count, bool session,
    struct http_fault *ret_fault) ATTR_WARN_UNUSED;

#endif
