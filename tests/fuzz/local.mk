# Fuzz targets: tests/fuzz/fuzz_NAME.c with LLVMFuzzerTestOneInput, its inputs in tests/fuzz/corpus/NAME/, its words in
# tests/fuzz/NAME.dict. `make check` replays the inputs under the normal build (fuzz_NAME.replay, no clang needed);
# `make fuzz` searches for new ones. A new target is one line here, a corpus folder and a dictionary.
fuzz_targets = \
	tests/fuzz/fuzz_conf \
	tests/fuzz/fuzz_cookie \
	tests/fuzz/fuzz_ctl \
	tests/fuzz/fuzz_endpoint \
	tests/fuzz/fuzz_http_call \
	tests/fuzz/fuzz_http_json \
	tests/fuzz/fuzz_http_reply \
	tests/fuzz/fuzz_http_request \
	tests/fuzz/fuzz_jsontext \
	tests/fuzz/fuzz_monline \
	tests/fuzz/fuzz_place \
	tests/fuzz/fuzz_proxied \
	tests/fuzz/fuzz_resp_reply \
	tests/fuzz/fuzz_resp_request \
	tests/fuzz/fuzz_session \
	tests/fuzz/fuzz_status_text \
	tests/fuzz/fuzz_typed \
	tests/fuzz/fuzz_uri \
	tests/fuzz/fuzz_websocket

fuzz_replays = $(fuzz_targets:=.replay)
SUFFIXES += .replay
TEST_EXTENSIONS += .replay
TESTS += $(fuzz_replays)
check_SCRIPTS += $(fuzz_replays)
MOSTLYCLEANFILES += $(fuzz_replays) tests/fuzz/replay.o
EXTRA_DIST += $(fuzz_targets:=.c) tests/fuzz/corpus tests/fuzz/replay.c tests/fuzz/fuzz.sh $(wildcard $(srcdir)/tests/fuzz/*.dict)

fuzz_compile = $(CC) $(DEFS) $(AM_CPPFLAGS) $(CPPFLAGS) $(AM_CFLAGS) $(CFLAGS)

tests/fuzz/replay.o: tests/fuzz/replay.c config.h
	$(AM_V_CC)$(MKDIR_P) tests/fuzz && $(fuzz_compile) -c -o $@ $(srcdir)/tests/fuzz/replay.c
$(fuzz_replays): tests/fuzz/replay.o $(LIBS_CLI)
.c.replay:
	$(AM_V_CCLD)$(fuzz_compile) -o $@ $< tests/fuzz/replay.o $(AM_LDFLAGS) $(LDFLAGS) $(LIBS_CLI) $(LIBS_SYSTEM) $(LIBS)

FUZZ_SECONDS = 30
fuzz: $(BUILT_SOURCES)
	@$(AM_TESTS_ENVIRONMENT) FUZZ_SECONDS='$(FUZZ_SECONDS)' MAKE='$(MAKE)' $(SHELL) $(srcdir)/tests/fuzz/fuzz.sh $(fuzz_targets)
.PHONY: fuzz

# Built by fuzz.sh, in a build folder that was configured for it.
fuzz_link =
SUFFIXES += .fuzz
fuzz_programs = $(fuzz_targets:=.fuzz)
$(fuzz_programs): $(LIBS_CLI)
.c.fuzz:
	$(AM_V_CCLD)$(MKDIR_P) tests/fuzz && $(fuzz_compile) $(fuzz_link) -o $@ $< $(AM_LDFLAGS) $(LDFLAGS) $(LIBS_CLI) $(LIBS_SYSTEM) $(LIBS)
