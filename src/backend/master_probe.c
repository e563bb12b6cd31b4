/*
 * The link over which the server at the master's address is looked at: is it the master, does it serve, which process
 * is it. It also tells what commands it has, and is given the scripts that it is to know.
 *
 *   up → INFO (run_id) → PING, ROLE → backend_on_role → later: PING, ROLE …
 *                               └ a master: SCRIPT LOAD, and ROLE once more
 */
#include <assert.h>
#include <hiredis/hiredis.h>
#include <stdio.h>
#include <string.h>

#include "backend/backend_priv.h"
#include "backend/command.h"
#include "backend/scripts.h"
#include "base/clock.h"
#include "topo/link.h"
#include "topo/reply.h"

#define ROLE_FIRST_MS   5
#define ROLE_MOST_MS    250
#define ROLE_PART       20 /* asked again after such a part of the time that has passed */
#define ROLE_ROUTING_MS 1000
#define CONNECT_MS      1000
#define STALL_MS        2000
#define RETRY_FIRST_MS  2
#define RETRY_MOST_MS   250
/* COMMAND tells 0.1 MB of Redis 7; more breaks the probe. */
#define COMMANDS_BYTES_MAX ((size_t)16 * 1024 * 1024)

/* ---- when it is asked ---- */

static void
on_role_timer(struct ev_loop *ev, ev_timer *timer, int revents)
{
	master_probe_ask(OBJ_CAST((struct backend *)timer->data, BACKEND_MAGIC));
}

void
master_probe_ask_later(struct backend *b)
{
	if (b->state == B_ROUTING || b->state == B_PAUSED) {
		b->role_ms = ROLE_ROUTING_MS;
	} else {
		b->role_ms = (clock_mono_ms() - b->probing_since_ms) / ROLE_PART;
		b->role_ms = MAX(b->role_ms, (uint64_t)ROLE_FIRST_MS);
		b->role_ms = MIN(b->role_ms, (uint64_t)ROLE_MOST_MS);
	}
	ev_timer_stop(loop_ev(b->loop), &b->role_timer);
	ev_timer_set(&b->role_timer, (double)b->role_ms / 1000., 0.);
	ev_timer_start(loop_ev(b->loop), &b->role_timer);
}

/* ---- what the server knows of its commands ---- */

static void
learn(const redisReply *one)
{
	const redisReply *flags = reply_at(one, 2), *subs = reply_at(one, 9),
			 *arity = reply_at(one, 1);
	uint16_t mine = reply_count(subs) > 0 ? CMD_SUBS : 0;

	if (arity == NULL || arity->type != REDIS_REPLY_INTEGER) {
		return;
	}
	for (size_t i = 0; i < reply_count(flags); i++) {
		mine |= command_flag_of(reply_text(reply_at(flags, i)));
	}
	(void)command_learn(reply_text(reply_at(one, 0)), arity->integer, mine);
}

static void
on_commands(void *arg, const redisReply *reply, int error)
{
	for (size_t i = 0; i < reply_count(reply); i++) {
		const redisReply *subs = reply_at(reply_at(reply, i), 9);

		learn(reply_at(reply, i));
		for (size_t k = 0; k < reply_count(subs); k++) {
			learn(reply_at(subs, k));
		}
	}
}

static void
on_command_count(void *arg, const redisReply *reply, int error)
{
	struct backend *b = OBJ_CAST((struct backend *)arg, BACKEND_MAGIC);
	uint64_t count;

	if (reply_u64(reply, &count) && count != b->commands &&
	    link_send(b->probe, 0, on_commands, b, "COMMAND", NULL) == 0) {
		b->commands = count;
	}
}

/* Once for each server process, and not before it has routed for a while: after a failover there is more urgent work.
 * A successor has as many, as a rule, and need not be asked for them all. */
static void
learn_commands(struct backend *b)
{
	if (b->state == B_ROUTING && b->role_ms == ROLE_ROUTING_MS && b->learnt != b->process &&
	    link_send(b->probe, 0, on_command_count, b, "COMMAND", "COUNT", NULL) == 0) {
		b->learnt = b->process;
	}
}

/* ---- what the server is to know of scripts ---- */

static void
on_script(void *arg, const redisReply *reply, int error)
{
	struct backend *b = OBJ_CAST((struct backend *)arg, BACKEND_MAGIC);

	if (reply == NULL) {
		b->scripts_at = 0; /* the link broke: once more */
	}
}

/*
 * True when some were sent: then it is a master for us when they are there, so that no EVALSHA comes before its script. Replicas
 * that serve reads are also given those that came since, which their master has from its clients.
 */
static bool
load_scripts(struct backend *b)
{
	static const char script[] = "SCRIPT", load[] = "LOAD";
	uint64_t after = b->scripts_at == b->process ? b->scripts_upto : 0, number;
	bool sent = false;

	if (b->scripts_at == b->process && !b->conf.any_role) {
		return false;
	}
	for (size_t i = 0; i < scripts_count(b->scripts); i++) {
		struct slice body = scripts_at(b->scripts, i, &number);
		const char *words[] = {script, load, (const char *)body.ptr};
		const size_t lengths[] = {sizeof(script) - 1, sizeof(load) - 1, body.len};

		sent = (number > after &&
			   link_sendv(b->probe, 0, on_script, b, 3, words, lengths) == 0) ||
		       sent;
	}
	b->scripts_at = b->process;
	b->scripts_upto = scripts_last(b->scripts);
	return sent;
}

/* ---- ROLE, and what goes with it ---- */

static bool
says_master(const redisReply *r)
{
	return r->type == REDIS_REPLY_ARRAY && r->elements > 0 &&
	       r->element[0]->type == REDIS_REPLY_STRING &&
	       strcmp(r->element[0]->str, "master") == 0;
}

static void
on_role(void *arg, const redisReply *reply, int error)
{
	struct backend *b = OBJ_CAST((struct backend *)arg, BACKEND_MAGIC);
	char why[160];

	b->role_asked = false;
	if (reply == NULL) {
		master_probe_ask_later(b); /* the link says why */
		return;
	}
	if (b->role_stale) {
		master_probe_ask(b);
		return;
	}
	if (b->not_serving) {
		backend_on_role(b, "the master is loading its data");
	} else if (b->fenced && says_master(reply)) {
		backend_on_role(b, "the master reaches too few replicas to take writes");
		backend_expect(b);
	} else if (says_master(reply) || (b->conf.any_role && reply->type == REDIS_REPLY_ARRAY)) {
		if (load_scripts(b)) {
			master_probe_ask(b);
			return;
		}
		learn_commands(b);
		backend_on_role(b, NULL);
	} else {
		if (reply->type == REDIS_REPLY_ERROR) {
			(void)snprintf(
			    why, sizeof(why), "the master refuses ROLE: %.100s", reply->str);
		} else {
			(void)snprintf(why, sizeof(why), "the server at %.100s:%u is no master",
			    b->master.at.host, b->master.at.port);
		}
		backend_on_role(b, why);
	}
}

/* PING tells of LOADING, which ROLE does not. */
static void
on_ping(void *arg, const redisReply *reply, int error)
{
	struct backend *b = OBJ_CAST((struct backend *)arg, BACKEND_MAGIC);

	b->not_serving = reply != NULL && reply->type == REDIS_REPLY_ERROR &&
			 strncmp(reply->str, "LOADING", 7) == 0;
}

/* As the server counts them, late ones left out (replication.c, refreshGoodSlavesCount). */
static void
on_replication(void *arg, const redisReply *reply, int error)
{
	struct backend *b = OBJ_CAST((struct backend *)arg, BACKEND_MAGIC);
	uint64_t good;

	b->fenced = reply != NULL &&
		    slice_to_u64(reply_info(reply, "min_slaves_good_slaves"), &good) &&
		    good < b->conf.fence;
}

void
master_probe_ask(struct backend *b)
{
	if (b->probe == NULL || !link_is_up(b->probe)) {
		return; /* on_up asks */
	}
	if (b->role_asked) {
		b->role_stale = true; /* what is on its way was asked before */
		return;
	}
	b->role_stale = false;
	b->role_asked = link_send(b->probe, 0, on_ping, b, "PING", NULL) == 0 &&
			(b->conf.fence == 0 || link_send(b->probe, 0, on_replication, b, "INFO",
						   "replication", NULL) == 0) &&
			link_send(b->probe, 0, on_role, b, "ROLE", NULL) == 0;
}

/*
 * A link that was broken may lead to the same process, or to one that was restarted behind the same address and has
 * lost what only its memory had. It is known before ROLE is, and so before anything is routed there.
 */
static void
on_info(void *arg, const redisReply *reply, int error)
{
	struct backend *b = OBJ_CAST((struct backend *)arg, BACKEND_MAGIC);
	struct slice id = reply_info(reply, "run_id");

	if (reply != NULL &&
	    (id.len == 0 || id.len >= sizeof(b->run_id) || !slice_eq(id, b->run_id))) {
		b->process++;
		(void)snprintf(b->run_id, sizeof(b->run_id), "%.*s",
		    id.len < sizeof(b->run_id) ? (int)id.len : 0, (const char *)id.ptr);
	}
}

static void
on_up(struct link *l, void *owner)
{
	struct backend *b = OBJ_CAST((struct backend *)owner, BACKEND_MAGIC);

	(void)link_send(l, 0, on_info, b, "INFO", "server", NULL);
	b->role_asked = false;
	master_probe_ask(b);
}

static void
on_down(struct link *l, void *owner, int error, const char *why)
{
	struct backend *b = OBJ_CAST((struct backend *)owner, BACKEND_MAGIC);

	b->role_asked = false;
	backend_suspect(b, why);
}

/* ---- life ---- */

void
master_probe_begin(struct backend *b)
{
	static const struct link_ops ops = {.on_up = on_up, .on_down = on_down};
	struct link_spec spec = {.at = b->master.at,
	    .user = b->user,
	    .password = b->secret,
	    .connect_ms = CONNECT_MS,
	    .stall_ms = STALL_MS,
	    .reply_max_bytes = COMMANDS_BYTES_MAX,
	    .retry_min_ms = RETRY_FIRST_MS,
	    .retry_max_ms = RETRY_MOST_MS};

	link_free(&b->probe);
	b->role_asked = false;
	b->probe = link_new(b->loop, &spec, &ops, b);
}

void
master_probe_init(struct backend *b)
{
	ev_init(&b->role_timer, on_role_timer);
	b->role_timer.data = b;
}

void
master_probe_fini(struct backend *b)
{
	link_free(&b->probe);
	ev_timer_stop(loop_ev(b->loop), &b->role_timer);
}
