/* The takeover from a master on another host, which nobody here has seen die. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "failover_world.h"

static int
setup(void **state)
{
	int rc = world_setup(state);
	struct world *w = *state;

	w->spec.dead = w->spec.remote = true;
	w->spec.epoch = 4;
	w->spec.retry_ms = 20;
	w->spec.down_after_ms = 2000;
	world_kill_master(w, true); /* cut off: its replicas do not know it */
	return rc;
}

/* Nobody was promoted, by Sentinel neither; who was told to follow nobody is left so, for another may lead. */
static void
assert_given_up(struct world *w, const char *why)
{
	assert_int_equal(w->error, -EAGAIN);
	assert_false(w->has_master);
	if (strstr(w->text, why) == NULL) {
		fail_msg("'%s' is not in '%s'\n%s", why, w->text, w->journal);
	}
	assert_int_equal(world_count(w, "route"), 0);
	assert_int_equal(world_count(w, "sentinel takes"), 0);
	assert_int_equal(world_count(w, "sentinel FAILOVER"), 0);
	assert_int_equal(world_count(w, "redis-2 REPLICAOF redis"), 0);
	assert_int_equal(world_count(w, "redis-3 REPLICAOF redis"), 0);
}

static void
nobody_follows_the_old_master_before_anybody_is_promoted(void **state)
{
	struct world *w = *state;

	w->nodes[2].offset = 1001;
	world_run(w);
	assert_int_equal(w->error, 0);
	assert_int_equal(w->master.at.port, fake_at(w->nodes[2].server)->port);
	world_assert_order(w, "sentinel vote 5", "redis-2 REPLICAOF nobody");
	world_assert_order(w, "redis-2 REPLICAOF nobody", "redis-3 REPLICAOF NO ONE");
	world_assert_order(w, "redis-3 REPLICAOF nobody", "redis-3 REPLICAOF NO ONE");
	world_assert_order(w, "redis-2 REPLICAOF nobody", "redis-2 REPLICAOF redis-3");
	world_assert_order(w, "redis-3 REPLICAOF nobody", "redis-2 REPLICAOF redis-3");
}

static void
without_votes_nothing_is_touched(void **state)
{
	struct world *w = *state;

	for (size_t i = 0; i < WORLD_SENTINELS; i++) {
		w->sentinels[i].no_votes = true;
	}
	world_run(w);
	assert_given_up(w, "0 of 3 sentinels voted");
	assert_int_equal(world_count(w, "redis-"), 0);
}

static void
one_that_is_master_already_stays_the_only_one(void **state)
{
	struct world *w = *state;

	w->nodes[1].is_master = true;
	world_run(w);
	assert_given_up(w, "redis-2 is a master already");
	assert_int_equal(world_count(w, "redis-"), 0);
}

static void
one_that_follows_another_master_is_left_to_it(void **state)
{
	struct world *w = *state;

	w->nodes[2].follows = 1;
	world_run(w);
	assert_given_up(w, "redis-3 follows");
	assert_int_equal(world_count(w, "redis-"), 0);
}

static void
one_that_does_not_answer_may_have_what_no_other_has(void **state)
{
	struct world *w = *state;

	w->nodes[2].silent = true;
	world_run(w);
	assert_given_up(w, "redis-3 does not answer");
	assert_int_equal(world_count(w, "redis-"), 0);
}

static void
one_that_cannot_be_told_to_stop_following_ends_it(void **state)
{
	struct world *w = *state;

	w->nodes[2].follow_answer = "-ERR not now\r\n";
	world_run(w);
	assert_given_up(w, "redis-3 could not be told to stop following");
	assert_int_equal(world_count(w, "redis-2 REPLICAOF NO ONE"), 0);
}

static void
a_master_that_is_heard_again_stays(void **state)
{
	struct world *w = *state;

	w->heard_again = true;
	world_run(w);
	assert_given_up(w, "the master is heard again");
	assert_int_equal(world_count(w, "redis-"), 0);
}

static void
sentinel_may_be_first(void **state)
{
	struct world *w = *state;

	w->spec.retry_ms = 60000;
	for (size_t i = 0; i < WORLD_SENTINELS; i++) {
		w->sentinels[i].no_votes = true;
	}
	world_start(w);
	world_until_state(w, "voting");
	world_all_name(w, 2, 6);
	world_until_done(w);
	assert_given_up(w, "chosen another master");
}

/* Sentinel promotes nobody by itself: all have priority 0. */
static void
bar(struct world *w)
{
	w->spec.barred = true;
	for (size_t i = 0; i < WORLD_NODES; i++) {
		w->nodes[i].priority = 0;
	}
}

static void
priority_0_is_for_sentinel_only_where_it_is_barred(void **state)
{
	struct world *w = *state;

	bar(w);
	w->nodes[2].offset = 1001;
	world_run(w);
	assert_int_equal(w->error, 0);
	assert_int_equal(w->master.at.port, fake_at(w->nodes[2].server)->port);
}

static void
one_that_is_not_announced_does_not_become_master(void **state)
{
	struct world *w = *state;

	bar(w);
	w->nodes[2].offset = 1001;
	w->nodes[2].hidden = true;
	world_run(w);
	assert_int_equal(w->error, 0);
	assert_int_equal(w->master.at.port, fake_at(w->nodes[1].server)->port);
}

/* It can promote nobody; what it tries is no reason to wait, unless somebody has let it. */
static void
what_a_barred_sentinel_tries_is_not_waited_for(void **state)
{
	struct world *w = *state;

	bar(w);
	w->sentinels[0].failover = true;
	world_until_polls(w, 2);
	world_run(w);
	assert_int_equal(w->error, 0);
}

static void
what_a_person_has_let_sentinel_do_is_left_to_it(void **state)
{
	struct world *w = *state;

	bar(w);
	w->sentinels[0].failover = true;
	w->nodes[1].priority = 100;
	world_until_polls(w, 2);
	world_run(w);
	assert_given_up(w, "Sentinel may promote redis-2");
	assert_int_equal(world_count(w, "redis-"), 0);
}

static void
histories_that_differ_are_not_compared(void **state)
{
	struct world *w = *state;

	bar(w);
	w->nodes[2].replid = "other";
	world_run(w);
	assert_given_up(w, "different histories");
}

/* Of those that nobody knows anything of each may be the one that has it. */
static void
when_nothing_is_known_all_must_answer_and_be_fit(void **state)
{
	struct world *w = *state;

	bar(w);
	w->spec.all = true;
	w->nodes[2].hidden = true;
	world_run(w);
	assert_given_up(w, "what it has is not known");
	assert_int_equal(world_count(w, "redis-"), 0);
}

/* Its process died on its own host, which leads: still nobody is passed over, and Sentinel is not asked. */
static void
a_barred_takeover_at_home_passes_nobody_over(void **state)
{
	struct world *w = *state;

	bar(w);
	w->spec.remote = false;
	w->nodes[2].silent = true;
	world_run(w);
	assert_given_up(w, "");
	assert_int_equal(world_count(w, "redis-2 REPLICAOF"), 0);
}

static void
a_barred_takeover_at_home_asks_no_sentinel(void **state)
{
	struct world *w = *state;

	bar(w);
	w->spec.remote = false;
	for (size_t i = 0; i < WORLD_SENTINELS; i++) {
		w->sentinels[i].no_votes = true;
	}
	world_run(w);
	assert_given_up(w, "0 of 3 sentinels voted");
}

static void
a_barred_target_that_refuses_is_not_passed_over(void **state)
{
	struct world *w = *state;

	bar(w);
	w->spec.remote = false;
	w->nodes[2].offset = 1001;
	w->nodes[2].promote_answer = "-ERR no\r\n";
	world_run(w);
	assert_int_equal(w->error, -EAGAIN);
	assert_false(w->has_master);
	assert_non_null(strstr(w->text, "redis-3 cannot be promoted"));
	assert_int_equal(world_count(w, "route"), 0);
	assert_int_equal(world_count(w, "sentinel takes"), 0);
	/* it may have been told of redis-3 together with that one's order, and has nothing that redis-3 has not */
	assert_int_equal(world_count(w, "redis-2 REPLICAOF NO ONE"), 0);
}

struct other {
	bool done, has_master;
};

static void
on_other_done(void *owner, int error, const struct topo_master *master, const char *text)
{
	struct other *o = owner;

	o->done = true;
	o->has_master = error == 0 && master != NULL;
}

static const struct failover_ops other_ops = {.on_done = on_other_done};

static bool
both_are_done(void *arg)
{
	void **both = arg;

	return ((struct world *)both[0])->done && ((struct other *)both[1])->done;
}

/* The one who loses the vote tries again with a higher epoch, which it gets, and finds a master. */
static void
two_who_lead_at_once_make_one_master(void **state)
{
	struct world *w = *state;
	struct other other = {.done = false};

	world_start(w);
	assert_non_null(world_start_another(w, &other_ops, &other));
	fake_run_until(w->loop, both_are_done, (void *[]){w, &other});
	assert_int_equal((w->error == 0) + other.has_master, 1);
	assert_int_equal(
	    world_count(w, "redis-2 REPLICAOF NO ONE") + world_count(w, "redis-3 REPLICAOF NO ONE"),
	    1);
	assert_true(w->nodes[1].is_master != w->nodes[2].is_master);
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, world_teardown)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(nobody_follows_the_old_master_before_anybody_is_promoted),
	    T(without_votes_nothing_is_touched),
	    T(one_that_is_master_already_stays_the_only_one),
	    T(one_that_follows_another_master_is_left_to_it),
	    T(one_that_does_not_answer_may_have_what_no_other_has),
	    T(one_that_cannot_be_told_to_stop_following_ends_it),
	    T(a_master_that_is_heard_again_stays),
	    T(sentinel_may_be_first),
	    T(priority_0_is_for_sentinel_only_where_it_is_barred),
	    T(one_that_is_not_announced_does_not_become_master),
	    T(what_a_barred_sentinel_tries_is_not_waited_for),
	    T(what_a_person_has_let_sentinel_do_is_left_to_it),
	    T(histories_that_differ_are_not_compared),
	    T(when_nothing_is_known_all_must_answer_and_be_fit),
	    T(a_barred_takeover_at_home_passes_nobody_over),
	    T(a_barred_takeover_at_home_asks_no_sentinel),
	    T(a_barred_target_that_refuses_is_not_passed_over),
	    T(two_who_lead_at_once_make_one_master),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
