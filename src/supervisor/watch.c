/*
 * The state of everything for those who look at it live, which are the HTTP workers: each new event at once, the status within
 * WATCH_S of a change, a sample of the figures each second. Without a watcher nothing of it is made.
 */
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "supervisor/hosts_priv.h"
#include "supervisor/supervisor_priv.h"

#define RENEW_MS 3000 /* several hosts: a status comes at least so often */
#define WATCH_S  0.03 /* changes come in bursts: one picture for each */

struct watcher_client {
	struct list link;        /* supervisor.watchers */
	struct ctl_request *req; /* borrowed; on_gone removes us before it goes */
};

static void
tell(struct supervisor *s, json_t *line)
{
	list_for_each_safe (it, next, &s->watchers) {
		/* one that does not read is dropped by the server; its on_gone follows */
		(void)ctl_send(
		    CONTAINER_OF(it, struct watcher_client, link)->req, json_incref(line));
	}
	json_decref(line);
}

static json_t *
still_instances(const json_t *instances)
{
	json_t *still = json_array(), *one;
	size_t i;

	json_array_foreach(instances, i, one)
	{
		json_t *copy = json_copy(one);

		(void)json_object_del(copy, "uptime_ms");
		(void)json_object_del(copy, "lag_bytes");
		(void)json_object_del(copy, "stats");
		(void)json_array_append_new(still, copy);
	}
	return still;
}

json_t *
watch_essence(const json_t *status)
{
	json_t *all = json_copy((json_t *)(uintptr_t)status), *hosts = json_array(), *one;
	size_t i;

	(void)json_object_del(all, "uptime_ms");
	(void)json_object_del(all, "time");
	(void)json_object_set_new(
	    all, "instances", still_instances(json_object_get(status, "instances")));
	json_array_foreach(json_object_get(status, "hosts"), i, one)
	{
		json_t *copy = json_copy(one);

		(void)json_object_del(copy, "silent_ms");
		(void)json_object_del(copy, "heard_ms");
		(void)json_object_set_new(
		    copy, "instances", still_instances(json_object_get(one, "instances")));
		(void)json_array_append_new(hosts, copy);
	}
	(void)json_object_set_new(all, "hosts", hosts);
	return all;
}

static void
on_watch_timer(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct supervisor *s = w->data;
	json_t *status, *essence;

	if (list_is_empty(&s->watchers)) {
		return;
	}
	status = health_status(s);
	essence = watch_essence(status);
	/* How far replicas of other hosts are behind moves all the time, and is in no sample. */
	if (json_equal(essence, s->watched) &&
	    (!hosts_are_several(s) || clock_mono_ms() - s->watched_ms < RENEW_MS)) {
		json_decref(essence);
		json_decref(status);
		return;
	}
	json_decref(s->watched);
	s->watched = essence;
	s->watched_ms = clock_mono_ms();
	tell(s, json_pack("{s:o}", "status", status));
}

void
watch_init(struct supervisor *s)
{
	list_init(&s->watchers);
	ev_init(&s->watch_timer, on_watch_timer);
	s->watch_timer.data = s;
}

void
watch_touch(struct supervisor *s)
{
	if (!list_is_empty(&s->watchers) && !ev_is_active(&s->watch_timer)) {
		ev_timer_set(&s->watch_timer, WATCH_S, 0.);
		ev_timer_start(loop_ev(s->loop), &s->watch_timer);
	}
}

void
watch_event(struct supervisor *s, json_t *event)
{
	if (!list_is_empty(&s->watchers)) {
		tell(s, json_pack("{s:O}", "event", event));
	}
}

void
watch_sample(struct supervisor *s, json_t *sample)
{
	if (list_is_empty(&s->watchers)) {
		json_decref(sample);
	} else {
		tell(s, json_pack("{s:o}", "metrics", sample));
	}
}

bool
watch_is_on(const struct supervisor *s)
{
	return !list_is_empty(&s->watchers);
}

static void
on_gone(struct ctl_request *req, void *arg)
{
	struct watcher_client *c = arg;

	list_del(&c->link);
	free(c);
}

void
watch_on_watch(struct ctl_request *req, const json_t *args, void *owner)
{
	struct supervisor *s = owner;
	struct watcher_client *c = xcalloc(1, sizeof(*c));
	json_t *status;

	c->req = req;
	list_init(&c->link);
	list_push(&s->watchers, &c->link);
	ctl_on_gone(req, on_gone, c);
	status = health_status(s);
	if (s->watched == NULL) {
		s->watched =
		    watch_essence(status); /* the first one has nothing to be compared with */
	}
	(void)ctl_send(req, json_pack("{s:o}", "status", status));
	watch_touch(s);
}

void
watch_free(struct supervisor *s)
{
	ev_timer_stop(loop_ev(s->loop), &s->watch_timer);
	while (!list_is_empty(&s->watchers)) {
		free(CONTAINER_OF(list_shift(&s->watchers), struct watcher_client, link));
	}
	json_decref(s->watched);
	s->watched = NULL;
}
