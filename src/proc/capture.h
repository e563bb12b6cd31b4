/*
 * Runs a program to its end and keeps what it says: for commands that have no loop. It blocks, for a bounded time and
 * a bounded output; what goes beyond either is killed. Never in a process whose loop watches children: the loop would
 * reap the program first.
 */
#ifndef PROC_CAPTURE_H
#define PROC_CAPTURE_H

#include <stdint.h>

#include "base/buf.h"
#include "base/defs.h"
#include "base/errmsg.h"

/*
 * `argv` ends with NULL; stdout and stderr go into `out`, to its limit. 0 and the exit status in *ret_status; -ETIMEDOUT
 * or -ENOBUFS: it was killed for its time or its output; -ECHILD: a signal ended it; else what spawn says. The output so far is in `out` in any case.
 */
int capture(const char *path, char *const *argv, uint64_t timeout_ms, struct buf *out,
    int *ret_status, struct errmsg *err) ATTR_WARN_UNUSED;

#endif
