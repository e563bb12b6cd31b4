/*
 * `holdfast upgrade`: another binary in our place, in the same process, so that children, folder and pid stay.
 *
 *   asked → trial: the new one reads the same configuration as a child (`run --trial`) → exec → the new one begins as after a kill -9, only that the
 *   lock is never let go, the children are its own, and that it can become the old one again when it cannot begin (legacy.h)
 *
 * Little is written for it: but for the last events, all that must survive is in the state database at any time.
 */
#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "proc/output.h"
#include "proc/spawn.h"
#include "store/store.h"
#include "supervisor/legacy.h"
#include "supervisor/supervisor.h"
#include "supervisor/hosts_priv.h"
#include "supervisor/supervisor_priv.h"

#define UPGRADE_MAGIC 0x55504752U
#define TRIAL_S       20.
#define TRIAL_BEGIN   "holdfast "
#define TRIAL_END     " can take over"

extern char **environ;

struct upgrade {
	uint32_t magic;
	struct supervisor *sup;  /* borrowed (outlives us) */
	struct ctl_request *req; /* borrowed; NULL once its client has left */
	char *binary;            /* owned */
	struct output *output;   /* owned; of the trial */
	pid_t pid;               /* of the trial */
	ev_child child;
	ev_timer limit;
	bool late;
	char version[32]; /* what the trial says it is; "" until then */
	char said[256];   /* the last line that is not that */
};

/* ---- the end of an attempt ---- */

static void
free_now(void *obj)
{
	struct upgrade *up = obj;

	up->magic = 0;
	free(up->binary);
	free(up);
}

void
upgrade_free(struct upgrade **upp)
{
	struct upgrade *up = *upp;
	struct ev_loop *ev;

	*upp = NULL;
	if (up == NULL) {
		return;
	}
	ev = loop_ev(up->sup->loop);
	ev_child_stop(ev, &up->child);
	ev_timer_stop(ev, &up->limit);
	output_finish(&up->output);
	loop_bury(up->sup->loop, free_now, up);
}

static void
note_failure(struct supervisor *s, const char *what, const char *why)
{
	history_add(s->history, EVENT_UPGRADE_FAILED, s->node,
	    json_pack("{s:s,s:s}", "binary", what, "why", why),
	    "%s: %s; holdfast %s goes on as it was", what, why, PACKAGE_VERSION);
}

static void ATTR_PRINTF(2, 3) fail(struct upgrade *up, const char *fmt, ...)
{
	struct supervisor *s = up->sup;
	char why[512];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(why, sizeof(why), fmt, ap);
	va_end(ap);
	note_failure(s, up->binary, why);
	if (up->req != NULL) {
		ctl_fail(up->req, CTL_EXIT_FAILED,
		    "%s: %s: holdfast %s goes on as it was, with everything that runs", up->binary,
		    why, PACKAGE_VERSION);
	}
	upgrade_free(&s->upgrade);
	relocate_failed(s, why);
}

/* ---- in its place ---- */

/* What is under way would be lost with us; "" when nothing is. */
static const char *
is_busy(const struct supervisor *s, char *text, size_t size)
{
	text[0] = '\0';
	if (s->plan > PLAN_RUNNING) {
		(void)snprintf(text, size, "everything is being stopped");
	} else if (s->plan < PLAN_RUNNING) {
		(void)snprintf(text, size, "not everything was started yet");
	} else if (s->rolling != NULL) {
		(void)snprintf(text, size, "a rolling restart is under way");
	} else if (s->failover != NULL || s->succession || !list_is_empty(&s->settle.link)) {
		(void)snprintf(text, size, "the master is being replaced");
	} else if (s->judge != NULL) {
		(void)snprintf(text, size, "modules are being tried");
	}
	for (size_t i = 0; i < s->unit_count && text[0] == '\0'; i++) {
		const struct unit *u = s->units[i];
		enum process_state state = process_state(u->process);

		if (state == PROCESS_STARTING || state == PROCESS_STOPPING ||
		    state == PROCESS_ADOPTED) {
			(void)snprintf(text, size, "%s is %s", u->name, unit_state_name(u));
		}
	}
	return text;
}

/* Returns only if that fails. */
static void
take_its_place(struct upgrade *up)
{
	struct supervisor *s = up->sup;
	struct legacy l = {.lock_fd = s->lock_fd,
	    .exe_fd = open("/proc/self/exe", O_RDONLY | O_CLOEXEC),
	    .client_fd = up->req != NULL ? ctl_request_dup(up->req) : -1,
	    .argv = s->argv,
	    .env = environ};
	int rc = l.exe_fd == -1 ? -errno : 0;

	(void)snprintf(l.from, sizeof(l.from), "%s", PACKAGE_VERSION);
	for (size_t i = 0; i < s->unit_count; i++) {
		unit_store(s->units[i]); /* one whose row could not be written when it changed */
	}
	history_flush(s->history);
	log_notice("%s takes the place of holdfast %s in this process version=%s", up->binary,
	    PACKAGE_VERSION, up->version);
	if (rc == 0) {
		rc = legacy_exec(&l, up->binary, -1);
	}
	if (l.exe_fd != -1) {
		(void)close(l.exe_fd);
	}
	if (l.client_fd != -1) {
		(void)close(l.client_fd);
	}
	fail(up, "cannot be executed in place: %s", strerror(-rc));
}

/* ---- the trial ---- */

static void
on_line(void *owner, struct slice line)
{
	struct upgrade *up = OBJ_CAST((struct upgrade *)owner, UPGRADE_MAGIC);
	char text[sizeof(up->said)], *words = text;
	size_t begin = strlen(TRIAL_BEGIN), end = strlen(TRIAL_END), len;

	(void)snprintf(text, sizeof(text), "%.*s", (int)MIN(line.len, sizeof(text) - 1),
	    (const char *)line.ptr);
	len = strlen(text);
	if (len > begin + end && strncmp(text, TRIAL_BEGIN, begin) == 0 &&
	    strcmp(text + len - end, TRIAL_END) == 0) {
		(void)snprintf(up->version, sizeof(up->version), "%.*s", (int)(len - begin - end),
		    text + begin);
		return;
	}
	if (strncmp(words, "holdfast: ", 10) == 0) {
		words += 10;
	}
	if (*words != '\0') {
		(void)snprintf(up->said, sizeof(up->said), "%s", words);
	}
}

static void
on_trial_end(struct ev_loop *ev, ev_child *w, int revents)
{
	struct upgrade *up = OBJ_CAST((struct upgrade *)w->data, UPGRADE_MAGIC);
	char busy[128];

	ev_child_stop(ev, w);
	output_finish(&up->output);
	if (up->late) {
		fail(up, "its trial did not end within %.0f s", TRIAL_S);
	} else if (WIFSIGNALED(w->rstatus)) {
		fail(up, "its trial was killed by signal %d (%s)", WTERMSIG(w->rstatus),
		    strsignal(WTERMSIG(w->rstatus)));
	} else if (WEXITSTATUS(w->rstatus) != 0) {
		fail(up, "its trial failed: %s%s(exit status %d)", up->said,
		    up->said[0] != '\0' ? " " : "", WEXITSTATUS(w->rstatus));
	} else if (up->version[0] == '\0') {
		fail(up, "it is no holdfast, or one that cannot take another's place");
	} else if (is_busy(up->sup, busy, sizeof(busy))[0] != '\0') {
		fail(up, "%s: try again once that is done", busy);
	} else {
		take_its_place(up);
	}
}

static void
on_trial_late(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct upgrade *up = OBJ_CAST((struct upgrade *)w->data, UPGRADE_MAGIC);

	up->late = true;
	(void)kill(-up->pid, SIGKILL);
}

/* As we were started, and one word more. */
static char **
trial_argv(const struct supervisor *s)
{
	size_t count = 0;
	char **argv;

	while (s->argv[count] != NULL) {
		count++;
	}
	argv = xcalloc(count + 2, sizeof(*argv));
	memcpy(argv, s->argv, count * sizeof(*argv));
	argv[count] = (char *)(uintptr_t) "--trial";
	return argv;
}

static int
start_trial(struct upgrade *up, struct errmsg *err)
{
	char **argv = trial_argv(up->sup);
	struct spawn_spec spec = {
	    .path = up->binary, .argv = argv, .pass_fd = -1, .whole_env = true};
	int rc;

	up->output = output_new(up->sup->loop, on_line, up, &spec.out_fd);
	if (up->output == NULL) {
		rc = -errno;
		errmsg_set(err, "cannot make a pipe for its output: %m");
	} else {
		rc = spawn(&spec, &up->pid, err);
		(void)close(spec.out_fd);
	}
	free(argv);
	if (rc == 0) {
		ev_child_set(&up->child, up->pid, 0);
		ev_child_start(loop_ev(up->sup->loop), &up->child);
		ev_timer_start(loop_ev(up->sup->loop), &up->limit);
	}
	return rc;
}

static void
on_client_gone(struct ctl_request *req, void *arg)
{
	struct supervisor *s = arg;

	if (s->upgrade != NULL && s->upgrade->req == req) {
		s->upgrade->req = NULL; /* it goes on without anybody to tell */
	}
}

static void
refuse(struct supervisor *s, struct ctl_request *req, const char *why)
{
	if (req != NULL) {
		ctl_fail(req, CTL_EXIT_NOT_READY, "%s", why);
	}
	relocate_failed(s, why);
}

void
upgrade_begin(struct supervisor *s, struct ctl_request *req, const char *binary)
{
	struct errmsg err = ERRMSG_NONE;
	struct upgrade *up;
	char busy[128], why[256];

	if (s->upgrade != NULL) {
		refuse(s, req, "an upgrade is under way");
		return;
	}
	if (is_busy(s, busy, sizeof(busy))[0] != '\0') {
		(void)snprintf(why, sizeof(why), "%s: try again once that is done", busy);
		refuse(s, req, why);
		return;
	}
	up = s->upgrade = xcalloc(1, sizeof(*up));
	*up = (struct upgrade){.magic = UPGRADE_MAGIC,
	    .sup = s,
	    .req = req,
	    .binary = xstrdup(binary != NULL ? binary : s->self)};
	ev_child_init(&up->child, on_trial_end, 0, 0);
	ev_timer_init(&up->limit, on_trial_late, TRIAL_S, 0.);
	up->child.data = up->limit.data = up;
	if (start_trial(up, &err) < 0) {
		fail(up, "%s", err.text);
		return;
	}
	if (req != NULL) {
		ctl_on_gone(req, on_client_gone, s);
	}
}

/* ---- on the new one's side ---- */

int
supervisor_trial(const struct conf *conf)
{
	char *path = xasprintf("%s/state.db", conf->data_dir);
	struct errmsg err = ERRMSG_NONE;
	int rc = store_peek(path, &err);

	free(path);
	if (rc < 0) {
		(void)fprintf(stderr, "holdfast: %s\n", err.text);
		return 1;
	}
	(void)printf(TRIAL_BEGIN "%s" TRIAL_END "\n", PACKAGE_VERSION);
	return 0;
}

void
supervisor_give_back(const char *why)
{
	struct legacy *l = legacy_find();
	int rc;

	if (l == NULL) {
		return;
	}
	if (l->why == NULL && l->exe_fd != -1 && l->argv != NULL && l->env != NULL) {
		struct legacy back = {.lock_fd = l->lock_fd,
		    .exe_fd = -1,
		    .client_fd = l->client_fd,
		    .why = (char *)(uintptr_t)why,
		    .argv = l->argv,
		    .env = l->env};

		(void)snprintf(back.from, sizeof(back.from), "%s", PACKAGE_VERSION);
		rc = legacy_exec(&back, NULL, l->exe_fd);
		(void)fprintf(stderr,
		    "holdfast: the one before cannot be started again: %s: what runs goes on "
		    "without a "
		    "supervisor until `holdfast run` is started\n",
		    strerror(-rc));
	}
	legacy_free(&l, false);
}

/* One line to whoever asked for the upgrade, over the connection on which they asked the one before us. */
static void
answer(int client_fd, json_t *line)
{
	/* NULL: a reason that is no UTF-8; the event and the log have it */
	char *text = line != NULL ? json_dumps(line, JSON_COMPACT) : NULL;
	char *ended = xasprintf("%s\n", text != NULL ? text : "{\"ok\":false,\"exit\":1}");

	if (client_fd != -1) {
		(void)send(client_fd, ended, strlen(ended), MSG_NOSIGNAL | MSG_DONTWAIT);
	}
	free(ended);
	free(text);
	json_decref(line);
}

void
upgrade_arrived(struct supervisor *s)
{
	struct legacy *l = s->legacy;

	if (l == NULL) {
		return;
	}
	/* Children that died while nobody could hear of it. */
	ev_feed_signal_event(loop_ev(s->loop), SIGCHLD);
	if (l->why != NULL) {
		char *what = xasprintf("holdfast %s did not begin", l->from);
		char *text = xasprintf("%s: %s: holdfast %s goes on, with everything that runs",
		    what, l->why, PACKAGE_VERSION);

		note_failure(s, what, l->why);
		answer(l->client_fd,
		    json_pack("{s:b,s:s,s:i}", "ok", 0, "error", text, "exit", CTL_EXIT_FAILED));
		free(text);
		free(what);
	} else {
		history_add(s->history, EVENT_SUPERVISOR_UPGRADED, s->node,
		    json_pack("{s:s,s:s,s:s,s:i}", "from", l->from, "to", PACKAGE_VERSION, "binary",
			s->self, "pid", (int)getpid()),
		    "holdfast %s took the place of %s in the same process", PACKAGE_VERSION,
		    l->from);
		answer(l->client_fd, json_pack("{s:b,s:s,s:s,s:i}", "ok", 1, "from", l->from, "to",
					 PACKAGE_VERSION, "pid", (int)getpid()));
	}
	legacy_free(&s->legacy, true);
}
