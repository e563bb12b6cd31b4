/*
 * The operator's interface: what is asked below /api/v1, and /metrics. Described in etc/openapi.json; the table is api.def.
 *
 *   request ─► api_take: which row, who asks, may he ─► (first of the queue) row.begin ─► … ─► api_done
 *                                                                │                           api_fail
 *                                                                └► streams (sse.h), until api_end
 *
 * One struct api for each such request, owned by its exchange. What is under way for it (a question to the supervisor, commands of
 * Redis, a stream) is its `work`: it is dropped when the client goes. Nothing here waits; answers are bounded.
 */
#ifndef HTTPD_API_H
#define HTTPD_API_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <ev.h>
#include <jansson.h>

#include "base/buf.h"
#include "base/defs.h"
#include "base/slice.h"
#include "http/parser.h"
#include "httpd/identity.h"

struct api;
struct exchange;
struct httpd;
struct run_target;

/* The target of commands is known (a->target). */
typedef void api_target_fn(struct api *a, const struct run_target *target);

#define API_MAGIC        0x41504920U
#define API_BODY_MAX     ((size_t)16 * 1024 * 1024) /* of a request */
#define API_ANSWER_MAX   ((size_t)32 * 1024 * 1024)
#define API_PATH_WORDS   2
#define API_PARAMS_MAX   64
#define API_PARAM_MAX    ((size_t)64 * 1024) /* all of a query, decoded */
#define API_CONTROL_PATH "control.sock"      /* a worker runs in the data folder */

struct api_param {
	struct slice name, value; /* in api.text */
};

struct api_row {
	enum http_verb verb;
	const char *path; /* a segment {} is any word */
	enum api_role role;
	const char *params; /* names that the query may have, by blanks */
	void (*begin)(struct api *a);
	bool streams;
	const char *words;
};

struct api {
	uint32_t magic;
	struct exchange *x;        /* borrowed (its owner) */
	const struct api_row *row; /* NULL: it is refused */
	struct api_identity who;
	struct buf text;                    /* owned: decoded path and query */
	struct slice words[API_PATH_WORDS]; /* in it: what stood for {} */
	struct api_param params[API_PARAMS_MAX];
	size_t param_count;
	json_t *body;  /* owned; NULL: none */
	char *last_id; /* owned: Last-Event-ID; NULL: none */
	bool started, in_begin, done, ended, began_stream;
	bool
	    quiet_401; /* a script asks: its browser is not to open a window for name and password */
	unsigned status;
	bool takes_gzip;        /* the client */
	bool varies, is_zipped; /* `out` (api_zip) */
	struct slice type;      /* static: Content-Type of `out` */
	struct buf out;         /* owned: the body of the answer */
	char cookie[400];       /* Set-Cookie; "": none */
	/* commands of Redis (api_command.h) */
	char target[65]; /* master, or the instance's name */
	uint32_t database;
	uint64_t count, seconds;
	api_target_fn *on_target;
	void *work; /* owned through `drop`; NULL: none */
	void (*drop)(void *work);
	void (*late)(void *work); /* at `limit`, if that runs */
	ev_timer limit;
};

/* Makes the exchange EXCHANGE_API. Slices of `req` are not needed afterwards. */
void api_take(struct exchange *x, const struct http_request *req);
/* Allow of a path: "GET,OPTIONS,HEAD". Static; NULL: there is nothing at it. */
const char *api_methods(struct slice path);
/* For the first of the queue: begins it, brings its answer out; true when all of it is. */
bool api_pump(struct api *a);
void api_free(struct api **a);
/* Bytes it holds. */
size_t api_held(const struct api *a);
/* It answers without an end. */
bool api_is_stream(const struct api *a);

/* ---- for rows ---- */

/* The value, or an empty slice with a NULL pointer: it was not given. The i-th of that name. */
struct slice api_param(const struct api *a, const char *name, size_t i);
/* A number; false: it is none of lo to hi, and the request was failed. */
bool api_number(struct api *a, const char *name, uint64_t lo, uint64_t hi, uint64_t otherwise,
    uint64_t *ret_value);

/* Has the body no members but these (by blanks)? False: it was refused. */
bool api_only(struct api *a, const char *names);

/* The answer stands in a->out. Neither api nor session may be used afterwards, unless within row.begin. */
void api_done(struct api *a, unsigned status);
/* The same with a document; takes over the reference. */
void api_done_json(struct api *a, unsigned status, json_t *doc);
/* What stands in a->out is compressed where the client takes that, and it gains something. Before api_done. */
void api_zip(struct api *a);
/* {"error","status"} */
void api_fail(struct api *a, unsigned status, const char *fmt, ...) ATTR_PRINTF(3, 4);
/* The work is over, or is dropped with the request. */
void api_set_work(struct api *a, void *work, void (*drop)(void *work));
/* It may take a->seconds; then `late` is called, unless it is over or dropped by then. */
void api_limit_work(struct api *a, void (*late)(void *work));

/* ---- rows (api.def) ---- */
#define API(verb, path, role, params, begin, streams, words) void begin(struct api *a);
#include "httpd/api.def"
#undef API

#endif
