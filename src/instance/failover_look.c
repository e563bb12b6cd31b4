/* The picture of the situation, and what follows from it: may there be a switchover, to whom, and how. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "instance/failover_priv.h"
#include "instance/hello.h"
#include "topo/link.h"
#include "topo/reply.h"

#define QUESTION_MS 1500
#define BUSY_MS     100
/* Of a replica of which nobody has said anything else: Redis' own default. */
#define DEFAULT_PRIORITY 100

/* ---- servers ---- */

static uint64_t
info_u64(const struct redisReply *info, const char *name)
{
	uint64_t value;

	return slice_to_u64(reply_info(info, name), &value) ? value : 0;
}

static void
copy_text(struct slice from, char *to, size_t size)
{
	(void)snprintf(to, size, "%.*s", (int)MIN(from.len, size - 1), (const char *)from.ptr);
}

bool
fo_read_info(struct fo_node *n, const struct redisReply *info)
{
	struct slice role = reply_info(info, "role");
	char host[256];

	if (!slice_eq(role, "master") && !slice_eq(role, "slave")) {
		return false;
	}
	n->answered = true;
	n->is_master = slice_eq(role, "master");
	copy_text(reply_info(info, "master_replid"), n->replid, sizeof(n->replid));
	if (n->is_master) {
		n->link_up = false;
		n->offset = info_u64(info, "master_repl_offset");
		return true;
	}
	n->syncing = slice_eq(reply_info(info, "master_sync_in_progress"), "1");
	n->link_up = slice_eq(reply_info(info, "master_link_status"), "up") && !n->syncing;
	n->offset = info_u64(info, "slave_repl_offset");
	/* Since Redis 7. */
	n->tells_read = slice_to_u64(reply_info(info, "slave_read_repl_offset"), &n->read_offset);
	n->priority = (unsigned)MIN(info_u64(info, "slave_priority"), (uint64_t)INT32_MAX);
	if (n->f->barred) {
		n->priority_said = n->priority;
		n->priority =
		    slice_eq(reply_info(info, "replica_announced"), "0") ? 0 : DEFAULT_PRIORITY;
	}
	copy_text(reply_info(info, "master_host"), host, sizeof(host));
	n->follows = endpoint_tcp(host, (uint16_t)info_u64(info, "master_port"));
	return true;
}

/* Why this node cannot take over; NULL: it can. */
static const char *
unfitness(const struct failover *f, const struct fo_node *n, char *text, size_t size)
{
	const struct fo_node *master = &f->nodes[f->master];

	if (n->as.unfit != NULL) {
		return n->as.unfit;
	}
	if (f->dead && !n->as.synced) {
		return "it was not in step with the master";
	}
	if (!n->answered) {
		return "it does not answer";
	}
	if (n->is_master) {
		return "it is a master itself";
	}
	if (!f->frozen && !endpoint_equal(&n->follows, &master->as.at)) {
		(void)snprintf(text, size, "it follows %s", ENDPOINT_TEXT(&n->follows));
		return text;
	}
	if (f->dead && n->offset < f->seen_offset) {
		return "it lacks what the master had written a while before its end";
	}
	if (f->dead && n->dropped) {
		return "it could not be promoted";
	}
	if (f->dead ? n->syncing : !n->link_up) {
		return "it is not in step with the master";
	}
	if (!f->dead && strcmp(n->replid, master->replid) != 0) {
		return "its data has another history than the master's";
	}
	if (n->priority == 0) {
		return "its replica-priority is 0, so it must not become master";
	}
	return NULL;
}

const char *
fo_unfitness(const struct failover *f, size_t i, char *text, size_t size)
{
	return unfitness(f, &f->nodes[i], text, size);
}

/* In a switchover all will have every write; after a death what one has more is what counts. */
static bool
is_better(const struct failover *f, const struct fo_node *n, const struct fo_node *than)
{
	if (f->dead && n->offset != than->offset) {
		return n->offset > than->offset;
	}
	if (f->dead && n->as.on_disk != than->as.on_disk) {
		return n->as.on_disk;
	}
	return n->priority != than->priority ? n->priority < than->priority
					     : n->offset > than->offset;
}

/* Barred: the history that counts, of those that are known to have followed the dead master; NULL: of none. False with f->why: they differ. */
static bool
find_history(struct failover *f, const char **ret_replid)
{
	*ret_replid = NULL;
	for (size_t i = 0; f->barred && f->dead && i < f->count; i++) {
		const struct fo_node *n = &f->nodes[i];

		if (i == f->master || !n->answered || n->is_master ||
		    (!n->as.known && !(f->all && n->as.synced))) {
			continue;
		}
		if (*ret_replid != NULL && strcmp(*ret_replid, n->replid) != 0) {
			errmsg_set(&f->why,
			    "the replicas have different histories, whose offsets do not compare");
			return false;
		}
		*ret_replid = n->replid;
	}
	return true;
}

int
fo_choose(struct failover *f)
{
	const char *history;
	char text[320], reasons[700] = "";
	size_t used = 0, best = f->count;

	if (!find_history(f, &history)) {
		return -EAGAIN;
	}
	for (size_t i = 0; i < f->count; i++) {
		const struct fo_node *n = &f->nodes[i];
		const char *why;

		if (i == f->master || (f->to != NULL && strcmp(f->to, n->as.name) != 0)) {
			continue;
		}
		why = unfitness(f, n, text, sizeof(text));
		if (why == NULL && history != NULL && strcmp(n->replid, history) != 0) {
			why = "its data has another history";
		}
		if (why == NULL && (best == f->count || is_better(f, n, &f->nodes[best]))) {
			best = i;
		} else if (why != NULL && used < sizeof(reasons)) {
			int len = snprintf(reasons + used, sizeof(reasons) - used, "%s%s: %s",
			    used > 0 ? "; " : "", n->as.name, why);

			used += len > 0 ? (size_t)len : 0;
		}
	}
	if (best == f->count) {
		errmsg_set(&f->why, "no replica can take over (%s)", reasons);
		return -EAGAIN;
	}
	f->target = best;
	return 0;
}

/* ---- sentinels ---- */

/* A hung sentinel's link stands for a while, and its view with it. */
static bool
answers(const struct failover *f, const struct endpoint *at)
{
	for (size_t i = 0; i < f->sentinel_count; i++) {
		if (endpoint_equal(&f->sentinels[i].at, at)) {
			return f->sentinels[i].answers;
		}
	}
	return false;
}

bool
fo_majority_answers(struct failover *f)
{
	size_t count = 0;

	for (size_t i = 0; i < watcher_count(f->watcher); i++) {
		const struct watcher_sentinel *v = watcher_get(f->watcher, i);

		count += v->connected && v->knows && answers(f, &v->at);
	}
	if (count < f->need) {
		errmsg_set(&f->why,
		    "only %zu of %zu sentinels answer, and %zu are needed: see `holdfast status`",
		    count, f->voters, f->need);
		return false;
	}
	return true;
}

void
fo_count_voters(struct failover *f)
{
	size_t quorum = 0;

	f->voters = watcher_count(f->watcher);
	f->epoch = f->known_epoch;
	for (size_t i = 0; i < watcher_count(f->watcher); i++) {
		const struct watcher_sentinel *v = watcher_get(f->watcher, i);

		if (v->connected && v->knows) {
			f->voters = MAX(f->voters, (size_t)v->others + 1);
			quorum = MAX(quorum, (size_t)v->quorum);
			f->epoch = MAX(f->epoch, v->names.epoch);
		}
	}
	/* One that was claimed before is won already. */
	f->epoch = MAX(f->epoch + 1, f->claimed_epoch);
	f->need = MAX(f->voters / 2 + 1, quorum);
}

/* What they say, of those that answer. False with f->why when it is no time for a switchover. */
static bool
do_sentinels_agree(struct failover *f)
{
	const struct endpoint *old = &f->nodes[f->master].as.at;
	size_t agree = 0;

	fo_count_voters(f);
	if (fo_sentinel_is_busy(f)) {
		errmsg_set(&f->why, "Sentinel runs a failover already: wait for it");
		return false;
	}
	for (size_t i = 0; i < watcher_count(f->watcher); i++) {
		const struct watcher_sentinel *v = watcher_get(f->watcher, i);

		agree += v->connected && v->knows && answers(f, &v->at) &&
			 endpoint_equal(&v->names.at, old);
	}
	if (agree < f->need) {
		errmsg_set(&f->why,
		    "only %zu of %zu sentinels name %s as the master, and %zu are needed: see "
		    "`holdfast status`",
		    agree, f->voters, f->nodes[f->master].as.name, f->need);
		return false;
	}
	return true;
}

bool
fo_can_tell(const struct failover *f)
{
	size_t tellable = 0;

	for (size_t i = 0; i < f->sentinel_count; i++) {
		tellable += f->sentinels[i].tellable;
	}
	return tellable >= f->need;
}

static void
looked(struct failover *f)
{
	const struct fo_node *master = &f->nodes[f->master];
	bool may = master->answered && master->is_master;

	if (!may) {
		errmsg_set(&f->why, "%s does not answer as a master", master->as.name);
	}
	may = may && do_sentinels_agree(f) && fo_choose(f) == 0;
	if (!may && !f->dry) {
		fo_step(f, FO_BAD);
		return;
	}
	/* We lead when the sentinels can vote, and be told the result by each other's names. */
	f->leads = !f->sentinel_only && fo_can_tell(f);
	if (f->barred && !f->leads && !f->dry) {
		errmsg_set(&f->why, "the sentinels cannot be told of another master");
		fo_step(f, FO_BAD);
		return;
	}
	fo_step(f, FO_DONE);
}

/* ---- questions ---- */

static void
on_info(void *arg, const struct redisReply *reply, int error)
{
	struct fo_node *n = arg;

	if (error == 0) {
		(void)fo_read_info(n, reply);
	}
	if (fo_answered(n->f)) {
		looked(n->f);
	}
}

/* In a takeover the same questions go along with those for votes. */
static void
sentinel_answered(struct failover *f)
{
	bool last = fo_answered(f);

	if (f->state == FO_VOTING) {
		fo_check_votes(f);
	} else if (last) {
		looked(f);
	}
}

static void
on_trial(void *arg, const struct redisReply *reply, int error)
{
	struct fo_sentinel *s = arg;
	uint64_t receivers;

	s->tellable = error == 0 && reply_u64(reply, &receivers);
	sentinel_answered(s->f);
}

/*
 * The way of telling is tried out with what the sentinel knows already, so that nothing has been
 * changed when it turns out not to work.
 */
static void
on_peers(void *arg, const struct redisReply *reply, int error)
{
	struct fo_sentinel *s = arg;
	struct failover *f = s->f;
	size_t i = (size_t)(s - f->sentinels);
	struct link *l = fo_sentinel_link(f, i);
	char hello[HELLO_SIZE];

	if (error == 0 && !reply_is_error(reply)) {
		s->answers = true;
		if (s->peer[0] == '\0') {
			(void)hello_read_peer(reply, s->peer);
		}
	}
	if (f->state == FO_TELLING) {
		(void)fo_answered(f);
		fo_tell_late(f, i);
		return;
	}
	for (size_t k = 0; l != NULL && s->peer[0] != '\0' && k < watcher_count(f->watcher); k++) {
		const struct watcher_sentinel *v = watcher_get(f->watcher, k);

		if (!endpoint_equal(&v->at, &s->at) || !v->knows) {
			continue;
		}
		hello_format(hello, s->peer, v->names.epoch, f->name, &v->names);
		f->pending += hello_send(l, hello, QUESTION_MS, on_trial, s) == 0;
	}
	sentinel_answered(f);
}

void
fo_ask_for_peers(struct failover *f)
{
	for (size_t i = 0; i < f->sentinel_count; i++) {
		struct link *l = fo_sentinel_link(f, i);

		f->pending += l != NULL && !f->sentinels[i].tellable &&
			      link_send(l, QUESTION_MS, on_peers, &f->sentinels[i], "SENTINEL",
				  "SENTINELS", f->name, NULL) == 0;
	}
}

bool
fo_sentinel_is_busy(const struct failover *f)
{
	for (size_t i = 0; i < watcher_count(f->watcher); i++) {
		const struct watcher_sentinel *v = watcher_get(f->watcher, i);

		if (v->connected && v->knows && v->failover) {
			return true;
		}
	}
	return false;
}

void
fo_look(void *obj)
{
	struct failover *f = obj;

	/* The tail of a failover that Sentinel has just made: it is waited for, not refused. */
	if (fo_sentinel_is_busy(f)) {
		errmsg_set(
		    &f->why, "Sentinel is still at another failover: try again when it is done");
		fo_tick_in(f, BUSY_MS);
		return;
	}
	f->why = ERRMSG_NONE;
	for (size_t i = 0; i < f->count; i++) {
		struct link *l = fo_node_link(f, i);

		f->pending += l != NULL && link_send(l, QUESTION_MS, on_info, &f->nodes[i], "INFO",
					       "replication", NULL) == 0;
	}
	fo_ask_for_peers(f);
	if (f->pending == 0) {
		errmsg_set(&f->why, "no redis instance and no sentinel answers");
		fo_step(f, FO_BAD);
	}
}
