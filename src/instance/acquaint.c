#include "instance/acquaint.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/mem.h"
#include "topo/link.h"
#include "topo/reply.h"
#include "topo/watcher.h"

#define ASK_MS    1000
#define ANSWER_MS 1500
#define FRESH_MS  3000

struct known {
	struct list link;
	struct acquaint *a; /* borrowed (frees it) */
	struct endpoint at;
	char peer[HELLO_PEER_SIZE]; /* as it said last; "": none */
	bool tellable;              /* it took a hello in that name */
	uint64_t said_ms;           /* when it said so */
};

struct acquaint {
	struct loop *loop;       /* borrowed (outlives all) */
	struct watcher *watcher; /* borrowed (outlives it) */
	const char *name;        /* borrowed likewise */
	struct list all;         /* struct known.link */
	ev_timer ask;
};

static struct known *
find(const struct acquaint *a, const struct endpoint *at)
{
	list_for_each (item, &a->all) {
		struct known *k = CONTAINER_OF(item, struct known, link);

		if (endpoint_equal(&k->at, at)) {
			return k;
		}
	}
	return NULL;
}

/* Its place in the watcher's list; the count: it is not there any more. */
static size_t
index_of(const struct known *k)
{
	size_t i = 0;

	while (i < watcher_count(k->a->watcher) &&
	       !endpoint_equal(&watcher_get(k->a->watcher, i)->at, &k->at)) {
		i++;
	}
	return i;
}

static void
on_trial(void *arg, const struct redisReply *reply, int error)
{
	struct known *k = arg;
	uint64_t receivers;

	k->tellable = error == 0 && reply_u64(reply, &receivers);
}

static void
on_peers(void *arg, const struct redisReply *reply, int error)
{
	struct known *k = arg;
	struct watcher *w = k->a->watcher;
	const struct watcher_sentinel *v;
	char peer[HELLO_PEER_SIZE] = "", hello[HELLO_SIZE];
	size_t i = index_of(k);

	if (error != 0 || i == watcher_count(w)) {
		return;
	}
	(void)hello_read_peer(reply, peer);
	if (strcmp(peer, k->peer) != 0) {
		k->tellable = false;
		memcpy(k->peer, peer, sizeof(peer));
	}
	k->said_ms = clock_mono_ms();
	v = watcher_get(w, i);
	if (k->peer[0] != '\0' && !k->tellable && v->knows) {
		hello_format(hello, k->peer, v->names.epoch, k->a->name, &v->names);
		(void)hello_send(watcher_link(w, i), hello, ANSWER_MS, on_trial, k);
	}
}

static void
on_ask(struct ev_loop *ev, ev_timer *timer, int revents)
{
	struct acquaint *a = timer->data;

	list_for_each_safe (item, next, &a->all) {
		struct known *k = CONTAINER_OF(item, struct known, link);

		if (index_of(k) == watcher_count(a->watcher)) { /* with its link */
			list_del(&k->link);
			free(k);
		}
	}
	for (size_t i = 0; i < watcher_count(a->watcher); i++) {
		const struct watcher_sentinel *v = watcher_get(a->watcher, i);
		struct known *k = find(a, &v->at);

		if (k == NULL) {
			k = xcalloc(1, sizeof(*k));
			k->a = a;
			k->at = v->at;
			list_push(&a->all, &k->link);
		}
		if (v->connected) {
			(void)link_send(watcher_link(a->watcher, i), ANSWER_MS, on_peers, k,
			    "SENTINEL", "SENTINELS", a->name, NULL);
		}
	}
}

struct acquaint *
acquaint_new(struct loop *loop, struct watcher *watcher, const char *name)
{
	struct acquaint *a = xcalloc(1, sizeof(*a));

	a->loop = loop;
	a->watcher = watcher;
	a->name = name;
	list_init(&a->all);
	ev_timer_init(&a->ask, on_ask, ASK_MS / 1000., ASK_MS / 1000.);
	a->ask.data = a;
	ev_timer_start(loop_ev(loop), &a->ask);
	return a;
}

void
acquaint_free(struct acquaint **ap)
{
	struct acquaint *a = *ap;
	struct list *item;

	*ap = NULL;
	if (a == NULL) {
		return;
	}
	ev_timer_stop(loop_ev(a->loop), &a->ask);
	while ((item = list_shift(&a->all)) != NULL) {
		struct known *k = CONTAINER_OF(item, struct known, link);

		for (size_t i = 0; i < watcher_count(a->watcher); i++) {
			link_forget(watcher_link(a->watcher, i), k);
		}
		free(k);
	}
	free(a);
}

bool
acquaint_get(const struct acquaint *a, const struct endpoint *at, char ret_peer[HELLO_PEER_SIZE])
{
	const struct known *k = find(a, at);

	if (k == NULL || !k->tellable || clock_mono_ms() - k->said_ms > FRESH_MS) {
		return false;
	}
	memcpy(ret_peer, k->peer, HELLO_PEER_SIZE);
	return true;
}
