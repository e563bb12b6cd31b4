/* For a worker alone, where nobody else says it: which sentinel does not tell who is master, and why. One line when that changes. */
#ifndef BACKEND_SENTINEL_LOG_H
#define BACKEND_SENTINEL_LOG_H

#include "topo/watcher.h"

struct sentinel_log {
	struct watcher_observer observer;
	char told[WATCHER_MAX_SENTINELS]
		 [sizeof(((struct watcher_sentinel *)0)->why)]; /* "" while it answers */
};

/* Until watcher_free or sentinel_log_end; the list of sentinels stays the same meanwhile. */
void sentinel_log_begin(struct sentinel_log *l, struct watcher *w);
void sentinel_log_end(struct sentinel_log *l);

#endif
