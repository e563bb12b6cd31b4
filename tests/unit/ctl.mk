# Unit tests of src/ctl
ctl_world = tests/unit/ctl_world.c tests/unit/ctl_world.h tests/unit/scratch.h tests/unit/unit.h

unit_tests += tests/unit/test_ctl
tests_unit_test_ctl_SOURCES = tests/unit/test_ctl.c $(ctl_world)
tests_unit_test_ctl_LDADD = $(LIBS_CTL) $(UNIT_LIBS)

unit_tests += tests/unit/test_ctl_socket
tests_unit_test_ctl_socket_SOURCES = tests/unit/test_ctl_socket.c $(ctl_world)
tests_unit_test_ctl_socket_LDADD = $(LIBS_CTL) $(UNIT_LIBS)

unit_tests += tests/unit/test_ctl_table
tests_unit_test_ctl_table_SOURCES = tests/unit/test_ctl_table.c
tests_unit_test_ctl_table_LDADD = $(LIBS_CTL) $(UNIT_LIBS)

unit_tests += tests/unit/test_ctl_place
tests_unit_test_ctl_place_SOURCES = tests/unit/test_ctl_place.c tests/unit/unit.h
tests_unit_test_ctl_place_LDADD = $(LIBS_CTL) $(UNIT_LIBS)
