/*
 * One supervised process: what is wanted of it, what it is, and how one follows the other. The
 * state machine is the table in process.c
 * (`holdfast debug fsm process`).
 *
 *   "starting" is spawned but not proven; only the owner can prove it (process_ready). A process
 * that ends is started again: at once when it had lived, with growing delay when it died young,
 * never again (`failed`) when it died young too often in a short time.
 *
 * The owner embeds nothing: it creates the process, gets callbacks, and frees it only in a state
 * without a pid. Callbacks come from the loop or from within the call that caused them; the owner
 * must not free the process inside one.
 */
#ifndef PROC_PROCESS_H
#define PROC_PROCESS_H

#include <signal.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "base/errmsg.h"
#include "base/fsm.h"
#include "base/slice.h"
#include "net/loop.h"

enum process_state {
	PROCESS_STOPPED,
	PROCESS_STARTING,
	PROCESS_READY,
	PROCESS_STOPPING,
	PROCESS_WAITING, /* for its restart delay, or for process_kick when prepare said -EAGAIN */
	PROCESS_FAILED,
	PROCESS_ADOPTED, /* runs since before this supervisor; not proven yet */
	PROCESS_STATE_COUNT
};

#define PROCESS_ARGV_MAX 12

struct process_launch {
	const char *program; /* borrowed until the spawn, as all here; NULL: argv[0] */
	const char *argv[PROCESS_ARGV_MAX];
	const char *cwd;   /* borrowed; NULL: ours */
	int pass_fd;       /* becomes fd 3; the process table closes our copy. -1: none */
	bool dies_with_us; /* see spawn.h */
};

struct process_ops {
	/*
	 * Fills in what to start, right before each start. 0; -EAGAIN: not now, wait for
	 * process_kick; -ECANCELED: another start would not help either, it has failed as `err` says; else it failed as
	 * `err` says, which counts like a process that died young.
	 */
	int (*prepare)(void *owner, struct process_launch *ret_launch, struct errmsg *err);
	/* It was spawned; `changed` to starting came before. */
	void (*started)(void *owner, pid_t pid);
	/* The state was written. `why` is the row's comment. */
	void (*changed)(
	    void *owner, enum process_state from, enum process_state to, const char *why);
	/* It ended; `how` is for people ("killed by signal 9 (Killed)"). Before `changed`. */
	void (*exited)(void *owner, pid_t pid, const char *how);
	void (*line)(void *owner, struct slice line);
};

struct process_policy {
	uint64_t start_timeout_ms; /* spawned → ready; then killed. 0: none; process_progress sets
				      it back */
	uint64_t stop_timeout_ms;  /* signal → SIGKILL */
	int stop_signal;
	/* The signal is sent again so often until the end: redis-server refuses it while it writes its
	 * first AOF, and forgets it. 0: once */
	uint64_t stop_again_ms;
	uint64_t young_ms;  /* dying sooner than this after the start is dying young */
	unsigned young_max; /* that often … */
	uint64_t window_ms; /* … within this time: failed */
	uint64_t delay_first_ms, delay_max_ms;
};

#define PROCESS_POLICY_DEFAULT                                                                     \
	((struct process_policy){.start_timeout_ms = 30000,                                        \
	    .stop_timeout_ms = 10000,                                                              \
	    .stop_signal = SIGTERM,                                                                \
	    .young_ms = 2000,                                                                      \
	    .young_max = 6,                                                                        \
	    .window_ms = 60000,                                                                    \
	    .delay_first_ms = 50,                                                                  \
	    .delay_max_ms = 5000})

struct process;

extern const struct fsm process_fsm;

struct process *process_new(struct loop *loop, const char *name,
    const struct process_policy *policy, const struct process_ops *ops, void *owner);
/* No callbacks from here on. A process that still runs is left alone (it will be adopted, or is
 * being killed). */
void process_free(struct process **p);

/* What is wanted. Idempotent. process_up of a failed one tries again from the beginning. */
void process_up(struct process *p);
void process_down(struct process *p);
/* Stop, then start again. */
void process_restart(struct process *p);
/* The proof of readiness arrived. Ignored unless starting or adopted. */
void process_ready(struct process *p);
/* It is busy starting (loading data): the start timeout begins anew. */
void process_progress(struct process *p);
/* Tries again now what prepare had put off with -EAGAIN; harmless otherwise. */
void process_kick(struct process *p);
/*
 * Takes over a process of an earlier supervisor. 0, or -ESRCH when pid is not the process that was
 * started at start_ticks, or another negative errno when it cannot be watched. Only in state
 * stopped; does not change what is wanted. It may be our own child, when the program that we are has
 * taken the place of the one that started it: then it is reaped, and how it ended is told.
 */
int process_adopt(struct process *p, pid_t pid, uint64_t start_ticks);
/* Other limits from now on. */
void process_set_policy(struct process *p, const struct process_policy *policy);
/* SIGKILL now, whatever the state. */
void process_kill(struct process *p);

enum process_state process_state(const struct process *p);
const char *process_state_name(enum process_state state);
bool process_is_wanted(const struct process *p);
/* True while there is a pid: starting, ready, stopping, adopted. */
bool process_runs(const struct process *p);
/* Did we send SIGKILL to the process that runs, or ended last? */
bool process_was_killed(const struct process *p);
pid_t process_pid(const struct process *p); /* 0: none */
uint64_t process_start_ticks(const struct process *p);
/* Starts after the first one in this supervisor's life that the supervisor made by itself. */
unsigned process_restarts(const struct process *p);
void process_set_restarts(struct process *p, unsigned restarts);
uint64_t process_uptime_ms(const struct process *p); /* 0 when not running */

#endif
