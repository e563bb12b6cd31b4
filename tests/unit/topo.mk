# Unit tests of src/topo
unit_tests += tests/unit/test_topo
tests_unit_test_topo_SOURCES = tests/unit/test_topo.c
tests_unit_test_topo_LDADD = $(LIBS_TOPO) $(UNIT_LIBS)
