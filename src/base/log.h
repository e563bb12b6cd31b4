/*
 * Lines for the person on call, on standard error: text ("2026-01-01T00:00:00.000Z notice instance
 * ready name=r1") or one JSON object a line. Levels: error: a person must act; warn: degraded and
 * continuing, ends in what is done instead; notice: role, master and lifecycle changes; info:
 * connections; debug: anything.
 *
 * Text first, then key=value; bytes from outside are quoted with LOG_QUOTE. Secrets are never
 * passed in. A line is one line: control bytes in it become '?'. errno is left as it was.
 */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include <stdbool.h>
#include <stddef.h>

#include "base/defs.h"
#include "base/slice.h"

enum log_level { LOG_ERROR, LOG_WARN, LOG_NOTICE, LOG_INFO, LOG_DEBUG };

/* `who` stands in each line (a worker's name), or NULL. Kept by reference. */
void log_setup(enum log_level level, bool json, const char *who);
enum log_level log_level_get(void);
/* "error", "warn"… → level; false for other words. */
bool log_level_parse(const char *word, enum log_level *ret_level);

void log_line(enum log_level level, const char *fmt, ...) ATTR_PRINTF(2, 3);

#define log_error(...)  log_line(LOG_ERROR, __VA_ARGS__)
#define log_warn(...)   log_line(LOG_WARN, __VA_ARGS__)
#define log_notice(...) log_line(LOG_NOTICE, __VA_ARGS__)
#define log_info(...)   log_line(LOG_INFO, __VA_ARGS__)
#define log_debug(...)                                                                             \
	do {                                                                                       \
		if (log_level_get() >= LOG_DEBUG) {                                                \
			log_line(LOG_DEBUG, __VA_ARGS__);                                          \
		}                                                                                  \
	} while (0)

/*
 * A line about one peer among many: at most LOG_PEER_BURST such lines a second from this process,
 * then one line that says how many were left out.
 */
#define LOG_PEER_BURST 10
void log_peer(enum log_level level, const char *fmt, ...) ATTR_PRINTF(2, 3);

/* Untrusted bytes as printable text in double quotes, cut to fit; returns `text`. */
char *log_quote(struct slice bytes, char *text, size_t size);
#define LOG_QUOTE(bytes) log_quote((bytes), (char[160]){0}, 160)

#endif
