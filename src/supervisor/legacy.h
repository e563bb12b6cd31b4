/*
 * What passes from one binary to the next in the same process, when `holdfast upgrade` puts another one in the supervisor's place:
 *
 *   old ──exec, HF_UPGRADE=FD──→ new ──serves: tells who asked, closes all
 *    ↑                            │
 *    └──── exec, with the reason ─┘ cannot begin
 *
 * FD is a memory file of words KEY=VALUE, a NUL after each (unknown keys are left alone, so that versions understand each other): the descriptors of the
 * locked folder, of the old program and of the client that waits, the old version, and the command line and environment of the old one, which a wrapper
 * of the new one may have changed.
 */
#ifndef SUPERVISOR_LEGACY_H
#define SUPERVISOR_LEGACY_H

#include <stdbool.h>

#include "base/defs.h"

struct legacy {
	int lock_fd, exe_fd, client_fd; /* owned; -1: none. exe_fd: what to become again */
	char from[32];                  /* version of the one that passed it on */
	char *why;          /* owned; why that one could not begin; NULL: we are the new one */
	char **argv, **env; /* owned, NULL at the end: how to become it again */
};

/* What was passed to this process; NULL: it was started as usual. Its descriptors do not pass another exec. */
struct legacy *legacy_find(void);
/* Closes and frees; NULL is fine. With `forget`, it is not found any more. */
void legacy_free(struct legacy **l, bool forget);
/* A copy of an array of strings, NULL at the end; free with legacy_strings_free. */
char **legacy_strings_dup(char *const *strings);
void legacy_strings_free(char **strings);

/*
 * Becomes the program at `path`, or that of `exe_fd` (path NULL), with l->argv and l->env, passing `l` on. Signals to stop and to reload wait until the
 * next one takes them. Returns only if that fails: negative errno, and all is as before.
 */
int legacy_exec(const struct legacy *l, const char *path, int exe_fd);

#endif
