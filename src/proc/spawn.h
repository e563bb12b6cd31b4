/*
 * Starting a program: fork, exec, and nothing in between that is not async-signal-safe. The child
 * gets a session of its own (Ctrl-C in the terminal reaches only the supervisor, which stops its
 * children in order), default signals, the descriptors that are listed here and no others, and an
 * environment of a few harmless names: secrets that came in through HOLDFAST_… stay here.
 */
#ifndef PROC_SPAWN_H
#define PROC_SPAWN_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/errmsg.h"

struct spawn_spec {
	const char *path;  /* with or without a slash; without: looked up on PATH */
	char *const *argv; /* NULL-terminated */
	const char *cwd;   /* NULL: ours */
	int out_fd;        /* becomes the child's stdout and stderr */
	int pass_fd;       /* becomes fd 3 in the child; -1: none */
	bool
	    whole_env; /* the child is our own program: nothing of our environment is kept from it */
	bool dies_with_us; /* it is killed when we end, however that is (Linux: PR_SET_PDEATHSIG) */
};

/*
 * 0 and the pid, or a negative errno: -ENOENT, -EACCES and so on come from exec itself, with a text
 * that names the program. The caller arms its child watcher before it returns to the loop. Blocks
 * for the time of fork and exec only.
 */
int spawn(const struct spawn_spec *spec, pid_t *ret_pid, struct errmsg *err) ATTR_WARN_UNUSED;

#endif
