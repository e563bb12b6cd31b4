#include "base/log.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/jsontext.h"

static struct {
	enum log_level level;
	bool json;
	const char *who;        /* borrowed (the process outlives it) */
	uint64_t peer_second;   /* which second the burst counter is about */
	unsigned peer_in_burst; /* lines written in that second */
	unsigned peer_left_out;
} state = {.level = LOG_NOTICE};

static const char *const level_words[] = {
    [LOG_ERROR] = "error",
    [LOG_WARN] = "warn",
    [LOG_NOTICE] = "notice",
    [LOG_INFO] = "info",
    [LOG_DEBUG] = "debug",
};

void
log_setup(enum log_level level, bool json, const char *who)
{
	state.level = level;
	state.json = json;
	state.who = who;
}

enum log_level
log_level_get(void)
{
	return state.level;
}

bool
log_level_parse(const char *word, enum log_level *ret_level)
{
	for (size_t i = 0; i < ARRAY_LEN(level_words); i++) {
		if (strcmp(word, level_words[i]) == 0) {
			*ret_level = (enum log_level)i;
			return true;
		}
	}
	return false;
}

/* One write(2) a line, so that lines of several processes on one pipe never mix. */
static void ATTR_PRINTF(2, 0) write_line(enum log_level level, const char *fmt, va_list ap)
{
	char stamp[CLOCK_RFC3339_SIZE], text[2048];
	int err = 0, saved = errno;
	struct buf b;

	(void)vsnprintf(text, sizeof(text), fmt, ap);
	for (char *c = text; *c != '\0'; c++) {
		if ((unsigned char)*c < 0x20 || *c == 0x7f) {
			*c = '?';
		}
	}
	(void)clock_rfc3339(clock_wall_ms(), stamp, sizeof(stamp));
	buf_init(&b, 0);
	if (state.json) {
		err |= buf_addf(
		    &b, "{\"time\":\"%s\",\"level\":\"%s\",\"who\":", stamp, level_words[level]);
		err |=
		    jsontext_add_string(&b, slice_str(state.who != NULL ? state.who : "holdfast"));
		err |= buf_add_str(&b, ",\"text\":");
		err |= jsontext_add_string(&b, slice_str(text));
		err |= buf_add_str(&b, "}\n");
	} else {
		err |= buf_addf(&b, "%s %s %s%s%s\n", stamp, level_words[level],
		    state.who != NULL ? state.who : "", state.who != NULL ? ": " : "", text);
	}
	if (err == 0) {
		ssize_t n = write(STDERR_FILENO, buf_slice(&b).ptr, buf_len(&b));

		(void)n; /* nowhere left to complain */
	}
	buf_fini(&b);
	errno = saved;
}

void
log_line(enum log_level level, const char *fmt, ...)
{
	va_list ap;

	if (level > state.level) {
		return;
	}
	va_start(ap, fmt);
	write_line(level, fmt, ap);
	va_end(ap);
}

void
log_peer(enum log_level level, const char *fmt, ...)
{
	uint64_t second = clock_mono_ms() / 1000;
	va_list ap;

	if (level > state.level) {
		return;
	}
	if (second != state.peer_second) {
		unsigned left_out = state.peer_left_out;

		state.peer_second = second;
		state.peer_in_burst = state.peer_left_out = 0;
		if (left_out > 0) {
			log_line(level, "more lines about peers were left out count=%u", left_out);
		}
	}
	if (state.peer_in_burst == LOG_PEER_BURST) {
		state.peer_left_out++;
		return;
	}
	state.peer_in_burst++;
	va_start(ap, fmt);
	write_line(level, fmt, ap);
	va_end(ap);
}

char *
log_quote(struct slice bytes, char *text, size_t size)
{
	size_t n = 0;

	assert(size >= 8);
	text[n++] = '"';
	for (size_t i = 0; i < bytes.len; i++) {
		uint8_t c = bytes.ptr[i];

		/* room for \xNN now and for ..." and the NUL after it */
		if (n + 9 > size) {
			memcpy(text + n, "...", 3);
			n += 3;
			break;
		}
		if (c == '"' || c == '\\') {
			text[n++] = '\\';
			text[n++] = (char)c;
		} else if (c >= 0x20 && c < 0x7f) {
			text[n++] = (char)c;
		} else {
			n += (size_t)snprintf(text + n, size - n, "\\x%02x", c);
		}
	}
	text[n++] = '"';
	text[n] = '\0';
	return text;
}
