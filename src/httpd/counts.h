/*
 * What an HTTP worker counts besides commands (backend/metrics.h): clients, bytes, how often each status was given, and for
 * each route of routes.def, and each kind of request that is none, calls, errors (statuses from 400 on) and a histogram
 * of the time from its arrival to the end of its answer. Memory is bounded by the tables. Times are those of the turn, as
 * there.
 *
 * A response counts once, when it is queued to the client; a stream when it ends, and without a time.
 */
#ifndef HTTPD_COUNTS_H
#define HTTPD_COUNTS_H

#include <stdint.h>

#include "base/buf.h"
#include "base/defs.h"

struct counts;
struct exchange;
struct route;

/* What is no route. */
enum counts_kind {
	COUNTS_COMMAND,   /* one command, over HTTP */
	COUNTS_BATCH,     /* several in a JSON body */
	COUNTS_STREAM,    /* a subscription, or XREAD as events */
	COUNTS_WEBSOCKET, /* a command over a WebSocket, and its upgrade */
	COUNTS_REFUSED,   /* read as no command: malformed, foreign, too late, too large */
	COUNTS_KINDS,
};

struct counts *counts_new(void);
void counts_free(struct counts **c);

/* An exchange is over, and x->answered says how; 0: it was not answered, which counts as nothing. */
void counts_add(struct counts *c, const struct exchange *x, uint64_t now_us);
/* Grows with each of these. */
uint64_t counts_total(const struct counts *c);
/*
 * "requests":{"total":3,"errors":1,"statuses":{"200":2,"404":1},"routes":{"(command)":{"calls":2,"errors":0,"us":52,
 * "latency":[0,0,2]},"/healthz":…}}; the histograms' bounds are metrics.h's. 0 or buf.h's errors.
 */
int counts_add_json(const struct counts *c, struct buf *out) ATTR_WARN_UNUSED;

#endif
