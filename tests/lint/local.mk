# Checks of the source itself: in `make check`, fast. `make lint` adds the slow tools.
lint_checks = \
	tests/lint/check_layers.py \
	tests/lint/check_banned.py \
	tests/lint/check_headers.py \
	tests/lint/check_style.py \
	tests/lint/check_dist.py \
	tests/lint/check_format.py \
	tests/lint/check_man.py \
	tests/lint/check_api.py \
	tests/lint/check_metrics.py \
	tests/lint/check_lint.py
TESTS += $(lint_checks)
EXTRA_DIST += $(lint_checks) tests/lint/lintlib.py tests/lint/layers.txt tests/lint/cppcheck.txt tests/lint/lint.sh

lint: $(BUILT_SOURCES)
	@$(AM_TESTS_ENVIRONMENT) $(SHELL) $(srcdir)/tests/lint/lint.sh $(lint_checks)
.PHONY: lint

# Needs the program, so it is no part of `make lint`.
TESTS += tests/lint/check_docs.sh
EXTRA_DIST += tests/lint/check_docs.sh

TESTS += tests/lint/check_bootstrap.sh tests/lint/check_units.sh
EXTRA_DIST += tests/lint/check_bootstrap.sh tests/lint/check_units.sh
