/* Another program in our own process: same pid, same children, and the descriptors that are not CLOEXEC. */
#ifndef PROC_BECOME_H
#define PROC_BECOME_H

#include "base/defs.h"

/*
 * Becomes the program at `path`, or that of `exe_fd` (path NULL). Signals that ask for something (TERM, INT, HUP) are blocked, so that they wait until the
 * next program takes them: by default they would end it before it can. What we ignore is not ignored by it. Returns only when that
 * fails: a negative errno, and signals are as before.
 */
int become(const char *path, int exe_fd, char *const *argv, char *const *env);

#endif
