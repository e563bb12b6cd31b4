/* The epoch that is won in advance. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "base/mem.h"
#include "failover_world.h"
#include "instance/claim.h"

#define ID "00000000000000000000000000000000000000ff"

static struct claim *claim;

static int
setup(void **state)
{
	int rc = world_setup(state);

	claim = claim_new(((struct world *)*state)->watcher, ID);
	return rc;
}

static int
teardown(void **state)
{
	claim_free(&claim);
	return world_teardown(state);
}

static bool
all_have_voted(void *arg)
{
	const struct world *w = arg;
	size_t votes = 0;

	for (size_t i = 0; i < WORLD_SENTINELS; i++) {
		votes += strcmp(w->sentinels[i].leader, ID) == 0 &&
			 w->sentinels[i].leader_epoch == claim_epoch(claim);
	}
	return votes == WORLD_SENTINELS;
}

static void
the_next_epoch_is_won_once(void **state)
{
	struct world *w = *state;

	claim_run(claim);
	fake_run_until(w->loop, all_have_voted, w);
	assert_int_equal(claim_epoch(claim), 5);
	claim_run(claim);
	world_until_polls(w, 3);
	assert_int_equal(world_count(w, "sentinel vote 5"), 3);
}

static void
a_takeover_uses_it_without_another_vote(void **state)
{
	struct world *w = *state;

	claim_run(claim);
	fake_run_until(w->loop, all_have_voted, w);
	w->spec.claim = claim;
	w->spec.dead = true;
	world_kill_master(w, false);
	world_run(w);
	assert_int_equal(w->error, 0);
	assert_int_equal(w->master.epoch, 5);
	assert_int_equal(world_count(w, "sentinel saves"), 3); /* all of them before */
}

static void
a_switchover_uses_it_too(void **state)
{
	struct world *w = *state;

	claim_run(claim);
	fake_run_until(w->loop, all_have_voted, w);
	w->spec.claim = claim;
	world_run(w);
	assert_int_equal(w->error, 0);
	assert_int_equal(w->master.epoch, 5);
	assert_int_equal(world_count(w, "sentinel saves"), 3);
}

static void
one_that_was_used_up_by_another_is_no_obstacle(void **state)
{
	struct world *w = *state;

	claim_run(claim);
	fake_run_until(w->loop, all_have_voted, w);
	/* Sentinel's own failover, at a higher epoch. */
	for (size_t i = 0; i < WORLD_SENTINELS; i++) {
		w->sentinels[i].voted_at = 6;
	}
	w->spec.claim = claim;
	w->spec.dead = true;
	world_kill_master(w, false);
	world_run(w);
	assert_int_equal(w->error, 0);
	assert_int_equal(w->master.epoch, 7);
}

static void
a_vote_for_somebody_else_leads_to_a_higher_epoch(void **state)
{
	struct world *w = *state;

	w->sentinels[1].voted_at = 7;
	claim_run(claim);
	fake_run_until(w->loop, all_have_voted, w);
	assert_int_equal(claim_epoch(claim), 8);
	claim_run(claim);
	world_until_polls(w, 3);
	assert_int_equal(world_count(w, "sentinel vote 8"), 3);
}

static void
sentinels_that_never_vote_are_not_asked_for_ever(void **state)
{
	struct world *w = *state;

	w->sentinels[0].no_votes = true;
	for (int i = 0; i < 20; i++) {
		claim_run(claim);
		world_until_polls(w, 1);
	}
	assert_in_range(world_count(w, "sentinel vote"), 9, 9 * WORLD_SENTINELS);
}

static bool
first_epoch_is_taken(void *arg)
{
	struct world *w = arg;

	for (size_t i = 0; i < WORLD_SENTINELS; i++) {
		if (watcher_get(w->watcher, i)->names.epoch != 5) {
			return false;
		}
	}
	return true;
}

static void
a_new_master_needs_a_new_claim(void **state)
{
	struct world *w = *state;

	claim_run(claim);
	fake_run_until(w->loop, all_have_voted, w);
	world_all_name(w, 1, 5);
	fake_run_until(w->loop, first_epoch_is_taken, w);
	claim_run(claim);
	fake_run_until(w->loop, all_have_voted, w);
	assert_int_equal(claim_epoch(claim), 6);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	    T(the_next_epoch_is_won_once),
	    T(a_takeover_uses_it_without_another_vote),
	    T(a_switchover_uses_it_too),
	    T(one_that_was_used_up_by_another_is_no_obstacle),
	    T(a_vote_for_somebody_else_leads_to_a_higher_epoch),
	    T(sentinels_that_never_vote_are_not_asked_for_ever),
	    T(a_new_master_needs_a_new_claim),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
