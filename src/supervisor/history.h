/*
 * What happened: each event goes into the database, into the log, and to those who follow (timeline.c). One function writes
 * it, so the three never differ. The log has it at once; the database a few milliseconds later, so that what an event is about, a
 * takeover say, does not wait for the disk.
 */
#ifndef SUPERVISOR_HISTORY_H
#define SUPERVISOR_HISTORY_H

#include <jansson.h>

#include "ctl/ctl.h"
#include "net/loop.h"
#include "store/store.h"

struct history;

/* Without a store (history_attach later) events are kept in order until it comes. The loop, and the name of this host, are borrowed and outlive the history. */
struct history *history_new(struct loop *loop, const char *node);
/* Writes what is left. */
void history_free(struct history **h);
void history_attach(struct history *h, struct store *store);

/* Called for each event when it is written. NULL: no more. */
typedef void history_told_fn(void *arg, const struct store_event *event);
void history_on_told(struct history *h, history_told_fn *told, void *arg);

/*
 * Notes one event. `detail` is taken over; NULL: {}. The text is for people: what happened and, where something is wrong, what is done
 * about it.
 */
void history_add(struct history *h, enum event_kind kind, const char *subject, json_t *detail,
    const char *fmt, ...) ATTR_PRINTF(5, 6);

/* Writes now what waits to be written. */
void history_flush(struct history *h);

/* The id of the last event that was written, over restarts too; 0: none yet. */
int64_t history_last_id(const struct history *h);
/* Why events cannot be stored now; NULL: they can. */
const char *history_fault(const struct history *h);
/* Once a second: true when they can again. */
bool history_try_again(struct history *h);
/* As people and machines see it, with the name of this host: the caller's reference. */
json_t *history_json(const struct history *h, const struct store_event *event);
/*
 * The last `n` events with ids between `after` and `before` (neither included), as store_events_page, oldest first: the caller's reference. `more`: there
 * are older ones in between.
 */
int history_page(struct history *h, int64_t after, int64_t before, const char *kind, size_t n,
    json_t **ret_events, bool *ret_more, struct errmsg *err) ATTR_WARN_UNUSED;

#endif
