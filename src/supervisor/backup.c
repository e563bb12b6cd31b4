/*
 * Backups: a replica saves a snapshot, and a process of our own program makes a file of it (`holdfast backup --worker`, since
 * reading, flushing and adding up gigabytes would keep this loop from its work). One at a time, when asked for or when
 * backup.every has passed since the newest one in the folder, so that a restart of ours changes nothing of the schedule.
 *
 *   idle ──► asking: BGSAVE, again while another child of that redis runs ──► saving: until it is done ──► storing ──► idle
 *
 * A replica is as good a source as the master, and its fork and its disk disturb no client; without one the master is asked.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "instance/backup.h"
#include "supervisor/supervisor_priv.h"
#include "topo/link.h"
#include "topo/reply.h"

#define AGAIN_S     0.1
#define ANSWER_MS   5000
#define ASK_MS      (UINT64_C(10) * 60 * 1000) /* so long another child may keep it from beginning */
#define STORE_MS    (UINT64_C(6) * 3600 * 1000)
#define RETRY_MS    (UINT64_C(5) * 60 * 1000) /* after a failure, unless backup.every is less */
#define COMPLAINT   "holdfast: "              /* how our program begins what went wrong */
#define NUMBER_SIZE 24

enum backup_phase { BACKUP_IDLE, BACKUP_ASKING, BACKUP_SAVING, BACKUP_STORING };

struct backup {
	struct supervisor *sup; /* borrowed */
	enum backup_phase phase;
	struct ctl_request *req; /* borrowed; who asked for it, or NULL */
	struct unit *source;     /* borrowed */
	struct stat before;      /* its snapshot when it was asked */
	uint64_t began_ms;       /* monotonic */
	uint64_t asked_ms;       /* likewise: since then it is asked */
	uint64_t newest_ms;      /* wall clock: of the newest backup */
	uint64_t failed_ms;      /* monotonic: when the last one failed; 0: it did not */
	ev_timer timer;
	struct process *process; /* owned: stores */
	struct loop_hook stored; /* it has ended */
	bool good;               /* with success */
	json_t *result;          /* owned; its words */
	char why[400];
	char number[2][NUMBER_SIZE]; /* arguments of the process */
	char *folder;                /* owned */
};

/* ---- the end ---- */

static void
become_idle(struct backup *b)
{
	ev_timer_stop(loop_ev(b->sup->loop), &b->timer);
	if (b->source != NULL && b->source->probe != NULL) {
		link_forget(probe_link(b->source->probe), b);
	}
	json_decref(b->result);
	b->result = NULL;
	b->source = NULL;
	b->req = NULL;
	b->phase = BACKUP_IDLE;
}

static void ATTR_PRINTF(2, 3) fail(struct backup *b, const char *fmt, ...)
{
	struct ctl_request *req = b->req;
	char text[600];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	history_add(b->sup->history, EVENT_BACKUP_FAILED, b->sup->node,
	    json_pack("{s:s?}", "source", b->source != NULL ? b->source->name : NULL),
	    "no backup was made: %s", text);
	b->failed_ms = clock_mono_ms();
	become_idle(b);
	if (req != NULL) {
		ctl_fail(req, CTL_EXIT_FAILED, "no backup was made: %s", text);
	}
}

static void
succeed(struct backup *b)
{
	struct ctl_request *req = b->req;
	uint64_t took_ms = clock_mono_ms() - b->began_ms;
	const char *file = json_string_value(json_object_get(b->result, "file"));
	json_int_t bytes = json_integer_value(json_object_get(b->result, "bytes"));
	json_t *detail = json_deep_copy(b->result);

	(void)json_object_set_new(detail, "source", json_string(b->source->name));
	(void)json_object_set_new(detail, "took_ms", json_integer((json_int_t)took_ms));
	b->failed_ms = 0;
	b->newest_ms = backup_newest_ms(b->folder, b->sup->name);
	history_add(b->sup->history, EVENT_BACKUP_DONE, b->sup->node, json_incref(detail),
	    "%s: %lld bytes from %s after %llu ms", file != NULL ? file : "", (long long)bytes,
	    b->source->name, (unsigned long long)took_ms);
	become_idle(b);
	if (req != NULL) {
		ctl_done(req, detail);
	} else {
		json_decref(detail);
	}
}

/* ---- storing: a process of our own ---- */

static int
on_prepare(void *owner, struct process_launch *ret_launch, struct errmsg *err)
{
	struct backup *b = owner;
	const struct conf *conf = b->sup->conf;

	(void)snprintf(b->number[0], NUMBER_SIZE, "%u", conf->backup_keep);
	(void)snprintf(
	    b->number[1], NUMBER_SIZE, "%llu", (unsigned long long)conf->backup_max_age_s);
	*ret_launch = (struct process_launch){.program = supervisor_program(b->sup),
	    .argv = {"holdfast", "backup", "--worker", b->source->name, "-d", conf->data_dir,
		b->sup->name, b->number[0], b->number[1], NULL},
	    .pass_fd = -1};
	return 0;
}

static void
on_started(void *owner, pid_t pid)
{
}

static void
on_changed(void *owner, enum process_state from, enum process_state to, const char *why)
{
}

static void
on_line(void *owner, struct slice line)
{
	struct backup *b = owner;

	if (line.len > 0 && line.ptr[0] == '{') {
		json_decref(b->result);
		b->result = json_loadb((const char *)line.ptr, line.len, 0, NULL);
	} else {
		size_t skip = line.len > strlen(COMPLAINT) &&
				      memcmp(line.ptr, COMPLAINT, strlen(COMPLAINT)) == 0
				  ? strlen(COMPLAINT)
				  : 0;

		(void)snprintf(b->why, sizeof(b->why), "%.*s",
		    (int)MIN(line.len - skip, sizeof(b->why) - 1), (const char *)line.ptr + skip);
	}
}

static void
on_exited(void *owner, pid_t pid, const char *how)
{
	struct backup *b = owner;

	if (b->why[0] == '\0') {
		(void)snprintf(b->why, sizeof(b->why), "the process that stores it %s", how);
	}
	b->good = b->result != NULL;
	loop_hook_ask(b->sup->loop, &b->stored);
}

static void
on_stored(void *arg)
{
	struct backup *b = arg;

	process_down(b->process); /* not again */
	if (b->phase != BACKUP_STORING) {
		return;
	}
	if (b->good) {
		succeed(b);
	} else {
		fail(b, "%s", b->why);
	}
}

static const struct process_ops process_ops = {
    .prepare = on_prepare,
    .started = on_started,
    .changed = on_changed,
    .exited = on_exited,
    .line = on_line,
};

static void
store(struct backup *b)
{
	b->phase = BACKUP_STORING;
	b->good = false;
	b->why[0] = '\0';
	process_up(b->process);
}

/* ---- saving: redis ---- */

static void ask(struct backup *b);

static void
again(struct backup *b)
{
	ev_timer_set(&b->timer, AGAIN_S, 0.);
	ev_timer_start(loop_ev(b->sup->loop), &b->timer);
}

static int
look_at_snapshot(const struct backup *b, struct stat *ret_stat)
{
	char *path = xasprintf("%s/dump.rdb", b->source->dir);
	int rc = stat(path, ret_stat);

	free(path);
	return rc;
}

/* Is there another snapshot than the one that was there? Redis puts a new file in the old one's place. */
static bool
is_saved(const struct backup *b)
{
	struct stat now;

	return look_at_snapshot(b, &now) == 0 &&
	       (now.st_ino != b->before.st_ino || now.st_mtim.tv_sec != b->before.st_mtim.tv_sec ||
		   now.st_mtim.tv_nsec != b->before.st_mtim.tv_nsec);
}

static void
on_info(void *arg, const struct redisReply *reply, int error)
{
	struct backup *b = arg;

	if (error != 0) {
		fail(b, "%s did not answer while it saved: %s", b->source->name, strerror(-error));
	} else if (slice_eq(reply_info(reply, "rdb_bgsave_in_progress"), "1")) {
		again(b);
	} else if (slice_eq(reply_info(reply, "rdb_last_bgsave_status"), "ok") && is_saved(b)) {
		store(b);
	} else {
		fail(b, "%s could not save its data: see `holdfast logs %s`", b->source->name,
		    b->source->name);
	}
}

static void
on_bgsave(void *arg, const struct redisReply *reply, int error)
{
	struct backup *b = arg;
	char quoted[200];

	if (error != 0) {
		fail(b, "%s does not answer: %s", b->source->name, strerror(-error));
	} else if (!reply_is_error(reply)) {
		b->phase = BACKUP_SAVING;
		again(b);
	} else if (memmem(reply_text(reply).ptr, reply_text(reply).len, "progress", 8) == NULL &&
		   memmem(reply_text(reply).ptr, reply_text(reply).len, "active", 6) == NULL) {
		fail(b, "%s refuses to save: %s", b->source->name,
		    log_quote(reply_text(reply), quoted, sizeof(quoted)));
	} else if (clock_mono_ms() - b->asked_ms > ASK_MS) {
		fail(b, "%s writes another file for too long", b->source->name);
	} else {
		again(
		    b); /* it saves or rewrites for another reason, and has only one child at a time */
	}
}

static void
ask(struct backup *b)
{
	if (look_at_snapshot(b, &b->before) == -1) {
		memset(&b->before, 0, sizeof(b->before));
	}
	if (link_send(probe_link(b->source->probe), ANSWER_MS, on_bgsave, b, "BGSAVE", NULL) < 0) {
		fail(b, "%s cannot be reached", b->source->name);
	}
}

static void
on_timer(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct backup *b = w->data;

	if (b->phase == BACKUP_ASKING) {
		ask(b);
	} else if (link_send(probe_link(b->source->probe), ANSWER_MS, on_info, b, "INFO",
		       "persistence", NULL) < 0) {
		fail(b, "%s cannot be reached any more", b->source->name);
	}
}

/* ---- the beginning ---- */

static struct unit *
find_source(const struct supervisor *s)
{
	struct unit *found = NULL;

	for (size_t i = s->unit_count; i > 0; i--) {
		struct unit *u = s->units[i - 1];

		if (u->kind == UNIT_REDIS && u != s->master && unit_is_ready(u) &&
		    servers_is_synced(u) && u->ondisk.complete && !u->loaded.diverged) {
			found = u;
		}
	}
	if (found == NULL && s->master != NULL && unit_is_ready(s->master) &&
	    servers_is_master(s->master)) {
		found = s->master;
	}
	return found;
}

static void
on_gone(struct ctl_request *req, void *arg)
{
	struct backup *b = arg;

	b->req = NULL; /* it goes on without anybody to tell */
}

void
backup_begin(struct supervisor *s, struct ctl_request *req)
{
	struct backup *b = s->backup;

	if (b->phase != BACKUP_IDLE || process_runs(b->process)) {
		if (req != NULL) {
			ctl_fail(req, CTL_EXIT_FAILED,
			    "a backup is under way: `holdfast events -f` shows when it is done");
		}
		return;
	}
	b->source = s->plan <= PLAN_RUNNING ? find_source(s) : NULL;
	if (b->source == NULL) {
		if (req != NULL) {
			ctl_fail(req, CTL_EXIT_NOT_READY,
			    "no redis has data to save now: see `holdfast status`");
		}
		return;
	}
	b->req = req;
	if (req != NULL) {
		ctl_on_gone(req, on_gone, b);
	}
	b->began_ms = b->asked_ms = clock_mono_ms();
	b->phase = BACKUP_ASKING;
	ask(b);
}

static bool
is_due(const struct backup *b)
{
	uint64_t every_ms = b->sup->conf->backup_every * 1000, now = clock_wall_ms();
	bool tried = b->failed_ms != 0 && clock_mono_ms() - b->failed_ms < MIN(every_ms, RETRY_MS);

	/* A clock that was set back must not put it off for long. */
	return every_ms != 0 && !tried && (b->newest_ms > now || now - b->newest_ms >= every_ms);
}

void
backup_tick(struct supervisor *s)
{
	if (s->backup->phase == BACKUP_IDLE && s->plan == PLAN_RUNNING && is_due(s->backup)) {
		backup_begin(s, NULL);
	}
}

void
backup_stop(struct supervisor *s)
{
	struct backup *b = s->backup;

	/* What is being stored is whole already: that goes on by itself. */
	if (b->phase == BACKUP_ASKING || b->phase == BACKUP_SAVING) {
		fail(b, "everything is being stopped");
	}
}

void
backup_init(struct supervisor *s)
{
	struct backup *b = xcalloc(1, sizeof(*b));
	struct process_policy policy = PROCESS_POLICY_DEFAULT;

	policy.start_timeout_ms = STORE_MS;
	policy.young_ms = UINT64_MAX; /* its end is never followed by another start at once */
	*b = (struct backup){.sup = s};
	b->folder = xasprintf("%s/" BACKUP_FOLDER, s->conf->data_dir);
	b->newest_ms = backup_newest_ms(b->folder, s->name);
	ev_init(&b->timer, on_timer);
	b->timer.data = b;
	loop_hook_init(&b->stored, on_stored, b);
	b->process = process_new(s->loop, "backup", &policy, &process_ops, b);
	s->backup = b;
}

void
backup_fini(struct supervisor *s)
{
	struct backup *b = s->backup;

	if (b == NULL) {
		return;
	}
	become_idle(b);
	loop_hook_cancel(&b->stored);
	process_free(&b->process);
	free(b->folder);
	free(b);
	s->backup = NULL;
}
