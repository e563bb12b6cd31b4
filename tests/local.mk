# Unit tests: one program a file, registered in tests/unit/ROOM.mk as
#   unit_tests += tests/unit/test_buf
#   tests_unit_test_buf_SOURCES = tests/unit/test_buf.c
#   tests_unit_test_buf_LDADD = $(LIBS_BASE) $(UNIT_LIBS)
# It links its own room and the rooms below, so a call upwards is a link error.
UNIT_LIBS = $(LIBS_SYSTEM) $(CMOCKA_LIBS)
unit_tests =

include tests/unit/base.mk
include tests/unit/net.mk
include tests/unit/resp.mk
include tests/unit/http.mk
include tests/unit/conf.mk
include tests/unit/store.mk
include tests/unit/proc.mk
include tests/unit/ipc.mk
include tests/unit/topo.mk
include tests/unit/backend.mk
include tests/unit/instance.mk
include tests/unit/proxy.mk
include tests/unit/httpd.mk
include tests/unit/ctl.mk
include tests/unit/supervisor.mk
include tests/unit/cli.mk
include tests/fuzz/local.mk
include tests/lint/local.mk
include tests/integration/local.mk
include tests/bench/local.mk

if HAVE_CMOCKA
check_PROGRAMS += $(unit_tests)
TESTS += $(unit_tests)
endif
