/*
 * Which modules of a set load: see module_set.h. On each server program: all together; if that fails, each alone; then those that are good
 * together once more, since two that load alone may exclude each other.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "instance/conf_file.h"
#include "instance/module_set.h"
#include "instance/module_trial.h"

enum phase { TRY_ALL, TRY_ONE, TRY_AGAIN };

struct module_judge {
	struct loop *loop;      /* borrowed */
	struct module_set *set; /* borrowed */
	char *scratch;          /* owned; or NULL */
	module_judge_fn *fn;
	void *arg;
	enum phase phase;
	size_t server;              /* the present one */
	size_t one;                 /* TRY_ONE: the present item */
	bool *in;                   /* owned: items that are not bad so far */
	struct module_trial *trial; /* owned; or NULL */
	struct loop_hook next;      /* the next one begins outside the callback of the last */
	bool waited;                /* module_judge_now: ends the loop */
};

static void begin(struct module_judge *j);

/* The next item at or behind `i` that is not bad so far; set->count: none. */
static size_t
next_item(const struct module_judge *j, size_t i)
{
	while (i < j->set->count && !j->in[i]) {
		i++;
	}
	return i;
}

static size_t
count_in(const struct module_judge *j)
{
	size_t n = 0;

	for (size_t i = next_item(j, 0); i < j->set->count; i = next_item(j, i + 1)) {
		n++;
	}
	return n;
}

static void
refuse(struct module_judge *j, size_t i, const char *how, const char *why)
{
	struct module_item *it = &j->set->items[i];

	j->in[i] = false;
	(void)snprintf(it->why, sizeof(it->why), "%.128s %s %.64s: %.300s", it->path, how,
	    j->set->servers[j->server].path, why);
}

/* ---- what a trial said ---- */

/* An older server does not say which file is which. */
static const struct module_seen *
find_seen(const struct module_judge *j, const struct module_trial_result *r, size_t i)
{
	bool alone = j->phase == TRY_ONE || count_in(j) == 1;
	const struct module_seen *only = NULL;

	for (size_t k = 0; k < r->count; k++) {
		if (strcmp(r->seen[k].path, j->set->items[i].path) == 0) {
			return &r->seen[k];
		}
		only = r->seen[k].path[0] == '\0' ? &r->seen[k] : only;
	}
	return alone ? only : NULL;
}

/* False: it is not told what the item is. */
static bool
take_name(struct module_judge *j, const struct module_trial_result *r, size_t i)
{
	const struct module_seen *seen = find_seen(j, r, i);
	struct module_item *it = &j->set->items[i];

	if (seen == NULL) {
		return false;
	}
	(void)snprintf(it->name, sizeof(it->name), "%s", seen->name);
	it->ver = seen->ver;
	return true;
}

static bool
take_names(struct module_judge *j, const struct module_trial_result *r)
{
	for (size_t i = next_item(j, 0); i < j->set->count; i = next_item(j, i + 1)) {
		if (!take_name(j, r, i)) {
			return false;
		}
	}
	return true;
}

/* Alone it loads: is there another of the same name before it? */
static void
take_one(struct module_judge *j, const struct module_trial_result *r)
{
	struct module_item *it = &j->set->items[j->one];

	if (!take_name(j, r, j->one)) {
		refuse(j, j->one, "loads, but is not named by", "MODULE LIST does not have it");
		return;
	}
	for (size_t k = next_item(j, 0); k < j->one; k = next_item(j, k + 1)) {
		if (strcmp(j->set->items[k].name, it->name) == 0) {
			(void)snprintf(it->why, sizeof(it->why),
			    "%.160s calls itself %s, as %.160s does: a server loads only one of "
			    "the two",
			    it->path, it->name, j->set->items[k].path);
			j->in[j->one] = false;
			return;
		}
	}
}

static void
next_server(struct module_judge *j, const struct module_trial_result *r)
{
	j->set->servers[j->server].major = r->server_major;
	j->server++;
	j->phase = TRY_ALL;
}

static void
on_trial(void *arg, const struct module_trial_result *r)
{
	struct module_judge *j = arg;

	switch (j->phase) {
	case TRY_ALL:
		if (r->loaded && take_names(j, r)) {
			next_server(j, r);
		} else if (!r->loaded && count_in(j) == 1) {
			refuse(j, next_item(j, 0), "does not load on", r->why);
		} else {
			j->phase = TRY_ONE;
			j->one = next_item(j, 0);
		}
		break;
	case TRY_ONE:
		if (r->loaded) {
			take_one(j, r);
		} else {
			refuse(j, j->one, "does not load on", r->why);
		}
		j->one = next_item(j, j->one + 1);
		j->phase = j->one < j->set->count ? TRY_ONE : TRY_AGAIN;
		break;
	case TRY_AGAIN:
		for (size_t i = next_item(j, 0); i < j->set->count && !r->loaded;
		     i = next_item(j, i + 1)) {
			refuse(j, i, "loads alone, but not beside the others, on", r->why);
		}
		next_server(j, r);
		break;
	}
	loop_hook_ask(j->loop, &j->next);
}

/* ---- the next trial ---- */

static void
finish(struct module_judge *j)
{
	for (size_t i = 0; i < j->set->count; i++) {
		j->set->items[i].good = j->in[i];
	}
	if (j->waited) {
		loop_stop(j->loop);
	}
	j->fn(j->arg);
}

static void
begin(struct module_judge *j)
{
	struct module_trial_spec spec = {.scratch = j->scratch};
	struct errmsg why = ERRMSG_NONE;
	struct buf lines;
	int err = 0;

	for (size_t i = 0; i < j->set->count && j->set->server_count == 0; i++) {
		if (j->in[i]) {
			(void)snprintf(j->set->items[i].why, sizeof(j->set->items[i].why),
			    "is not tried, since no server's program is found");
			j->in[i] = false;
		}
	}
	if (count_in(j) == 0 || j->server == j->set->server_count) {
		finish(j);
		return;
	}
	buf_init(&lines, CONF_FILE_BYTES_MAX);
	for (size_t i = next_item(j, 0); i < j->set->count; i = next_item(j, i + 1)) {
		if (j->phase != TRY_ONE || i == j->one) {
			err |= module_item_line(&j->set->items[i], &lines);
		}
	}
	err |= buf_add(&lines, "", 1);
	assert(err == 0); /* 64 items of some kilobytes */
	spec.program = j->set->servers[j->server].path;
	spec.lines = (const char *)buf_slice(&lines).ptr;
	j->trial = module_trial_new(j->loop, &spec, on_trial, j, &why);
	buf_fini(&lines);
	if (j->trial == NULL) {
		for (size_t i = next_item(j, 0); i < j->set->count; i = next_item(j, i + 1)) {
			refuse(j, i, "could not be tried on", why.text);
		}
		finish(j);
	}
}

static void
on_next(void *arg)
{
	struct module_judge *j = arg;

	module_trial_free(&j->trial);
	begin(j);
}

struct module_judge *
module_judge_new(
    struct loop *loop, struct module_set *set, const char *scratch, module_judge_fn *fn, void *arg)
{
	struct module_judge *j = xcalloc(1, sizeof(*j));

	*j = (struct module_judge){.loop = loop, .set = set, .fn = fn, .arg = arg};
	j->scratch = scratch != NULL ? xstrdup(scratch) : NULL;
	j->in = xcalloc(set->count + 1, sizeof(*j->in));
	for (size_t i = 0; i < set->count; i++) {
		j->in[i] = set->items[i].why[0] == '\0';
	}
	loop_hook_init(&j->next, on_next, j);
	loop_hook_ask(loop, &j->next);
	return j;
}

void
module_judge_free(struct module_judge **jp)
{
	struct module_judge *j = *jp;

	*jp = NULL;
	if (j == NULL) {
		return;
	}
	loop_hook_cancel(&j->next);
	module_trial_free(&j->trial);
	free(j->scratch);
	free(j->in);
	loop_bury(j->loop, free, j);
}

static void
on_waited(void *arg)
{
}

void
module_judge_now(struct loop *loop, struct module_set *set, const char *scratch)
{
	struct module_judge *j = module_judge_new(loop, set, scratch, on_waited, NULL);

	j->waited = true;
	loop_run(loop);
	module_judge_free(&j);
}
