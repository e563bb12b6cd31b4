/*
 * What a child prints, by line. The child's stdout is a pipe of which the child itself holds both
 * ends, non-blocking:
 *
 *     child  fd 1, 2 (read and write, O_NONBLOCK) ──pipe, 1 MiB──> supervisor
 *
 * So a supervisor that died neither kills the child (no EPIPE: a reader exists) nor blocks it (a
 * full pipe loses lines), and the next supervisor picks the pipe up again through /proc/PID/fd/1,
 * with what was printed meanwhile still in it.
 */
#ifndef PROC_OUTPUT_H
#define PROC_OUTPUT_H

#include <sys/types.h>

#include "base/slice.h"
#include "net/loop.h"

/* A longer line is handed on in pieces. */
#define OUTPUT_LINE_MAX ((size_t)4096)

struct output;

/* Without its newline; borrowed until the call returns. */
typedef void output_line_fn(void *owner, struct slice line);

/* A new pipe; *ret_child_fd (CLOEXEC) is for spawn and closed by the caller after it. NULL and
 * errno when there are no fds. */
struct output *output_new(
    struct loop *loop, output_line_fn *line_fn, void *owner, int *ret_child_fd);
/* The pipe of a running child that was started so by an earlier supervisor; NULL when its fd 1 is
 * no readable pipe. */
struct output *output_adopt(struct loop *loop, pid_t pid, output_line_fn *line_fn, void *owner);
/* Reads what is left (the child is gone), hands on a last partial line, and frees. */
void output_finish(struct output **out);

#endif
