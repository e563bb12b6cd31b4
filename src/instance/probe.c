#include "instance/probe.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "topo/link.h"
#include "topo/reply.h"

#define PROBE_MAGIC         0x50524f42U
#define DEFAULT_INTERVAL_MS 1000

struct probe {
	uint32_t magic;
	struct loop *loop; /* borrowed (outlives all) */
	struct link *link; /* owned */
	enum probe_kind kind;
	const char *master_name; /* borrowed */
	const struct probe_ops *ops;
	void *owner; /* borrowed */
	uint64_t interval_ms, answer_ms;
	ev_timer tick;
	unsigned waiting; /* questions of this round without an answer */
	bool resting, asked_again;
	bool
	    round_missed; /* counted already: a round is missed once, however many of its questions */
	struct probe_view view;
	struct probe_view told; /* as the owner last saw it */
};

static void ask(struct probe *p);

static struct probe *
as_probe(void *arg)
{
	return OBJ_CAST((struct probe *)arg, PROBE_MAGIC);
}

/* Offsets move all the time and are no news. The probe may be freed by the owner. */
static void
tell(struct probe *p)
{
	struct probe_view now = p->view, before = p->told;

	before.offset = now.offset;
	if (memcmp(&now, &before, sizeof(now)) == 0) {
		return;
	}
	p->told = p->view;
	p->ops->on_change(p, p->owner, &p->view);
}

/* Answers of servers go into `why` printable and cut. */
static void
set_why(struct probe *p, const char *what, const struct redisReply *reply)
{
	(void)snprintf(
	    p->view.why, sizeof(p->view.why), "%s: %s", what, LOG_QUOTE(reply_text(reply)));
}

/* The end of one question; of the round, when it was the last. */
static void
answered(struct probe *p)
{
	assert(p->waiting > 0);
	p->waiting--;
	/* After a missed round the next one at once: the owner counts them. */
	if (p->waiting == 0 && (p->asked_again || p->round_missed)) {
		p->asked_again = false;
		ask(p);
	}
	tell(p);
}

static void
missed(struct probe *p, const char *what)
{
	if (!p->round_missed) {
		p->round_missed = true;
		p->view.missed++;
	}
	p->view.answering = false;
	p->view.busy = false;
	(void)snprintf(p->view.why, sizeof(p->view.why), "no answer to %s in time", what);
}

static void
on_ping(void *arg, const struct redisReply *reply, int error)
{
	struct probe *p = as_probe(arg);

	p->view.busy = error == 0 && reply_has_code(reply, "BUSY");
	if (error != 0) {
		missed(p, "PING");
	} else if (p->view.busy) {
		/* alive, by its own word */
		p->view.answering = false;
		p->view.missed = 0;
		set_why(p, "PING", reply);
	} else if (reply_has_code(reply, "LOADING")) {
		p->view.loading = true;
		p->view.answering = true;
		p->view.missed = 0;
		p->view.role = PROBE_UNKNOWN;
		set_why(p, "PING", reply);
	} else if (slice_eq(reply_text(reply), "PONG") || reply_has_code(reply, "MASTERDOWN")) {
		/* MASTERDOWN: replica-serve-stale-data no; it lives all the same */
		p->view.answering = true;
		p->view.loading = false;
		p->view.missed = 0;
		p->view.why[0] = '\0';
	} else {
		p->view.answering = false;
		set_why(p, "PING", reply);
	}
	answered(p);
}

/* ROLE of a replica: "slave", master's host, port, state of the link, offset (Redis documentation, ROLE). */
static void
read_replica(struct probe *p, const struct redisReply *reply)
{
	static const struct {
		const char *word;
		enum probe_sync sync;
	} words[] = {{"connect", PROBE_SYNC_CONNECT}, {"connecting", PROBE_SYNC_CONNECTING},
	    {"handshake", PROBE_SYNC_CONNECTING}, {"sync", PROBE_SYNC_TRANSFER},
	    {"connected", PROBE_SYNC_CONNECTED}};
	struct slice state = reply_text(reply_at(reply, 3));
	struct endpoint master;

	p->view.role = PROBE_REPLICA;
	p->view.replicas = 0;
	p->view.sync = PROBE_SYNC_NONE;
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (slice_eq(state, words[i].word)) {
			p->view.sync = words[i].sync;
		}
	}
	/* Not connected yet: the offset is -1. */
	if (!reply_u64(reply_at(reply, 4), &p->view.offset)) {
		p->view.offset = 0;
	}
	memset(&master, 0, sizeof(master));
	if (!reply_endpoint(reply_at(reply, 1), reply_at(reply, 2), &master)) {
		memset(&master, 0, sizeof(master));
	}
	p->view.master = master;
}

static void
on_role(void *arg, const struct redisReply *reply, int error)
{
	struct probe *p = as_probe(arg);
	struct slice word = reply_text(reply_at(reply, 0));

	if (error != 0) {
		missed(p, "ROLE");
	} else if (slice_eq(word, "master")) {
		p->view.role = PROBE_MASTER;
		p->view.sync = PROBE_SYNC_NONE;
		memset(&p->view.master, 0, sizeof(p->view.master));
		(void)reply_u64(reply_at(reply, 1), &p->view.offset);
		p->view.replicas = (unsigned)reply_count(reply_at(reply, 2));
	} else if (slice_eq(word, "slave")) {
		read_replica(p, reply);
	} else if (!reply_has_code(reply, "LOADING")) {
		p->view.role = PROBE_UNKNOWN;
		set_why(p, "ROLE", reply);
	}
	answered(p);
}

static void
on_myid(void *arg, const struct redisReply *reply, int error)
{
	struct probe *p = as_probe(arg);
	struct slice id = reply_text(reply);

	if (error == 0 && !reply_is_error(reply) && id.len == sizeof(p->view.id) - 1) {
		memcpy(p->view.id, id.ptr, id.len);
		p->view.id[id.len] = '\0';
	}
	answered(p);
}

static unsigned
field(const struct redisReply *reply, const char *name)
{
	uint64_t value;

	return reply_u64(reply_field(reply, name), &value) && value <= UINT32_MAX ? (unsigned)value
										  : 0;
}

static void
on_sentinel_master(void *arg, const struct redisReply *reply, int error)
{
	struct probe *p = as_probe(arg);

	if (error != 0) {
		missed(p, "SENTINEL MASTER");
	} else if (reply_is_error(reply)) {
		p->view.knows = false;
		set_why(p, "SENTINEL MASTER", reply);
	} else {
		struct topo_master names;

		memset(&names, 0, sizeof(names));
		p->view.knows = reply_endpoint(reply_field(reply, "ip"), reply_field(reply, "port"),
				    &names.at) &&
				reply_u64(reply_field(reply, "config-epoch"), &names.epoch);
		p->view.names = names;
		p->view.others = field(reply, "num-other-sentinels");
		p->view.known_replicas = field(reply, "num-slaves");
		p->view.quorum = field(reply, "quorum");
		p->view.down_after_ms = field(reply, "down-after-milliseconds");
	}
	answered(p);
}

/* Sends one question of a round. */
static void
question(struct probe *p, link_reply_fn *fn, const char *one, const char *two, const char *three)
{
	if (link_send(p->link, p->answer_ms, fn, p, one, two, three, NULL) == 0) {
		p->waiting++;
	}
}

/* A round: never two at once, so a silent server is not buried under questions. */
static void
ask(struct probe *p)
{
	if (p->resting || !link_is_up(p->link)) {
		return;
	}
	if (p->waiting > 0) {
		p->asked_again = true;
		return;
	}
	p->round_missed = false;
	question(p, on_ping, "PING", NULL, NULL);
	if (p->kind == PROBE_REDIS) {
		question(p, on_role, "ROLE", NULL, NULL);
		return;
	}
	if (p->view.id[0] == '\0') {
		question(p, on_myid, "SENTINEL", "MYID", NULL);
	}
	question(p, on_sentinel_master, "SENTINEL", "MASTER", p->master_name);
}

static void
on_tick(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct probe *p = as_probe(w->data);

	if (p->waiting == 0) {
		ask(p);
	}
}

static void
on_up(struct link *l, void *owner)
{
	struct probe *p = as_probe(owner);

	p->view.connected = true;
	p->view.refused = false;
	p->waiting = 0;
	p->asked_again = false;
	ask(p);
	tell(p);
}

static void
on_down(struct link *l, void *owner, int error, const char *why)
{
	struct probe *p = as_probe(owner);

	p->view.connected = false;
	p->view.refused = error == -EACCES;
	p->view.answering = false;
	p->view.loading = false;
	p->view.busy = false;
	p->waiting = 0;
	p->asked_again = false;
	(void)snprintf(p->view.why, sizeof(p->view.why), "%s", why);
	tell(p);
}

static const struct link_ops link_ops = {.on_up = on_up, .on_down = on_down};

static void
set_tick(struct probe *p)
{
	double interval = (double)p->interval_ms / 1000.;

	ev_timer_stop(loop_ev(p->loop), &p->tick);
	if (!p->resting) {
		ev_timer_set(&p->tick, interval, interval);
		ev_timer_start(loop_ev(p->loop), &p->tick);
	}
}

struct probe *
probe_new(
    struct loop *loop, const struct probe_spec *spec, const struct probe_ops *ops, void *owner)
{
	struct probe *p = xcalloc(1, sizeof(*p));
	/* A server that is starting is found soon: the first pauses are short. */
	struct link_spec link = {.at = spec->at,
	    .user = spec->user,
	    .password = spec->password,
	    .retry_min_ms = 10,
	    .retry_max_ms = 500};

	p->magic = PROBE_MAGIC;
	p->loop = loop;
	p->kind = spec->kind;
	p->master_name = spec->master_name;
	p->ops = ops;
	p->owner = owner;
	p->interval_ms = spec->interval_ms != 0 ? spec->interval_ms : DEFAULT_INTERVAL_MS;
	p->answer_ms = spec->answer_ms != 0 ? spec->answer_ms : p->interval_ms;
	ev_init(&p->tick, on_tick);
	p->tick.data = p;
	p->link = link_new(loop, &link, &link_ops, p);
	set_tick(p);
	return p;
}

static void
free_now(void *obj)
{
	struct probe *p = obj;

	p->magic = 0;
	free(p);
}

void
probe_free(struct probe **pp)
{
	struct probe *p = *pp;

	*pp = NULL;
	if (p == NULL) {
		return;
	}
	p->resting = true;
	ev_timer_stop(loop_ev(p->loop), &p->tick);
	link_free(&p->link);
	loop_bury(p->loop, free_now, p);
}

const struct probe_view *
probe_get(const struct probe *p)
{
	return &p->view;
}

void
probe_ask(struct probe *p)
{
	if (p->resting) {
		return;
	}
	link_kick(p->link);
	ask(p);
}

void
probe_set_interval(struct probe *p, uint64_t interval_ms, uint64_t answer_ms)
{
	p->interval_ms = interval_ms;
	p->answer_ms = answer_ms;
	set_tick(p);
}

void
probe_rest(struct probe *p, bool resting)
{
	if (p->resting == resting) {
		return;
	}
	p->resting = resting;
	memset(&p->view, 0, sizeof(p->view));
	p->told = p->view;
	p->waiting = 0;
	p->asked_again = false;
	link_forget(p->link, p);
	link_rest(p->link, resting);
	set_tick(p);
}

void
probe_move(struct probe *p, const struct endpoint *at)
{
	link_move(p->link, at);
}

struct link *
probe_link(const struct probe *p)
{
	return p->link;
}

const char *
probe_role_name(enum probe_role role)
{
	return role == PROBE_MASTER ? "master" : role == PROBE_REPLICA ? "replica" : NULL;
}

bool
probe_is_ready(const struct probe_view *view, enum probe_kind kind)
{
	if (!view->answering || view->loading) {
		return false;
	}
	if (kind == PROBE_SENTINEL) {
		return view->knows;
	}
	return view->role == PROBE_MASTER ||
	       (view->role == PROBE_REPLICA && view->sync == PROBE_SYNC_CONNECTED);
}
