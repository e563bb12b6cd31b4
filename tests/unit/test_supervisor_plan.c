#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "supervisor/supervisor.h"
#include "supervisor/supervisor_priv.h"
#include "golden.h"

static void
test_table_is_the_golden_one(void **state)
{
	golden_check(&plan_fsm);
	golden_count_absent(&plan_fsm, 0);
}

/* From every state, being done again and again ends where nothing is left to do. */
static void
test_every_step_leads_to_running_or_stopped(void **state)
{
	for (unsigned from = 0; from < PLAN_STATE_COUNT; from++) {
		unsigned at = from;

		for (unsigned i = 0; i < PLAN_STATE_COUNT; i++) {
			for (size_t k = 0; k < plan_fsm.row_count; k++) {
				const struct fsm_row *row = &plan_fsm.rows[k];

				if (row->state == at && row->event == 0 && row->next != FSM_SAME) {
					at = row->next;
					break;
				}
			}
		}
		assert_int_equal(at, from <= PLAN_RUNNING ? PLAN_RUNNING : PLAN_STOPPED);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_table_is_the_golden_one),
	    cmocka_unit_test(test_every_step_leads_to_running_or_stopped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
