#include "instance/primer.h"

#include <assert.h>
#include <stdint.h>
#include <stdlib.h>

#include "base/mem.h"
#include "instance/hello.h"
#include "topo/link.h"
#include "topo/watcher.h"

#define PRIMER_MAGIC 0x50524d52U
#define ANSWER_MS    1500

struct primed {
	struct primer *p; /* borrowed */
	struct endpoint at;
	uint64_t epoch; /* that it was brought to */
};

struct primer {
	uint32_t magic;
	struct watcher *watcher; /* borrowed */
	const char *name;        /* borrowed */
	struct primed sentinels[WATCHER_MAX_SENTINELS];
};

static void
on_peers(void *arg, const struct redisReply *reply, int error)
{
	struct primed *s = arg;
	size_t i = (size_t)(s - s->p->sentinels);
	const struct watcher_sentinel *v =
	    i < watcher_count(s->p->watcher) ? watcher_get(s->p->watcher, i) : NULL;
	char peer[HELLO_PEER_SIZE], hello[HELLO_SIZE];

	if (error != 0 || v == NULL || !v->knows || !endpoint_equal(&v->at, &s->at) ||
	    !hello_read_peer(reply, peer)) {
		return;
	}
	hello_format(hello, peer, v->names.epoch + 1, s->p->name, &v->names);
	if (hello_send(watcher_link(s->p->watcher, i), hello, ANSWER_MS, NULL, NULL) == 0) {
		s->epoch = v->names.epoch + 1;
	}
}

void
primer_run(struct primer *p)
{
	for (size_t i = 0; i < watcher_count(p->watcher); i++) {
		const struct watcher_sentinel *v = watcher_get(p->watcher, i);
		struct primed *s = &p->sentinels[i];

		if (!v->connected || !v->knows || v->failover ||
		    (endpoint_equal(&s->at, &v->at) && s->epoch > v->names.epoch)) {
			continue;
		}
		*s = (struct primed){.p = p, .at = v->at};
		(void)link_send(watcher_link(p->watcher, i), ANSWER_MS, on_peers, s, "SENTINEL",
		    "SENTINELS", p->name, NULL);
	}
}

struct primer *
primer_new(struct watcher *watcher, const char *name)
{
	struct primer *p = xcalloc(1, sizeof(*p));

	p->magic = PRIMER_MAGIC;
	p->watcher = watcher;
	p->name = name;
	return p;
}

void
primer_free(struct primer **pp)
{
	struct primer *p = *pp;

	*pp = NULL;
	if (p == NULL) {
		return;
	}
	for (size_t i = 0; i < watcher_count(p->watcher); i++) {
		for (size_t k = 0; k < WATCHER_MAX_SENTINELS; k++) {
			link_forget(watcher_link(p->watcher, i), &p->sentinels[k]);
		}
	}
	p->magic = 0;
	free(p);
}
