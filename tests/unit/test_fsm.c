#include "unit.h"

#include "base/fsm.h"
#include "base/log.h"
#include "golden.h"

enum door_state { CLOSED, OPEN, LOCKED, DOOR_STATES };
enum door_event { EV_PUSH, EV_PULL, EV_KEY, DOOR_EVENTS };

struct door {
	unsigned state;
	bool key_fits;
	char trace[256]; /* what was called, in order */
};

static const char *const states[] = {[CLOSED] = "closed", [OPEN] = "open", [LOCKED] = "locked"};
static const char *const events[] = {[EV_PUSH] = "push", [EV_PULL] = "pull", [EV_KEY] = "key"};

static void
trace(struct door *d, const char *what)
{
	size_t len = strlen(d->trace);

	(void)snprintf(d->trace + len, sizeof(d->trace) - len, "%s ", what);
}

static bool
key_fits(void *obj)
{
	return ((struct door *)obj)->key_fits;
}

static void
creak(void *obj)
{
	struct door *d = obj;

	trace(d, states[d->state]); /* an action sees the new state */
	trace(d, "creak");
}

static void
entered(void *obj, unsigned from, unsigned to, const struct fsm_row *row)
{
	struct door *d = obj;

	assert_int_equal(d->state, to);
	trace(d, states[from]);
	trace(d, states[to]);
}

static const struct fsm_row rows[] = {
    {.state = CLOSED, .event = EV_PUSH, .next = OPEN, .action = creak, .comment = "it opens"},
    {.state = OPEN, .event = EV_PULL, .next = CLOSED, .comment = "it closes"},
    {.state = OPEN, .event = EV_PUSH, .next = FSM_SAME, .comment = "open is open"},
    {.state = CLOSED, .event = EV_KEY, .guard = key_fits, .next = LOCKED, .comment = "locked"},
    {.state = LOCKED, .event = EV_KEY, .guard = key_fits, .next = CLOSED, .comment = "unlocked"},
    {.state = LOCKED, .event = EV_PULL, .next = LOCKED, .comment = "tried the handle"},
    {.state = FSM_ANY, .event = EV_KEY, .next = FSM_SAME, .comment = "wrong key"},
};

static const struct fsm door_fsm = {.name = "door",
    .states = states,
    .state_count = DOOR_STATES,
    .events = events,
    .event_count = DOOR_EVENTS,
    .rows = rows,
    .row_count = ARRAY_LEN(rows),
    .entered = entered};

static void
a_row_sets_the_state_then_enters_then_acts(void **state)
{
	struct door d = {.state = CLOSED};

	assert_ptr_equal(fsm_step(&door_fsm, &d, &d.state, EV_PUSH), &rows[0]);
	assert_int_equal(d.state, OPEN);
	assert_string_equal(d.trace, "closed open open creak ");
}

static void
guards_choose_the_row(void **state)
{
	struct door d = {.state = CLOSED, .key_fits = false};

	assert_ptr_equal(fsm_step(&door_fsm, &d, &d.state, EV_KEY), &rows[6]);
	assert_int_equal(d.state, CLOSED);
	d.key_fits = true;
	assert_ptr_equal(fsm_step(&door_fsm, &d, &d.state, EV_KEY), &rows[3]);
	assert_int_equal(d.state, LOCKED);
}

static void
same_does_not_enter_but_a_named_state_does(void **state)
{
	struct door d = {.state = OPEN};

	assert_ptr_equal(fsm_step(&door_fsm, &d, &d.state, EV_PUSH), &rows[2]);
	assert_string_equal(d.trace, "");
	d.state = LOCKED;
	assert_ptr_equal(fsm_step(&door_fsm, &d, &d.state, EV_PULL), &rows[5]);
	assert_string_equal(d.trace, "locked locked ");
}

static void
a_pair_without_a_row_changes_nothing(void **state)
{
	struct door d = {.state = LOCKED};

	assert_null(fsm_step(&door_fsm, &d, &d.state, EV_PUSH));
	assert_int_equal(d.state, LOCKED);
	assert_string_equal(d.trace, "");
}

static void
the_dumps_are_golden(void **state)
{
	struct buf b;

	golden_check(&door_fsm);
	golden_count_absent(&door_fsm, 2);
	buf_init(&b, 0);
	assert_int_equal(fsm_dump(&door_fsm, true, &b), 0);
	assert_true(golden_is("door.mmd", buf_slice(&b)));
	buf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(a_row_sets_the_state_then_enters_then_acts),
	    cmocka_unit_test(guards_choose_the_row),
	    cmocka_unit_test(same_does_not_enter_but_a_named_state_does),
	    cmocka_unit_test(a_pair_without_a_row_changes_nothing),
	    cmocka_unit_test(the_dumps_are_golden),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
