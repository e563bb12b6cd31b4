# Unit tests of src/ipc
unit_tests += tests/unit/test_ipc_channel
tests_unit_test_ipc_channel_SOURCES = tests/unit/test_ipc_channel.c tests/unit/open_fds.h
tests_unit_test_ipc_channel_LDADD = $(LIBS_IPC) $(UNIT_LIBS)

unit_tests += tests/unit/test_ipc_rejoin
tests_unit_test_ipc_rejoin_SOURCES = tests/unit/test_ipc_rejoin.c tests/unit/loop_until.h tests/unit/scratch.h
tests_unit_test_ipc_rejoin_LDADD = $(LIBS_IPC) $(UNIT_LIBS)

unit_tests += tests/unit/test_share
tests_unit_test_share_SOURCES = tests/unit/test_share.c tests/unit/unit.h
tests_unit_test_share_LDADD = $(LIBS_IPC) $(UNIT_LIBS)
