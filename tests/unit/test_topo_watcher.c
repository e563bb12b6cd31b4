/* The watcher against sentinels that agree, differ, lie, and die. */
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
#include "topo/link.h"
#include "topo/reply.h"
#include "topo/watcher.h"

#define SENTINELS 3

struct sentinel {
	struct fake *server;
	uint16_t port; /* of the master it names */
	unsigned epoch, others;
	const char *flags;
	const char *master_answer, *address_answer; /* instead of the right ones */
	uint16_t port_between; /* the master changes to this between the two questions */
	size_t questions;
};

struct fixture {
	struct loop *loop;
	struct topo *topo;
	struct sentinel sentinels[SENTINELS];
	struct watcher *watcher;
	struct watcher_spec spec;
	struct watcher_observer observer;
	size_t changes, events;
	char event[64];
	size_t seen; /* a count to wait beyond */
};

static void
answer_master(struct sentinel *s, struct fake_client *c)
{
	if (s->master_answer != NULL) {
		fake_say(c, "%s", s->master_answer);
		return;
	}
	fake_say(c,
	    "*16\r\n$4\r\nname\r\n$4\r\nmain\r\n$2\r\nip\r\n$9\r\n127.0.0.1\r\n$4\r\nport\r\n$"
	    "1\r\n1\r\n"
	    "$5\r\nflags\r\n$%zu\r\n%s\r\n$12\r\nconfig-epoch\r\n$%d\r\n%u\r\n"
	    "$10\r\nnum-slaves\r\n$1\r\n2\r\n$19\r\nnum-other-sentinels\r\n$1\r\n%u\r\n"
	    "$6\r\nquorum\r\n$1\r\n2\r\n",
	    strlen(s->flags), s->flags, s->epoch > 9 ? 2 : 1, s->epoch, s->others);
}

static void
on_request(void *arg, struct fake_client *c, const struct redisReply *request)
{
	struct sentinel *s = arg;
	struct slice verb = reply_text(reply_at(request, 1));

	if (slice_eq(reply_text(reply_at(request, 0)), "SUBSCRIBE")) {
		*fake_mark(c) = 1;
		for (size_t i = 1; i < request->elements; i++) {
			fake_say(c, "*3\r\n$9\r\nsubscribe\r\n$%zu\r\n%s\r\n:%zu\r\n",
			    request->element[i]->len, request->element[i]->str, i);
		}
	} else if (slice_eq(verb, "MYID")) {
		fake_say(c, "$40\r\n0123456789012345678901234567890123456789\r\n");
	} else if (slice_eq(verb, "MASTER")) {
		s->questions++;
		answer_master(s, c);
		if (s->port_between != 0) {
			s->port = s->port_between;
			s->epoch++;
			s->port_between = 0;
		}
	} else if (s->address_answer != NULL) {
		fake_say(c, "%s", s->address_answer);
	} else {
		fake_say(c, "*2\r\n$9\r\n127.0.0.1\r\n$4\r\n%04u\r\n", s->port);
	}
}

static void
on_change(void *arg, size_t i, const struct watcher_sentinel *view)
{
	struct fixture *f = arg;

	f->changes++;
	assert_true(i < watcher_count(f->watcher));
}

static void
on_event(void *arg, size_t i, struct slice channel, struct slice text)
{
	struct fixture *f = arg;

	f->events++;
	(void)snprintf(f->event, sizeof(f->event), "%zu %.*s %.*s", i, (int)channel.len,
	    (const char *)channel.ptr, (int)text.len, (const char *)text.ptr);
}

static int
setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->loop = loop_new();
	f->topo = topo_new();
	for (size_t i = 0; i < SENTINELS; i++) {
		f->sentinels[i] = (struct sentinel){
		    .port = 7001, .epoch = 1, .others = SENTINELS - 1, .flags = "master"};
		f->sentinels[i].server = fake_new(f->loop, on_request, &f->sentinels[i]);
	}
	f->spec = (struct watcher_spec){.name = "main", .poll_ms = 5, .restart_ms = 20};
	f->observer =
	    (struct watcher_observer){.on_change = on_change, .on_event = on_event, .arg = f};
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	watcher_free(&f->watcher);
	topo_free(&f->topo);
	for (size_t i = 0; i < SENTINELS; i++) {
		fake_free(&f->sentinels[i].server);
	}
	loop_free(&f->loop);
	free(f);
	return 0;
}

static void
start(struct fixture *f, size_t count)
{
	struct endpoint at[SENTINELS];

	for (size_t i = 0; i < count; i++) {
		at[i] = *fake_at(f->sentinels[i].server);
	}
	f->spec.sentinels = at;
	f->spec.count = count;
	f->watcher = watcher_new(f->loop, f->topo, &f->spec);
	watcher_watch(f->watcher, &f->observer);
}

static uint16_t
master_port(struct fixture *f)
{
	struct topo_master m;

	return topo_master(f->topo, &m) ? m.at.port : 0;
}

static bool
all_hear_and_know(void *arg)
{
	struct fixture *f = arg;

	for (size_t i = 0; i < watcher_count(f->watcher); i++) {
		const struct watcher_sentinel *v = watcher_get(f->watcher, i);

		if (!v->hears || !v->knows || v->id[0] == '\0') {
			return false;
		}
	}
	return true;
}

static bool
master_is_7002(void *arg)
{
	return master_port(arg) == 7002;
}

static bool
first_has_fault(void *arg)
{
	return watcher_get(((struct fixture *)arg)->watcher, 0)->why[0] != '\0';
}

static bool
first_is_gone(void *arg)
{
	return !watcher_get(((struct fixture *)arg)->watcher, 0)->connected;
}

static bool
first_was_asked_again(void *arg)
{
	struct fixture *f = arg;

	return f->sentinels[0].questions > f->seen + 1;
}

static bool
all_agree(void *arg)
{
	const struct watcher *w = ((struct fixture *)arg)->watcher;
	const struct topo_master *first = &watcher_get(w, 0)->names;

	for (size_t i = 0; i < watcher_count(w); i++) {
		const struct watcher_sentinel *v = watcher_get(w, i);

		if (!v->connected || !v->knows || v->names.epoch != first->epoch ||
		    !endpoint_equal(&v->names.at, &first->at)) {
			return false;
		}
	}
	return true;
}

static void
views_and_topo_are_filled(void **state)
{
	struct fixture *f = *state;
	const struct watcher_sentinel *v;

	f->sentinels[0].flags = "s_down,master,o_down,failover_in_progress";
	f->sentinels[1].flags = "master,s_down_not,disconnected";
	start(f, SENTINELS);
	fake_run_until(f->loop, all_hear_and_know, f);
	v = watcher_get(f->watcher, 0);
	assert_true(v->connected && v->s_down && v->o_down && v->failover);
	assert_int_equal(v->names.epoch, 1);
	assert_int_equal(v->names.at.port, 7001);
	assert_int_equal(v->others, 2);
	assert_int_equal(v->replicas, 2);
	assert_int_equal(v->quorum, 2);
	assert_string_equal(v->id, "0123456789012345678901234567890123456789");
	assert_string_equal(v->why, "");
	v = watcher_get(f->watcher, 1);
	assert_false(v->s_down || v->o_down || v->failover);
	assert_int_equal(master_port(f), 7001);
	assert_true(f->changes >= SENTINELS);
}

static void
nothing_changed_is_not_told(void **state)
{
	struct fixture *f = *state;

	start(f, 1);
	fake_run_until(f->loop, all_hear_and_know, f);
	f->changes = 0;
	f->seen = f->sentinels[0].questions;
	fake_run_until(f->loop, first_was_asked_again, f);
	assert_int_equal(f->changes, 0);
}

static void
an_event_leads_to_a_question(void **state)
{
	struct fixture *f = *state;

	f->spec.poll_ms = 3600000;
	start(f, 1);
	fake_run_until(f->loop, all_hear_and_know, f);
	f->sentinels[0].port = 7002;
	f->sentinels[0].epoch = 2;
	fake_say_all(f->sentinels[0].server,
	    "*3\r\n$7\r\nmessage\r\n$14\r\n+switch-master\r\n$4\r\nbody\r\n");
	fake_run_until(f->loop, master_is_7002, f);
	assert_string_equal(f->event, "0 +switch-master body");
}

static void
a_change_between_the_questions_never_pairs_the_old_address_with_the_new_epoch(void **state)
{
	struct fixture *f = *state;
	struct topo_master m;

	f->sentinels[0].port_between = 7002; /* epoch 1 → 2 */
	f->spec.poll_ms = 3600000;
	start(f, 1);
	fake_run_until(f->loop, all_hear_and_know, f);
	assert_true(topo_master(f->topo, &m));
	assert_int_equal(m.at.port, 7002);
	assert_int_equal(m.epoch, 1);
}

static void
a_sentinel_that_does_not_know_the_name_says_so(void **state)
{
	struct fixture *f = *state;

	f->sentinels[0].master_answer = "-ERR No such master with that name\r\n";
	f->sentinels[0].address_answer = "*-1\r\n";
	start(f, 1);
	fake_run_until(f->loop, first_has_fault, f);
	assert_non_null(strstr(watcher_get(f->watcher, 0)->why, "No such master"));
	assert_true(watcher_get(f->watcher, 0)->connected);
	assert_false(watcher_get(f->watcher, 0)->knows);
	assert_int_equal(master_port(f), 0);
}

static void
nonsense_is_not_offered(void **state)
{
	struct fixture *f = *state;
	static const char *const masters[] = {"+OK\r\n", "*0\r\n", "$-1\r\n",
	    "*2\r\n$12\r\nconfig-epoch\r\n$2\r\n-1\r\n", "*1\r\n$12\r\nconfig-epoch\r\n", ":5\r\n"};
	static const char *const addresses[] = {"+OK\r\n", "*0\r\n", "*-1\r\n",
	    "*2\r\n$9\r\nlocalhost\r\n$4\r\n7001\r\n", "*2\r\n$9\r\n127.0.0.1\r\n$5\r\n99999\r\n",
	    "*2\r\n$9\r\n127.0.0.1\r\n$1\r\n0\r\n", "*2\r\n$0\r\n\r\n$4\r\n7001\r\n",
	    "*2\r\n*0\r\n*0\r\n"};

	f->sentinels[0].master_answer = masters[0];
	start(f, 1);
	fake_run_until(f->loop, first_has_fault, f);
	for (size_t i = 0; i < ARRAY_LEN(masters) + ARRAY_LEN(addresses); i++) {
		bool first = i < ARRAY_LEN(masters);

		f->sentinels[0].master_answer = first ? masters[i] : NULL;
		f->sentinels[0].address_answer = first ? NULL : addresses[i - ARRAY_LEN(masters)];
		f->seen = f->sentinels[0].questions;
		fake_run_until(f->loop, first_was_asked_again, f);
		assert_false(watcher_get(f->watcher, 0)->knows);
		assert_int_equal(master_port(f), 0);
	}
	/* It mends as soon as the answers do. */
	f->sentinels[0].address_answer = NULL;
	fake_run_until(f->loop, all_hear_and_know, f);
	assert_int_equal(master_port(f), 7001);
}

static void
a_lost_sentinel_is_seen_and_comes_back(void **state)
{
	struct fixture *f = *state;

	start(f, SENTINELS);
	fake_run_until(f->loop, all_agree, f);
	fake_drop_all(f->sentinels[0].server);
	fake_run_until(f->loop, first_is_gone, f);
	assert_false(all_agree(f));
	assert_int_equal(master_port(f), 7001);
	fake_run_until(f->loop, all_agree, f);
}

static bool
third_has_chosen_anew(void *arg)
{
	return watcher_get(((struct fixture *)arg)->watcher, 2)->names.epoch == 2;
}

static void
a_majority_is_more_than_half_of_the_list(void **state)
{
	struct fixture *f = *state;
	struct topo_master m;

	f->sentinels[1].port = 7002;
	start(f, SENTINELS);
	assert_false(watcher_majority(f->watcher, &m));
	fake_run_until(f->loop, all_hear_and_know, f);
	assert_true(watcher_majority(f->watcher, &m));
	assert_int_equal(m.at.port, 7001);

	f->sentinels[2].epoch = 2; /* the same master, but not by the same choice */
	fake_run_until(f->loop, third_has_chosen_anew, f);
	assert_false(watcher_majority(f->watcher, &m));
}

static void
count_masters(void *arg, const struct topo_master *master)
{
	(*(size_t *)arg)++;
}

/* Sentinel can leave one of its own behind with the old address under the new epoch, for ever. */
static void
a_stray_with_an_equal_epoch_does_not_move_the_master(void **state)
{
	struct fixture *f = *state;
	size_t told = 0;
	struct topo_observer observer = {.on_master = count_masters, .arg = &told};

	start(f, SENTINELS);
	fake_run_until(f->loop, all_agree, f);
	list_init(&observer.link);
	topo_watch(f->topo, &observer);
	told = 0;
	f->sentinels[0].port = 7002;
	f->seen = f->sentinels[0].questions + 3; /* the answers to the first ones have been taken */
	fake_run_until(f->loop, first_was_asked_again, f);
	assert_int_equal(told, 0);
	f->sentinels[1].port = 7002; /* now it is the majority */
	fake_run_until(f->loop, master_is_7002, f);
	topo_unwatch(&observer);
}

static void
no_majority_of_the_whole_list_is_none(void **state)
{
	struct fixture *f = *state;
	struct topo_master m;

	f->sentinels[0].port = 7002;
	f->sentinels[1].port = 7003;
	start(f, SENTINELS);
	fake_run_until(f->loop, all_hear_and_know, f);
	assert_false(watcher_majority(f->watcher, &m));
}

static void
sentinels_that_count_anew_are_believed_after_a_while(void **state)
{
	struct fixture *f = *state;
	struct topo_master past = {endpoint_tcp("127.0.0.1", 7009), 17}, m;

	(void)topo_offer(f->topo, &past, TOPO_FROM_STATE);
	f->spec.restart_ms = 300;
	f->sentinels[0].port = f->sentinels[1].port = f->sentinels[2].port = 7002;
	start(f, SENTINELS);
	fake_run_until(f->loop, all_agree, f);
	assert_int_equal(master_port(f), 7009);
	fake_run_until(f->loop, master_is_7002, f);
	assert_true(topo_master(f->topo, &m));
	assert_int_equal(m.epoch, 1);
}

static void
one_sentinel_that_knows_the_higher_epoch_prevents_that(void **state)
{
	struct fixture *f = *state;

	f->sentinels[0].epoch = 17;
	f->sentinels[0].port = 7009;
	start(f, SENTINELS);
	fake_run_until(f->loop, all_hear_and_know, f);
	f->seen = f->sentinels[0].questions + 10; /* ten polls are longer than restart_ms */
	fake_run_until(f->loop, first_was_asked_again, f);
	assert_int_equal(master_port(f), 7009);
}

static void
another_list_keeps_what_is_in_both(void **state)
{
	struct fixture *f = *state;
	struct endpoint at[3];
	struct link *kept;

	start(f, 2);
	fake_run_until(f->loop, all_agree, f);
	kept = watcher_link(f->watcher, 1);
	at[0] = *fake_at(f->sentinels[2].server);
	at[1] = *fake_at(f->sentinels[1].server);
	at[2] = at[1]; /* named twice counts once */
	watcher_set_sentinels(f->watcher, at, 3);
	assert_int_equal(watcher_count(f->watcher), 2);
	assert_ptr_equal(watcher_link(f->watcher, 1), kept);
	assert_true(link_is_up(kept));
	fake_run_until(f->loop, all_agree, f);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	    T(views_and_topo_are_filled),
	    T(nothing_changed_is_not_told),
	    T(an_event_leads_to_a_question),
	    T(a_change_between_the_questions_never_pairs_the_old_address_with_the_new_epoch),
	    T(a_sentinel_that_does_not_know_the_name_says_so),
	    T(nonsense_is_not_offered),
	    T(a_lost_sentinel_is_seen_and_comes_back),
	    T(a_majority_is_more_than_half_of_the_list),
	    T(a_stray_with_an_equal_epoch_does_not_move_the_master),
	    T(no_majority_of_the_whole_list_is_none),
	    T(sentinels_that_count_anew_are_believed_after_a_while),
	    T(one_sentinel_that_knows_the_higher_epoch_prevents_that),
	    T(another_list_keeps_what_is_in_both),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
