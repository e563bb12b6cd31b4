#include "unit.h"

#include <hiredis/hiredis.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/list.h"
#include "session_world.h"
#include "topo/topo.h"

struct loop *loop;
struct backend *backend;
struct server a, b;
struct proxy proxy;
int client = -1;
char got[65536];
bool hung_up;

static struct topo *topo;
static uint64_t epoch;

static void answer(struct server *s, struct fake_client *c, const char *fmt, ...) ATTR_PRINTF(3, 4);

static void
answer(struct server *s, struct fake_client *c, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	fake_say(c, "%.*s", (int)(s->half ? strlen(text) / 2 : strlen(text)), text);
}

static void
on_request(void *arg, struct fake_client *c, const redisReply *q)
{
	struct server *s = arg;
	const char *name = q->element[0]->str, *last = q->element[q->elements - 1]->str;
	size_t len = strlen(s->seen);

	if (strcasecmp(name, "ROLE") == 0) {
		fake_say(c, s->no_master ? "*5\r\n$5\r\nslave\r\n$1\r\nx\r\n:1\r\n$1\r\nx\r\n:1\r\n"
					 : "*3\r\n$6\r\nmaster\r\n:1\r\n*0\r\n");
		return;
	}
	if (strcasecmp(name, "COMMAND") == 0) {
		fake_say(c, "-NOPERM no\r\n");
		return;
	}
	if (strcasecmp(name, "INFO") == 0) {
		fake_say(c, "$%zu\r\nrun_id:%s\r\n\r\n", strlen(s->run_id) + 9, s->run_id);
		return;
	}
	if (strcasecmp(name, "PING") == 0 && q->elements == 1) {
		fake_say(c, "+PONG\r\n");
		return;
	}
	if (*fake_mark(c) == 0) {
		*fake_mark(c) = ++s->next;
	}
	(void)snprintf(s->seen + len, sizeof(s->seen) - len, "%d %s%s%s;", *fake_mark(c), name,
	    q->elements > 1 ? " " : "", q->elements > 1 ? last : "");
	if (s->mute) {
		return;
	}
	if (s->reply != NULL) {
		fake_say(c, "%.*s", (int)(strlen(s->reply) / (s->half ? 2 : 1)), s->reply);
		return;
	}
	if (strcasecmp(name, "GET") == 0 || strcasecmp(name, "ECHO") == 0) {
		answer(s, c, "$%zu\r\n%s\r\n", strlen(last), last);
	} else if (strcasecmp(name, "PING") == 0) {
		answer(s, c, "$%zu\r\n%s\r\n", strlen(last), last);
	} else if (strcasecmp(name, "FOO") == 0) {
		answer(s, c, "-ERR unknown command 'FOO', with args beginning with: \r\n");
	} else if (s->readonly && strcasecmp(name, "APPEND") == 0) {
		answer(s, c, "-READONLY You can't write against a read only replica.\r\n");
	} else if (s->readonly && strcasecmp(name, "EXEC") == 0) {
		answer(s, c, "-EXECABORT Transaction discarded because of previous errors.\r\n");
	} else if (strcasecmp(name, "APPEND") == 0) {
		answer(s, c, "+QUEUED\r\n");
	} else if (strcasecmp(name, "EXEC") == 0) {
		answer(s, c, "*0\r\n");
	} else if (strcasecmp(name, "EVAL") == 0 && strcmp(q->element[1]->str, "bad") == 0) {
		answer(s, c, "-ERR Error compiling script\r\n");
	} else if (strcasecmp(name, "EVAL") == 0) {
		answer(s, c, ":1\r\n");
	} else if (strcasecmp(name, "WAIT") == 0 && s->holds_wait) {
		s->waiting = c;
	} else if (strcasecmp(name, "WAIT") == 0) {
		answer(s, c, ":2\r\n");
	} else if (strcasecmp(name, "WAITAOF") == 0) {
		answer(s, c, "*2\r\n:1\r\n:2\r\n");
	} else if (strcasecmp(name, "SUBSCRIBE") == 0) {
		for (size_t i = 1; i < q->elements; i++) {
			answer(s, c, "*3\r\n$9\r\nsubscribe\r\n$%zu\r\n%s\r\n:%zu\r\n",
			    q->element[i]->len, q->element[i]->str, i);
		}
	} else if (strcasecmp(name, "UNSUBSCRIBE") == 0) {
		answer(
		    s, c, "*3\r\n$11\r\nunsubscribe\r\n$%zu\r\n%s\r\n:0\r\n", strlen(last), last);
	} else if (strcasecmp(name, "AUTH") == 0 && strcmp(last, "good") != 0) {
		answer(s, c, "-WRONGPASS no\r\n");
	} else {
		answer(s, c, "+OK\r\n");
	}
}

void
name_master(const struct server *s)
{
	struct topo_master m = {.at = *fake_at(s->fake), .epoch = ++epoch};

	assert_true(topo_offer(topo, &m, TOPO_FROM_SENTINEL));
}

static const struct conn_ops no_ops; /* until the session has it */

int
world_setup(void **state)
{
	const struct backend_conf conf = {.hold_ms = 2000};
	int ends[2];

	loop = loop_new();
	topo = topo_new();
	backend = backend_new(loop, topo, &conf);
	memset(&a, 0, sizeof(a));
	memset(&b, 0, sizeof(b));
	a.run_id = "a";
	b.run_id = "b";
	a.fake = fake_new(loop, on_request, &a);
	b.fake = fake_new(loop, on_request, &b);
	epoch = 0;
	proxy = (struct proxy){.magic = PROXY_MAGIC,
	    .loop = loop,
	    .backend = backend,
	    .next_id = 42,
	    .limits = RESP_LIMITS_DEFAULT,
	    .conf = {.max_clients = 100, .max_output_bytes = (size_t)64 << 20}};
	list_init(&proxy.sessions);
	buf_init(&proxy.inline_buf, 0);
	assert_int_equal(
	    socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, ends), 0);
	client = ends[0];
	session_new(&proxy, conn_new(loop, ends[1], &no_ops, NULL), DOOR_LISTEN);
	got[0] = '\0';
	hung_up = false;
	name_master(&a);
	return 0;
}

int
world_teardown(void **state)
{
	(void)close(client);
	list_for_each_safe (item, next, &proxy.sessions) {
		session_close(CONTAINER_OF(item, struct session, link));
	}
	confirm_free(&proxy.confirms[DOOR_LISTEN]);
	backend_free(&backend);
	topo_free(&topo);
	fake_free(&a.fake);
	fake_free(&b.fake);
	loop_free(&loop);
	buf_fini(&proxy.inline_buf);
	return 0;
}

struct session *
session(void)
{
	assert_false(list_is_empty(&proxy.sessions));
	return CONTAINER_OF(proxy.sessions.next, struct session, link);
}

void
say(const char *text)
{
	assert_int_equal(write(client, text, strlen(text)), (ssize_t)strlen(text));
}

void
hear(void)
{
	size_t len = strlen(got);
	ssize_t n = read(client, got + len, sizeof(got) - len - 1);

	if (n == 0) {
		hung_up = true;
	}
	got[len + (n > 0 ? (size_t)n : 0)] = '\0';
}

static bool
has_heard(void *arg)
{
	hear();
	return strlen(got) >= strlen(arg) || hung_up;
}

void
expect(const char *want)
{
	fake_run_until(loop, has_heard, (void *)(uintptr_t)want);
	assert_string_equal(got, want);
	got[0] = '\0';
}

bool
is_hung_up(void *arg)
{
	hear();
	return hung_up;
}

static bool
has_seen(void *arg)
{
	return strstr(a.seen, arg) != NULL;
}

bool
b_has_seen(void *arg)
{
	return strstr(b.seen, arg) != NULL;
}

void
until_seen(const char *text)
{
	fake_run_until(loop, has_seen, (void *)(uintptr_t)text);
}

/* The server is killed and started again behind the same address: it may have lost the write. */
void
restart_in_place(void)
{
	a.run_id = "another";
	a.seen[0] = '\0';
	fake_drop_all(a.fake);
}
