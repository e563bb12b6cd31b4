/*
 * A control command that another host's supervisor carries out: it asks itself, over its own control socket, and sends the answer back.
 *
 *   here                                              there
 *   remote_ask ─ question ─────────────────────────▸ on_question ─ ctl_call ─▸ its control.sock
 *     asked again every AGAIN_MS, each time over      "working", each time it is asked again
 *     another redis, until something is heard
 *   on_answer ◂─ answer: lines, last line ────────── kept for KEEP_MS, for whoever has not heard it
 *
 * A question is carried out once: it has a random id, and while it or its answer is kept it is known by that. Somebody who could only listen cannot
 * have an old one carried out again: it names the run of the supervisor that it is for (its boot, of its picture), and within a run the numbers
 * of one sender's questions grow. Where the sender's clock was set back, it is told the number that is too low, and asks with a higher one.
 *
 * Bounds: COMMANDS are all that can be asked for; an answer has ANSWER_MAX bytes, the last lines of it if there are more; a host has WORKS_MOST
 * questions of another one under way or kept.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "ctl/call.h"
#include "supervisor/hosts_priv.h"
#include "supervisor/supervisor_priv.h"

#define AGAIN_MS   250  /* until something was heard */
#define WORKING_MS 1000 /* likewise, once it works */
#define UNHEARD_MS 1500 /* nobody is there */
#define LOST_MS    6000 /* it has begun, and nothing is heard any more */
#define KEEP_MS    2500
#define PAGE_MS    10000 /* a command that has no bound of its own */
#define ANSWER_MAX ((size_t)60 * 1024)
#define WORKS_MOST 32

/* What one host may have another do; each is a control command (ctl/commands.def). */
static const char *const commands[] = {"events", "logs", "start", "stop", "restart"};

/* One question of ours. */
struct remote_call {
	struct list link; /* supervisor.calls */
	struct supervisor *sup;
	char host[65], id[TALK_ID_SIZE];
	json_t *question; /* owned */
	size_t attempts;
	uint64_t began_ms, asked_ms, heard_ms, longest_ms; /* heard_ms 0: not yet */
	remote_end_fn *fn;
	void *owner; /* borrowed (cancels us before it goes) */
};

/* One question of another host's. */
struct work {
	struct list link; /* supervisor.works */
	struct supervisor *sup;
	char from[65], id[TALK_ID_SIZE], way[65]; /* the host over whose redis it was heard last */
	struct ctl_call *call;                    /* owned; NULL: it has ended */
	json_t *lines;                            /* owned */
	size_t bytes;
	bool cut;
	json_t *answer;    /* owned; once it has ended */
	uint64_t ended_ms; /* likewise */
};

/* ---- here ---- */

static void
free_call(struct remote_call *c)
{
	list_del(&c->link);
	json_decref(c->question);
	free(c);
}

void
remote_cancel(struct remote_call **cp)
{
	struct remote_call *c = *cp;

	*cp = NULL;
	if (c != NULL) {
		free_call(c);
	}
}

static void
end_call(struct remote_call *c, int error, json_t *lines, json_t *reply, bool cut, const char *why)
{
	remote_end_fn *fn = c->fn;
	void *owner = c->owner;

	free_call(c);
	fn(owner, error, lines, reply, cut, why);
}

static void
put_question(struct remote_call *c, struct host *h)
{
	struct supervisor *s = c->sup;

	/* Over its own redis first: that is where it hears at once. */
	(void)talk_send(s, talk_way(s, h, c->attempts++), json_incref(c->question));
	c->asked_ms = clock_mono_ms();
}

struct remote_call *
remote_ask(struct supervisor *s, struct host *h, const char *cmd, json_t *args, const char *by,
    remote_end_fn *fn, void *owner, struct errmsg *err)
{
	const struct ctl_command_info *info = ctl_command_find(cmd);
	struct remote_call *c;
	char who[200]; /* as long as the control protocol takes it */

	if (h->silent || !picture_is_fresh(h)) {
		errmsg_set(err, "host %s cannot be reached: %s", h->name,
		    h->silent            ? "nothing is heard of it"
		    : h->picture == NULL ? "its supervisor has not been heard yet"
					 : "its supervisor is not heard any more");
		json_decref(args);
		return NULL;
	}
	c = xcalloc(1, sizeof(*c));
	*c = (struct remote_call){.sup = s,
	    .began_ms = clock_mono_ms(),
	    .longest_ms = info->longest_ms > 0 ? info->longest_ms : PAGE_MS,
	    .fn = fn,
	    .owner = owner};
	(void)snprintf(c->host, sizeof(c->host), "%s", h->name);
	talk_make_id(c->id);
	(void)snprintf(who, sizeof(who), "%s%s%s", by, by[0] != '\0' ? " on " : "", s->node);
	c->question = json_pack("{s:s,s:s,s:s,s:s,s:s,s:s,s:o,s:I}", "kind", "question", "to",
	    h->name, "to_boot", h->boot, "id", c->id, "cmd", cmd, "by", who, "args",
	    args != NULL ? args : json_object(), "number", (json_int_t)talk_number(s, 0));
	list_push(&s->calls, &c->link);
	put_question(c, h);
	return c;
}

static struct remote_call *
find_call(struct supervisor *s, const struct host *sender, const char *id)
{
	list_for_each (it, &s->calls) {
		struct remote_call *c = CONTAINER_OF(it, struct remote_call, link);

		if (strcmp(c->id, id) == 0 && strcmp(c->host, sender->name) == 0) {
			return c;
		}
	}
	return NULL;
}

void
remote_on_answer(const struct host *sender, json_t *doc)
{
	struct supervisor *s = sender->sup;
	const char *id = json_string_value(json_object_get(doc, "id"));
	const char *state = json_string_value(json_object_get(doc, "state"));
	struct remote_call *c = id != NULL ? find_call(s, sender, id) : NULL;
	json_t *reply = json_object_get(doc, "reply");
	const char *why = json_string_value(json_object_get(doc, "why"));

	if (c == NULL || state == NULL) {
		return;
	}
	c->heard_ms = clock_mono_ms();
	if (strcmp(state, "stale") == 0) {
		json_int_t last = json_integer_value(json_object_get(doc, "last"));

		(void)json_object_set_new(c->question, "number",
		    json_integer((json_int_t)talk_number(s, last > 0 ? (uint64_t)last : 0)));
		c->asked_ms = 0; /* with the next pulse */
	} else if (strcmp(state, "done") == 0) {
		end_call(c, json_is_true(json_object_get(doc, "failed")) ? -EREMOTEIO : 0,
		    json_object_get(doc, "lines"), reply, json_is_true(json_object_get(doc, "cut")),
		    why != NULL ? why : "");
	}
}

/* True: it has ended. */
static bool
look_at_call(struct remote_call *c)
{
	struct host *h = hosts_named(c->sup, c->host);
	uint64_t now = clock_mono_ms();
	char why[200];

	if (h == NULL) {
		(void)snprintf(
		    why, sizeof(why), "host %s is none of the cluster any more", c->host);
	} else if (now - c->began_ms >= c->longest_ms) {
		(void)snprintf(why, sizeof(why), "host %s has not done it within %llu s", c->host,
		    (unsigned long long)(c->longest_ms / 1000));
	} else if (c->heard_ms == 0 && now - c->began_ms >= UNHEARD_MS) {
		(void)snprintf(why, sizeof(why), "host %s does not answer", c->host);
	} else if (c->heard_ms != 0 && now - c->heard_ms >= LOST_MS) {
		(void)snprintf(why, sizeof(why),
		    "host %s has begun it and does not answer any more: what became of it says "
		    "its history",
		    c->host);
	} else {
		if (now - c->asked_ms >= (c->heard_ms != 0 ? WORKING_MS : AGAIN_MS)) {
			put_question(c, h);
		}
		return false;
	}
	end_call(c, -EHOSTUNREACH, NULL, NULL, false, why);
	return true;
}

/* ---- there ---- */

static void
free_work(struct work *w)
{
	list_del(&w->link);
	ctl_call_cancel(&w->call);
	json_decref(w->lines);
	json_decref(w->answer);
	free(w);
}

static void
send_answer(struct supervisor *s, const char *way, const char *to, const char *id, json_t *answer)
{
	struct host *over = hosts_named(s, way);

	(void)json_object_set_new(answer, "kind", json_string("answer"));
	(void)json_object_set_new(answer, "to", json_string(to));
	(void)json_object_set_new(answer, "id", json_string(id));
	(void)talk_send(s, over != NULL ? talk_way(s, over, 0) : NULL, answer);
}

/* A copy with a number of its own each time. */
static void
say_how_it_stands(struct work *w)
{
	send_answer(w->sup, w->way, w->from, w->id,
	    w->answer != NULL ? json_copy(w->answer) : json_pack("{s:s}", "state", "working"));
}

static void
on_line(void *owner, json_t *line)
{
	struct work *w = owner;

	(void)json_array_append(w->lines, line);
	w->bytes += json_dumpb(line, NULL, 0, JSON_COMPACT) + 1;
	while (w->bytes > ANSWER_MAX && json_array_size(w->lines) > 0) {
		w->bytes -= json_dumpb(json_array_get(w->lines, 0), NULL, 0, JSON_COMPACT) + 1;
		(void)json_array_remove(w->lines, 0);
		w->cut = true;
	}
}

static void
on_end(void *owner, int error, json_t *reply, const char *why)
{
	struct work *w = owner;

	w->call = NULL;
	w->ended_ms = clock_mono_ms();
	w->answer = json_pack("{s:s,s:b,s:s?,s:O,s:O?,s:b}", "state", "done", "failed", error != 0,
	    "why", why, "lines", w->lines, "reply", reply, "cut", (int)w->cut);
	say_how_it_stands(w);
}

static const struct ctl_call_ops call_ops = {.on_line = on_line, .on_end = on_end};

static bool
may_be_asked(const char *cmd, const json_t *args)
{
	for (size_t i = 0; i < ARRAY_LEN(commands); i++) {
		if (strcmp(cmd, commands[i]) == 0) {
			return !ctl_arg_bool(args, "follow"); /* what has no end has no answer */
		}
	}
	return false;
}

static void
begin_work(struct work *w, const json_t *doc)
{
	struct supervisor *s = w->sup;
	const char *cmd = json_string_value(json_object_get(doc, "cmd"));
	const char *by = json_string_value(json_object_get(doc, "by"));
	json_t *args = json_object_get(doc, "args");
	struct errmsg err = ERRMSG_NONE;
	uint64_t longest_ms;
	char *path;

	if (cmd == NULL || !json_is_object(args) || !may_be_asked(cmd, args)) {
		on_end(w, -EREMOTEIO, NULL, "that is nothing that one host does for another");
		return;
	}
	path = xasprintf("%s/" CTL_SOCKET_NAME, s->conf->data_dir);
	longest_ms = ctl_command_find(cmd)->longest_ms;
	w->call = ctl_call_begin(s->loop, path, cmd, json_incref(args), by,
	    longest_ms > 0 ? longest_ms : PAGE_MS, &call_ops, w, &err);
	free(path);
	if (w->call == NULL) {
		on_end(w, -EREMOTEIO, NULL, err.text);
	} else {
		say_how_it_stands(w);
	}
}

/* Which is under way or kept; the number of all that are `from` there. */
static struct work *
find_work(struct supervisor *s, const char *from, const char *id, size_t *ret_count)
{
	struct work *found = NULL;

	*ret_count = 0;
	list_for_each (it, &s->works) {
		struct work *w = CONTAINER_OF(it, struct work, link);

		if (strcmp(w->from, from) == 0) {
			++*ret_count;
			found = strcmp(w->id, id) == 0 ? w : found;
		}
	}
	return found;
}

void
remote_on_question(struct host *ear, struct host *sender, json_t *doc)
{
	struct supervisor *s = ear->sup;
	const char *to = json_string_value(json_object_get(doc, "to"));
	const char *boot = json_string_value(json_object_get(doc, "to_boot"));
	const char *id = json_string_value(json_object_get(doc, "id"));
	json_int_t number = json_integer_value(json_object_get(doc, "number"));
	struct work *w;
	size_t count;

	if (to == NULL || strcmp(to, s->node) != 0 || boot == NULL ||
	    strcmp(boot, talk_boot(s)) != 0 || id == NULL || strlen(id) != TALK_ID_SIZE - 1 ||
	    number <= 0) {
		return;
	}
	w = find_work(s, sender->name, id, &count);
	if (w != NULL) {
		(void)snprintf(w->way, sizeof(w->way), "%s", ear->name);
		say_how_it_stands(w);
		return;
	}
	if ((uint64_t)number <= sender->asked_number) {
		send_answer(s, ear->name, sender->name, id,
		    json_pack(
			"{s:s,s:I}", "state", "stale", "last", (json_int_t)sender->asked_number));
		return;
	}
	if (count >= WORKS_MOST) {
		return; /* it is asked again soon */
	}
	sender->asked_number = (uint64_t)number;
	w = xcalloc(1, sizeof(*w));
	*w = (struct work){.sup = s, .lines = json_array()};
	(void)snprintf(w->from, sizeof(w->from), "%s", sender->name);
	(void)snprintf(w->id, sizeof(w->id), "%s", id);
	(void)snprintf(w->way, sizeof(w->way), "%s", ear->name);
	list_push(&s->works, &w->link);
	begin_work(w, doc);
}

/* ---- both ---- */

void
remote_pulse(struct supervisor *s)
{
	uint64_t now = clock_mono_ms();

	/* An end may begin or cancel others: then the rest waits for the next pulse. */
	list_for_each_safe (it, next, &s->calls) {
		if (look_at_call(CONTAINER_OF(it, struct remote_call, link))) {
			break;
		}
	}
	list_for_each_safe (it, next, &s->works) {
		struct work *w = CONTAINER_OF(it, struct work, link);

		if (w->answer != NULL && now - w->ended_ms >= KEEP_MS) {
			free_work(w);
		}
	}
}

void
remote_init(struct supervisor *s)
{
	list_init(&s->calls);
	list_init(&s->works);
}

void
remote_fini(struct supervisor *s)
{
	while (!list_is_empty(&s->calls)) {
		free_call(CONTAINER_OF(s->calls.next, struct remote_call, link));
	}
	while (!list_is_empty(&s->works)) {
		free_work(CONTAINER_OF(s->works.next, struct work, link));
	}
}

/* ---- a request that is passed on ---- */

struct passed {
	struct ctl_request *req; /* borrowed; on_gone ends us before it goes */
	struct remote_call *call;
};

static void
on_passed_end(void *owner, int error, json_t *lines, json_t *reply, bool cut, const char *why)
{
	struct passed *p = owner;
	struct ctl_request *req = p->req;
	json_t *fields, *line;
	size_t i;

	(void)cut;
	free(p);
	json_array_foreach(lines, i, line)
	{
		(void)ctl_send(req, json_incref(line));
	}
	if (error == 0) {
		fields = json_is_object(reply) ? json_copy(reply) : json_object();
		(void)json_object_del(fields, "ok");
		ctl_done(req, fields);
	} else {
		json_int_t code = json_integer_value(json_object_get(reply, "exit"));

		ctl_fail(req,
		    error == -EHOSTUNREACH ? CTL_EXIT_NOT_READY
		    : code > 0             ? (int)code
					   : CTL_EXIT_FAILED,
		    "%s", why);
	}
}

static void
on_passed_gone(struct ctl_request *req, void *arg)
{
	struct passed *p = arg;

	(void)req;
	remote_cancel(&p->call);
	free(p);
}

const char *
remote_own_name(const struct supervisor *s, const char *name)
{
	size_t len = strlen(s->node);

	return strncmp(name, s->node, len) == 0 && name[len] == '/' ? name + len + 1 : name;
}

bool
remote_pass_on(struct supervisor *s, struct ctl_request *req, const json_t *args)
{
	const char *name = ctl_arg_text(args, "name"), *slash;
	struct errmsg err = ERRMSG_NONE;
	struct host *h = NULL;
	struct passed *p;
	json_t *theirs;
	char host[65];

	slash = name != NULL ? strchr(name, '/') : NULL;
	if (slash == NULL || (size_t)(slash - name) >= sizeof(host)) {
		return false;
	}
	(void)snprintf(host, sizeof(host), "%.*s", (int)(slash - name), name);
	h = hosts_named(s, host);
	if (h == NULL || h->self || slash[1] == '\0') {
		return false;
	}
	if (ctl_arg_bool(args, "follow")) {
		ctl_fail(req, CTL_EXIT_FAILED,
		    "what an instance of another host prints cannot be followed from here: run "
		    "this on host %s, or leave -f out",
		    h->name);
		return true;
	}
	theirs = json_copy((json_t *)(uintptr_t)args);
	(void)json_object_set_new(theirs, "name", json_string(slash + 1));
	(void)json_object_del(theirs, "follow");
	p = xcalloc(1, sizeof(*p));
	p->req = req;
	p->call = remote_ask(
	    s, h, ctl_request_name(req), theirs, ctl_request_by(req), on_passed_end, p, &err);
	if (p->call == NULL) {
		free(p);
		ctl_fail(req, CTL_EXIT_NOT_READY, "%s", err.text);
	} else {
		ctl_on_gone(req, on_passed_gone, p);
	}
	return true;
}
