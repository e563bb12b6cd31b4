#include "proc/process.h"

#include <assert.h>
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "proc/output.h"
#include "proc/procfs.h"
#include "proc/spawn.h"

#define PROCESS_MAGIC  0x50524f43U
#define YOUNG_MAX_MOST 32

enum process_event {
	ON_UP,
	ON_DOWN,
	ON_NOT_NOW,
	ON_REFUSED,
	ON_SPAWN_FAILED,
	ON_READY_PROOF,
	ON_EXITED,
	ON_TIMEOUT,
	ON_KICK,
	ON_ADOPT,
	ON_COUNT
};

struct process {
	uint32_t magic;
	char *name;        /* owned */
	struct loop *loop; /* borrowed (outlives all) */
	struct process_policy policy;
	const struct process_ops *ops; /* borrowed (static) */
	void *owner;                   /* borrowed (outlives the process) */
	unsigned state;                /* enum process_state; written by fsm_step only */
	bool wanted;
	bool killed; /* SIGKILL was sent to this pid */
	bool started_once;
	pid_t pid; /* 0: none */
	int pidfd; /* owned; -1 unless adopted and not our child */
	uint64_t start_ticks, started_ms;
	unsigned restarts;
	uint64_t young_deaths_ms[YOUNG_MAX_MOST]; /* ring of when it died young */
	unsigned young_count; /* in all, since the last process_up of a failed one */
	unsigned young_row;   /* in a row: the delay grows with it */
	ev_child child;
	ev_io adopted; /* on pidfd */
	ev_timer timer;
	ev_timer again;        /* stopping: the signal once more */
	struct output *output; /* owned; NULL while there is no pid */
};

static void act_spawn(void *obj);
static void act_signal(void *obj);
static void act_kill(void *obj);
static void act_delay(void *obj);
static void act_forget_deaths(void *obj);
static void send_signal(const struct process *p, int sig);
static void entered(void *obj, unsigned from, unsigned to, const struct fsm_row *row);

static bool
is_hopeless(void *obj)
{
	const struct process *p = obj;
	unsigned max = MIN(p->policy.young_max, (unsigned)YOUNG_MAX_MOST);
	uint64_t oldest;

	if (p->young_count < max) {
		return false;
	}
	oldest = p->young_deaths_ms[(p->young_count - max) % YOUNG_MAX_MOST];
	return clock_mono_ms() - oldest <= p->policy.window_ms;
}

static bool
is_wanted(void *obj)
{
	const struct process *p = obj;

	return p->wanted;
}

static const char *const state_names[PROCESS_STATE_COUNT] = {
    [PROCESS_STOPPED] = "stopped",
    [PROCESS_STARTING] = "starting",
    [PROCESS_READY] = "ready",
    [PROCESS_STOPPING] = "stopping",
    [PROCESS_WAITING] = "waiting",
    [PROCESS_FAILED] = "failed",
    [PROCESS_ADOPTED] = "adopted",
};

static const char *const event_names[ON_COUNT] = {
    [ON_UP] = "up",
    [ON_DOWN] = "down",
    [ON_NOT_NOW] = "not-now",
    [ON_REFUSED] = "refused",
    [ON_SPAWN_FAILED] = "spawn-failed",
    [ON_READY_PROOF] = "proof",
    [ON_EXITED] = "exited",
    [ON_TIMEOUT] = "timeout",
    [ON_KICK] = "kick",
    [ON_ADOPT] = "adopt",
};

#define ROW(s, e, g, a, n, c)                                                                      \
	{                                                                                          \
		.state = (s), .event = (e), .guard = (g), .action = (a), .next = (n),              \
		.comment = (c)                                                                     \
	}

static const struct fsm_row rows[] = {
    ROW(PROCESS_STOPPED, ON_UP, NULL, act_spawn, PROCESS_STARTING, "wanted up"),
    ROW(PROCESS_STOPPED, ON_ADOPT, NULL, NULL, PROCESS_ADOPTED, "runs since before"),
    ROW(PROCESS_STOPPED, ON_DOWN, NULL, NULL, FSM_SAME, "is down"),
    ROW(PROCESS_STOPPED, ON_KICK, NULL, NULL, FSM_SAME, "nothing waits"),

    ROW(PROCESS_STARTING, ON_READY_PROOF, NULL, NULL, PROCESS_READY, "proven ready"),
    ROW(PROCESS_STARTING, ON_NOT_NOW, NULL, NULL, PROCESS_WAITING, "must wait for its turn"),
    ROW(PROCESS_STARTING, ON_REFUSED, NULL, NULL, PROCESS_FAILED, "cannot serve as things are"),
    ROW(PROCESS_STARTING, ON_SPAWN_FAILED, is_hopeless, NULL, PROCESS_FAILED, "cannot be started"),
    ROW(PROCESS_STARTING, ON_SPAWN_FAILED, NULL, act_delay, PROCESS_WAITING,
	"could not be started, is tried again"),
    ROW(PROCESS_STARTING, ON_EXITED, is_hopeless, NULL, PROCESS_FAILED, "died young too often"),
    ROW(PROCESS_STARTING, ON_EXITED, NULL, act_delay, PROCESS_WAITING,
	"died before it was ready, is started again"),
    ROW(PROCESS_STARTING, ON_TIMEOUT, NULL, act_kill, FSM_SAME, "not ready in time, killed"),
    ROW(PROCESS_STARTING, ON_DOWN, NULL, act_signal, PROCESS_STOPPING, "wanted down"),
    ROW(PROCESS_STARTING, ON_UP, NULL, NULL, FSM_SAME, "is on its way"),
    ROW(PROCESS_STARTING, ON_KICK, NULL, NULL, FSM_SAME, "is on its way"),

    ROW(PROCESS_READY, ON_EXITED, is_hopeless, NULL, PROCESS_FAILED, "died young too often"),
    ROW(PROCESS_READY, ON_EXITED, NULL, act_delay, PROCESS_WAITING, "ended, is started again"),
    ROW(PROCESS_READY, ON_DOWN, NULL, act_signal, PROCESS_STOPPING, "wanted down"),
    ROW(PROCESS_READY, ON_UP, NULL, NULL, FSM_SAME, "is up"),
    ROW(PROCESS_READY, ON_READY_PROOF, NULL, NULL, FSM_SAME, "is ready"),
    ROW(PROCESS_READY, ON_KICK, NULL, NULL, FSM_SAME, "nothing waits"),

    ROW(PROCESS_STOPPING, ON_EXITED, is_wanted, act_spawn, PROCESS_STARTING, "wanted up again"),
    ROW(PROCESS_STOPPING, ON_EXITED, NULL, NULL, PROCESS_STOPPED, "stopped"),
    ROW(PROCESS_STOPPING, ON_TIMEOUT, NULL, act_kill, FSM_SAME, "did not stop in time, killed"),
    ROW(PROCESS_STOPPING, ON_UP, NULL, NULL, FSM_SAME, "starts once it has stopped"),
    ROW(PROCESS_STOPPING, ON_DOWN, NULL, NULL, FSM_SAME, "is stopping"),
    ROW(PROCESS_STOPPING, ON_READY_PROOF, NULL, NULL, FSM_SAME, "too late"),
    ROW(PROCESS_STOPPING, ON_KICK, NULL, NULL, FSM_SAME, "is stopping"),

    ROW(PROCESS_WAITING, ON_TIMEOUT, NULL, act_spawn, PROCESS_STARTING, "delay is over"),
    ROW(PROCESS_WAITING, ON_KICK, NULL, act_spawn, PROCESS_STARTING, "its turn has come"),
    ROW(PROCESS_WAITING, ON_DOWN, NULL, NULL, PROCESS_STOPPED, "wanted down"),
    ROW(PROCESS_WAITING, ON_UP, NULL, NULL, FSM_SAME, "starts after its delay"),

    ROW(PROCESS_FAILED, ON_UP, NULL, act_forget_deaths, PROCESS_STARTING, "asked for again"),
    ROW(PROCESS_FAILED, ON_DOWN, NULL, NULL, PROCESS_STOPPED, "wanted down"),
    ROW(PROCESS_FAILED, ON_KICK, NULL, NULL, FSM_SAME, "given up"),

    ROW(PROCESS_ADOPTED, ON_READY_PROOF, NULL, NULL, PROCESS_READY, "proven ready"),
    ROW(PROCESS_ADOPTED, ON_EXITED, NULL, act_delay, PROCESS_WAITING, "ended, is started again"),
    ROW(PROCESS_ADOPTED, ON_DOWN, NULL, act_signal, PROCESS_STOPPING, "wanted down"),
    ROW(PROCESS_ADOPTED, ON_UP, NULL, NULL, FSM_SAME, "is up"),
    ROW(PROCESS_ADOPTED, ON_TIMEOUT, NULL, act_kill, FSM_SAME, "not ready in time, killed"),
    ROW(PROCESS_ADOPTED, ON_KICK, NULL, NULL, FSM_SAME, "is up"),

    /* Proof of a process that has just ended: its probe was quicker than the news of its end. */
    ROW(FSM_ANY, ON_READY_PROOF, NULL, NULL, FSM_SAME, "not running any more"),
};

const struct fsm process_fsm = {
    .name = "process",
    .states = state_names,
    .state_count = PROCESS_STATE_COUNT,
    .events = event_names,
    .event_count = ON_COUNT,
    .rows = rows,
    .row_count = ARRAY_LEN(rows),
    .entered = entered,
};

static void
step(struct process *p, enum process_event event)
{
	(void)fsm_step(&process_fsm, p, &p->state, event);
}

static void
set_timer(struct process *p, uint64_t ms)
{
	ev_timer_stop(loop_ev(p->loop), &p->timer);
	if (ms > 0) {
		ev_timer_set(&p->timer, (double)ms / 1000., 0.);
		ev_timer_start(loop_ev(p->loop), &p->timer);
	}
}

/* Each state's deadline is armed here, where the state is entered. */
static void
entered(void *obj, unsigned from, unsigned to, const struct fsm_row *row)
{
	struct process *p = obj;

	ev_timer_stop(loop_ev(p->loop), &p->again);
	switch ((enum process_state)to) {
	case PROCESS_STARTING:
	case PROCESS_ADOPTED:
		set_timer(p, p->policy.start_timeout_ms);
		break;
	case PROCESS_STOPPING:
		set_timer(p, p->policy.stop_timeout_ms);
		if (p->policy.stop_again_ms > 0) {
			double again = (double)p->policy.stop_again_ms / 1000.;

			ev_timer_set(&p->again, again, again);
			ev_timer_start(loop_ev(p->loop), &p->again);
		}
		break;
	default:
		set_timer(p, 0);
		break;
	}
	p->ops->changed(p->owner, from, to, row->comment);
}

static void
on_timer(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct process *p = OBJ_CAST((struct process *)w->data, PROCESS_MAGIC);

	ev_timer_stop(ev, w);
	step(p, ON_TIMEOUT);
}

static void
on_again(struct ev_loop *ev, ev_timer *w, int revents)
{
	const struct process *p = OBJ_CAST((struct process *)w->data, PROCESS_MAGIC);

	if (!p->killed) {
		send_signal(p, p->policy.stop_signal);
	}
}

static void
on_line(void *owner, struct slice line)
{
	struct process *p = OBJ_CAST((struct process *)owner, PROCESS_MAGIC);

	p->ops->line(p->owner, line);
}

static void
note_death(struct process *p, bool young)
{
	if (!young) {
		p->young_row = 0;
		return;
	}
	p->young_deaths_ms[p->young_count % YOUNG_MAX_MOST] = clock_mono_ms();
	p->young_count++;
	p->young_row++;
}

static void
ended(struct process *p, const char *how)
{
	pid_t pid = p->pid;
	bool young = clock_mono_ms() - p->started_ms < p->policy.young_ms;

	ev_child_stop(loop_ev(p->loop), &p->child);
	ev_io_stop(loop_ev(p->loop), &p->adopted);
	if (p->pidfd != -1) {
		(void)close(p->pidfd);
		p->pidfd = -1;
	}
	p->pid = 0;
	if (p->state != PROCESS_STOPPING) {
		note_death(p, young);
	}
	output_finish(&p->output);
	p->ops->exited(p->owner, pid, how);
	step(p, ON_EXITED);
}

static void
on_child(struct ev_loop *ev, ev_child *w, int revents)
{
	struct process *p = OBJ_CAST((struct process *)w->data, PROCESS_MAGIC);
	char how[96];

	/* What it had forked itself (a background save) goes with it: the session is the child's
	 * own. */
	(void)kill(-p->pid, SIGKILL);
	if (WIFSIGNALED(w->rstatus)) {
		(void)snprintf(how, sizeof(how), "killed by signal %d (%s)", WTERMSIG(w->rstatus),
		    strsignal(WTERMSIG(w->rstatus)));
	} else {
		(void)snprintf(how, sizeof(how), "exited with status %d", WEXITSTATUS(w->rstatus));
	}
	ended(p, how);
}

static void
on_adopted_end(struct ev_loop *ev, ev_io *w, int revents)
{
	struct process *p = OBJ_CAST((struct process *)w->data, PROCESS_MAGIC);

	(void)kill(
	    -p->pid, SIGKILL); /* as in on_child; while one of them lives the number is theirs */
	ended(p, "ended");
}

static void
act_spawn(void *obj)
{
	struct process *p = obj;
	struct process_launch launch = {.pass_fd = -1};
	struct spawn_spec spec;
	struct errmsg err = ERRMSG_NONE;
	int out_fd = -1, rc;

	rc = p->ops->prepare(p->owner, &launch, &err);
	if (rc == -EAGAIN) {
		step(p, ON_NOT_NOW);
		return;
	}
	if (rc == 0) {
		p->output = output_new(p->loop, on_line, p, &out_fd);
		if (p->output == NULL) {
			rc = -errno;
			errmsg_set(&err, "cannot make a pipe for its output: %m");
		}
	}
	if (rc == 0) {
		spec = (struct spawn_spec){
		    .path = launch.program != NULL ? launch.program : launch.argv[0],
		    .argv = (char *const *)(uintptr_t)launch.argv,
		    .cwd = launch.cwd,
		    .out_fd = out_fd,
		    .pass_fd = launch.pass_fd,
		    .dies_with_us = launch.dies_with_us};
		rc = spawn(&spec, &p->pid, &err);
		(void)close(out_fd);
	}
	if (launch.pass_fd != -1) {
		(void)close(launch.pass_fd);
	}
	if (rc < 0) {
		output_finish(&p->output);
		note_death(p, true);
		p->ops->exited(p->owner, 0, err.text);
		step(p, rc == -ECANCELED ? ON_REFUSED : ON_SPAWN_FAILED);
		return;
	}
	p->restarts += p->started_once ? 1 : 0;
	p->started_once = true;
	p->killed = false;
	p->started_ms = clock_mono_ms();
	if (procfs_start_ticks(p->pid, &p->start_ticks) < 0) {
		p->start_ticks = 0; /* it is gone already; the child watcher tells how */
	}
	ev_child_set(&p->child, p->pid, 0);
	ev_child_start(loop_ev(p->loop), &p->child);
	p->ops->started(p->owner, p->pid);
}

/* The pid of one that is not our child may be another's before we hear of its end: the pidfd never is. */
static void
send_signal(const struct process *p, int sig)
{
	if (p->pidfd != -1) {
		(void)syscall(SYS_pidfd_send_signal, p->pidfd, sig, NULL, 0);
	} else if (p->pid > 0) {
		(void)kill(p->pid, sig);
	}
}

static void
act_signal(void *obj)
{
	const struct process *p = obj;

	send_signal(p, p->policy.stop_signal);
}

static void
act_kill(void *obj)
{
	struct process *p = obj;

	if (p->pid > 0 && !p->killed) {
		p->killed = true;
		send_signal(p, SIGKILL);
	}
}

static void
act_delay(void *obj)
{
	struct process *p = obj;
	uint64_t delay_ms = p->policy.delay_first_ms;

	if (p->young_row == 0) {
		step(p, ON_KICK);
		return;
	}
	for (unsigned i = 1; i < p->young_row && delay_ms < p->policy.delay_max_ms; i++) {
		delay_ms *= 2;
	}
	set_timer(p, MIN(delay_ms, p->policy.delay_max_ms));
}

static void
act_forget_deaths(void *obj)
{
	struct process *p = obj;

	p->young_count = p->young_row = 0;
	act_spawn(p);
}

struct process *
process_new(struct loop *loop, const char *name, const struct process_policy *policy,
    const struct process_ops *ops, void *owner)
{
	struct process *p = xcalloc(1, sizeof(*p));

	*p = (struct process){.magic = PROCESS_MAGIC,
	    .name = xstrdup(name),
	    .loop = loop,
	    .policy = *policy,
	    .ops = ops,
	    .owner = owner,
	    .state = PROCESS_STOPPED,
	    .pidfd = -1};
	ev_child_init(&p->child, on_child, 0, 0);
	p->child.data = p;
	ev_init(&p->adopted, on_adopted_end);
	p->adopted.data = p;
	ev_init(&p->timer, on_timer);
	p->timer.data = p;
	ev_init(&p->again, on_again);
	p->again.data = p;
	return p;
}

static void
free_now(void *obj)
{
	struct process *p = obj;

	p->magic = 0;
	free(p->name);
	free(p);
}

void
process_free(struct process **pp)
{
	struct process *p = *pp;

	*pp = NULL;
	if (p == NULL) {
		return;
	}
	ev_child_stop(loop_ev(p->loop), &p->child);
	ev_io_stop(loop_ev(p->loop), &p->adopted);
	ev_timer_stop(loop_ev(p->loop), &p->again);
	ev_timer_stop(loop_ev(p->loop), &p->timer);
	if (p->pidfd != -1) {
		(void)close(p->pidfd);
	}
	output_finish(&p->output);
	loop_bury(p->loop, free_now, p);
}

void
process_up(struct process *p)
{
	p->wanted = true;
	step(p, ON_UP);
}

void
process_down(struct process *p)
{
	p->wanted = false;
	step(p, ON_DOWN);
}

void
process_restart(struct process *p)
{
	step(p, ON_DOWN);
	process_up(p);
}

void
process_ready(struct process *p)
{
	step(p, ON_READY_PROOF);
}

void
process_progress(struct process *p)
{
	if (p->state == PROCESS_STARTING || p->state == PROCESS_ADOPTED) {
		set_timer(p, p->policy.start_timeout_ms);
	}
}

void
process_kick(struct process *p)
{
	/* A running restart delay is not cut short. */
	if (!ev_is_active(&p->timer) || p->state != PROCESS_WAITING) {
		step(p, ON_KICK);
	}
}

/* Looks, and reaps nothing: that is the loop's. */
static bool
is_our_child(pid_t pid)
{
	siginfo_t info;

	return waitid(P_PID, (id_t)pid, &info, WEXITED | WNOHANG | WNOWAIT) == 0;
}

/* From here on its end is heard of. */
static int
watch_adopted(struct process *p, pid_t pid, uint64_t start_ticks)
{
	/* A child keeps its number until it is reaped, and only its parent hears how it ended. */
	if (is_our_child(pid)) {
		ev_child_set(&p->child, pid, 0);
		ev_child_start(loop_ev(p->loop), &p->child);
		return 0;
	}
	p->pidfd = (int)syscall(SYS_pidfd_open, pid, 0);
	if (p->pidfd == -1) {
		return -errno;
	}
	/* The pidfd names whoever has the pid now: look once more. */
	if (!procfs_is_same(pid, start_ticks)) {
		(void)close(p->pidfd);
		p->pidfd = -1;
		return -ESRCH;
	}
	ev_io_set(&p->adopted, p->pidfd, EV_READ);
	ev_io_start(loop_ev(p->loop), &p->adopted);
	return 0;
}

int
process_adopt(struct process *p, pid_t pid, uint64_t start_ticks)
{
	int rc;

	assert(p->state == PROCESS_STOPPED);
	if (!procfs_is_same(pid, start_ticks)) {
		return -ESRCH;
	}
	rc = watch_adopted(p, pid, start_ticks);
	if (rc < 0) {
		return rc;
	}
	p->pid = pid;
	p->start_ticks = start_ticks;
	p->started_ms = clock_mono_ms();
	p->started_ms -= MIN(p->started_ms, procfs_age_ms(start_ticks));
	p->started_once = true;
	p->killed = false;
	p->output = output_adopt(p->loop, pid, on_line, p);
	step(p, ON_ADOPT);
	return 0;
}

void
process_set_policy(struct process *p, const struct process_policy *policy)
{
	p->policy = *policy;
}

void
process_kill(struct process *p)
{
	act_kill(p);
}

enum process_state
process_state(const struct process *p)
{
	return p->state;
}

const char *
process_state_name(enum process_state state)
{
	return state_names[state];
}

bool
process_is_wanted(const struct process *p)
{
	return p->wanted;
}

bool
process_runs(const struct process *p)
{
	return p->pid != 0;
}

bool
process_was_killed(const struct process *p)
{
	return p->killed;
}

pid_t
process_pid(const struct process *p)
{
	return p->pid;
}

uint64_t
process_start_ticks(const struct process *p)
{
	return p->start_ticks;
}

unsigned
process_restarts(const struct process *p)
{
	return p->restarts;
}

void
process_set_restarts(struct process *p, unsigned restarts)
{
	p->restarts = restarts;
}

uint64_t
process_uptime_ms(const struct process *p)
{
	return p->pid != 0 ? clock_mono_ms() - p->started_ms : 0;
}
