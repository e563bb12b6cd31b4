# Unit tests of src/supervisor
unit_tests += tests/unit/test_supervisor_lock
tests_unit_test_supervisor_lock_SOURCES = tests/unit/test_supervisor_lock.c tests/unit/scratch.h
tests_unit_test_supervisor_lock_LDADD = $(LIBS_SUPERVISOR) $(UNIT_LIBS)

unit_tests += tests/unit/test_supervisor_ring
tests_unit_test_supervisor_ring_SOURCES = tests/unit/test_supervisor_ring.c
tests_unit_test_supervisor_ring_LDADD = $(LIBS_SUPERVISOR) $(UNIT_LIBS)

unit_tests += tests/unit/test_supervisor_decision
tests_unit_test_supervisor_decision_SOURCES = tests/unit/test_supervisor_decision.c
tests_unit_test_supervisor_decision_LDADD = $(LIBS_SUPERVISOR) $(UNIT_LIBS)

unit_tests += tests/unit/test_supervisor_plan
tests_unit_test_supervisor_plan_SOURCES = tests/unit/test_supervisor_plan.c tests/unit/golden.h
tests_unit_test_supervisor_plan_LDADD = $(LIBS_SUPERVISOR) $(UNIT_LIBS)
EXTRA_DIST += tests/unit/golden/plan.fsm

unit_tests += tests/unit/test_supervisor_legacy
tests_unit_test_supervisor_legacy_SOURCES = tests/unit/test_supervisor_legacy.c tests/unit/open_fds.h
tests_unit_test_supervisor_legacy_LDADD = $(LIBS_SUPERVISOR) $(UNIT_LIBS)

unit_tests += tests/unit/test_supervisor_rolling
tests_unit_test_supervisor_rolling_SOURCES = tests/unit/test_supervisor_rolling.c tests/unit/golden.h
tests_unit_test_supervisor_rolling_LDADD = $(LIBS_SUPERVISOR) $(UNIT_LIBS)
EXTRA_DIST += tests/unit/golden/rolling.fsm

unit_tests += tests/unit/test_supervisor_series
tests_unit_test_supervisor_series_SOURCES = tests/unit/test_supervisor_series.c
tests_unit_test_supervisor_series_LDADD = $(LIBS_SUPERVISOR) $(UNIT_LIBS)

unit_tests += tests/unit/test_supervisor_usage
tests_unit_test_supervisor_usage_SOURCES = tests/unit/test_supervisor_usage.c
tests_unit_test_supervisor_usage_LDADD = $(LIBS_SUPERVISOR) $(UNIT_LIBS)

unit_tests += tests/unit/test_supervisor_seal
tests_unit_test_supervisor_seal_SOURCES = tests/unit/test_supervisor_seal.c tests/unit/unit.h
tests_unit_test_supervisor_seal_LDADD = $(LIBS_SUPERVISOR) $(UNIT_LIBS)
