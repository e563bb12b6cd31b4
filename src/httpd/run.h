/*
 * Commands of the operator's interface on their way: a list of them to the master (over the pool of the backend, so they are held over
 * a failover) or to one server or sentinel itself, whichever role it has, over a connection of its own. RESP3 is spoken where the other
 * side can. Each reply is whole when it is shown; what is larger than the budget left is counted and dropped.
 */
#ifndef HTTPD_RUN_H
#define HTTPD_RUN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/defs.h"
#include "base/slice.h"
#include "net/endpoint.h"

struct httpd;
struct run;

/* Whom to ask. Plain data. */
struct run_target {
	bool is_instance; /* else the master */
	bool is_sentinel;
	bool is_proxy;
	bool as_us; /* instance: as our own user, which may everything; else as the user default */
	struct endpoint at; /* instance */
	uint32_t database;
};

struct run_ops {
	/* The reply to command `i`, in order; an empty `raw`: it had `bytes`, which was too much. The run may be freed within. */
	void (*on_reply)(void *owner, size_t i, struct slice raw, size_t bytes);
	/* Once: status 0, all were answered; or why not. The run is gone after it. */
	void (*on_end)(void *owner, unsigned status, const char *why);
};

/* `budget`: bytes of a reply that may be kept at a time. */
struct run *run_new(struct httpd *h, const struct run_target *target, size_t budget,
    const struct run_ops *ops, void *owner);
/* Appends a command, given as RESP; `reads`: it may be sent again. Before run_go. 0 or buf.h's errors. */
int run_add(struct run *r, struct slice resp, bool reads) ATTR_WARN_UNUSED;
/* Sends them. No callback before this returns. */
void run_go(struct run *r, uint64_t timeout_ms);
/* What may be kept of a reply from now on. */
void run_set_budget(struct run *r, size_t budget);
/* No callback after this; whatever is under way is forgotten. NULL is fine. */
void run_free(struct run **r);

#endif
