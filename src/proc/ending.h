/*
 * The beginning of a process' end. A killed process runs no more code at once, but its sockets are closed, and its parent is told,
 * only when its memory has been given back: some 100 ms for each GB. From the beginning of that on /proc/PID/statm is all zeros
 * (proc(5); the kernel's exit_mm comes before exit_files). There is no event for it, so it is looked at, which only
 * pays for a big process.
 */
#ifndef PROC_ENDING_H
#define PROC_ENDING_H

#include <stdint.h>
#include <sys/types.h>

#include "net/loop.h"

struct ending;

/* Called once: the process is ending or has ended. The watch may be freed inside. */
typedef void ending_fn(void *arg);

/* Looks every interval_ms. NULL when there is no such process, or no descriptor left. */
struct ending *ending_watch(
    struct loop *loop, pid_t pid, uint64_t interval_ms, ending_fn *fn, void *arg);
/* No callback after this. NULL is fine. */
void ending_free(struct ending **e);
/* Memory of a process that is in RAM; 0: it is ending, or there is none. */
uint64_t ending_resident_bytes(pid_t pid);

#endif
