#include "backend/sentinel_log.h"

#include <stdio.h>
#include <string.h>

#include "base/log.h"

static void
on_change(void *arg, size_t i, const struct watcher_sentinel *view)
{
	struct sentinel_log *l = arg;

	if (strcmp(l->told[i], view->why) == 0 || (view->why[0] == '\0' && !view->knows)) {
		return;
	}
	if (view->why[0] != '\0') {
		log_warn("sentinel %s: %s", ENDPOINT_TEXT(&view->at), view->why);
	} else {
		log_notice("sentinel %s answers", ENDPOINT_TEXT(&view->at));
	}
	(void)snprintf(l->told[i], sizeof(l->told[i]), "%s", view->why);
}

void
sentinel_log_begin(struct sentinel_log *l, struct watcher *w)
{
	*l = (struct sentinel_log){.observer = {.on_change = on_change, .arg = l}};
	watcher_watch(w, &l->observer);
}

void
sentinel_log_end(struct sentinel_log *l)
{
	if (l->observer.on_change != NULL) {
		watcher_unwatch(&l->observer);
		l->observer.on_change = NULL;
	}
}
