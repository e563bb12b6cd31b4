#include "instance/module_trial.h"

#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "instance/conf_file.h"
#include "proc/process.h"
#include "topo/link.h"
#include "topo/reply.h"

#define LONGEST_MS   20000 /* a big module reads models, or makes itself a virtual machine */
#define RETRY_MS     5
#define SOCKET_NAME  "s"
#define PLACE_MAX    90 /* of a path that still has room for the socket's name */
#define PLACE_FORMAT "%s/trial-XXXXXX"

struct module_trial {
	struct loop *loop; /* borrowed */
	module_trial_fn *fn;
	void *arg;
	char *program, *place; /* owned; place: its folder */
	struct process *process;
	struct link *link;
	struct loop_hook end;
	struct module_trial_result result;
	struct module_seen seen[MODULES_MAX];
	unsigned rank; /* of `why`: how much it says */
};

/* ---- its words ---- */

/*
 * What a server says before it gives up, the most telling last. A line of a module begins with <its name>.
 */
static const char *const telling[] = {
    "initialization failed",
    "Module Configuration detected",
    "FATAL CONFIG FILE ERROR",
    "Bad directive",
    "execute permissions",
    "failed to load:",
};

static unsigned
rank_of(struct slice line, bool warning)
{
	for (size_t i = ARRAY_LEN(telling); i > 0; i--) {
		if (memmem(line.ptr, line.len, telling[i - 1], strlen(telling[i - 1])) != NULL) {
			return (unsigned)i + 1;
		}
	}
	/* "# <bf> Unrecognized option" says more than "initialization failed" does. */
	return warning && line.len > 0 && line.ptr[0] == '<' ? 3 : 1;
}

/* "123:M 26 Nov 2026 20:36:07.1 # text" → "text". */
static struct slice
cut_head(struct slice line, bool *ret_warning)
{
	for (size_t i = 0; i + 2 < line.len && i < 64; i++) {
		if (line.ptr[i] == ' ' && strchr("#*-.", line.ptr[i + 1]) != NULL &&
		    line.ptr[i + 2] == ' ') {
			*ret_warning = line.ptr[i + 1] == '#';
			return (struct slice){line.ptr + i + 3, line.len - i - 3};
		}
	}
	*ret_warning = true; /* not of its log: the loader's, or a module's own */
	return line;
}

static void
on_line(void *owner, struct slice line)
{
	struct module_trial *t = owner;
	bool warning;
	struct slice text = cut_head(line, &warning);
	unsigned rank = rank_of(text, warning);

	if (text.len > 0 && rank >= t->rank && !t->result.loaded) {
		t->rank = rank;
		(void)snprintf(t->result.why, sizeof(t->result.why), "%.*s",
		    (int)MIN(text.len, sizeof(t->result.why) - 1), (const char *)text.ptr);
	}
}

/* ---- its end ---- */

void
module_trial_clear(const char *place)
{
	DIR *dir = opendir(place);
	struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		(void)unlinkat(dirfd(dir), entry->d_name, 0);
	}
	if (dir != NULL) {
		(void)closedir(dir);
	}
	(void)rmdir(place);
}

static void
on_end(void *arg)
{
	struct module_trial *t = arg;

	process_down(t->process); /* not again */
	module_trial_clear(t->place);
	t->fn(t->arg, &t->result);
}

static void
on_exited(void *owner, pid_t pid, const char *how)
{
	struct module_trial *t = owner;

	if (pid == 0) {
		(void)snprintf(t->result.why, sizeof(t->result.why), "%s", how);
	} else if (!t->result.loaded && strncmp(how, "killed", 6) == 0) {
		(void)snprintf(t->result.why, sizeof(t->result.why), "%s",
		    process_was_killed(t->process) ? "the server did not answer within 20 s" : how);
	} else if (!t->result.loaded && t->result.why[0] == '\0') {
		(void)snprintf(t->result.why, sizeof(t->result.why), "the server %s", how);
	}
	loop_hook_ask(t->loop, &t->end);
}

/* ---- its answers ---- */

static void
on_info(void *arg, const struct redisReply *reply, int error)
{
	struct module_trial *t = arg;
	struct slice version = reply_info(reply, "redis_version");

	if (error != 0) {
		return; /* it ends by itself, or in time */
	}
	for (size_t i = 0; i < version.len && version.ptr[i] >= '0' && version.ptr[i] <= '9'; i++) {
		t->result.server_major = t->result.server_major * 10 + (version.ptr[i] - '0');
	}
	t->result.loaded = true;
	process_kill(t->process);
}

static void
on_list(void *arg, const struct redisReply *reply, int error)
{
	struct module_trial *t = arg;
	int n;

	if (error != 0 || t->result.loaded) {
		return; /* another connection was let in while the server was being ended: it is known already */
	}
	n = module_list_read(reply, t->seen);
	t->result.seen = t->seen;
	t->result.count = n > 0 ? (size_t)n : 0;
}

static void
on_up(struct link *l, void *owner)
{
	(void)link_send(l, LONGEST_MS, on_list, owner, "MODULE", "LIST", NULL);
	(void)link_send(l, LONGEST_MS, on_info, owner, "INFO", "server", NULL);
}

static const struct link_ops link_ops = {.on_up = on_up};

/* ---- its beginning ---- */

static int
prepare(void *owner, struct process_launch *ret_launch, struct errmsg *err)
{
	struct module_trial *t = owner;

	*ret_launch = (struct process_launch){.program = t->program,
	    .argv = {"redis-server", "redis.conf", NULL},
	    .cwd = t->place,
	    .pass_fd = -1,
	    .dies_with_us = true};
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

static const struct process_ops process_ops = {
    .prepare = prepare,
    .started = on_started,
    .changed = on_changed,
    .exited = on_exited,
    .line = on_line,
};

/* A folder of its own, in `scratch` if the path of a socket fits there. NULL with the reason. */
static char *
make_place(const char *scratch, struct errmsg *err)
{
	const char *tmp = getenv("TMPDIR");
	char *place;

	if (scratch == NULL || strlen(scratch) > PLACE_MAX) {
		scratch = tmp != NULL && tmp[0] == '/' && strlen(tmp) <= PLACE_MAX ? tmp : "/tmp";
	}
	place = xasprintf(PLACE_FORMAT, scratch);
	if (mkdtemp(place) == NULL) {
		errmsg_set(err, "cannot make a folder for the trial load in %s: %s", scratch,
		    strerror(errno));
		free(place);
		return NULL;
	}
	return place;
}

static int
write_conf(const char *place, const char *lines, struct errmsg *err)
{
	char *path = xasprintf("%s/redis.conf", place);
	struct buf text;
	int rc;

	buf_init(&text, CONF_FILE_BYTES_MAX);
	rc = buf_addf(&text,
	    "port 0\nunixsocket " SOCKET_NAME "\nunixsocketperm 700\nsave \"\"\nappendonly no\n"
	    "daemonize no\nlogfile \"\"\nloglevel notice\n%s",
	    lines);
	if (rc == 0) {
		rc = conf_file_replace(path, buf_slice(&text), err);
	}
	buf_fini(&text);
	free(path);
	return rc;
}

struct module_trial *
module_trial_new(struct loop *loop, const struct module_trial_spec *spec, module_trial_fn *fn,
    void *arg, struct errmsg *err)
{
	struct process_policy policy = PROCESS_POLICY_DEFAULT;
	struct module_trial *t = xcalloc(1, sizeof(*t));
	struct link_spec link = {.connect_ms = LONGEST_MS,
	    .stall_ms = LONGEST_MS,
	    .retry_min_ms = RETRY_MS,
	    .retry_max_ms = RETRY_MS};
	char *socket;
	int rc;

	policy.start_timeout_ms = LONGEST_MS;
	policy.young_ms = UINT64_MAX; /* its end is never followed by another start at once */
	*t = (struct module_trial){.loop = loop, .fn = fn, .arg = arg};
	t->program = xstrdup(spec->program);
	loop_hook_init(&t->end, on_end, t);
	t->process = process_new(loop, "trial", &policy, &process_ops, t);
	t->place = make_place(spec->scratch, err);
	if (t->place == NULL || write_conf(t->place, spec->lines, err) < 0) {
		module_trial_free(&t);
		return NULL;
	}
	socket = xasprintf("unix:%s/" SOCKET_NAME, t->place);
	rc = endpoint_parse(socket, 0, &link.at, err);
	free(socket);
	if (rc < 0) {
		module_trial_free(&t);
		return NULL;
	}
	t->link = link_new(loop, &link, &link_ops, t);
	process_up(t->process);
	return t;
}

void
module_trial_free(struct module_trial **tp)
{
	struct module_trial *t = *tp;

	*tp = NULL;
	if (t == NULL) {
		return;
	}
	loop_hook_cancel(&t->end);
	link_free(&t->link);
	if (process_runs(t->process)) {
		process_kill(t->process);
	}
	process_free(&t->process);
	if (t->place != NULL) {
		module_trial_clear(t->place);
	}
	free(t->place);
	free(t->program);
	loop_bury(t->loop, free, t);
}
