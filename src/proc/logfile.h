/* A child's own log file: lines are appended as they come; at a given size it becomes NAME.log.1,
 * that NAME.log.2 and so on. */
#ifndef PROC_LOGFILE_H
#define PROC_LOGFILE_H

#include <stddef.h>

#include "base/slice.h"

struct logfile;

/* Nothing is opened yet. At most `keep` old files stay beside the present one. */
struct logfile *logfile_new(const char *path, size_t max_bytes, unsigned keep);
void logfile_free(struct logfile **f);
/*
 * Appends the line and a newline. 0 or negative errno (disk full, folder gone): the line is lost
 * then, the next call tries again. The caller reports the first error after a success.
 */
int logfile_line(struct logfile *f, struct slice line);
void logfile_set_limits(struct logfile *f, size_t max_bytes, unsigned keep);

/* Calls fn with the last lines of the file, oldest first, from at most the last max_bytes of it. */
void logfile_tail(
    const char *path, size_t max_bytes, void (*fn)(void *arg, struct slice line), void *arg);

#endif
