/* Probes against servers that answer right, late, wrong, or not at all. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>

#include "base/mem.h"
#include "fake_server.h"
#include "instance/probe.h"
#include "topo/link.h"
#include "topo/reply.h"

struct fixture {
	struct loop *loop;
	struct fake *server;
	struct probe *probe;
	struct probe_spec spec;
	const char *ping, *role, *master; /* answers; NULL: none */
	size_t pings, myids;
	size_t changes;
	unsigned most_missed;
	bool free_in_change;
	unsigned want_missed;
	size_t want_pings;
};

#define MASTER_WITH_TWO                                                                            \
	"*3\r\n$6\r\nmaster\r\n:1000\r\n*2\r\n"                                                    \
	"*3\r\n$9\r\n127.0.0.1\r\n$1\r\n1\r\n$3\r\n990\r\n"                                        \
	"*3\r\n$9\r\n127.0.0.1\r\n$1\r\n2\r\n$3\r\n990\r\n"
#define REPLICA(state) "*5\r\n$5\r\nslave\r\n$9\r\n127.0.0.1\r\n:7001\r\n$" state "\r\n:990\r\n"

static void
on_request(void *arg, struct fake_client *c, const struct redisReply *request)
{
	struct fixture *f = arg;
	struct slice verb = reply_text(reply_at(request, 0));
	const char *answer = NULL;

	if (slice_eq(verb, "PING")) {
		f->pings++;
		answer = f->ping;
	} else if (slice_eq(verb, "ROLE")) {
		answer = f->role;
	} else if (slice_eq(reply_text(reply_at(request, 1)), "MYID")) {
		f->myids++;
		answer = "$40\r\n0123456789012345678901234567890123456789\r\n";
	} else {
		answer = f->master;
	}
	if (answer != NULL) {
		fake_say(c, "%s", answer);
	}
}

static void
on_change(struct probe *p, void *owner, const struct probe_view *view)
{
	struct fixture *f = owner;

	f->changes++;
	if (view->missed > f->most_missed) {
		f->most_missed = view->missed;
	}
	if (f->free_in_change) {
		probe_free(&f->probe);
	}
}

static const struct probe_ops ops = {.on_change = on_change};

static int
setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->loop = loop_new();
	f->server = fake_new(f->loop, on_request, f);
	f->ping = "+PONG\r\n";
	f->role = MASTER_WITH_TWO;
	f->spec = (struct probe_spec){.kind = PROBE_REDIS,
	    .at = *fake_at(f->server),
	    .master_name = "main",
	    .interval_ms = 5};
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	probe_free(&f->probe);
	fake_free(&f->server);
	loop_free(&f->loop);
	free(f);
	return 0;
}

static void
start(struct fixture *f)
{
	f->probe = probe_new(f->loop, &f->spec, &ops, f);
}

static const struct probe_view *
view(struct fixture *f)
{
	return probe_get(f->probe);
}

static bool
is_ready(void *arg)
{
	struct fixture *f = arg;

	return probe_is_ready(view(f), f->spec.kind);
}

static bool
is_gone(void *arg)
{
	return !view(arg)->connected;
}

static bool
has_fault(void *arg)
{
	return view(arg)->why[0] != '\0';
}

static bool
is_loading(void *arg)
{
	return view(arg)->loading;
}

static bool
was_asked_more(void *arg)
{
	struct fixture *f = arg;

	return f->pings >= f->want_pings;
}

static bool
has_missed(void *arg)
{
	struct fixture *f = arg;

	return view(f)->missed >= f->want_missed;
}

static bool
was_freed(void *arg)
{
	return ((struct fixture *)arg)->probe == NULL;
}

static void
ask_more(struct fixture *f, size_t rounds)
{
	f->want_pings = f->pings + rounds;
	fake_run_until(f->loop, was_asked_more, f);
}

static void
a_master_is_seen(void **state)
{
	struct fixture *f = *state;

	start(f);
	assert_false(is_ready(f));
	fake_run_until(f->loop, is_ready, f);
	assert_int_equal(view(f)->role, PROBE_MASTER);
	assert_int_equal(view(f)->offset, 1000);
	assert_int_equal(view(f)->replicas, 2);
	assert_int_equal(view(f)->missed, 0);
	assert_string_equal(view(f)->why, "");
	assert_string_equal(probe_role_name(view(f)->role), "master");
}

static void
a_replica_is_ready_when_connected(void **state)
{
	struct fixture *f = *state;
	static const struct {
		const char *answer;
		enum probe_sync sync;
	} not_yet[] = {{REPLICA("7\r\nconnect"), PROBE_SYNC_CONNECT},
	    {REPLICA("10\r\nconnecting"), PROBE_SYNC_CONNECTING},
	    {REPLICA("4\r\nsync"), PROBE_SYNC_TRANSFER}};

	f->role = not_yet[0].answer;
	start(f);
	for (size_t i = 0; i < ARRAY_LEN(not_yet); i++) {
		f->role = not_yet[i].answer;
		ask_more(f, 3);
		assert_int_equal(view(f)->role, PROBE_REPLICA);
		assert_int_equal(view(f)->sync, not_yet[i].sync);
		assert_false(is_ready(f));
	}
	f->role = REPLICA("9\r\nconnected");
	fake_run_until(f->loop, is_ready, f);
	assert_int_equal(view(f)->master.port, 7001);
	assert_int_equal(view(f)->offset, 990);
}

static void
a_loading_server_answers_but_is_not_ready(void **state)
{
	struct fixture *f = *state;

	f->ping = "-LOADING Redis is loading the dataset in memory\r\n";
	start(f);
	fake_run_until(f->loop, is_loading, f);
	ask_more(f, 2);
	assert_true(view(f)->answering);
	assert_false(is_ready(f));
	f->ping = "+PONG\r\n";
	fake_run_until(f->loop, is_ready, f);
}

static void
silence_is_counted_by_rounds(void **state)
{
	struct fixture *f = *state;

	start(f);
	fake_run_until(f->loop, is_ready, f);
	f->ping = f->role = NULL;
	f->pings = 0;
	f->want_missed = 3;
	fake_run_until(f->loop, has_missed, f);
	assert_true(f->pings >= 3); /* three rounds, not three questions */
	assert_false(view(f)->answering);
	assert_non_null(strstr(view(f)->why, "in time"));
}

static void
an_answer_ends_the_count(void **state)
{
	struct fixture *f = *state;

	f->role = NULL;
	f->spec.answer_ms = 5;
	start(f);
	f->want_missed = 1;
	fake_run_until(f->loop, has_missed, f);
	fake_drop_all(f->server); /* the answers that are still owed */
	f->role = MASTER_WITH_TWO;
	fake_run_until(f->loop, is_ready, f);
	assert_int_equal(view(f)->missed, 0);
}

static void
a_dead_server_is_gone_and_comes_back(void **state)
{
	struct fixture *f = *state;

	start(f);
	fake_run_until(f->loop, is_ready, f);
	fake_drop_all(f->server);
	fake_run_until(f->loop, is_gone, f);
	assert_false(view(f)->answering);
	assert_false(is_ready(f));
	fake_run_until(f->loop, is_ready, f);
}

static void
offsets_are_no_news(void **state)
{
	struct fixture *f = *state;

	f->role = REPLICA("9\r\nconnected");
	start(f);
	fake_run_until(f->loop, is_ready, f);
	ask_more(f, 1);
	f->changes = 0;
	f->role = "*5\r\n$5\r\nslave\r\n$9\r\n127.0.0.1\r\n:7001\r\n$9\r\nconnected\r\n:5000\r\n";
	ask_more(f, 3);
	assert_int_equal(view(f)->offset, 5000);
	assert_int_equal(f->changes, 0);
}

static void
nonsense_makes_nothing_ready(void **state)
{
	struct fixture *f = *state;
	static const char *const roles[] = {"+OK\r\n", "*0\r\n", "$-1\r\n", "*1\r\n*0\r\n",
	    "*1\r\n$5\r\nslave\r\n", "*5\r\n$5\r\nslave\r\n:1\r\n:1\r\n:1\r\n$1\r\nx\r\n",
	    "-ERR unknown command 'ROLE'\r\n"};

	f->role = roles[0];
	start(f);
	for (size_t i = 0; i < ARRAY_LEN(roles); i++) {
		f->role = roles[i];
		ask_more(f, 3);
		assert_false(is_ready(f));
	}
	f->role = MASTER_WITH_TWO;
	f->ping = "-NOAUTH Authentication required.\r\n";
	fake_run_until(f->loop, has_fault, f);
	ask_more(f, 2);
	assert_false(is_ready(f));
	assert_non_null(strstr(view(f)->why, "NOAUTH"));
}

static void
a_sentinel_is_seen(void **state)
{
	struct fixture *f = *state;

	f->spec.kind = PROBE_SENTINEL;
	f->master = "-ERR No such master with that name\r\n";
	start(f);
	fake_run_until(f->loop, has_fault, f);
	assert_false(is_ready(f));
	f->master = "*12\r\n$2\r\nip\r\n$9\r\n127.0.0.1\r\n$4\r\nport\r\n$4\r\n7001\r\n"
		    "$12\r\nconfig-epoch\r\n$1\r\n3\r\n$10\r\nnum-slaves\r\n$1\r\n2\r\n"
		    "$19\r\nnum-other-sentinels\r\n$1\r\n2\r\n$6\r\nquorum\r\n$1\r\n2\r\n";
	fake_run_until(f->loop, is_ready, f);
	ask_more(f, 2);
	assert_int_equal(view(f)->names.at.port, 7001);
	assert_int_equal(view(f)->names.epoch, 3);
	assert_int_equal(view(f)->others, 2);
	assert_int_equal(view(f)->known_replicas, 2);
	assert_int_equal(view(f)->quorum, 2);
	assert_string_equal(view(f)->id, "0123456789012345678901234567890123456789");
	assert_int_equal(f->myids, 1);
}

static void
at_rest_nothing_is_asked_and_nothing_known(void **state)
{
	struct fixture *f = *state;

	start(f);
	fake_run_until(f->loop, is_ready, f);
	probe_rest(f->probe, true);
	assert_false(view(f)->connected);
	assert_int_equal(view(f)->role, PROBE_UNKNOWN);
	probe_ask(f->probe);
	assert_false(link_is_up(probe_link(f->probe)));
	probe_rest(f->probe, false);
	fake_run_until(f->loop, is_ready, f);
}

static void
asking_does_not_wait_for_the_interval(void **state)
{
	struct fixture *f = *state;

	f->spec.interval_ms = 3600000;
	start(f);
	fake_run_until(f->loop, is_ready, f);
	f->want_pings = f->pings + 1;
	probe_ask(f->probe);
	fake_run_until(f->loop, was_asked_more, f);
}

static void
the_probe_may_be_freed_in_its_callback(void **state)
{
	struct fixture *f = *state;

	f->free_in_change = true;
	start(f);
	fake_run_until(f->loop, was_freed, f);
	start(f);
	f->free_in_change = false;
	fake_run_until(f->loop, is_ready, f);
	f->free_in_change = true;
	fake_drop_all(f->server);
	fake_run_until(f->loop, was_freed, f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	    T(a_master_is_seen),
	    T(a_replica_is_ready_when_connected),
	    T(a_loading_server_answers_but_is_not_ready),
	    T(silence_is_counted_by_rounds),
	    T(an_answer_ends_the_count),
	    T(a_dead_server_is_gone_and_comes_back),
	    T(offsets_are_no_news),
	    T(nonsense_makes_nothing_ready),
	    T(a_sentinel_is_seen),
	    T(at_rest_nothing_is_asked_and_nothing_known),
	    T(asking_does_not_wait_for_the_interval),
	    T(the_probe_may_be_freed_in_its_callback),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
