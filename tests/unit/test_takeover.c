/* The takeover from a dead master: each way through the table of the failover, and each way out of it with the failure injected. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "failover_world.h"
#include "instance/acquaint.h"
#include "instance/hello.h"
#include "topo/link.h"
#include "topo/watcher.h"

static int
setup(void **state)
{
	int rc = world_setup(state);
	struct world *w = *state;

	w->spec.dead = true;
	w->spec.epoch = 4;
	w->spec.down_after_ms = 2000;
	world_kill_master(w, false);
	return rc;
}

static void
assert_taken_over(struct world *w, size_t node)
{
	if (w->error != 0) {
		fail_msg("%s\n%s", w->text, w->journal);
	}
	assert_true(w->has_master);
	assert_int_equal(w->master.at.port, fake_at(w->nodes[node].server)->port);
	for (size_t i = 0; i < WORLD_NODES; i++) {
		assert_int_equal(w->nodes[i].is_master, i == node);
	}
	assert_int_equal(world_count(w, "redis-1 "), 0); /* nothing is said to the dead */
	assert_int_equal(world_count(w, "hold"), 0);
}

/* Nobody was promoted by us, and nobody was told that there is another master. */
static void
assert_left_alone(struct world *w, int error, const char *why)
{
	assert_int_equal(w->error, error);
	assert_false(w->has_master);
	if (strstr(w->text, why) == NULL) {
		fail_msg("'%s' is not in '%s'\n%s", why, w->text, w->journal);
	}
	assert_int_equal(world_count(w, "route"), 0);
	assert_int_equal(world_count(w, "sentinel takes"), 0);
}

static void
votes_then_promotion_then_clients_then_sentinels(void **state)
{
	struct world *w = *state;

	world_run(w);
	assert_taken_over(w, 1);
	assert_int_equal(w->master.epoch, 5);
	world_assert_order(w, "sentinel vote 5", "redis-2 REPLICAOF NO ONE");
	world_assert_order(w, "redis-2 REPLICAOF NO ONE", "route redis-2");
	world_assert_order(w, "route redis-2", "sentinel takes redis-2");
	/* not after the promotion has been answered: its connection is made meanwhile */
	world_assert_order(w, "sentinel vote 5", "redis-3 REPLICAOF redis-2");
	world_assert_order(w, "redis-3 REPLICAOF redis-2", "route redis-2");
	assert_int_equal(world_count(w, "sentinel takes redis-2"), 3);
	assert_int_equal(world_count(w, "sentinel FAILOVER"), 0);
	world_until(w, "redis-2 CONFIG REWRITE");
}

/*
 * The one that has just taken over dies before the sentinels have heard of it: what they name is the master before it, at a lower epoch. Failed before:
 * that was taken for a failover of their own, and nobody took over.
 */
static void
sentinels_may_still_name_the_master_before(void **state)
{
	struct world *w = *state;

	w->spec.epoch = 9;
	world_start(w);
	world_until(w, "sentinel vote");
	world_all_name(w, 1, 6);
	world_until_done(w);
	assert_int_equal(w->error, 0);
	assert_true(w->has_master);
}

static void
the_highest_offset_wins_whatever_its_priority(void **state)
{
	struct world *w = *state;

	w->nodes[1].priority = 1;
	w->nodes[2].offset = 1001;
	world_run(w);
	assert_taken_over(w, 2);
}

static void
with_equal_offsets_the_priority_decides(void **state)
{
	struct world *w = *state;

	w->nodes[1].priority = 100;
	w->nodes[2].priority = 10;
	world_run(w);
	assert_taken_over(w, 2);
}

static void
one_of_priority_0_never_takes_over(void **state)
{
	struct world *w = *state;

	w->nodes[1].priority = 0;
	w->nodes[1].offset = 5000;
	world_run(w);
	assert_taken_over(w, 2);
}

static void
one_that_was_not_in_sync_never_takes_over(void **state)
{
	struct world *w = *state;

	w->nodes[1].lags = true;
	w->nodes[1].offset = 5000;
	world_run(w);
	assert_taken_over(w, 2);
}

static void
nobody_fit_is_said_and_nothing_is_touched(void **state)
{
	struct world *w = *state;

	w->nodes[1].priority = 0;
	w->nodes[2].lags = true;
	world_run(w);
	assert_left_alone(w, -ENOENT, "redis-2: its replica-priority is 0");
	assert_non_null(strstr(w->text, "redis-3: it was not in step"));
	assert_int_equal(world_count(w, "redis-2 REPLICAOF"), 0);
}

static void
what_still_arrives_counts(void **state)
{
	struct world *w = *state;

	/* The master is big: its sockets stay open while its memory goes. redis-3 has more to read than redis-2. */
	world_kill_master(w, true);
	w->nodes[1].link_up = w->nodes[2].link_up = true;
	w->nodes[1].offset = 1005;
	w->nodes[2].drips = 10;
	world_run(w);
	assert_taken_over(w, 2);
	assert_int_equal(w->nodes[2].drips, 0);
}

static void
an_old_redis_that_does_not_tell_what_it_reads_has_its_time(void **state)
{
	struct world *w = *state;

	w->nodes[1].link_up = w->nodes[2].link_up = true;
	w->nodes[1].old = w->nodes[2].old = true;
	w->nodes[2].drips = 5;
	world_run(w);
	assert_taken_over(w, 2);
}

static void
one_that_had_every_write_is_waited_for(void **state)
{
	struct world *w = *state;

	w->nodes[2].offset = 2000;
	w->nodes[2].silent = true;
	world_start(w);
	world_until_state(w, "draining");
	assert_int_equal(world_count(w, "redis-2 REPLICAOF"), 0);
	assert_string_equal(failover_state(w->failover), "draining");
	/* but not for ever */
	world_until_done(w);
	assert_int_equal(w->error, 0);
	assert_true(w->nodes[1].is_master);
}

static void
nobody_answers(void **state)
{
	struct world *w = *state;

	w->nodes[1].silent = w->nodes[2].silent = true;
	world_run(w);
	assert_left_alone(w, -ENOENT, "redis-2: it does not answer");
}

static void
all_replicas_are_gone(void **state)
{
	struct world *w = *state;

	link_rest(w->nodes[1].link, true);
	link_rest(w->nodes[2].link, true);
	world_run(w);
	assert_left_alone(w, -ENOENT, "no replica answers");
}

static void
a_slow_sentinel_is_not_waited_for_and_told_later(void **state)
{
	struct world *w = *state;

	w->sentinels[2].silent = true;
	world_start(w);
	world_until(w, "route redis-2");
	assert_int_equal(world_count(w, "sentinel vote 5"), 2);
	world_until_done(w);
	assert_taken_over(w, 1);
	assert_int_equal(world_count(w, "sentinel takes redis-2"), 2);
}

static void
a_higher_epoch_that_was_not_known_is_passed(void **state)
{
	struct world *w = *state;

	for (size_t i = 0; i < WORLD_SENTINELS; i++) {
		w->sentinels[i].voted_at = 9;
	}
	world_run(w);
	assert_taken_over(w, 1);
	assert_int_equal(w->master.epoch, 10);
	assert_int_equal(world_count(w, "sentinel vote 5"), 3);
	assert_int_equal(world_count(w, "sentinel vote 10"), 3);
}

static void
no_votes_lead_to_sentinels_own_way(void **state)
{
	struct world *w = *state;

	for (size_t i = 0; i < WORLD_SENTINELS; i++) {
		w->sentinels[i].no_votes = true;
	}
	w->sentinels[0].promotes = true;
	world_run(w);
	assert_taken_over(w, 1);
	assert_int_equal(world_count(w, "sentinel FAILOVER"), 1);
	assert_int_equal(
	    world_count(w, "redis-2 REPLICAOF NO ONE"), 0); /* it was Sentinel that promoted */
}

static void
a_minority_decides_nothing(void **state)
{
	struct world *w = *state;

	w->sentinels[1].silent = w->sentinels[2].silent = true;
	world_run(w);
	assert_left_alone(w, -EAGAIN, "only 1 of 3 sentinels answer");
	assert_int_equal(world_count(w, "sentinel FAILOVER"), 0);
	assert_int_equal(world_count(w, "redis-2 REPLICAOF"), 0);
}

static void
sentinels_that_hang_at_the_vote(void **state)
{
	struct world *w = *state;

	w->spec.down_after_ms = 100;
	for (size_t i = 0; i < WORLD_SENTINELS; i++) {
		w->sentinels[i].hangs_at_vote = true;
	}
	world_run(w);
	assert_int_equal(w->error, -EAGAIN);
	assert_int_equal(world_count(w, "redis-2 REPLICAOF"), 0);
}

static void
sentinels_that_cannot_be_told_are_asked(void **state)
{
	struct world *w = *state;

	for (size_t i = 0; i < WORLD_SENTINELS; i++) {
		w->sentinels[i].no_publish = true; /* another implementation */
	}
	w->sentinels[0].promotes = true;
	world_run(w);
	assert_taken_over(w, 1);
	assert_int_equal(world_count(w, "sentinel FAILOVER"), 1);
	assert_int_equal(world_count(w, "redis-2 REPLICAOF NO ONE"), 0);
}

/* Who is known to take a hello is not asked again in whose name: that would be two more ways there and back. */
static void
sentinels_known_before_are_told_without_a_question(void **state)
{
	struct world *w = *state;
	struct acquaint *known = acquaint_new(w->loop, w->watcher, "main");
	char peer[HELLO_PEER_SIZE];
	size_t count = 0;

	while (count < WORLD_SENTINELS) {
		(void)ev_run(loop_ev(w->loop), EVRUN_ONCE);
		count = 0;
		for (size_t i = 0; i < WORLD_SENTINELS; i++) {
			count += acquaint_get(known, &watcher_get(w->watcher, i)->at, peer);
		}
	}
	for (size_t i = 0; i < WORLD_SENTINELS; i++) {
		w->sentinels[i].shy = true;
	}
	w->spec.acquaint = known;
	world_run(w);
	assert_taken_over(w, 1);
	assert_int_equal(world_count(w, "sentinel takes redis-2"), 3);
	assert_int_equal(world_count(w, "sentinel FAILOVER"), 0);
	acquaint_free(&known);
}

static void
a_lone_sentinel_is_asked(void **state)
{
	struct world *w = *state;

	for (size_t i = 0; i < WORLD_SENTINELS; i++) {
		w->sentinels[i].alone = true;
	}
	w->sentinels[0].promotes = true;
	world_run(w);
	assert_taken_over(w, 1);
	assert_int_equal(world_count(w, "sentinel FAILOVER"), 1);
}

/* Its own choice would be by what it heard a while ago. */
static void
a_sentinel_that_is_asked_is_steered_to_the_highest_offset(void **state)
{
	struct world *w = *state;

	for (size_t i = 0; i < WORLD_SENTINELS; i++) {
		w->sentinels[i].alone = true;
	}
	w->sentinels[0].promotes = true;
	w->nodes[2].offset = 1001;
	world_run(w);
	assert_taken_over(w, 2);
	world_assert_order(w, "redis-2 CONFIG SET replica-priority 0", "sentinel FAILOVER");
	world_until(w, "redis-2 CONFIG SET replica-priority 100");
}

static void
sentinel_finds_no_replica(void **state)
{
	struct world *w = *state;

	w->spec.sentinel_only = true;
	w->sentinels[0].failover_answer = "-NOGOODSLAVE No suitable replica to promote\r\n";
	world_run(w);
	assert_left_alone(w, -EAGAIN, "no replica fit to take over");
}

static bool
first_is_busy(void *arg)
{
	return watcher_get(((struct world *)arg)->watcher, 0)->failover;
}

static void
a_failover_of_sentinel_is_left_alone(void **state)
{
	struct world *w = *state;

	w->sentinels[0].failover = true;
	fake_run_until(w->loop, first_is_busy, w);
	w->sentinels[0].failover_answer = "-INPROG Failover already in progress\r\n";
	world_run(w);
	assert_left_alone(w, -EAGAIN, "failover already");
	assert_int_equal(world_count(w, "sentinel vote"), 0);
	assert_int_equal(world_count(w, "redis-2 REPLICAOF"), 0);
}

static void
sentinel_may_be_first(void **state)
{
	struct world *w = *state;

	w->sentinels[0].no_votes = w->sentinels[1].no_votes = true;
	world_start(w);
	world_until(w, "sentinel vote 5");
	world_all_name(w, 2, 6);
	world_until_done(w);
	assert_left_alone(w, -EAGAIN, "chosen another master themselves");
	assert_int_equal(world_count(w, "redis-2 REPLICAOF"), 0);
}

static void
sentinel_may_be_first_while_draining(void **state)
{
	struct world *w = *state;

	w->nodes[2].silent = true;
	world_start(w);
	world_until_state(w, "draining");
	world_all_name(w, 2, 6);
	world_until_done(w);
	assert_left_alone(w, -EAGAIN, "chosen another master themselves");
}

static void
one_that_refuses_is_passed_over(void **state)
{
	struct world *w = *state;

	w->nodes[1].promote_answer = "-ERR no\r\n";
	world_run(w);
	assert_taken_over(w, 2);
	world_assert_order(w, "redis-2 REPLICAOF NO ONE", "redis-3 REPLICAOF NO ONE");
	world_until(w, "redis-2 REPLICAOF redis-3");
}

static void
one_that_hangs_is_passed_over_and_put_back(void **state)
{
	struct world *w = *state;

	w->nodes[1].promote_silent = true;
	world_run(w);
	assert_taken_over(w, 2);
	world_until(
	    w, "redis-2 REPLICAOF redis-3"); /* behind the order that it may still carry out */
}

static void
all_refuse(void **state)
{
	struct world *w = *state;

	w->nodes[1].promote_answer = w->nodes[2].promote_answer = "-ERR no\r\n";
	world_run(w);
	assert_left_alone(w, -ENOENT, "redis-3 cannot be promoted");
}

static void
the_last_one_hangs(void **state)
{
	struct world *w = *state;

	w->nodes[1].promote_answer = "-ERR no\r\n";
	w->nodes[2].promote_silent = true;
	w->spec.pause_ms = 200;
	world_run(w);
	assert_int_equal(w->error, -EAGAIN);
	assert_false(w->has_master);
}

static void
deaf_sentinels_are_reported_with_the_new_master(void **state)
{
	struct world *w = *state;

	for (size_t i = 0; i < WORLD_SENTINELS; i++) {
		w->sentinels[i].deaf = true;
	}
	world_run(w);
	assert_int_equal(w->error, -ETIMEDOUT);
	assert_true(w->has_master);
	assert_non_null(strstr(w->text, "the sentinels do not name it yet"));
	assert_int_equal(world_count(w, "route redis-2"), 1);
}

static void
giving_up_takes_nothing_back(void **state)
{
	struct world *w = *state;

	w->nodes[1].promote_silent = true;
	world_start(w);
	world_until(w, "redis-2 REPLICAOF NO ONE");
	failover_cancel(&w->failover);
	assert_int_equal(
	    world_count(w, "redis-2 REPLICAOF redis-1"), 0); /* it would follow a dead one */
}

/* ---- a switchover whose master dies ---- */

static int
setup_planned(void **state)
{
	return world_setup(state);
}

static void
die(struct world *w)
{
	world_kill_master(w, false);
	failover_master_died(w->failover);
}

static void
assert_planned_became_takeover(struct world *w, size_t node)
{
	world_until_done(w);
	if (w->error != 0) {
		fail_msg("%s\n%s", w->text, w->journal);
	}
	assert_true(w->nodes[node].is_master);
	assert_int_equal(world_count(w, "route"), 1);
	assert_int_equal(world_count(w, "redis-1 REPLICAOF"), 0);
}

static void
it_dies_before_the_switchover_begins(void **state)
{
	struct world *w = *state;

	world_start(w);
	die(w);
	assert_planned_became_takeover(w, 1);
	assert_int_equal(world_count(w, "hold"), 0);
}

static void
it_dies_while_it_is_looked_at(void **state)
{
	struct world *w = *state;

	w->spec.to = "redis-2";
	w->nodes[2].offset = 1001; /* has more, so the wish does not count any more */
	w->nodes[0].silent = true;
	world_start(w);
	world_until_state(w, "looking");
	die(w);
	assert_planned_became_takeover(w, 2);
}

static void
it_dies_during_the_vote(void **state)
{
	struct world *w = *state;

	w->sentinels[1].no_votes = w->sentinels[2].no_votes = true;
	world_start(w);
	world_until(w, "sentinel vote 5");
	w->sentinels[1].no_votes = w->sentinels[2].no_votes = false;
	die(w);
	failover_master_died(w->failover); /* twice is no other matter */
	assert_planned_became_takeover(w, 1);
}

static void
it_dies_with_its_writes_paused(void **state)
{
	struct world *w = *state;

	w->spec.to = "redis-2";
	w->nodes[1].offset = 10;
	w->nodes[1].steps = 1000;
	world_start(w);
	world_until(w, "redis-1 CLIENT PAUSE");
	die(w);
	assert_planned_became_takeover(w, 2); /* the other had everything */
}

static void
it_dies_while_sentinel_learns_of_priorities(void **state)
{
	struct world *w = *state;

	for (size_t i = 0; i < WORLD_SENTINELS; i++) {
		w->sentinels[i].blind = true;
		w->sentinels[i].no_votes = true;
	}
	w->spec.to = "redis-2";
	world_start(w);
	world_until(w, "redis-3 CONFIG SET replica-priority 0");
	for (size_t i = 0; i < WORLD_SENTINELS; i++) {
		w->sentinels[i].no_votes = false;
	}
	die(w);
	world_until_done(w);
	assert_int_equal(w->error, 0);
	world_until(w, "redis-3 CONFIG SET replica-priority 100");
}

static void
it_dies_once_the_target_is_told(void **state)
{
	struct world *w = *state;

	world_start(w);
	world_until(w, "redis-2 REPLICAOF NO ONE");
	die(w);
	assert_planned_became_takeover(w, 1);
	assert_int_equal(world_count(w, "redis-3 REPLICAOF NO ONE"), 0);
}

static void
it_dies_while_all_are_told(void **state)
{
	struct world *w = *state;

	w->nodes[0].silent = false;
	w->sentinels[0].deaf = true;
	world_start(w);
	world_until(w, "sentinel takes redis-2");
	world_kill_master(w, false);
	failover_master_died(w->failover);
	w->sentinels[0].deaf = false;
	world_until_done(w);
	assert_int_equal(w->error, 0);
	assert_true(w->nodes[1].is_master);
}

static void
it_dies_while_sentinel_promotes(void **state)
{
	struct world *w = *state;

	w->spec.sentinel_only = true;
	world_start(w);
	world_until(w, "sentinel FAILOVER");
	die(w);
	w->nodes[2].is_master = true;
	world_all_name(w, 2, 5);
	assert_planned_became_takeover(w, 2);
}

/* ---- the hello ---- */

static void
a_hello_names_peer_epochs_and_master(void **state)
{
	const struct topo_master master = {.at = endpoint_tcp("127.0.0.1", 6382), .epoch = 7};
	char hello[HELLO_SIZE];

	hello_format(hello, "127.0.0.1,26381,abc", 8, "main", &master);
	assert_string_equal(hello, "127.0.0.1,26381,abc,8,main,127.0.0.1,6382,7");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, world_teardown)
#define P(name) cmocka_unit_test_setup_teardown(name, setup_planned, world_teardown)
	    T(votes_then_promotion_then_clients_then_sentinels),
	    T(sentinels_may_still_name_the_master_before),
	    T(the_highest_offset_wins_whatever_its_priority),
	    T(with_equal_offsets_the_priority_decides),
	    T(one_of_priority_0_never_takes_over),
	    T(one_that_was_not_in_sync_never_takes_over),
	    T(nobody_fit_is_said_and_nothing_is_touched),
	    T(what_still_arrives_counts),
	    T(an_old_redis_that_does_not_tell_what_it_reads_has_its_time),
	    T(one_that_had_every_write_is_waited_for),
	    T(nobody_answers),
	    T(all_replicas_are_gone),
	    T(a_slow_sentinel_is_not_waited_for_and_told_later),
	    T(a_higher_epoch_that_was_not_known_is_passed),
	    T(no_votes_lead_to_sentinels_own_way),
	    T(a_minority_decides_nothing),
	    T(sentinels_that_hang_at_the_vote),
	    T(sentinels_that_cannot_be_told_are_asked),
	    T(sentinels_known_before_are_told_without_a_question),
	    T(a_lone_sentinel_is_asked),
	    T(a_sentinel_that_is_asked_is_steered_to_the_highest_offset),
	    T(sentinel_finds_no_replica),
	    T(a_failover_of_sentinel_is_left_alone),
	    T(sentinel_may_be_first),
	    T(sentinel_may_be_first_while_draining),
	    T(one_that_refuses_is_passed_over),
	    T(one_that_hangs_is_passed_over_and_put_back),
	    T(all_refuse),
	    T(the_last_one_hangs),
	    T(deaf_sentinels_are_reported_with_the_new_master),
	    T(giving_up_takes_nothing_back),
	    P(it_dies_before_the_switchover_begins),
	    P(it_dies_while_it_is_looked_at),
	    P(it_dies_during_the_vote),
	    P(it_dies_with_its_writes_paused),
	    P(it_dies_while_sentinel_learns_of_priorities),
	    P(it_dies_once_the_target_is_told),
	    P(it_dies_while_all_are_told),
	    P(it_dies_while_sentinel_promotes),
	    cmocka_unit_test(a_hello_names_peer_epochs_and_master),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
