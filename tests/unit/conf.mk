# Unit tests of src/conf
unit_tests += tests/unit/test_conf_load
tests_unit_test_conf_load_SOURCES = tests/unit/test_conf_load.c tests/unit/conf_fixture.h
tests_unit_test_conf_load_LDADD = $(LIBS_CONF) $(UNIT_LIBS)

unit_tests += tests/unit/test_conf_faults
tests_unit_test_conf_faults_SOURCES = tests/unit/test_conf_faults.c tests/unit/conf_fixture.h
tests_unit_test_conf_faults_LDADD = $(LIBS_CONF) $(UNIT_LIBS)

unit_tests += tests/unit/test_conf_diff
tests_unit_test_conf_diff_SOURCES = tests/unit/test_conf_diff.c tests/unit/conf_fixture.h tests/unit/tls_peer.c \
	tests/unit/tls_peer.h
tests_unit_test_conf_diff_LDADD = $(LIBS_CONF) $(UNIT_LIBS)

unit_tests += tests/unit/test_conf_find
tests_unit_test_conf_find_SOURCES = tests/unit/test_conf_find.c tests/unit/conf_fixture.h
tests_unit_test_conf_find_LDADD = $(LIBS_CONF) $(UNIT_LIBS)

unit_tests += tests/unit/test_conf_docs
tests_unit_test_conf_docs_SOURCES = tests/unit/test_conf_docs.c tests/unit/conf_fixture.h
tests_unit_test_conf_docs_LDADD = $(LIBS_CONF) $(UNIT_LIBS)

unit_tests += tests/unit/test_conf_hosts
tests_unit_test_conf_hosts_SOURCES = tests/unit/test_conf_hosts.c tests/unit/conf_fixture.h tests/unit/unit.h
tests_unit_test_conf_hosts_LDADD = $(LIBS_CONF) $(UNIT_LIBS)
