# Unit tests of src/proxy
unit_tests += tests/unit/test_subs
tests_unit_test_subs_SOURCES = tests/unit/test_subs.c tests/unit/unit.h
tests_unit_test_subs_LDADD = $(LIBS_PROXY) $(UNIT_LIBS)
unit_tests += tests/unit/test_session
session_world = tests/unit/session_world.c tests/unit/session_world.h tests/unit/fake_server.c \
	tests/unit/fake_server.h tests/unit/unit.h
tests_unit_test_session_SOURCES = tests/unit/test_session.c $(session_world)
tests_unit_test_session_LDADD = $(LIBS_PROXY) $(UNIT_LIBS)
tests_unit_test_session_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=close
unit_tests += tests/unit/test_held
tests_unit_test_held_SOURCES = tests/unit/test_held.c tests/unit/unit.h
tests_unit_test_held_LDADD = $(LIBS_PROXY) $(UNIT_LIBS)
unit_tests += tests/unit/test_moments
tests_unit_test_moments_SOURCES = tests/unit/test_moments.c $(narrow) $(session_world)
tests_unit_test_moments_LDADD = $(LIBS_PROXY) $(UNIT_LIBS)
tests_unit_test_moments_LDFLAGS = $(AM_LDFLAGS) -Wl,--wrap=send
