/*
 * What happened: each event goes into the database, into the log, and to those who follow (`holdfast events -f`). One function writes
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

/* Without a store (history_attach later) events are kept in order until it comes. The loop is borrowed and outlives the history. */
struct history *history_new(struct loop *loop);
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

/* The handler of the control command `events`. */
void history_on_events(struct history *h, struct ctl_request *req, const json_t *args);

#endif
