# Unit tests of src/ipc
unit_tests += tests/unit/test_ipc_channel
tests_unit_test_ipc_channel_SOURCES = tests/unit/test_ipc_channel.c
tests_unit_test_ipc_channel_LDADD = $(LIBS_IPC) $(UNIT_LIBS)
