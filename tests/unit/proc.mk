# Unit tests of src/proc
unit_tests += tests/unit/test_process
tests_unit_test_process_SOURCES = tests/unit/test_process.c tests/unit/golden.h tests/unit/loop_until.h
tests_unit_test_process_LDADD = $(LIBS_PROC) $(UNIT_LIBS)
EXTRA_DIST += tests/unit/golden/process.fsm

unit_tests += tests/unit/test_logfile
tests_unit_test_logfile_SOURCES = tests/unit/test_logfile.c tests/unit/scratch.h
tests_unit_test_logfile_LDADD = $(LIBS_PROC) $(UNIT_LIBS)

unit_tests += tests/unit/test_capture
tests_unit_test_capture_SOURCES = tests/unit/test_capture.c
tests_unit_test_capture_LDADD = $(LIBS_PROC) $(UNIT_LIBS)

unit_tests += tests/unit/test_ending
tests_unit_test_ending_SOURCES = tests/unit/test_ending.c tests/unit/loop_until.h
tests_unit_test_ending_LDADD = $(LIBS_PROC) $(UNIT_LIBS)
