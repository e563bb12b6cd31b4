# Chaos: the scenarios (test_*.py) are run by tests/integration/run.sh, the runner by its own script, for a short while.
# By hand: make chaos CHAOS_ARGS="--seed 7 --seconds 600", see the head of runner.py.
dist_check_SCRIPTS += tests/chaos/run.sh
TESTS += tests/chaos/run.sh
EXTRA_DIST += \
	tests/chaos/faults.py \
	tests/chaos/runner.py \
	tests/chaos/test_cold_start.py \
	tests/chaos/test_incidents.py

.PHONY: chaos
chaos: holdfast$(EXEEXT)
	HOLDFAST=$(abs_top_builddir)/holdfast$(EXEEXT) $(SHELL) $(srcdir)/tests/chaos/run.sh $(CHAOS_ARGS)
