/*
 * Several hosts: the modules of our redis against those of the master on another one. One that lacks something gets replica-priority 0 (loaded.c), which
 * whoever leads a takeover looks at, as Sentinel does; so it is enough that each host looks after its own.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "instance/module_list.h"
#include "supervisor/hosts_priv.h"
#include "supervisor/supervisor_priv.h"
#include "topo/link.h"
#include "topo/reply.h"

#define ANSWER_MS 2000
#define SOON_MS   1000  /* while they were not compared with this master's */
#define AGAIN_MS  10000 /* its own may change */

static void
on_list(void *arg, const struct redisReply *reply, int error)
{
	struct host *h = arg;
	struct supervisor *s = h->sup;
	struct unit *u = hosts_own_redis(s);
	struct module_seen *seen = xcalloc(MODULES_MAX, sizeof(*seen));
	int n = error == 0 ? module_list_read(reply, seen) : -1;

	if (n >= 0 && u != NULL && u != s->master && u->loaded.known && s->master_known &&
	    endpoint_equal(&h->redis, &s->master_at.at)) {
		loaded_compare_with(u, seen, (size_t)n, h->redis_name);
		s->compared_with = s->master_at;
	}
	free(seen);
}

void
hosts_modules_tick(struct supervisor *s)
{
	struct host *h = s->master_known ? hosts_at(s, &s->master_at.at) : NULL;
	const struct unit *u = hosts_own_redis(s);
	uint64_t now = clock_mono_ms();
	bool compared = h != NULL && s->compared_with.epoch == s->master_at.epoch &&
			endpoint_equal(&s->compared_with.at, &h->redis);

	if (h == NULL || h->self || u == NULL || !unit_is_ready(u) || !u->loaded.known ||
	    !link_is_up(probe_link(h->probe)) ||
	    now - s->modules_asked_ms < (compared ? AGAIN_MS : SOON_MS)) {
		return;
	}
	s->modules_asked_ms = now;
	(void)link_send(probe_link(h->probe), ANSWER_MS, on_list, h, "MODULE", "LIST", NULL);
}
