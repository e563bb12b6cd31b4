# Unit tests of src/backend
unit_tests += tests/unit/test_backend_fsm
tests_unit_test_backend_fsm_SOURCES = tests/unit/test_backend_fsm.c tests/unit/golden.h
tests_unit_test_backend_fsm_LDADD = $(LIBS_BACKEND) $(UNIT_LIBS)
unit_tests += tests/unit/test_lane
lane_world = tests/unit/lane_world.c tests/unit/lane_world.h tests/unit/fake_server.c \
	tests/unit/fake_server.h tests/unit/unit.h
tests_unit_test_lane_SOURCES = tests/unit/test_lane.c $(lane_world)
tests_unit_test_lane_LDADD = $(LIBS_BACKEND) $(UNIT_LIBS)
narrow = tests/unit/narrow.c tests/unit/narrow.h
unit_tests += tests/unit/test_half_sent
tests_unit_test_half_sent_SOURCES = tests/unit/test_half_sent.c $(narrow) $(lane_world)
tests_unit_test_half_sent_LDADD = $(LIBS_BACKEND) $(UNIT_LIBS)
tests_unit_test_half_sent_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=send
unit_tests += tests/unit/test_lane_slow
tests_unit_test_lane_slow_SOURCES = tests/unit/test_lane_slow.c $(lane_world)
tests_unit_test_lane_slow_LDADD = $(LIBS_BACKEND) $(UNIT_LIBS)
unit_tests += tests/unit/test_command
tests_unit_test_command_SOURCES = tests/unit/test_command.c tests/unit/unit.h
tests_unit_test_command_LDADD = $(LIBS_BACKEND) $(UNIT_LIBS)
unit_tests += tests/unit/test_metrics
tests_unit_test_metrics_SOURCES = tests/unit/test_metrics.c tests/unit/unit.h
tests_unit_test_metrics_LDADD = $(LIBS_BACKEND) $(UNIT_LIBS)
unit_tests += tests/unit/test_scripts
tests_unit_test_scripts_SOURCES = tests/unit/test_scripts.c tests/unit/unit.h
tests_unit_test_scripts_LDADD = $(LIBS_BACKEND) $(UNIT_LIBS)
