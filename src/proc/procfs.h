/* What /proc knows of a process: enough to tell whether a pid still is the process it was
 * (proc(5)). */
#ifndef PROC_PROCFS_H
#define PROC_PROCFS_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

/* Field 22 of /proc/PID/stat, in clock ticks after boot. 0 or -ESRCH. Zombies count as gone. */
int procfs_start_ticks(pid_t pid, uint64_t *ret_ticks);
/* Fields 14 and 15: the time that it has worked, in ticks of 10 ms as a rule; 0 when there is no such process. */
uint64_t procfs_cpu_ticks(pid_t pid);
/* Field 3: it has work to do, whether it has a processor now or waits for one. */
bool procfs_is_runnable(pid_t pid);
/* Is `pid` alive and the very process that was started at start_ticks? */
bool procfs_is_same(pid_t pid, uint64_t start_ticks);
/* How long ago a process that was started at start_ticks was started. */
uint64_t procfs_age_ms(uint64_t start_ticks);

#endif
