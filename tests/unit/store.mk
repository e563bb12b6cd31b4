# Unit tests of src/store
unit_tests += tests/unit/test_store
tests_unit_test_store_SOURCES = tests/unit/test_store.c tests/unit/scratch.h
tests_unit_test_store_LDADD = $(LIBS_STORE) $(UNIT_LIBS)

unit_tests += tests/unit/test_store_tables
tests_unit_test_store_tables_SOURCES = tests/unit/test_store_tables.c tests/unit/scratch.h
tests_unit_test_store_tables_LDADD = $(LIBS_STORE) $(UNIT_LIBS)

unit_tests += tests/unit/test_store_power
tests_unit_test_store_power_SOURCES = tests/unit/test_store_power.c tests/unit/scratch.h
tests_unit_test_store_power_LDADD = $(LIBS_STORE) $(UNIT_LIBS)
