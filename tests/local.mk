# Unit tests: one program a file, registered in tests/unit/ROOM.mk as
#   unit_tests += tests/unit/test_buf
#   tests_unit_test_buf_SOURCES = tests/unit/test_buf.c
#   tests_unit_test_buf_LDADD = $(LIBS_BASE) $(UNIT_LIBS)
# It links its own room and the rooms below, so a call upwards is a link error.
# What every test is told. HF_SRCDIR and HF_BUILDDIR: the two trees; HF_STRICT=1 (from ./bootstrap check): a missing tool
# is a failure, not a skip.
AM_TESTS_ENVIRONMENT = \
	HF_SRCDIR='$(abs_top_srcdir)'; export HF_SRCDIR; \
	HF_BUILDDIR='$(abs_top_builddir)'; export HF_BUILDDIR; \
	HF_CC='$(CC)'; export HF_CC; \
	HF_COMPILE_FLAGS='$(DEFS) -I$(abs_top_srcdir)/src -I$(abs_top_builddir)/src -include $(abs_top_builddir)/config.h $(HF_CPPFLAGS) $(libs_cflags) $(CPPFLAGS) $(HF_CFLAGS) $(CFLAGS)'; export HF_COMPILE_FLAGS; \
	HF_PYTHON='$(PYTHON)'; export HF_PYTHON; \
	HF_CLANG='$(CLANG)'; export HF_CLANG; \
	HF_CLANG_FORMAT='$(CLANG_FORMAT)'; export HF_CLANG_FORMAT; \
	HF_CLANG_TIDY='$(CLANG_TIDY)'; export HF_CLANG_TIDY; \
	HF_CPPCHECK='$(CPPCHECK)'; export HF_CPPCHECK; \
	HF_SHELLCHECK='$(SHELLCHECK)'; export HF_SHELLCHECK; \
	PYTHONDONTWRITEBYTECODE=1; export PYTHONDONTWRITEBYTECODE;

# Tests in Python are named FILE.py; without Python they are skipped.
TEST_EXTENSIONS += .py
PY_LOG_COMPILER = $(SHELL) $(srcdir)/tests/python.sh '$(PYTHON)'
EXTRA_DIST += tests/python.sh

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
include tests/chaos/local.mk
include tests/bench/local.mk
include tests/system/local.mk

if HAVE_CMOCKA
check_PROGRAMS += $(unit_tests)
TESTS += $(unit_tests)
endif
