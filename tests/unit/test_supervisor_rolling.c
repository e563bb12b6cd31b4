/* The table of the rolling restart: its order, and that it ends whatever happens. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "golden.h"
#include "supervisor/supervisor.h"

static void
test_table_is_the_golden_one(void **state)
{
	golden_check(&rolling_fsm);
	golden_count_absent(&rolling_fsm, 4); /* nothing comes after the end */
}

/* Whatever goes wrong in a state leads to the end at once: the next server is not touched. */
static void
test_every_fault_is_the_end(void **state)
{
	unsigned end = (unsigned)rolling_fsm.state_count - 1;

	for (size_t i = 0; i < rolling_fsm.row_count; i++) {
		const struct fsm_row *row = &rolling_fsm.rows[i];

		assert_int_not_equal(row->state, FSM_ANY);
		if (row->event != 0) {
			assert_int_equal(row->next, end);
			assert_null(row->guard);
		}
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_table_is_the_golden_one),
	    cmocka_unit_test(test_every_fault_is_the_end),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
