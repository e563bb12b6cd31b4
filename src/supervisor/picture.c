/*
 * What each supervisor says of itself to the others: its state, why it is not ready, its doors, its instances, its last event. So each host can show all of
 * them (`holdfast status`, the page) without asking anybody. It is said again when it changes, and every SAY_MS anyway; a host whose last word is
 * older than FRESH_MS is not taken to be as it said.
 *
 * What it says goes beside what is seen from here (hosts.c): a redis that its supervisor calls ready and that does not answer here is shown as failed.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "supervisor/hosts_priv.h"
#include "supervisor/supervisor_priv.h"

#define SAY_MS        2000
#define LOOK_MS       1000 /* without anything that is known to have changed */
#define LOOK_AGAIN_MS 200  /* changes come in bursts */
#define FRESH_MS      6000
/* One whose clock was set back begins anew after so long without a word. */
#define FORGET_MS 10000
/* A replica is looked at less often than so: what its master had then, it has by now, or lags. */
#define LAG_SAMPLES 16

struct picture_state {
	json_t *said; /* owned: without what always moves; NULL: nothing yet */
	uint64_t said_ms, looked_ms;
	bool touched;
	/* The master's offset at the last pulses, a ring: [next] is the oldest. */
	struct endpoint master;
	uint64_t offsets[LAG_SAMPLES];
	size_t next, count;
};

static struct picture_state *
state_of(struct supervisor *s)
{
	if (s->picture == NULL) {
		s->picture = xcalloc(1, sizeof(*s->picture));
		s->picture->touched = true;
	}
	return s->picture;
}

void
picture_fini(struct supervisor *s)
{
	if (s->picture != NULL) {
		json_decref(s->picture->said);
	}
	free(s->picture);
	s->picture = NULL;
}

void
picture_touch(struct supervisor *s)
{
	if (s->talk != NULL) {
		state_of(s)->touched = true;
	}
}

/* ---- how far behind ---- */

static const struct probe_view *
redis_view(const struct host *h)
{
	const struct unit *u = h->self ? hosts_own_redis(h->sup) : NULL;
	const struct probe *p = h->self ? (u != NULL ? u->probe : NULL) : h->probe;

	return p != NULL ? probe_get(p) : NULL;
}

static void
sample_master(struct supervisor *s)
{
	struct picture_state *p = state_of(s);
	const struct host *m = s->master_known ? hosts_at(s, &s->master_at.at) : NULL;
	const struct probe_view *v = m != NULL ? redis_view(m) : NULL;

	if (v == NULL || !v->answering || v->role != PROBE_MASTER) {
		p->count = p->next = 0;
		return;
	}
	if (!endpoint_equal(&p->master, &m->redis)) {
		p->master = m->redis;
		p->count = p->next = 0;
	}
	p->offsets[p->next] = v->offset;
	p->next = (p->next + 1) % LAG_SAMPLES;
	p->count = MIN(p->count + 1, (size_t)LAG_SAMPLES);
}

int64_t
picture_lag(const struct host *h)
{
	const struct supervisor *s = h->sup;
	const struct picture_state *p = s->picture;
	const struct probe_view *v = redis_view(h);
	uint64_t had;

	if (p == NULL || p->count < LAG_SAMPLES || v == NULL || !v->answering ||
	    v->role != PROBE_REPLICA || v->sync != PROBE_SYNC_CONNECTED ||
	    !endpoint_equal(&v->master, &p->master)) {
		return -1;
	}
	had = p->offsets[p->next];
	return had > v->offset ? (int64_t)(had - v->offset) : 0;
}

/* ---- said ---- */

static json_t *
own_picture(const struct supervisor *s)
{
	json_t *instances = health_instances(s), *one;
	size_t i;

	json_array_foreach(instances, i, one)
	{
		json_t *clients = json_object_get(
		    json_object_get(json_object_get(one, "stats"), "clients"), "now");

		if (clients != NULL) {
			clients = json_pack("{s:{s:O}}", "clients", "now", clients);
			(void)json_object_set_new(one, "stats", clients);
		}
		(void)json_object_del(one, "modules");
	}
	return json_pack("{s:s,s:s,s:o,s:o,s:I,s:I,s:o}", "version", PACKAGE_VERSION, "state",
	    health_name(s), "reasons", health_reasons(s), "doors", doors_own(s), "uptime_ms",
	    (json_int_t)(clock_mono_ms() - s->started_ms), "last_event",
	    (json_int_t)history_last_id(s->history), "instances", instances);
}

void
picture_pulse(struct supervisor *s)
{
	struct picture_state *p = state_of(s);
	uint64_t now = clock_mono_ms();
	json_t *picture, *essence;
	struct host *self;

	sample_master(s);
	if (now - p->looked_ms < (p->touched ? LOOK_AGAIN_MS : LOOK_MS)) {
		return;
	}
	p->looked_ms = now;
	p->touched = false;
	picture = own_picture(s);
	essence = watch_essence(picture);
	self = hosts_named(s, s->node);
	if (self != NULL && (now - p->said_ms >= SAY_MS || !json_equal(essence, p->said)) &&
	    talk_send(s, talk_way(s, self, 0),
		json_pack("{s:s,s:O}", "kind", "picture", "picture", picture))) {
		p->said_ms = now;
		json_decref(p->said);
		p->said = json_incref(essence);
	}
	json_decref(essence);
	json_decref(picture);
}

/* ---- heard ---- */

static uint64_t
count_of(const json_t *doc, const char *name)
{
	json_int_t value = json_integer_value(json_object_get(doc, name));

	return value > 0 ? (uint64_t)value : 0;
}

/* Was it said after the last one? It may be heard twice, late, or again by somebody's repetition. */
static bool
is_newer(struct host *h, const json_t *doc)
{
	const char *boot = json_string_value(json_object_get(doc, "boot"));
	uint64_t number = count_of(doc, "number"), began_ms = count_of(doc, "began_ms");

	if (boot == NULL || strlen(boot) != TALK_ID_SIZE - 1) {
		return false;
	}
	if (strcmp(boot, h->boot) == 0) {
		return number > h->picture_number;
	}
	return h->picture == NULL || began_ms > h->boot_began_ms ||
	       clock_mono_ms() - h->picture_ms >= FORGET_MS;
}

void
picture_on_document(struct host *h, const json_t *doc)
{
	json_t *picture = json_object_get(doc, "picture");
	bool is_reborn;

	if (!json_is_object(picture) || !is_newer(h, doc)) {
		return;
	}
	is_reborn = strcmp(h->boot, json_string_value(json_object_get(doc, "boot"))) != 0;
	(void)snprintf(
	    h->boot, sizeof(h->boot), "%s", json_string_value(json_object_get(doc, "boot")));
	h->boot_began_ms = count_of(doc, "began_ms");
	h->picture_number = count_of(doc, "number");
	h->picture_ms = clock_mono_ms();
	json_decref(h->picture);
	h->picture = json_incref(picture);
	if (is_reborn) {
		timeline_on_boot(h);
	}
	timeline_on_picture(h);
	watch_touch(h->sup);
}

bool
picture_is_fresh(const struct host *h)
{
	return h->picture != NULL && clock_mono_ms() - h->picture_ms < FRESH_MS;
}

/* ---- shown ---- */

/* As far as it is seen from here only. */
static json_t *
seen_instances(const struct host *h)
{
	return json_pack("[{s:s,s:s,s:s,s:s,s:i,s:n},{s:s,s:s,s:s,s:s,s:i,s:n}]", "name", "redis-1",
	    "kind", "redis", "state", "ready", "host", h->redis.host, "port", (int)h->redis.port,
	    "role", "name", "sentinel-1", "kind", "sentinel", "state", "ready", "host",
	    h->sentinel.host, "port", (int)h->sentinel.port, "role");
}

static bool
is_state(const json_t *instance, const char *state)
{
	const char *text = json_string_value(json_object_get(instance, "state"));

	return text != NULL && strcmp(text, state) == 0;
}

static void
set_state(json_t *instance, const char *state, const char *note)
{
	(void)json_object_set_new(instance, "state", json_string(state));
	if (note != NULL && note[0] != '\0') {
		(void)json_object_set_new(instance, "note", json_string(note));
	}
}

static void
add_redis(const struct host *h, bool fresh, json_t *o)
{
	const struct probe_view *v = probe_get(h->probe);
	int64_t lag = picture_lag(h);

	(void)json_object_set_new(
	    o, "role", v->answering ? json_string(probe_role_name(v->role)) : json_null());
	(void)json_object_set_new(o, "lag_bytes", lag >= 0 ? json_integer(lag) : json_null());
	if (!v->answering && (!fresh || is_state(o, "ready"))) {
		set_state(o, "failed", v->why);
	} else if (v->answering && !fresh) {
		set_state(o, v->loading ? "starting" : "ready", NULL);
	}
}

static void
add_sentinel(const struct host *h, bool fresh, json_t *o)
{
	struct link *l;
	const struct watcher_sentinel *w = hosts_sentinel_view(h, &l);
	bool knows = w != NULL && w->knows && !h->silent;

	if (knows) {
		(void)json_object_set_new(o, "sees", json_string(ENDPOINT_TEXT(&w->names.at)));
		(void)json_object_set_new(o, "epoch", json_integer((json_int_t)w->names.epoch));
	}
	if (!knows && (!fresh || is_state(o, "ready"))) {
		set_state(o, "failed",
		    h->silent   ? "its host cannot be reached"
		    : w != NULL ? w->why
				: "nothing is known of it");
	} else if (knows && !fresh) {
		set_state(o, "ready", NULL);
	}
}

/* The instances of a host that is not this one, as it says and as they are seen from here: the caller's reference. */
static json_t *
instances_of(const struct host *h)
{
	bool fresh = picture_is_fresh(h) && !h->silent;
	const json_t *said = json_object_get(h->picture, "instances");
	json_t *list = json_is_array(said) ? json_deep_copy(said) : seen_instances(h), *o, *up;
	uint64_t age_ms = clock_mono_ms() - h->picture_ms;
	size_t i;

	json_array_foreach(list, i, o)
	{
		const char *kind = json_string_value(json_object_get(o, "kind"));

		up = json_object_get(o, "uptime_ms");
		if (!fresh) {
			(void)json_object_set_new(o, "pid", json_null());
			(void)json_object_del(o, "uptime_ms");
			(void)json_object_del(o, "note");
			(void)json_object_del(o, "stats");
		} else if (json_integer_value(up) > 0) {
			(void)json_integer_set(up, json_integer_value(up) + (json_int_t)age_ms);
		}
		if (kind != NULL && strcmp(kind, "redis") == 0) {
			add_redis(h, fresh, o);
		} else if (kind != NULL && strcmp(kind, "sentinel") == 0) {
			add_sentinel(h, fresh, o);
		} else if (!fresh) {
			set_state(o, "unknown",
			    h->silent ? "its host cannot be reached"
				      : "its supervisor is not heard");
		}
	}
	return list;
}

static json_t *
host_json(const struct supervisor *s, const struct host *h)
{
	json_t *o = json_pack("{s:s,s:s,s:b,s:b}", "name", h->name, "address", h->redis.host,
	    "self", (int)h->self, "reachable", (int)(h->self || !h->silent));

	(void)json_object_set_new(o, "master",
	    json_boolean(s->master_known && s->master_at.epoch > 0 &&
			 endpoint_equal(&h->redis, &s->master_at.at)));
	if (h->self) {
		return o;
	}
	(void)json_object_set_new(o, "silent_ms", json_integer((json_int_t)hosts_silent_ms(h)));
	(void)json_object_set_new(o, "supervised", json_boolean(picture_is_fresh(h)));
	if (h->picture != NULL) {
		static const char *const members[] = {"state", "reasons", "version"};

		(void)json_object_set_new(
		    o, "heard_ms", json_integer((json_int_t)(clock_mono_ms() - h->picture_ms)));
		for (size_t i = 0; i < ARRAY_LEN(members); i++) {
			(void)json_object_set(
			    o, members[i], json_object_get(h->picture, members[i]));
		}
	}
	if (!picture_is_fresh(h) || h->silent) {
		(void)json_object_set_new(o, "state", json_null());
		(void)json_object_set_new(o, "reasons", json_array());
	}
	(void)json_object_set_new(o, "instances", instances_of(h));
	return o;
}

json_t *
hosts_json(const struct supervisor *s)
{
	json_t *list = json_array();

	for (size_t i = 0; i < s->host_count; i++) {
		(void)json_array_append_new(list, host_json(s, &s->hosts[i]));
	}
	return list;
}
