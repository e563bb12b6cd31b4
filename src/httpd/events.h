/*
 * XREAD as server-sent events: what is in a stream behind an ID and what is added to it, without an end.
 *
 *   GET /XREAD/STREAMS/key/ID   Accept: text/event-stream   [Last-Event-ID: 7-0]
 *   → id: 8-0 / data: {"id":"8-0","msg":{…}}
 *
 * Each event has the entry's ID, so a browser that connects again says Last-Event-ID and misses nothing, whatever
 * happened: a failover, or a restart of ours. The entries are asked for in portions, over a lane of its own, and the next
 * one only when the client has room for it.
 */
#ifndef HTTPD_EVENTS_H
#define HTTPD_EVENTS_H

#include <stdbool.h>

#include "backend/lane.h"
#include "base/defs.h"
#include "base/slice.h"
#include "http/parser.h"

struct events;
struct exchange;

/* Is the command, which stands in `resp`, XREAD of one stream? Then x->events is made for it. */
bool events_are_asked(struct exchange *x, struct slice resp, const struct http_request *req);
void events_free(struct events **e);
/* Begins, and goes on when there is room. May answer with a fault instead: true then. */
bool events_go_on(struct exchange *x);
void events_on_reply(struct exchange *x, const struct lane_reply *reply);

#endif
