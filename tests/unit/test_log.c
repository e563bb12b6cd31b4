#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

#include <jansson.h>

#include "base/clock.h"
#include "base/log.h"

static int saved_stderr, written; /* standard error goes into a pipe while a test runs */
static char text[16384];

static int
capture(void **state)
{
	int fds[2];

	if (pipe2(fds, O_CLOEXEC | O_NONBLOCK) == -1) {
		return -1;
	}
	saved_stderr = dup(STDERR_FILENO);
	if (saved_stderr == -1 || dup2(fds[1], STDERR_FILENO) == -1) {
		return -1;
	}
	(void)close(fds[1]);
	written = fds[0];
	log_setup(LOG_NOTICE, false, NULL);
	return 0;
}

static int
release(void **state)
{
	(void)dup2(saved_stderr, STDERR_FILENO);
	(void)close(saved_stderr);
	(void)close(written);
	return 0;
}

/* What was written since the last call. */
static const char *
said(void)
{
	ssize_t n = read(written, text, sizeof(text) - 1);

	text[n > 0 ? n : 0] = '\0';
	return text;
}

static void
a_line_has_time_level_and_text(void **state)
{
	const char *line;

	log_notice("instance ready name=%s", "r1");
	line = said();
	assert_true(strlen(line) > CLOCK_RFC3339_SIZE);
	assert_int_equal(line[CLOCK_RFC3339_SIZE - 2], 'Z');
	assert_string_equal(line + CLOCK_RFC3339_SIZE - 1, " notice instance ready name=r1\n");
	log_setup(LOG_NOTICE, false, "proxy-1");
	log_error("gone");
	assert_string_equal(said() + CLOCK_RFC3339_SIZE - 1, " error proxy-1: gone\n");
}

static void
lines_below_the_level_are_not_written(void **state)
{
	log_info("quiet");
	log_debug("quiet");
	assert_string_equal(said(), "");
	log_setup(LOG_DEBUG, false, NULL);
	log_debug("loud");
	assert_non_null(strstr(said(), " debug loud\n"));
	log_setup(LOG_ERROR, false, NULL);
	log_warn("quiet");
	assert_string_equal(said(), "");
}

static void
json_lines_parse(void **state)
{
	json_t *line;

	log_setup(LOG_NOTICE, true, "http-1");
	log_warn("quote \" and \xff byte");
	line = json_loads(said(), 0, NULL);
	assert_non_null(line);
	assert_string_equal(json_string_value(json_object_get(line, "level")), "warn");
	assert_string_equal(json_string_value(json_object_get(line, "who")), "http-1");
	assert_string_equal(
	    json_string_value(json_object_get(line, "text")), "quote \" and \xef\xbf\xbd byte");
	assert_non_null(json_object_get(line, "time"));
	json_decref(line);
}

/* A name with a line break must not forge a line. */
static void
a_line_is_one_line(void **state)
{
	const char *line;

	log_error("name=%s", "x\n2026-01-01T00:00:00.000Z error all is lost\r\x1b[2J");
	line = said();
	assert_ptr_equal(strchr(line, '\n'), line + strlen(line) - 1);
	assert_null(strchr(line, '\x1b'));
}

static void
long_lines_are_cut_and_errno_survives(void **state)
{
	char big[5000];

	memset(big, 'x', sizeof(big) - 1);
	big[sizeof(big) - 1] = '\0';
	errno = ENOSPC;
	log_error("%s", big);
	assert_int_equal(errno, ENOSPC);
	assert_in_range(strlen(said()), 2000, 2200);
}

static void
peers_cannot_flood_the_log(void **state)
{
	unsigned lines = 0;

	/* A second may end in between; then a second burst and the line about the rest follow. */
	for (int i = 0; i < 1000; i++) {
		log_peer(LOG_WARN, "bad request");
	}
	for (const char *c = said(); *c != '\0'; c++) {
		lines += *c == '\n';
	}
	assert_in_range(lines, 1, 2 * LOG_PEER_BURST + 1);
}

static void
untrusted_bytes_are_quoted(void **state)
{
	char small[8];

	assert_string_equal(LOG_QUOTE(SLICE_LIT("GET")), "\"GET\"");
	assert_string_equal(LOG_QUOTE(SLICE_LIT("")), "\"\"");
	assert_string_equal(LOG_QUOTE(SLICE_LIT("a\"b\\c\n\xff")), "\"a\\\"b\\\\c\\x0a\\xff\"");
	assert_string_equal(log_quote(SLICE_LIT("abcdefgh"), small, sizeof(small)), "\"...\"");
	for (size_t size = 8; size < 40; size++) {
		char quoted[40];

		(void)log_quote(SLICE_LIT("\n\n\n\n\n\n\"\"\"\"\"\"\"\"xxxxxxxx"), quoted, size);
		assert_true(strlen(quoted) < size);
		assert_int_equal(quoted[strlen(quoted) - 1], '"');
	}
}

static void
levels_have_names(void **state)
{
	enum log_level level = LOG_WARN;

	assert_false(log_level_parse("loud", &level));
	assert_int_equal(level, LOG_WARN);
	assert_true(log_level_parse("debug", &level));
	assert_int_equal(level, LOG_DEBUG);
}

static void
times_are_utc_with_milliseconds(void **state)
{
	char stamp[CLOCK_RFC3339_SIZE];
	uint64_t before = clock_mono_us();

	assert_string_equal(clock_rfc3339(0, stamp, sizeof(stamp)), "1970-01-01T00:00:00.000Z");
	assert_string_equal(
	    clock_rfc3339(1735689599007, stamp, sizeof(stamp)), "2024-12-31T23:59:59.007Z");
	assert_true(clock_mono_us() >= before);
	assert_true(clock_wall_ms() > 1735689599007);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(a_line_has_time_level_and_text, capture, release),
	    cmocka_unit_test_setup_teardown(
		lines_below_the_level_are_not_written, capture, release),
	    cmocka_unit_test_setup_teardown(json_lines_parse, capture, release),
	    cmocka_unit_test_setup_teardown(a_line_is_one_line, capture, release),
	    cmocka_unit_test_setup_teardown(
		long_lines_are_cut_and_errno_survives, capture, release),
	    cmocka_unit_test_setup_teardown(peers_cannot_flood_the_log, capture, release),
	    cmocka_unit_test(untrusted_bytes_are_quoted),
	    cmocka_unit_test(levels_have_names),
	    cmocka_unit_test(times_are_utc_with_milliseconds),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
