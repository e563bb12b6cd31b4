# Unit tests of src/topo
unit_tests += tests/unit/test_topo
tests_unit_test_topo_SOURCES = tests/unit/test_topo.c
tests_unit_test_topo_LDADD = $(LIBS_TOPO) $(UNIT_LIBS)
unit_tests += tests/unit/test_topo_link
tests_unit_test_topo_link_SOURCES = tests/unit/test_topo_link.c tests/unit/fake_server.c tests/unit/fake_server.h
tests_unit_test_topo_link_LDADD = $(LIBS_TOPO) $(UNIT_LIBS)
unit_tests += tests/unit/test_topo_watcher
tests_unit_test_topo_watcher_SOURCES = tests/unit/test_topo_watcher.c tests/unit/fake_server.c tests/unit/fake_server.h
tests_unit_test_topo_watcher_LDADD = $(LIBS_TOPO) $(UNIT_LIBS)
