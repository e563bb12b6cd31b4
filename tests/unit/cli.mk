# Unit tests of src/cli
unit_tests += tests/unit/test_status_text
tests_unit_test_status_text_SOURCES = tests/unit/test_status_text.c
tests_unit_test_status_text_LDADD = $(LIBS_CLI) $(UNIT_LIBS)
EXTRA_DIST += tests/unit/golden/status-ready.json tests/unit/golden/status-ready.txt \
	tests/unit/golden/status-degraded.json tests/unit/golden/status-degraded.txt \
	tests/unit/golden/status-starting.json tests/unit/golden/status-starting.txt \
	tests/unit/golden/status-hostile.json tests/unit/golden/status-hostile.txt

unit_tests += tests/unit/test_cli
tests_unit_test_cli_SOURCES = tests/unit/test_cli.c tests/unit/scratch.h
tests_unit_test_cli_LDADD = $(LIBS_CLI) $(UNIT_LIBS)

unit_tests += tests/unit/test_cli_check
tests_unit_test_cli_check_SOURCES = tests/unit/test_cli_check.c tests/unit/conf_fixture.h
tests_unit_test_cli_check_LDADD = $(LIBS_CLI) $(UNIT_LIBS)
