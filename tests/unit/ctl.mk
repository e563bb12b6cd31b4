# Unit tests of src/ctl
unit_tests += tests/unit/test_ctl
tests_unit_test_ctl_SOURCES = tests/unit/test_ctl.c tests/unit/scratch.h
tests_unit_test_ctl_LDADD = $(LIBS_CTL) $(UNIT_LIBS)

unit_tests += tests/unit/test_ctl_table
tests_unit_test_ctl_table_SOURCES = tests/unit/test_ctl_table.c
tests_unit_test_ctl_table_LDADD = $(LIBS_CTL) $(UNIT_LIBS)

unit_tests += tests/unit/test_ctl_place
tests_unit_test_ctl_place_SOURCES = tests/unit/test_ctl_place.c tests/unit/unit.h
tests_unit_test_ctl_place_LDADD = $(LIBS_CTL) $(UNIT_LIBS)
