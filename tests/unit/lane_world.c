#include "unit.h"

#include <hiredis/hiredis.h>

#include "base/buf.h"
#include "lane_world.h"
#include "resp/write.h"
#include "topo/topo.h"

struct loop *loop;
struct backend *backend;
struct server a, b;

static struct topo *topo;
static uint64_t epoch;

static void
on_request(void *arg, struct fake_client *c, const redisReply *q)
{
	struct server *s = arg;
	const char *name = q->element[0]->str, *last = q->element[q->elements - 1]->str;

	if (strcmp(name, "PING") == 0) {
		fake_say(c, s->loading ? "-LOADING Redis is loading\r\n" : "+PONG\r\n");
	} else if (strcmp(name, "ROLE") == 0) {
		fake_say(c, s->is_master
				? "*3\r\n$6\r\nmaster\r\n:1\r\n*0\r\n"
				: "*5\r\n$5\r\nslave\r\n$1\r\nx\r\n:1\r\n$1\r\nx\r\n:1\r\n");
	} else if (strcmp(name, "COMMAND") == 0) {
		fake_say(c, strcmp(last, "COUNT") == 0
				? ":1\r\n"
				: "*1\r\n*10\r\n$7\r\nmod.cfg\r\n:-2\r\n*0\r\n:0\r\n:0\r\n:0\r\n*"
				  "0\r\n*0\r\n*0\r\n"
				  "*1\r\n*10\r\n$11\r\nmod.cfg|get\r\n:3\r\n*2\r\n+readonly\r\n+"
				  "fast\r\n:0\r\n:0\r\n:0\r\n"
				  "*0\r\n*0\r\n*0\r\n*0\r\n");
	} else if (strcmp(name, "INFO") == 0) {
		fake_say(c, "$%zu\r\nrun_id:%s\r\n\r\n", strlen(s->run_id) + 9, s->run_id);
	} else if (strcmp(name, "AUTH") == 0) {
		fake_say(c, strcmp(last, "good") == 0 ? "+OK\r\n" : "-WRONGPASS no\r\n");
	} else if (strcmp(name, "SELECT") == 0 || strcmp(name, "CLIENT") == 0) {
		fake_say(
		    c, strcmp(last, "99") == 0 ? "-ERR DB index is out of range\r\n" : "+OK\r\n");
	} else {
		size_t len = strlen(s->seen);

		(void)snprintf(s->seen + len, sizeof(s->seen) - len, "%s %s;", name, last);
		s->count++;
		if (s->mute) {
			s->last = c;
			return;
		}
		if (strcmp(name, "BIG") == 0) {
			fake_say(c, "%s", s->big);
		} else if (strcmp(name, "SET") == 0) {
			fake_say(
			    c, s->readonly
				   ? "-READONLY You can't write against a read only replica.\r\n"
				   : "+OK\r\n");
		} else {
			fake_say(c, "$%zu\r\n%s\r\n", strlen(last), last);
		}
	}
}

static void
on_reply(void *owner, const struct lane_reply *reply)
{
	struct client *c = owner;
	size_t len = strlen(c->got), n = reply->raw.len;

	c->bytes += n;
	if (n == 0 && reply->local) {
		c->cut = true;
		return;
	}
	if (!reply->first || !reply->last) {
		if (c->slow_at_big && reply->first) {
			requester_set_slow(&c->r, true);
		}
	} else {
		assert_in_range(n, 2, 1000);
		(void)snprintf(c->got + len, sizeof(c->got) - len, "%.*s;", (int)(n - 2),
		    (const char *)reply->raw.ptr);
	}
	c->replies += reply->last;
}

static void
on_room(void *owner)
{
	((struct client *)owner)->rooms++;
}

static void
on_lost(void *owner, struct lane *lane, unsigned dropped, unsigned unsent)
{
	struct client *c = owner;

	c->lost++;
	c->dropped += dropped;
	c->unsent += unsent;
}

static void
on_large(void *owner, struct slice raw)
{
	struct client *c = owner;

	(void)snprintf(c->large, sizeof(c->large), "%.*s", (int)raw.len, (const char *)raw.ptr);
}

static const struct requester_ops ops = {
    .on_reply = on_reply, .on_room = on_room, .on_lost = on_lost};
const struct requester_ops large_ops = {
    .on_reply = on_reply, .on_large = on_large, .on_room = on_room, .on_lost = on_lost};
const struct lane_key nobody = {.protocol = 2};

void
client_init(struct client *c)
{
	memset(c, 0, sizeof(*c));
	requester_init(&c->r, &ops, c);
}

void
name_master(const struct server *s)
{
	struct topo_master m = {.at = *fake_at(s->fake), .epoch = ++epoch};

	assert_true(topo_offer(topo, &m, TOPO_FROM_SENTINEL));
}

int
world_setup(void **state)
{
	const struct backend_conf conf = {
	    .hold_ms = HOLD_MS, .held_count_max = 5, .stall_ms = 500, .client_name = "test"};

	loop = loop_new();
	topo = topo_new();
	backend = backend_new(loop, topo, &conf);
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	a.is_master = b.is_master = true;
	a.run_id = "a";
	b.run_id = "b";
	a.fake = fake_new(loop, on_request, &a);
	b.fake = fake_new(loop, on_request, &b);
	epoch = 0;
	return 0;
}

int
world_teardown(void **state)
{
	backend_free(&backend);
	topo_free(&topo);
	fake_free(&a.fake);
	fake_free(&b.fake);
	loop_free(&loop);
	return 0;
}

void
send_words(struct client *c, struct lane *lane, const char *name, const char *arg, unsigned flags)
{
	struct buf q;

	buf_init(&q, 0);
	assert_int_equal(resp_add_command_str(&q, name, arg, NULL), 0);
	assert_false(lane_is_full(&c->r, lane));
	assert_int_equal(lane_send(&c->r, lane, buf_slice(&q), flags), 0);
	buf_fini(&q);
}

bool
has_replies(void *arg)
{
	struct client *c = arg;

	return c->r.unanswered == 0 || c->cut;
}

bool
is_routing(void *arg)
{
	struct endpoint at;

	return backend_master(backend, &at);
}

bool
is_holding(void *arg)
{
	return !is_routing(arg);
}

static unsigned wanted;

static bool
a_has_seen(void *arg)
{
	return a.count >= wanted;
}

bool
has_bytes(void *arg)
{
	return ((struct client *)arg)->bytes > 0;
}

void
until_replies(struct client *c)
{
	fake_run_until(loop, has_replies, c);
}

void
until_a_has_seen(unsigned n)
{
	wanted = n;
	fake_run_until(loop, a_has_seen, NULL);
}
