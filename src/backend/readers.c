#include "backend/readers.h"

#include <assert.h>
#include <hiredis/hiredis.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "topo/link.h"
#include "topo/reply.h"

#define READERS_MAGIC 0x52454144U
#define SERVER_MAGIC  0x53525652U
#define REPLICAS_MAX  32
#define SAMPLES       64 /* of the master's offset */
#define POLL_MOST_MS  1000
#define POLL_LEAST_MS 10

struct sample {
	uint64_t at_ms, offset;
};

/* The master, or one of its replicas, as asked by us. */
struct server {
	uint32_t magic;
	struct list link;
	struct readers *readers; /* borrowed (frees it) */
	struct link *to;         /* owned */
	struct endpoint at;
	char *user, *secret; /* owned: the link's */
	bool is_master;
	bool asking;
	uint64_t asked_ms;
	bool follows; /* it says that it is a replica with its master there */
	uint64_t
	    current; /* it has all that the master had at that moment, clock_mono_ms; 0: not known */
	uint64_t seen; /* the last answer of the master that named it */
};

struct place {
	struct topo *topo;       /* owned */
	struct backend *backend; /* owned */
	struct endpoint at;
	uint64_t epoch; /* 0: it leads nowhere */
};

struct readers {
	uint32_t magic;
	struct loop *loop; /* borrowed, as the next */
	struct topo *topo;
	struct topo_observer observer;
	struct backend_conf conf;
	char *user, *secret; /* owned; NULL: nobody */
	uint64_t max_lag_ms;
	struct server *master; /* owned; NULL: not known */
	struct list replicas;  /* struct server.link: owned */
	size_t replica_count;
	uint64_t round; /* answers of the master */
	struct sample samples[SAMPLES];
	size_t sample_count, sample_next;
	struct place places[READERS_PLACES];
	size_t place_count, next;
	ev_timer poll;
};

static void choose(struct readers *r);
static void ask(struct server *s);

/* ---- lag ---- */

static void
add_sample(struct readers *r, uint64_t at_ms, uint64_t offset)
{
	r->samples[r->sample_next] = (struct sample){at_ms, offset};
	r->sample_next = (r->sample_next + 1) % SAMPLES;
	r->sample_count = MIN(r->sample_count + 1, (size_t)SAMPLES);
}

/* The last moment when the master had no more than that; 0: not within what is remembered. */
static uint64_t
moment_of(const struct readers *r, uint64_t offset)
{
	uint64_t at_ms = 0;

	for (size_t i = 0; i < r->sample_count; i++) {
		if (r->samples[i].offset <= offset) {
			at_ms = MAX(at_ms, r->samples[i].at_ms);
		}
	}
	return at_ms;
}

static bool
is_fit(const struct server *s, uint64_t now)
{
	const struct readers *r = s->readers;

	return s->follows && link_is_up(s->to) &&
	       (r->max_lag_ms == 0 || (s->current != 0 && now - s->current <= r->max_lag_ms));
}

/* ---- servers ---- */

static void
on_up(struct link *l, void *owner)
{
	struct server *s = OBJ_CAST((struct server *)owner, SERVER_MAGIC);

	s->asking = false;
	ask(s);
}

static void
on_down(struct link *l, void *owner, int error, const char *why)
{
	struct server *s = OBJ_CAST((struct server *)owner, SERVER_MAGIC);

	s->asking = false;
	s->follows = false;
	choose(s->readers);
}

static struct server *
server_new(struct readers *r, const struct endpoint *at, bool is_master)
{
	static const struct link_ops ops = {.on_up = on_up, .on_down = on_down};
	struct link_spec spec = {.at = *at,
	    .connect_ms = 1000,
	    .stall_ms = 2000,
	    .retry_min_ms = 20,
	    .retry_max_ms = 500};
	struct server *s = xcalloc(1, sizeof(*s));

	s->magic = SERVER_MAGIC;
	s->readers = r;
	s->at = *at;
	s->is_master = is_master;
	s->user = xstrdup(r->user);
	s->secret = xstrdup(r->secret);
	spec.user = s->user;
	spec.password = s->secret;
	list_init(&s->link);
	s->to = link_new(r->loop, &spec, &ops, s);
	return s;
}

static void
free_now(void *obj)
{
	struct server *s = obj;

	if (s->secret != NULL) {
		explicit_bzero(s->secret, strlen(s->secret));
	}
	free(s->user);
	free(s->secret);
	s->magic = 0;
	free(s);
}

static void
server_free(struct server *s)
{
	if (s != NULL) {
		link_free(&s->to);
		list_del(&s->link);
		loop_bury(s->readers->loop, free_now, s);
	}
}

static void
drop_replica(struct server *s)
{
	s->readers->replica_count--;
	server_free(s);
}

static void
note_replica(struct readers *r, const struct endpoint *at)
{
	struct server *s;

	list_for_each (item, &r->replicas) {
		s = CONTAINER_OF(item, struct server, link);
		if (endpoint_equal(&s->at, at)) {
			s->seen = r->round;
			return;
		}
	}
	if (r->replica_count < REPLICAS_MAX) {
		s = server_new(r, at, false);
		s->seen = r->round;
		list_push(&r->replicas, &s->link);
		r->replica_count++;
	}
}

/* "master", offset, [[host, port, offset]…] */
static void
on_master_role(struct server *s, const redisReply *reply)
{
	struct readers *r = s->readers;
	const redisReply *list = reply_at(reply, 2);
	uint64_t offset;

	if (!slice_eq(reply_text(reply_at(reply, 0)), "master") ||
	    !reply_u64(reply_at(reply, 1), &offset)) {
		return;
	}
	r->round++;
	add_sample(r, s->asked_ms, offset);
	for (size_t i = 0; i < reply_count(list); i++) {
		const redisReply *one = reply_at(list, i);
		struct endpoint at;

		if (reply_endpoint(reply_at(one, 0), reply_at(one, 1), &at)) {
			at.tls = s->at.tls;
			note_replica(r, &at);
		}
	}
	list_for_each_safe (item, next, &r->replicas) {
		struct server *one = CONTAINER_OF(item, struct server, link);

		if (one->seen != r->round) {
			drop_replica(one); /* it does not follow this master (any more) */
		}
	}
}

/* "slave", host, port, "connected", offset */
static void
on_replica_role(struct server *s, const redisReply *reply)
{
	uint64_t offset = 0, at_ms;

	s->follows = slice_eq(reply_text(reply_at(reply, 0)), "slave") &&
		     slice_eq(reply_text(reply_at(reply, 3)), "connected") &&
		     reply_u64(reply_at(reply, 4), &offset);
	at_ms = s->follows ? moment_of(s->readers, offset) : 0;
	s->current = MAX(s->current, at_ms);
}

static void
on_role(void *arg, const redisReply *reply, int error)
{
	struct server *s = OBJ_CAST((struct server *)arg, SERVER_MAGIC);

	s->asking = false;
	if (reply == NULL) {
		return;
	}
	if (s->is_master) {
		on_master_role(s, reply);
	} else {
		on_replica_role(s, reply);
	}
	choose(s->readers);
}

static void
ask(struct server *s)
{
	if (link_is_up(s->to) && !s->asking) {
		s->asked_ms = clock_mono_ms();
		s->asking = link_send(s->to, 0, on_role, s, "ROLE", NULL) == 0;
	}
}

static void
on_poll(struct ev_loop *ev, ev_timer *timer, int revents)
{
	struct readers *r = OBJ_CAST((struct readers *)timer->data, READERS_MAGIC);

	if (r->master != NULL) {
		ask(r->master);
	}
	list_for_each (item, &r->replicas) {
		ask(CONTAINER_OF(item, struct server, link));
	}
	choose(r);
}

/* ---- places ---- */

static void
lead(struct place *p, const struct endpoint *at)
{
	if (p->epoch == 0 || !endpoint_equal(&p->at, at)) {
		const struct topo_master m = {.at = *at, .epoch = ++p->epoch};

		p->at = *at;
		(void)topo_offer(p->topo, &m, TOPO_FROM_SUPERVISOR);
	}
}

static void
add_place(struct readers *r)
{
	struct place *p = &r->places[r->place_count++];

	p->topo = topo_new();
	p->backend = backend_new(r->loop, p->topo, &r->conf);
	backend_set_secret(p->backend, r->user, r->secret);
}

static bool
is_of_this_host(const struct readers *r, const struct server *s)
{
	for (size_t i = 0; i < r->conf.near_count; i++) {
		if (endpoint_equal(&r->conf.near[i].at, &s->at)) {
			return true;
		}
	}
	return false;
}

static bool
may_stay(const struct place *p, const struct server *const *fit, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (endpoint_equal(&fit[i]->at, &p->at)) {
			return p->epoch != 0;
		}
	}
	return false;
}

/* The replicas that may serve: those of this host if there are any. Returns how many. */
static size_t
find_fit(const struct readers *r, const struct server *ret_fit[REPLICAS_MAX])
{
	uint64_t now = clock_mono_ms();
	size_t count = 0, near = 0;

	list_for_each (item, &r->replicas) {
		const struct server *s = CONTAINER_OF(item, struct server, link);

		if (is_fit(s, now)) {
			ret_fit[count++] = s;
		}
	}
	for (size_t i = 0; i < count; i++) {
		if (is_of_this_host(r, ret_fit[i])) {
			ret_fit[near++] = ret_fit[i];
		}
	}
	return near > 0 ? near : count;
}

/* Of `count` that are fit, the one that the fewest places lead to: none is left out while another serves two. */
static const struct server *
least_used(const struct readers *r, const struct server *const *fit, size_t count)
{
	const struct server *best = NULL;
	size_t least = SIZE_MAX;

	for (size_t i = 0; i < count; i++) {
		size_t users = 0;

		for (size_t k = 0; k < r->place_count; k++) {
			users += r->places[k].epoch != 0 &&
				 endpoint_equal(&r->places[k].at, &fit[i]->at);
		}
		if (users < least) {
			least = users;
			best = fit[i];
		}
	}
	return best;
}

static void
choose(struct readers *r)
{
	const struct server *fit[REPLICAS_MAX];
	size_t count = find_fit(r, fit);

	while (r->place_count < MIN(MAX(count, (size_t)1), (size_t)READERS_PLACES)) {
		add_place(r);
	}
	for (size_t i = 0; i < r->place_count; i++) {
		struct place *p = &r->places[i];

		if (may_stay(p, fit, count)) {
			continue;
		}
		if (count > 0) {
			lead(p, &least_used(r, fit, count)->at);
		} else if (r->master != NULL) {
			lead(p, &r->master->at); /* the last resort */
		}
	}
}

static void
on_master(void *arg, const struct topo_master *master)
{
	struct readers *r = OBJ_CAST((struct readers *)arg, READERS_MAGIC);

	if (r->master != NULL && endpoint_equal(&r->master->at, &master->at)) {
		return;
	}
	server_free(r->master);
	r->master = server_new(r, &master->at, true);
	/* offsets go on where a replica took over, but nobody knows how far it was */
	r->sample_count = r->sample_next = 0;
	list_for_each_safe (item, next, &r->replicas) {
		struct server *s = CONTAINER_OF(item, struct server, link);

		s->current = 0;
		if (endpoint_equal(&s->at, &master->at)) {
			drop_replica(s);
		}
	}
	choose(r);
}

/* ---- for its users ---- */

struct backend *
readers_next(struct readers *r)
{
	assert(r->place_count > 0);
	r->next = (r->next + 1) % r->place_count;
	return r->places[r->next].backend;
}

size_t
readers_count(const struct readers *r)
{
	return r->place_count;
}

struct backend *
readers_at(const struct readers *r, size_t i)
{
	assert(i < r->place_count);
	return r->places[i].backend;
}

size_t
readers_fit(const struct readers *r)
{
	uint64_t now = clock_mono_ms();
	size_t count = 0;

	list_for_each (item, &r->replicas) {
		count += is_fit(CONTAINER_OF(item, struct server, link), now) ? 1 : 0;
	}
	return count;
}

void
readers_configure(struct readers *r, const struct backend_conf *conf, uint64_t max_lag_ms)
{
	uint64_t poll_ms = max_lag_ms == 0 ? POLL_MOST_MS : max_lag_ms / 4;

	r->conf = *conf;
	r->conf.any_role = true;
	r->max_lag_ms = max_lag_ms;
	for (size_t i = 0; i < r->place_count; i++) {
		backend_configure(r->places[i].backend, &r->conf);
	}
	poll_ms = MIN(MAX(poll_ms, (uint64_t)POLL_LEAST_MS), (uint64_t)POLL_MOST_MS);
	r->poll.repeat = (double)poll_ms / 1000.;
	ev_timer_again(loop_ev(r->loop), &r->poll);
}

static bool
same(const char *a, const char *b)
{
	return (a == NULL) == (b == NULL) && (a == NULL || strcmp(a, b) == 0);
}

void
readers_set_secret(struct readers *r, const char *user, const char *password)
{
	struct list *item;

	if (same(user, r->user) && same(password, r->secret)) {
		return;
	}
	free(r->user);
	free(r->secret);
	r->user = xstrdup(user);
	r->secret = xstrdup(password);
	if (r->master != NULL) {
		const struct endpoint at = r->master->at;

		server_free(r->master);
		r->master = server_new(r, &at, true);
	}
	while ((item = r->replicas.next) != &r->replicas) {
		drop_replica(
		    CONTAINER_OF(item, struct server, link)); /* the master names them again */
	}
	for (size_t i = 0; i < r->place_count; i++) {
		backend_set_secret(r->places[i].backend, user, password);
	}
}

struct readers *
readers_new(struct loop *loop, struct topo *topo, const struct backend_conf *conf)
{
	struct readers *r = xcalloc(1, sizeof(*r));

	*r = (struct readers){.magic = READERS_MAGIC, .loop = loop, .topo = topo};
	list_init(&r->replicas);
	ev_init(&r->poll, on_poll);
	r->poll.data = r;
	readers_configure(r, conf, 0);
	add_place(r);
	r->observer = (struct topo_observer){.on_master = on_master, .arg = r};
	topo_watch(topo, &r->observer);
	return r;
}

static void
free_readers(void *obj)
{
	struct readers *r = obj;

	for (size_t i = 0; i < r->place_count; i++) {
		topo_free(&r->places[i].topo);
	}
	if (r->secret != NULL) {
		explicit_bzero(r->secret, strlen(r->secret));
	}
	free(r->user);
	free(r->secret);
	r->magic = 0;
	free(r);
}

void
readers_free(struct readers **rp)
{
	struct readers *r = *rp;
	struct list *item;

	*rp = NULL;
	if (r == NULL) {
		return;
	}
	topo_unwatch(&r->observer);
	ev_timer_stop(loop_ev(r->loop), &r->poll);
	server_free(r->master);
	while ((item = r->replicas.next) != &r->replicas) {
		drop_replica(CONTAINER_OF(item, struct server, link));
	}
	for (size_t i = 0; i < r->place_count; i++) {
		backend_free(&r->places[i].backend);
	}
	loop_bury(r->loop, free_readers, r);
}
