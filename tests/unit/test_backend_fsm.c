/* The state machines of the room as tables: a changed row shows as a changed golden file. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#include "backend/fsm.h"
#include "golden.h"

static void
the_tables_are_golden(void **state)
{
	golden_check(&backend_fsm);
	golden_check(&wire_fsm);
}

static void
pairs_without_a_row_are_counted(void **state)
{
	/* no master and an answer about its role; and what only a wire in another state can see */
	golden_count_absent(&backend_fsm, 2);
	golden_count_absent(&wire_fsm, 22);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(the_tables_are_golden),
	    cmocka_unit_test(pairs_without_a_row_are_counted),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
