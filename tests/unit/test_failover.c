/* The planned failover: each way through its table, and each way out of it with the failure injected. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "failover_world.h"
#include "golden.h"
#include "topo/link.h"

static void
assert_done(struct world *w, size_t node)
{
	if (w->error != 0) {
		fail_msg("%s\n%s", w->text, w->journal);
	}
	assert_true(w->has_master);
	assert_int_equal(w->master.at.port, fake_at(w->nodes[node].server)->port);
	assert_true(w->nodes[node].is_master);
	assert_false(w->nodes[0].is_master);
	assert_int_equal(w->nodes[0].follows, node);
}

/* It failed, said why, and all is as before: one master, not paused, the workers let go. */
static void
assert_unchanged(struct world *w, const char *why)
{
	assert_int_equal(w->error, -EAGAIN);
	assert_false(w->has_master);
	if (strstr(w->text, why) == NULL) {
		fail_msg("'%s' is not in '%s'", why, w->text);
	}
	assert_int_equal(world_count(w, "route"), 0);
	assert_int_equal(world_count(w, "hold"), world_count(w, "go on"));
	assert_int_equal(world_count(w, "redis-1 REPLICAOF"), 0);
	if (world_count(w, "hold") > 0) {
		world_until(w, "redis-1 CLIENT UNPAUSE");
	}
}

static void
led_in_the_safe_order(void **state)
{
	struct world *w = *state;

	world_run(w);
	assert_done(w, 1);
	assert_int_equal(w->master.epoch, 5);
	assert_int_equal(world_count(w, "sentinel vote 5"), 3);
	world_assert_order(w, "sentinel vote 5", "hold");
	world_assert_order(w, "hold", "redis-1 CLIENT PAUSE");
	world_assert_order(w, "redis-1 CLIENT PAUSE", "redis-2 REPLICAOF NO ONE");
	world_assert_order(w, "redis-2 REPLICAOF NO ONE", "redis-1 REPLICAOF redis-2");
	world_assert_order(w, "redis-1 REPLICAOF redis-2", "redis-1 CLIENT UNPAUSE");
	world_assert_order(w, "redis-1 CLIENT UNPAUSE", "route redis-2");
	world_assert_order(w, "redis-2 REPLICAOF NO ONE", "redis-3 REPLICAOF redis-2");
	assert_int_equal(world_count(w, "sentinel takes redis-2"), 3);
	assert_int_equal(world_count(w, "sentinel FAILOVER"), 0);
	assert_int_equal(world_count(w, "go on"), 0);
	world_until(w, "redis-2 CONFIG REWRITE");
}

static void
led_to_a_given_node(void **state)
{
	struct world *w = *state;

	w->spec.to = "redis-3";
	world_run(w);
	assert_done(w, 2);
	assert_int_equal(world_count(w, "redis-2 REPLICAOF NO ONE"), 0);
}

static void
lowest_priority_number_then_highest_offset_wins(void **state)
{
	struct world *w = *state;

	w->nodes[2].offset = 1001;
	world_run(w);
	assert_done(w, 2);
}

static void
priority_beats_offset(void **state)
{
	struct world *w = *state;

	w->nodes[1].priority = 50;
	w->nodes[1].offset = 900;
	w->nodes[1].steps = 3;
	world_run(w);
	assert_done(w, 1);
}

static void
promotion_waits_for_the_last_write(void **state)
{
	struct world *w = *state;

	w->spec.to = "redis-2";
	w->nodes[1].offset = 10;
	w->nodes[1].steps = 6;
	world_run(w);
	assert_done(w, 1);
	assert_int_equal(w->nodes[1].steps, 0);
}

static void
unfit_replicas_are_named_and_nothing_is_touched(void **state)
{
	struct world *w = *state;

	w->nodes[1].link_up = false;
	w->nodes[2].priority = 0;
	world_run(w);
	assert_unchanged(w, "redis-2: it is not in step");
	assert_non_null(strstr(w->text, "redis-3: its replica-priority is 0"));
	assert_string_equal(w->journal, "");
}

static void
an_unfit_wish_is_refused(void **state)
{
	struct world *w = *state;

	w->spec.to = "redis-3";
	w->nodes[2].follows = 1;
	world_run(w);
	assert_unchanged(w, "redis-3: it follows 127.0.0.1:");
	assert_string_equal(w->journal, "");
}

static void
what_cannot_begin_says_why(void **state)
{
	struct world *w = *state;
	struct failover_node nodes[2] = {{.name = "redis-1"}, {.name = "redis-2"}};
	struct failover_spec spec = {.watcher = w->watcher, .nodes = nodes, .count = 2};
	static const struct failover_ops none = {.on_done = NULL};

	spec.to = "redis-9";
	assert_null(failover_start(w->loop, &spec, &none, NULL, &w->err));
	assert_non_null(strstr(w->err.text, "no redis instance 'redis-9'"));
	spec.to = "redis-1";
	assert_null(failover_start(w->loop, &spec, &none, NULL, &w->err));
	assert_non_null(strstr(w->err.text, "is the master already"));
	spec.to = NULL;
	spec.count = 1;
	assert_null(failover_start(w->loop, &spec, &none, NULL, &w->err));
	assert_non_null(strstr(w->err.text, "no other redis instance"));
	spec.count = 2;
	watcher_set_sentinels(w->watcher, NULL, 0);
	assert_null(failover_start(w->loop, &spec, &none, NULL, &w->err));
	assert_non_null(strstr(w->err.text, "no sentinel"));
}

static void
nobody_answers(void **state)
{
	struct world *w = *state;

	for (size_t i = 0; i < WORLD_NODES; i++) {
		link_rest(w->nodes[i].link, true);
	}
	watcher_set_sentinels(w->watcher, fake_at(w->nodes[0].server), 1);
	world_run(w);
	assert_unchanged(w, "answers");
}

static void
a_lost_master_cannot_hand_over(void **state)
{
	struct world *w = *state;

	link_rest(w->nodes[0].link, true);
	world_run(w);
	assert_unchanged(w, "redis-1 does not answer as a master");
}

static void
sentinels_that_take_too_long(void **state)
{
	struct world *w = *state;

	w->spec.timeout_ms = 1;
	w->nodes[0].silent = true;
	world_start(w);
	/* The whole is over when the first state ends. */
	world_until_done(w);
	assert_int_equal(w->error, -EAGAIN);
	assert_string_equal(w->journal, "");
}

static void
a_running_failover_is_left_alone(void **state)
{
	struct world *w = *state;

	w->sentinels[1].failover = true;
	world_all_name(w, 0, 5); /* a change, so that it is heard of */
	world_start(w);
	world_until_done(w);
	assert_unchanged(w, "failover already");
}

static bool
second_is_busy(void *arg)
{
	return watcher_get(((struct world *)arg)->watcher, 1)->failover;
}

static bool
two_are_gone(void *arg)
{
	struct world *w = arg;

	return !watcher_get(w->watcher, 1)->connected && !watcher_get(w->watcher, 2)->connected;
}

static void
the_tail_of_a_failover_is_waited_for(void **state)
{
	struct world *w = *state;

	w->sentinels[1].failover = true;
	fake_run_until(w->loop, second_is_busy, w);
	w->nodes[1].link_up = w->nodes[2].link_up = false;
	world_start(w);
	assert_string_equal(failover_state(w->failover), "looking");
	w->sentinels[1].failover = false;
	world_until_done(w);
	assert_unchanged(w, "not in step"); /* and not what it had waited for */

	w->sentinels[1].failover = true;
	fake_run_until(w->loop, second_is_busy, w);
	w->nodes[1].link_up = w->nodes[2].link_up = true;
	w->nodes[1].offset = w->nodes[2].offset = 10;
	w->spec.pause_ms = 100;
	w->done = false;
	world_start(w);
	w->sentinels[1].failover = false;
	world_until_done(w);
	assert_unchanged(w, "did not catch up");
}

static void
a_minority_of_sentinels_is_not_enough(void **state)
{
	struct world *w = *state;

	fake_free(&w->sentinels[0].server);
	fake_free(&w->sentinels[1].server);
	world_run(w);
	assert_unchanged(w, "of 3 sentinels name redis-1");
}

static void
sentinels_that_hang_do_not_count_by_what_they_said_before(void **state)
{
	struct world *w = *state;

	w->sentinels[0].silent = w->sentinels[2].silent = true;
	w->sentinels[1].promotes = true;
	world_run(w);
	assert_unchanged(w, "only 1 of 3 sentinels");
	assert_string_equal(w->journal, "");
}

static void
a_majority_that_is_lost_while_it_votes_ends_it(void **state)
{
	struct world *w = *state;

	w->sentinels[0].hangs_at_vote = w->sentinels[2].hangs_at_vote = true;
	w->sentinels[1].promotes = true;
	world_run(w);
	assert_unchanged(w, "sentinels answer");
	assert_int_equal(world_count(w, "sentinel FAILOVER"), 0);
	assert_int_equal(world_count(w, "hold"), 0);
}

static void
a_majority_that_is_lost_while_steering_ends_it(void **state)
{
	struct world *w = *state;

	w->spec.sentinel_only = true;
	w->spec.to = "redis-3";
	w->sentinels[0].blind = true;
	w->sentinels[0].promotes = true;
	world_start(w);
	world_until(w, "redis-2 CONFIG SET replica-priority 0");
	fake_free(&w->sentinels[1].server);
	fake_free(&w->sentinels[2].server);
	fake_run_until(w->loop, two_are_gone, w);
	w->sentinels[0].blind = false;
	world_until_done(w);
	assert_unchanged(w, "sentinels answer");
	assert_int_equal(world_count(w, "sentinel FAILOVER"), 0);
}

static void
a_majority_of_sentinels_is_enough(void **state)
{
	struct world *w = *state;

	fake_free(&w->sentinels[0].server);
	world_run(w);
	assert_done(w, 1);
	assert_int_equal(world_count(w, "sentinel vote 5"), 2);
}

static void
a_vote_given_to_another_leads_to_a_higher_epoch(void **state)
{
	struct world *w = *state;

	w->sentinels[0].voted_at = w->sentinels[1].voted_at = 7;
	world_run(w);
	assert_done(w, 1);
	assert_int_equal(w->master.epoch, 8);
}

static void
no_votes_lead_to_sentinels_own_way(void **state)
{
	struct world *w = *state;

	w->sentinels[0].no_votes = w->sentinels[1].no_votes = true;
	w->sentinels[0].promotes = true;
	world_run(w);
	assert_done(w, 1);
	assert_int_equal(world_count(w, "sentinel FAILOVER"), 1);
	assert_int_equal(world_count(w, "redis-2 REPLICAOF NO ONE"), 0);
	world_assert_order(w, "redis-1 CLIENT PAUSE", "sentinel FAILOVER");
	world_assert_order(w, "redis-1 REPLICAOF redis-2", "redis-1 CLIENT UNPAUSE");
}

static void
no_votes_and_a_wish_lead_to_steering(void **state)
{
	struct world *w = *state;

	w->sentinels[0].no_votes = w->sentinels[1].no_votes = true;
	w->sentinels[0].promotes = true;
	w->spec.to = "redis-3";
	world_run(w);
	assert_done(w, 2);
	world_assert_order(w, "redis-2 CONFIG SET replica-priority 0", "sentinel FAILOVER");
	world_until(w, "redis-2 CONFIG SET replica-priority 100");
}

static void
a_sentinel_without_publish_is_not_led(void **state)
{
	struct world *w = *state;

	for (size_t i = 0; i < WORLD_SENTINELS; i++) {
		w->sentinels[i].no_publish = true;
	}
	w->sentinels[0].promotes = true;
	world_run(w);
	assert_done(w, 1);
	assert_int_equal(world_count(w, "sentinel vote"), 0);
	assert_int_equal(world_count(w, "sentinel FAILOVER"), 1);
}

static void
sentinels_without_acquaintance_are_not_led(void **state)
{
	struct world *w = *state;

	w->sentinels[0].alone = w->sentinels[1].alone = true;
	w->sentinels[0].promotes = true;
	world_run(w);
	assert_done(w, 1);
	assert_int_equal(world_count(w, "sentinel vote"), 0);
}

static void
steering_waits_until_sentinel_knows_and_puts_back(void **state)
{
	struct world *w = *state;

	w->spec.sentinel_only = true;
	w->spec.to = "redis-3";
	w->sentinels[0].promotes = true;
	w->sentinels[0].blind = true;
	world_start(w);
	world_until(w, "redis-2 CONFIG SET replica-priority 0");
	assert_int_equal(world_count(w, "hold"), 0);
	w->sentinels[0].blind = false;
	world_until_done(w);
	assert_done(w, 2);
	world_until(w, "redis-2 CONFIG SET replica-priority 100");
	world_assert_order(w, "redis-2 CONFIG SET replica-priority 100", "redis-2 CONFIG REWRITE");
}

static void
a_priority_that_cannot_be_set(void **state)
{
	struct world *w = *state;

	w->spec.sentinel_only = true;
	w->spec.to = "redis-3";
	w->nodes[1].config_answer = "-NOPERM\r\n";
	world_run(w);
	assert_unchanged(w, "replica-priority of redis-2 cannot be set");
}

static void
a_sentinel_that_never_sees_the_priorities(void **state)
{
	struct world *w = *state;

	w->spec.sentinel_only = true;
	w->spec.to = "redis-3";
	w->spec.timeout_ms = 200;
	w->sentinels[0].blind = true;
	world_run(w);
	assert_unchanged(w, "");
	assert_int_equal(world_count(w, "hold"), 0);
	world_until(w, "redis-2 CONFIG SET replica-priority 100");
}

static void
a_pause_that_is_refused(void **state)
{
	struct world *w = *state;

	w->nodes[0].pause_answer = "-ERR syntax error\r\n";
	world_run(w);
	assert_unchanged(w, "cannot be paused");
	assert_int_equal(world_count(w, "redis-2 REPLICAOF"), 0);
}

static void
a_target_that_lags_too_far(void **state)
{
	struct world *w = *state;

	w->spec.pause_ms = 100;
	w->nodes[1].offset = w->nodes[2].offset = 10;
	world_run(w);
	assert_unchanged(w, "did not catch up");
	assert_int_equal(world_count(w, "redis-2 REPLICAOF"), 0);
}

static void
a_target_that_refuses_is_taken_back(void **state)
{
	struct world *w = *state;

	w->nodes[1].promote_answer = "-ERR no\r\n";
	world_run(w);
	assert_unchanged(w, "redis-2 cannot be promoted");
	world_until(w, "redis-2 REPLICAOF redis-1");
}

static void
a_target_that_hangs_is_taken_back(void **state)
{
	struct world *w = *state;

	w->spec.pause_ms = 200;
	w->nodes[1].promote_silent = true;
	world_run(w);
	assert_unchanged(w, "did not answer when it was to be promoted");
	world_until(w, "redis-2 REPLICAOF redis-1");
}

static void
sentinel_refuses(void **state)
{
	struct world *w = *state;
	static const struct {
		const char *answer, *text;
	} refusals[] = {{"-NOGOODSLAVE No suitable replica to promote\r\n", "no replica fit"},
	    {"-INPROG Failover already in progress\r\n", "failover already"},
	    {"-ERR other\r\n", "refused to fail over: \"ERR other\""}};

	w->spec.sentinel_only = true;
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		w->journal[0] = '\0';
		w->done = false;
		w->sentinels[0].failover_answer = refusals[i].answer;
		world_run(w);
		assert_unchanged(w, refusals[i].text);
	}
}

static void
sentinel_aborts(void **state)
{
	struct world *w = *state;

	w->spec.sentinel_only = true;
	world_start(w);
	world_until(w, "sentinel FAILOVER");
	world_say_event(w, 0, "-failover-abort-no-good-slave");
	world_until_done(w);
	assert_unchanged(w, "gave the failover up");
}

static void
sentinel_promotes_nobody(void **state)
{
	struct world *w = *state;

	w->spec.sentinel_only = true;
	w->spec.pause_ms = 100;
	world_run(w);
	assert_unchanged(w, "promoted nobody in time");
}

static void
sentinels_that_stay_deaf_are_reported_with_the_new_master(void **state)
{
	struct world *w = *state;

	for (size_t i = 0; i < WORLD_SENTINELS; i++) {
		w->sentinels[i].deaf = true;
	}
	world_run(w);
	assert_int_equal(w->error, -ETIMEDOUT);
	assert_true(w->has_master);
	assert_non_null(strstr(w->text, "redis-2 is master and takes writes"));
	assert_int_equal(world_count(w, "route redis-2"), 1);
}

static void
a_majority_of_hearing_sentinels_is_enough(void **state)
{
	struct world *w = *state;

	w->sentinels[2].deaf = true;
	world_run(w);
	assert_done(w, 1);
}

static void
an_old_master_that_does_not_listen_is_reported(void **state)
{
	struct world *w = *state;

	w->nodes[0].follow_answer = "-ERR no\r\n";
	world_run(w);
	assert_int_equal(w->error, -ETIMEDOUT);
	assert_true(w->has_master);
	assert_non_null(strstr(w->text, "could not be made its replica"));
	assert_int_equal(world_count(w, "redis-1 CLIENT UNPAUSE"), 0); /* it must not take writes */
	assert_int_equal(world_count(w, "route redis-2"), 1);
}

static void
sentinel_may_be_first(void **state)
{
	struct world *w = *state;

	/* While it votes. */
	w->sentinels[0].voted_at = w->sentinels[1].voted_at = 90;
	w->sentinels[2].voted_at = 90;
	world_start(w);
	world_until(w, "sentinel vote 5");
	world_all_name(w, 2, 6);
	world_until_done(w);
	assert_unchanged(w, "chosen another master themselves");
	assert_int_equal(world_count(w, "hold"), 0);
}

static void
sentinel_may_be_first_while_steering(void **state)
{
	struct world *w = *state;

	w->spec.sentinel_only = true;
	w->spec.to = "redis-3";
	w->sentinels[0].blind = true;
	world_start(w);
	world_until(w, "redis-2 CONFIG SET replica-priority 0");
	world_all_name(w, 1, 6);
	world_until_done(w);
	assert_unchanged(w, "chosen another master themselves");
	world_until(w, "redis-2 CONFIG SET replica-priority 100");
}

static void
sentinel_may_be_first_while_writes_are_paused(void **state)
{
	struct world *w = *state;

	w->nodes[1].offset = w->nodes[2].offset = 10;
	world_start(w);
	world_until(w, "redis-1 CLIENT PAUSE");
	world_all_name(w, 2, 6);
	world_until_done(w);
	assert_unchanged(w, "chosen another master themselves");
}

static void
giving_up_lets_writes_go_on(void **state)
{
	struct world *w = *state;

	w->nodes[1].offset = w->nodes[2].offset = 10;
	world_start(w);
	world_until(w, "redis-1 CLIENT PAUSE");
	failover_cancel(&w->failover);
	assert_null(w->failover);
	world_until(w, "redis-1 CLIENT UNPAUSE");
	assert_int_equal(world_count(w, "go on"), 1);
	assert_false(w->done);
}

static void
giving_up_takes_a_promotion_back(void **state)
{
	struct world *w = *state;

	w->nodes[1].promote_silent = true;
	world_start(w);
	world_until(w, "redis-2 REPLICAOF NO ONE");
	failover_cancel(&w->failover);
	world_until(w, "redis-1 CLIENT UNPAUSE");
	world_until(w, "redis-2 REPLICAOF redis-1");
}

static void
the_owner_may_give_up_in_its_callbacks(void **state)
{
	struct world *w = *state;

	w->cancel_on_hold = true;
	world_run(w);
	assert_int_equal(world_count(w, "redis-1 CLIENT PAUSE"), 0);

	w->cancel_on_hold = false;
	w->cancel_on_promoted = true;
	w->done = false;
	world_run(w);
	assert_int_equal(world_count(w, "route redis-2"), 1);
}

static void
the_table_is_as_reviewed(void **state)
{
	golden_check(&failover_fsm);
	golden_count_absent(&failover_fsm, 5);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, world_setup, world_teardown)
	    T(led_in_the_safe_order),
	    T(led_to_a_given_node),
	    T(lowest_priority_number_then_highest_offset_wins),
	    T(priority_beats_offset),
	    T(promotion_waits_for_the_last_write),
	    T(unfit_replicas_are_named_and_nothing_is_touched),
	    T(an_unfit_wish_is_refused),
	    T(what_cannot_begin_says_why),
	    T(nobody_answers),
	    T(a_lost_master_cannot_hand_over),
	    T(sentinels_that_take_too_long),
	    T(a_running_failover_is_left_alone),
	    T(the_tail_of_a_failover_is_waited_for),
	    T(a_minority_of_sentinels_is_not_enough),
	    T(sentinels_that_hang_do_not_count_by_what_they_said_before),
	    T(a_majority_that_is_lost_while_it_votes_ends_it),
	    T(a_majority_that_is_lost_while_steering_ends_it),
	    T(a_majority_of_sentinels_is_enough),
	    T(a_vote_given_to_another_leads_to_a_higher_epoch),
	    T(no_votes_lead_to_sentinels_own_way),
	    T(no_votes_and_a_wish_lead_to_steering),
	    T(a_sentinel_without_publish_is_not_led),
	    T(sentinels_without_acquaintance_are_not_led),
	    T(steering_waits_until_sentinel_knows_and_puts_back),
	    T(a_priority_that_cannot_be_set),
	    T(a_sentinel_that_never_sees_the_priorities),
	    T(a_pause_that_is_refused),
	    T(a_target_that_lags_too_far),
	    T(a_target_that_refuses_is_taken_back),
	    T(a_target_that_hangs_is_taken_back),
	    T(sentinel_refuses),
	    T(sentinel_aborts),
	    T(sentinel_promotes_nobody),
	    T(sentinels_that_stay_deaf_are_reported_with_the_new_master),
	    T(a_majority_of_hearing_sentinels_is_enough),
	    T(an_old_master_that_does_not_listen_is_reported),
	    T(sentinel_may_be_first),
	    T(sentinel_may_be_first_while_steering),
	    T(sentinel_may_be_first_while_writes_are_paused),
	    T(giving_up_lets_writes_go_on),
	    T(giving_up_takes_a_promotion_back),
	    T(the_owner_may_give_up_in_its_callbacks),
	    cmocka_unit_test(the_table_is_as_reviewed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
