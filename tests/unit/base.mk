# Unit tests of src/base
unit_tests += tests/unit/test_buf tests/unit/test_slice tests/unit/test_list tests/unit/test_jsontext \
	tests/unit/test_log tests/unit/test_fsm tests/unit/test_sorted
EXTRA_DIST += tests/unit/golden

tests_unit_test_buf_SOURCES = tests/unit/test_buf.c tests/unit/unit.h
tests_unit_test_buf_LDADD = $(LIBS_BASE) $(UNIT_LIBS)
tests_unit_test_sorted_SOURCES = tests/unit/test_sorted.c
tests_unit_test_sorted_LDADD = $(LIBS_BASE) $(UNIT_LIBS)
tests_unit_test_slice_SOURCES = tests/unit/test_slice.c tests/unit/unit.h
tests_unit_test_slice_LDADD = $(LIBS_BASE) $(UNIT_LIBS)
tests_unit_test_list_SOURCES = tests/unit/test_list.c tests/unit/unit.h
tests_unit_test_list_LDADD = $(LIBS_BASE) $(UNIT_LIBS)
tests_unit_test_jsontext_SOURCES = tests/unit/test_jsontext.c tests/unit/unit.h
tests_unit_test_jsontext_LDADD = $(LIBS_BASE) $(UNIT_LIBS)
tests_unit_test_log_SOURCES = tests/unit/test_log.c tests/unit/unit.h
tests_unit_test_log_LDADD = $(LIBS_BASE) $(UNIT_LIBS)
tests_unit_test_fsm_SOURCES = tests/unit/test_fsm.c tests/unit/unit.h tests/unit/golden.h
tests_unit_test_fsm_LDADD = $(LIBS_BASE) $(UNIT_LIBS)
