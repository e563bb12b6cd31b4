/*
 * A line for each answered request, in the common log format or as a JSON object. What is asked for is told by the name of
 * the command or the path of a route; arguments are keys and values, and are never written. Lines are gathered and
 * written a tenth of a second later at most, so that a file costs the requests nothing.
 */
#ifndef HTTPD_ACCESSLOG_H
#define HTTPD_ACCESSLOG_H

#include <stdbool.h>
#include <stdint.h>

#include "net/loop.h"

struct accesslog;
struct exchange;

/* Appends to the file, which is made. NULL when there is to be none (path NULL), or after the error was logged. */
struct accesslog *accesslog_open(struct loop *loop, const char *path, bool json);
/* Writes what is left; NULL is fine. */
void accesslog_close(struct accesslog **log);
/* Its response is out, or was cut. `log` may be NULL. */
void accesslog_add(struct accesslog *log, const struct exchange *x, uint64_t now_us);

#endif
