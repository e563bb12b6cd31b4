#include "failover_world.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>

#include "base/mem.h"
#include "topo/link.h"
#include "topo/reply.h"

static const char *const names[WORLD_NODES] = {"redis-1", "redis-2", "redis-3"};

static void note(struct world *w, const char *fmt, ...) ATTR_PRINTF(2, 3);

static void
note(struct world *w, const char *fmt, ...)
{
	size_t used = strlen(w->journal);
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(w->journal + used, sizeof(w->journal) - used, fmt, ap);
	va_end(ap);
}

static const char *
word(const struct redisReply *request, size_t i)
{
	return i < request->elements ? request->element[i]->str : "";
}

static bool
is(const struct redisReply *request, size_t i, const char *text)
{
	return strcasecmp(word(request, i), text) == 0;
}

static uint16_t
port_of(const struct world *w, size_t node)
{
	return node < WORLD_NODES ? fake_at(w->nodes[node].server)->port : 1;
}

static size_t
node_at(const struct world *w, const char *port)
{
	for (size_t i = 0; i < WORLD_NODES; i++) {
		if (strtoul(port, NULL, 10) == port_of(w, i)) {
			return i;
		}
	}
	if (strcmp(port, "1") != 0) {
		fail_msg("no node has port %s", port);
	}
	return WORLD_NODES; /* where nobody listens */
}

static const char *
name_of(size_t node)
{
	return node < WORLD_NODES ? names[node] : "nobody";
}

/* ---- redis ---- */

static void
say_bulk(struct fake_client *c, const char *text)
{
	fake_say(c, "$%zu\r\n%s\r\n", strlen(text), text);
}

static void
answer_info(struct world_node *n, struct fake_client *c)
{
	char text[512], reads[64] = "";

	if (n->drips > 0) {
		n->drips--;
		n->offset++;
	}
	if (!n->old) {
		(void)snprintf(reads, sizeof(reads), "slave_read_repl_offset:%u\r\n", n->offset);
	}
	if (n->steps > 0 && --n->steps == 0) {
		n->offset = 1000;
	}
	if (n->is_master) {
		(void)snprintf(text, sizeof(text),
		    "# Replication\r\nrole:master\r\nconnected_slaves:2\r\nmaster_replid:abc\r\n"
		    "master_repl_offset:%u\r\n",
		    n->offset);
	} else {
		(void)snprintf(text, sizeof(text),
		    "# Replication\r\nrole:slave\r\nmaster_host:127.0.0.1\r\nmaster_port:%u\r\n"
		    "master_link_status:%s\r\nmaster_sync_in_progress:0\r\nslave_repl_offset:%u\r\n"
		    "%sslave_priority:%u\r\nreplica_announced:%d\r\nmaster_replid:%s\r\n",
		    port_of(n->w, n->follows), n->link_up ? "up" : "down", n->offset, reads,
		    n->priority, !n->hidden, n->replid != NULL ? n->replid : "abc");
	}
	say_bulk(c, text);
}

static void
answer_replicaof(struct world_node *n, struct fake_client *c, const struct redisReply *request)
{
	bool promote = is(request, 1, "NO");
	const char *answer = promote ? n->promote_answer : n->follow_answer;

	note(n->w, "%s REPLICAOF %s\n", names[n - n->w->nodes],
	    promote ? "NO ONE" : name_of(node_at(n->w, word(request, 2))));
	if (promote && n->promote_silent) {
		return;
	}
	if (answer != NULL) {
		fake_say(c, "%s", answer);
		return;
	}
	n->is_master = promote;
	if (!promote) {
		n->follows = node_at(n->w, word(request, 2));
		n->link_up = n->link_up && n->follows < WORLD_NODES;
	}
	fake_say(c, "+OK\r\n");
}

static void
on_redis_request(void *arg, struct fake_client *c, const struct redisReply *request)
{
	struct world_node *n = arg;
	const char *answer = "+OK\r\n";

	if (n->silent) {
		return;
	}
	if (is(request, 0, "INFO")) {
		answer_info(n, c);
		return;
	}
	if (is(request, 0, "REPLICAOF")) {
		answer_replicaof(n, c, request);
		return;
	}
	note(n->w, "%s %s %s", names[n - n->w->nodes], word(request, 0), word(request, 1));
	if (is(request, 1, "PAUSE") && n->pause_answer != NULL) {
		answer = n->pause_answer;
	} else if (is(request, 1, "SET")) {
		note(n->w, " %s %s", word(request, 2), word(request, 3));
		n->priority = (unsigned)strtoul(word(request, 3), NULL, 10);
		answer = n->config_answer != NULL ? n->config_answer : answer;
	}
	note(n->w, "\n");
	fake_say(c, "%s", answer);
}

/* ---- sentinels ---- */

static void
say_field(struct fake_client *c, const char *name, const char *value)
{
	say_bulk(c, name);
	say_bulk(c, value);
}

static void
say_number(struct fake_client *c, const char *name, unsigned value)
{
	char text[16];

	(void)snprintf(text, sizeof(text), "%u", value);
	say_field(c, name, text);
}

static void
sentinel_id(size_t i, char id[41])
{
	(void)snprintf(id, 41, "%040zx", i + 1);
}

static void
answer_peers(struct world_sentinel *s, struct fake_client *c)
{
	size_t me = (size_t)(s - s->w->sentinels);

	fake_say(c, "*%d\r\n", s->alone ? 0 : WORLD_SENTINELS - 1);
	for (size_t i = 0; !s->alone && i < WORLD_SENTINELS; i++) {
		char id[41];

		if (i == me) {
			continue;
		}
		sentinel_id(i, id);
		fake_say(c, "*6\r\n");
		say_field(c, "ip", "127.0.0.1");
		say_number(c, "port", s->w->sentinels[i].port);
		say_field(c, "runid", id);
	}
}

static void
answer_replicas(struct world_sentinel *s, struct fake_client *c)
{
	fake_say(c, "*%d\r\n", WORLD_NODES - 1);
	for (size_t i = 0; i < WORLD_NODES; i++) {
		if (i != s->names) {
			fake_say(c, "*6\r\n");
			say_field(c, "ip", "127.0.0.1");
			say_number(c, "port", port_of(s->w, i));
			say_number(c, "slave-priority", s->blind ? 100 : s->w->nodes[i].priority);
		}
	}
}

static void
answer_vote(struct world_sentinel *s, struct fake_client *c, const struct redisReply *request)
{
	unsigned epoch = (unsigned)strtoul(word(request, 4), NULL, 10);
	char other[41];

	note(s->w, "sentinel vote %u\n", epoch);
	sentinel_id(8, other);
	fake_say(c, "*3\r\n:0\r\n");
	if (s->no_votes || epoch <= s->voted_at) {
		say_bulk(c, other);
		fake_say(c, ":%u\r\n", s->voted_at);
	} else {
		if (epoch > s->leader_epoch) {
			s->leader_epoch = epoch;
			(void)snprintf(s->leader, sizeof(s->leader), "%s", word(request, 5));
			note(s->w, "sentinel saves %u\n", epoch);
		}
		say_bulk(c, s->leader);
		fake_say(c, ":%u\r\n", s->leader_epoch);
	}
}

static void
take_hello(struct world_sentinel *s, struct fake_client *c, const char *text)
{
	unsigned long epoch;
	const char *port = text;
	char peer[41], me[41];

	if (s->no_publish) {
		fake_say(c, "-ERR unknown command 'PUBLISH'\r\n");
		return;
	}
	/* ip,port,id,epoch,name,ip,port,epoch */
	for (int i = 0; i < 6; i++) {
		port = strchr(port, ',') + 1;
	}
	epoch = strtoul(strchr(port, ',') + 1, NULL, 10);
	sentinel_id((size_t)(s - s->w->sentinels), me);
	(void)snprintf(peer, sizeof(peer), "%.40s", strchr(strchr(text, ',') + 1, ',') + 1);
	assert_string_not_equal(peer, me); /* its own id would make a phantom */
	if (epoch > s->epoch && !s->deaf) {
		s->epoch = (unsigned)epoch;
		s->names = node_at(s->w, port);
		note(s->w, "sentinel takes %s\n", names[s->names]);
	}
	fake_say(c, ":1\r\n");
}

static void
answer_failover(struct world_sentinel *s, struct fake_client *c)
{
	struct world *w = s->w;
	size_t best = 1;

	note(w, "sentinel FAILOVER\n");
	fake_say(c, "%s", s->failover_answer != NULL ? s->failover_answer : "+OK\r\n");
	if (!s->promotes) {
		return;
	}
	for (size_t i = 0; i < WORLD_NODES; i++) {
		if (!w->nodes[i].is_master && w->nodes[i].priority > 0 && !w->nodes[i].silent) {
			best = i;
			break;
		}
	}
	w->nodes[best].is_master = true;
	for (size_t i = 0; i < WORLD_SENTINELS; i++) {
		w->sentinels[i].names = best;
		w->sentinels[i].epoch++;
	}
}

static void
answer_sentinel(struct world_sentinel *s, struct fake_client *c, const struct redisReply *request)
{
	char text[64];

	if (is(request, 1, "MYID")) {
		sentinel_id((size_t)(s - s->w->sentinels), text);
		say_bulk(c, text);
	} else if (is(request, 1, "MASTER")) {
		s->polls++;
		fake_say(c, "*10\r\n");
		say_field(c, "flags", s->failover ? "master,failover_in_progress" : "master");
		say_number(c, "config-epoch", s->epoch);
		say_number(c, "num-slaves", WORLD_NODES - 1);
		say_number(c, "num-other-sentinels", WORLD_SENTINELS - 1);
		say_number(c, "quorum", 2);
	} else if (is(request, 1, "GET-MASTER-ADDR-BY-NAME")) {
		(void)snprintf(text, sizeof(text), "%u", port_of(s->w, s->names));
		fake_say(c, "*2\r\n");
		say_field(c, "127.0.0.1", text);
	} else if (is(request, 1, "SENTINELS")) {
		if (!s->shy) {
			answer_peers(s, c);
		}
	} else if (is(request, 1, "REPLICAS")) {
		answer_replicas(s, c);
	} else if (is(request, 1, "IS-MASTER-DOWN-BY-ADDR")) {
		answer_vote(s, c, request);
	} else if (is(request, 1, "FAILOVER")) {
		answer_failover(s, c);
	} else {
		fail_msg("SENTINEL %s is not known here", word(request, 1));
	}
}

static void
on_sentinel_request(void *arg, struct fake_client *c, const struct redisReply *request)
{
	struct world_sentinel *s = arg;

	s->silent = s->silent || (s->hangs_at_vote && is(request, 1, "IS-MASTER-DOWN-BY-ADDR"));
	if (s->silent) {
		return;
	}
	if (is(request, 0, "SENTINEL")) {
		answer_sentinel(s, c, request);
	} else if (is(request, 0, "PUBLISH")) {
		take_hello(s, c, word(request, 2));
	} else if (is(request, 0, "SUBSCRIBE")) {
		*fake_mark(c) = 1;
		for (size_t i = 1; i < request->elements; i++) {
			fake_say(c, "*3\r\n$9\r\nsubscribe\r\n$%zu\r\n%s\r\n:%zu\r\n",
			    request->element[i]->len, request->element[i]->str, i);
		}
	}
}

/* ---- the owner ---- */

static void
on_hold(void *owner, uint64_t ms)
{
	struct world *w = owner;

	note(w, ms > 0 ? "hold\n" : "go on\n");
	if (ms > 0 && w->cancel_on_hold) {
		failover_cancel(&w->failover);
		w->done = true;
	}
}

static void
on_promoted(void *owner, size_t i, const struct topo_master *master)
{
	struct world *w = owner;

	note(w, "route %s\n", names[i]);
	assert_int_equal(master->at.port, port_of(w, i));
	if (w->cancel_on_promoted) {
		failover_cancel(&w->failover);
		w->done = true;
	}
}

static void
on_done(void *owner, int error, const struct topo_master *master, const char *text)
{
	struct world *w = owner;

	assert_false(w->done);
	w->failover = NULL;
	w->done = true;
	w->error = error;
	w->has_master = master != NULL;
	if (master != NULL) {
		w->master = *master;
	}
	(void)snprintf(w->text, sizeof(w->text), "%s", text);
}

static bool
is_still_dead(void *owner)
{
	return !((struct world *)owner)->heard_again;
}

static const struct failover_ops ops = {.on_hold = on_hold,
    .on_promoted = on_promoted,
    .on_done = on_done,
    .is_still_dead = is_still_dead};
static const struct link_ops link_ops = {.on_up = NULL};

/* ---- life ---- */

static bool
all_is_up(void *arg)
{
	struct world *w = arg;

	for (size_t i = 0; i < WORLD_NODES; i++) {
		if (!link_is_up(w->nodes[i].link) || fake_clients(w->nodes[i].server) == 0) {
			return false;
		}
	}
	for (size_t i = 0; i < WORLD_SENTINELS; i++) {
		const struct watcher_sentinel *v = watcher_get(w->watcher, i);

		if (!v->hears || !v->knows) {
			return false;
		}
	}
	return true;
}

int
world_setup(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));
	struct endpoint at[WORLD_SENTINELS];
	struct watcher_spec watch = {.name = "main", .sentinels = at, .count = WORLD_SENTINELS};

	w->loop = loop_new();
	w->topo = topo_new();
	for (size_t i = 0; i < WORLD_NODES; i++) {
		struct world_node *n = &w->nodes[i];

		*n = (struct world_node){
		    .w = w, .is_master = i == 0, .link_up = true, .offset = 1000, .priority = 100};
		n->server = fake_new(w->loop, on_redis_request, n);
		n->link = link_new(
		    w->loop, &(struct link_spec){.at = *fake_at(n->server)}, &link_ops, NULL);
	}
	for (size_t i = 0; i < WORLD_SENTINELS; i++) {
		w->sentinels[i] = (struct world_sentinel){.w = w, .epoch = 4};
		w->sentinels[i].server = fake_new(w->loop, on_sentinel_request, &w->sentinels[i]);
		at[i] = *fake_at(w->sentinels[i].server);
		w->sentinels[i].port = at[i].port;
	}
	watch.poll_ms = 20;
	w->watcher = watcher_new(w->loop, w->topo, &watch);
	w->spec = (struct failover_spec){.master_name = "main", .pause_ms = 2000, .tell_ms = 300};
	fake_run_until(w->loop, all_is_up, w);
	*state = w;
	return 0;
}

int
world_teardown(void **state)
{
	struct world *w = *state;

	failover_cancel(&w->failover);
	watcher_free(&w->watcher);
	for (size_t i = 0; i < WORLD_NODES; i++) {
		link_free(&w->nodes[i].link);
		fake_free(&w->nodes[i].server);
	}
	for (size_t i = 0; i < WORLD_SENTINELS; i++) {
		fake_free(&w->sentinels[i].server);
	}
	topo_free(&w->topo);
	loop_free(&w->loop);
	free(w);
	return 0;
}

static struct failover *
begin(struct world *w, const struct failover_ops *with, void *owner)
{
	struct failover_node nodes[WORLD_NODES];

	for (size_t i = 0; i < WORLD_NODES; i++) {
		nodes[i] = (struct failover_node){.name = names[i],
		    .at = *fake_at(w->nodes[i].server),
		    .link = w->nodes[i].link,
		    .synced = i > 0 && !w->nodes[i].lags,
		    .known = i > 0 && !w->nodes[i].lags};
	}
	w->spec.watcher = w->watcher;
	w->spec.nodes = nodes;
	w->spec.count = w->spec.count > 0 ? w->spec.count : WORLD_NODES;
	return failover_start(w->loop, &w->spec, with, owner, &w->err);
}

struct failover *
world_start_another(struct world *w, const struct failover_ops *with, void *owner)
{
	return begin(w, with, owner);
}

void
world_start(struct world *w)
{
	w->failover = begin(w, &ops, w);
	assert_non_null(w->failover);
	assert_false(w->done);
}

void
world_kill_master(struct world *w, bool links_stay)
{
	link_rest(w->nodes[0].link, true);
	w->nodes[0].silent = true;
	w->nodes[0].is_master = false;
	for (size_t i = 1; i < WORLD_NODES; i++) {
		w->nodes[i].link_up = w->nodes[i].link_up && links_stay;
	}
}

static bool
is_done(void *arg)
{
	return ((struct world *)arg)->done;
}

void
world_until_done(struct world *w)
{
	fake_run_until(w->loop, is_done, w);
}

void
world_run(struct world *w)
{
	world_start(w);
	world_until_done(w);
}

static bool
has_awaited(void *arg)
{
	struct world *w = arg;

	return world_count(w, w->awaited) > 0;
}

void
world_until(struct world *w, const char *line)
{
	w->awaited = line;
	fake_run_until(w->loop, has_awaited, w);
}

static bool
is_in_awaited_state(void *arg)
{
	const struct world *w = arg;

	return w->failover != NULL && strcmp(failover_state(w->failover), w->awaited) == 0;
}

static bool
has_polled(void *arg)
{
	const struct world *w = arg;

	return w->sentinels[0].polls >= w->awaited_polls;
}

void
world_until_polls(struct world *w, unsigned polls)
{
	w->awaited_polls = w->sentinels[0].polls + polls;
	fake_run_until(w->loop, has_polled, w);
}

void
world_until_state(struct world *w, const char *state)
{
	w->awaited = state;
	fake_run_until(w->loop, is_in_awaited_state, w);
	world_until_polls(w, 3);
}

/* The first line that begins so, at or after `from`. */
static const char *
find_line(const char *from, const char *line)
{
	size_t len = strlen(line);

	while (*from != '\0') {
		if (strncmp(from, line, len) == 0) {
			return from;
		}
		from = strchr(from, '\n') + 1;
	}
	return NULL;
}

size_t
world_count(const struct world *w, const char *line)
{
	const char *at = w->journal;
	size_t count = 0;

	while ((at = find_line(at, line)) != NULL) {
		count++;
		at = strchr(at, '\n') + 1;
	}
	return count;
}

void
world_assert_order(const struct world *w, const char *before, const char *after)
{
	const char *a = find_line(w->journal, before), *b = find_line(w->journal, after);

	if (a == NULL || b == NULL || a > b) {
		fail_msg("'%s' should come before '%s' in:\n%s", before, after, w->journal);
	}
}

void
world_say_event(struct world *w, size_t sentinel, const char *channel)
{
	char text[128];

	/* The watcher's command link would take it for garbage: only listeners are told. */
	(void)snprintf(text, sizeof(text), "*3\r\n$7\r\nmessage\r\n$%zu\r\n%s\r\n$1\r\nx\r\n",
	    strlen(channel), channel);
	fake_say_marked(w->sentinels[sentinel].server, text);
}

void
world_all_name(struct world *w, size_t node, unsigned epoch)
{
	for (size_t i = 0; i < WORLD_SENTINELS; i++) {
		w->sentinels[i].names = node;
		w->sentinels[i].epoch = epoch;
	}
	watcher_ask(w->watcher);
}
