/*
 * The set of modules that all servers load. It is judged at the start, after a reload that changes it, and when a rolling restart begins;
 * what a server loads at its start is always the set in effect, the same for all. A module that the configuration no longer asks for stays
 * in it as leaving until a rolling restart has proven that no data needs it (removal.c).
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "instance/module_show.h"
#include "instance/module_trial.h"
#include "supervisor/supervisor_priv.h"

#define META_KEY "modules" /* in the state database */

static void
remember(struct supervisor *s)
{
	json_t *json = module_set_json(s->modules);
	char *text = json_dumps(json, JSON_COMPACT);
	struct errmsg err = ERRMSG_NONE;

	if (text != NULL && store_meta_put(s->store, META_KEY, text, false, &err) < 0) {
		log_warn("what is known of the modules is not stored, they are tried again at the "
			 "next start: %s",
		    err.text);
	}
	free(text);
	json_decref(json);
}

/* Of the last run; the caller's reference, NULL: none. */
static json_t *
recall(struct supervisor *s)
{
	char *text = NULL;
	json_t *json = NULL;

	if (store_meta_get(s->store, META_KEY, &text, NULL) == 0) {
		json = json_loads(text, 0, NULL);
	}
	free(text);
	return json;
}

/* "ft 1.2.2, graph 4.16.3" of what is loaded. */
static void
name_set(const struct module_set *set, char *text, size_t size)
{
	size_t used = 0;

	(void)snprintf(text, size, "none");
	for (size_t i = 0; i < set->count && used < size; i++) {
		const struct module_item *it = &set->items[i];
		char version[32];
		int n;

		if (!module_item_loads(it)) {
			continue;
		}
		n = snprintf(text + used, size - used, "%s%s %s%s", used > 0 ? ", " : "", it->name,
		    module_version_text(it->ver, version), it->leaving ? " (leaving)" : "");
		used += n > 0 ? (size_t)n : 0;
	}
}

/* What is optional and not good is left out everywhere alike; what is at its end is said. */
static void
tell(struct supervisor *s)
{
	char text[512];

	for (size_t i = 0; i < s->modules->count; i++) {
		const struct module_item *it = &s->modules->items[i];
		const struct manifest *m;

		if (!it->good) {
			history_add(s->history, EVENT_MODULE_MISSING, it->word,
			    json_pack("{s:s}", "why", it->why),
			    "is left out on all servers, as it may be missing: %s", it->why);
			continue;
		}
		m = catalogue_identify(&s->modules->catalogue, it->name, it->path);
		if (m != NULL && m->status == MANIFEST_END_OF_LIFE) {
			log_notice("module %s is at its end of life%s%s", it->name,
			    m->successor != NULL ? ", its successor is " : "",
			    m->successor != NULL ? m->successor : "");
		}
	}
	name_set(s->modules, text, sizeof(text));
	history_add(s->history, EVENT_MODULE_SET, s->node, json_pack("{s:s}", "modules", text),
	    "servers load these modules when they start: %s", text);
}

/* ---- at the start ---- */

/* Folders of trial loads that a supervisor before us could not clear. */
static void
clear_trials(const struct supervisor *s)
{
	DIR *dir = opendir(s->conf->data_dir);
	struct dirent *entry;

	while (dir != NULL && (entry = readdir(dir)) != NULL) {
		if (strncmp(entry->d_name, "trial-", 6) == 0) {
			char *path = xasprintf("%s/%s", s->conf->data_dir, entry->d_name);

			module_trial_clear(path);
			free(path);
		}
	}
	if (dir != NULL) {
		(void)closedir(dir);
	}
}

void
modules_begin(struct supervisor *s)
{
	json_t *before = recall(s);
	struct conf_faults faults;

	clear_trials(s);
	conf_faults_init(&faults);
	s->modules = module_set_new(s->conf, &faults);
	for (size_t i = 0; i < faults.count; i++) {
		log_warn("%s", faults.items[i]);
	}
	conf_faults_fini(&faults);
	if (s->modules->count > 0 && !module_set_recall(s->modules, before)) {
		module_judge_now(s->loop, s->modules, s->conf->data_dir);
	}
	json_decref(before);
}

static bool
any_redis_runs(const struct supervisor *s)
{
	for (size_t i = 0; i < s->unit_count; i++) {
		if (s->units[i]->kind == UNIT_REDIS && process_runs(s->units[i]->process)) {
			return true;
		}
	}
	return false;
}

static void
explain_fault(const struct module_set *set, char *text, size_t size)
{
	const struct module_item *bad = module_set_fault(set);

	text[0] = '\0';
	if (bad != NULL) {
		(void)snprintf(text, size,
		    "redis.modules asks for %s: %.350s; or write ?%s if it may be missing",
		    bad->word, bad->why, bad->word);
	}
}

int
modules_settle(struct supervisor *s, struct errmsg *err)
{
	json_t *json = any_redis_runs(s) ? recall(s) : NULL;
	struct module_set *before = json != NULL ? module_set_of_json(s->conf, json) : NULL;
	int rc = 0;

	json_decref(json);
	explain_fault(s->modules, s->modules_why, sizeof(s->modules_why));
	if (s->modules_why[0] != '\0' && before == NULL) {
		errmsg_set(err, "%s", s->modules_why);
		rc = -EINVAL;
	} else if (s->modules_why[0] != '\0') {
		/* Servers that run have what they need: they go on, and so do those that start. */
		history_add(s->history, EVENT_MODULE_MISSING, s->node, NULL,
		    "the servers go on with the modules of before: %s", s->modules_why);
		module_set_free(&s->modules);
		s->modules = before;
		before = NULL;
	} else {
		module_set_keep(s->modules, before);
	}
	module_set_free(&before);
	if (rc == 0 && s->modules->count > 0) {
		tell(s);
	}
	if (rc == 0) {
		remember(s);
	}
	return rc;
}

void
modules_fini(struct supervisor *s)
{
	removal_free(s);
	module_judge_free(&s->judge);
	module_set_free(&s->judged);
	module_set_free(&s->modules);
}

/* ---- another set ---- */

/* Servers that wait for their modules, or were given up for them, may try again. */
static void
try_again(struct supervisor *s)
{
	for (size_t i = 0; i < s->unit_count; i++) {
		struct unit *u = s->units[i];

		if (u->kind != UNIT_REDIS) {
			continue;
		}
		if (process_state(u->process) == PROCESS_FAILED && u->loaded.needs[0] != '\0' &&
		    !u->held_down) {
			process_up(u->process);
		} else {
			process_kick(u->process);
		}
	}
}

static void
take_judged(struct supervisor *s)
{
	bool same;

	module_set_keep(s->judged, s->modules);
	same = module_set_equal(s->judged, s->modules);
	module_set_free(&s->modules);
	s->modules = s->judged;
	s->judged = NULL;
	if (!same) {
		s->modules_number++;
		tell(s);
	}
	remember(s);
}

static void
on_judged(void *arg)
{
	struct supervisor *s = arg;

	module_judge_free(&s->judge);
	explain_fault(s->judged, s->modules_why, sizeof(s->modules_why));
	if (s->modules_why[0] != '\0') {
		module_set_free(&s->judged);
		history_add(s->history, EVENT_MODULE_MISSING, s->node, NULL,
		    "the servers go on with the modules of before: %s", s->modules_why);
		rolling_modules_ready(s, s->modules_why);
	} else {
		take_judged(s);
		try_again(s);
		/* A reload in the midst of one takes nothing away: the next one does. */
		if (rolling_is_checking(s) && module_set_has_leaving(s->modules)) {
			removal_begin(s);
		} else {
			rolling_modules_ready(s, NULL);
		}
	}
	supervisor_touch(s);
}

void
modules_judge_again(struct supervisor *s)
{
	module_judge_free(&s->judge);
	module_set_free(&s->judged);
	s->judged = module_set_new(s->conf, NULL);
	s->judge = module_judge_new(s->loop, s->judged, s->conf->data_dir, on_judged, s);
}

void
modules_roll(struct supervisor *s)
{
	modules_judge_again(s);
}

void
modules_removal_done(struct supervisor *s, const char *why_not)
{
	if (why_not == NULL) {
		module_set_drop(s->modules, true);
		s->modules_number++;
	}
	rolling_modules_ready(s, why_not);
}

void
modules_rolled(struct supervisor *s, bool done)
{
	if (done) {
		module_set_forget_dropped(s->modules);
	} else {
		module_set_drop(s->modules, false);
		s->modules_number++;
		try_again(s);
	}
	remember(s);
}

/* ---- before a server starts ---- */

/* The files are as they were judged: 0; -EAGAIN: changed, and judged anew; -ECANCELED: broken. */
static int
check_files(struct supervisor *s, struct errmsg *err)
{
	for (size_t i = 0; i < s->modules->count; i++) {
		struct module_item *it = &s->modules->items[i];
		struct module_print print;

		if (!module_item_loads(it)) {
			continue;
		}
		if (module_file_check(it->path, &print, err) < 0) {
			errmsg_prefix(err, "module %s", it->name);
			return -ECANCELED;
		}
		if (it->leaving) {
			it->print = print; /* nobody judges it any more */
		} else if (!module_print_equal(&print, &it->print)) {
			if (s->judge == NULL) {
				log_notice("module %s: %s has changed, it is tried before a server "
					   "loads it",
				    it->name, it->path);
				modules_judge_again(s);
			}
			return -EAGAIN;
		}
	}
	return 0;
}

int
modules_prepare(struct unit *u, bool replica, struct errmsg *err)
{
	struct supervisor *s = u->sup;
	char lacks[sizeof(u->loaded.lacks)];

	if (replica && loaded_would_lack(u, lacks, sizeof(lacks))) {
		loaded_set_lacks(u, lacks);
		return -EAGAIN;
	}
	if (u->loaded.needs[0] != '\0' && u->loaded.needs_set == s->modules_number) {
		errmsg_set(err, "%s", u->loaded.needs);
		return -ECANCELED;
	}
	return check_files(s, err);
}

/* ---- for people ---- */

json_t *
modules_json(struct supervisor *s)
{
	json_t *json = module_show(s->conf, s->modules), *instances = json_array();

	for (size_t i = 0; i < s->unit_count; i++) {
		struct unit *u = s->units[i];
		const char *fault;

		if (u->kind != UNIT_REDIS) {
			continue;
		}
		fault = loaded_fault(u);
		(void)json_array_append_new(instances,
		    json_pack("{s:s,s:s,s:b,s:b,s:o,s:s?,s:s?}", "name", u->name, "state",
			unit_state_name(u), "master", u == s->master, "known", u->loaded.known,
			"modules", loaded_json(u), "fault", fault, "differs",
			u->loaded.differs[0] != '\0' ? u->loaded.differs : NULL));
	}
	(void)json_object_set_new(json, "instances", instances);
	(void)json_object_set_new(
	    json, "why", s->modules_why[0] != '\0' ? json_string(s->modules_why) : json_null());
	return json;
}
