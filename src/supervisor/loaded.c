/*
 * What each redis has loaded, against what its master has. Redis and Sentinel look at neither: a replica without the master's module drops
 * the writes that it does not know, with its link up and no lag, and is promoted like any other. So a server is asked when it answers and
 * every LOOK_MS; one that lacks something is not promotable and is started anew with the set in effect, or not at all if that
 * has it neither.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "supervisor/hosts_priv.h"
#include "supervisor/supervisor_priv.h"
#include "topo/link.h"
#include "topo/reply.h"

#define LOOK_MS         10000
#define PROBE_WORDS_MAX 8
#define PRIORITY        "replica-priority"

static bool
is_replica(const struct unit *u)
{
	return u->kind == UNIT_REDIS && u != u->sup->master;
}

/* ---- promotable or not ---- */

/* What the configuration says, or Redis' own default. */
static const char *
configured_priority(const struct unit *u)
{
	const struct conf_directives *lists[] = {
	    &unit_conf(u)->config, &unit_conf_of(u)->redis_config};

	for (size_t i = 0; i < ARRAY_LEN(lists); i++) {
		for (size_t k = 0; k < lists[i]->count; k++) {
			if (strcmp(lists[i]->items[k].name, PRIORITY) == 0) {
				return lists[i]->items[k].value;
			}
		}
	}
	return "100";
}

/* Sentinel's own failover leaves one of priority 0 out, too. */
static void
set_priority(struct unit *u)
{
	bool demote = u->loaded.lacks[0] != '\0' || u->loaded.diverged || u->unproven;

	if (demote != u->loaded.demoted && unit_is_ready(u) &&
	    link_send(probe_link(u->probe), 0, NULL, NULL, "CONFIG", "SET", PRIORITY,
		demote ? "0" : configured_priority(u), NULL) == 0) {
		u->loaded.demoted = demote;
	}
}

void
loaded_prove(struct unit *u)
{
	u->unproven = false;
	set_priority(u);
}

void
loaded_set_lacks(struct unit *u, const char *text)
{
	if (strcmp(u->loaded.lacks, text) == 0) {
		return;
	}
	(void)snprintf(u->loaded.lacks, sizeof(u->loaded.lacks), "%s", text);
	if (text[0] != '\0') {
		history_add(u->sup->history, EVENT_MODULE_MISSING, u->name, NULL,
		    "%s: it does not follow the master and cannot take over", text);
	}
	supervisor_touch(u->sup);
}

/* ---- comparing ---- */

/* Is it being taken away on purpose, and was proven not to be needed? */
static bool
is_dropped(const struct supervisor *s, const char *name)
{
	for (size_t i = 0; i < s->modules->count; i++) {
		if (s->modules->items[i].dropped && strcmp(s->modules->items[i].name, name) == 0) {
			return true;
		}
	}
	return false;
}

void
loaded_compare_with(
    struct unit *u, const struct module_seen *seen, size_t count, const char *master)
{
	struct loaded *l = &u->loaded;
	char lacks[sizeof(l->lacks)] = "", differs[sizeof(l->differs)] = "", mine[32], its[32];

	for (size_t i = 0; i < count && lacks[0] == '\0'; i++) {
		const struct module_seen *m = &seen[i];
		const struct module_seen *own = module_list_find(l->seen, l->count, m->name);

		if (own == NULL && !is_dropped(u->sup, m->name)) {
			(void)snprintf(lacks, sizeof(lacks),
			    "it has not loaded the module %s %s, which the master %s has", m->name,
			    module_version_text(m->ver, its), master);
		} else if (own != NULL && own->ver != m->ver) {
			(void)snprintf(differs, sizeof(differs),
			    "has module %s %s, the master %s%s", m->name,
			    module_version_text(own->ver, mine), module_version_text(m->ver, its),
			    own->ver < m->ver
				? ": an older one may not know what the newer one writes"
				: "");
		}
	}
	for (size_t i = 0; i < l->count && differs[0] == '\0'; i++) {
		if (module_list_find(seen, count, l->seen[i].name) == NULL) {
			(void)snprintf(differs, sizeof(differs),
			    "has module %s, which the master has not", l->seen[i].name);
		}
	}
	loaded_set_lacks(u, lacks);
	l->anew = l->anew && lacks[0] != '\0';
	if (strcmp(differs, l->differs) != 0) {
		(void)snprintf(l->differs, sizeof(l->differs), "%s", differs);
		if (differs[0] != '\0') {
			log_notice("%s: %s", u->name, differs);
		}
	}
	set_priority(u);
}

void
loaded_compare(struct supervisor *s)
{
	if (s->master == NULL || !s->master->loaded.known || !servers_is_master(s->master)) {
		return;
	}
	loaded_set_lacks(s->master, "");
	set_priority(s->master);
	for (size_t i = 0; i < s->unit_count; i++) {
		struct unit *u = s->units[i];

		if (is_replica(u) && unit_is_ready(u) && u->loaded.known) {
			loaded_compare_with(
			    u, s->master->loaded.seen, s->master->loaded.count, s->master->name);
		}
	}
}

bool
loaded_would_lack(const struct unit *u, char *text, size_t size)
{
	const struct supervisor *s = u->sup;
	char version[32];

	if (s->master == NULL || !unit_is_ready(s->master) || !s->master->loaded.known) {
		return false;
	}
	for (size_t i = 0; i < s->master->loaded.count; i++) {
		const struct module_seen *m = &s->master->loaded.seen[i];

		/* One without a path is part of the server, or the server is too old to say. */
		if (m->path[0] != '\0' && module_set_find(s->modules, m->name) == NULL &&
		    !is_dropped(s, m->name)) {
			(void)snprintf(text, size,
			    "the master %s has loaded the module %s %s (%s), which redis.modules "
			    "does not name: add "
			    "it there and reload",
			    s->master->name, m->name, module_version_text(m->ver, version),
			    m->path);
			return true;
		}
	}
	return false;
}

const char *
loaded_unfitness(const struct unit *u)
{
	const struct unit *master = u->sup->master;

	if (u->loaded.lacks[0] != '\0') {
		return u->loaded.lacks;
	}
	if (u->unproven) {
		return "it has not been in step with a master since it was started";
	}
	if (u->loaded.diverged) {
		return "it could not carry out all that the master did";
	}
	if (!u->loaded.known && master != NULL && master != u && master->loaded.count > 0) {
		return "which modules it has loaded is not known yet";
	}
	return NULL;
}

const char *
loaded_fault(const struct unit *u)
{
	const struct loaded *l = &u->loaded;

	if (l->lacks[0] != '\0') {
		return l->lacks;
	}
	if (l->diverged) {
		return "its data differs from the master's: `holdfast restart` copies it anew";
	}
	if (unit_is_ready(u) && !l->known && module_set_good(u->sup->modules) > 0) {
		return "is being asked for its modules";
	}
	if (unit_is_ready(u) && memchr(l->probe, '-', l->count) != NULL) {
		return "a module does not answer its probe (see `holdfast modules`)";
	}
	return NULL;
}

/* ---- asking ---- */

static void
on_probed(void *arg, const struct redisReply *reply, int error)
{
	struct loaded_probe *p = arg;
	struct loaded *l = &p->unit->loaded;
	size_t i = (size_t)(p - l->probes);
	char now = module_answer_is_good(reply, p->answer) ? '+' : '-';

	if (error != 0 || l->probe[i] == now) {
		return;
	}
	l->probe[i] = now;
	if (now == '-') {
		log_warn("%s: module %s does not answer its probe as it should: %s", p->unit->name,
		    l->seen[i].name, LOG_QUOTE(reply_text(reply)));
	}
	supervisor_touch(p->unit->sup);
}

/* The words of a manifest's probe. */
static size_t
split(const char *probe, char *text, size_t size, const char **words, size_t *lengths)
{
	size_t count = 0;
	char *at = text;

	(void)snprintf(text, size, "%s", probe);
	while (count < PROBE_WORDS_MAX) {
		at += strspn(at, " ");
		if (*at == '\0') {
			break;
		}
		words[count] = at;
		lengths[count] = strcspn(at, " ");
		at += lengths[count++];
	}
	return count;
}

static void
probe_modules(struct unit *u)
{
	for (size_t i = 0; i < u->loaded.count; i++) {
		const struct module_seen *m = &u->loaded.seen[i];
		const struct manifest *known =
		    catalogue_identify(&u->sup->modules->catalogue, m->name, m->path);
		const char *words[PROBE_WORDS_MAX];
		size_t lengths[PROBE_WORDS_MAX], count;
		struct loaded_probe *p = &u->loaded.probes[i];
		char text[200];

		if (known == NULL || known->probe == NULL) {
			continue;
		}
		*p = (struct loaded_probe){.unit = u, .answer = known->answer};
		count = split(known->probe, text, sizeof(text), words, lengths);
		(void)link_sendv(probe_link(u->probe), 0, on_probed, p, count, words, lengths);
	}
}

static void
on_list(void *arg, const struct redisReply *reply, int error)
{
	struct loaded *l = arg;
	struct unit *u = CONTAINER_OF(l, struct unit, loaded);
	struct module_seen *seen = xcalloc(MODULES_MAX, sizeof(*seen));
	int n = error == 0 ? module_list_read(reply, seen) : -1;
	bool same;

	if (n < 0) {
		free(seen); /* asked again with the next look */
		return;
	}
	same = l->known && l->count == (size_t)n &&
	       (n == 0 || memcmp(l->seen, seen, (size_t)n * sizeof(*seen)) == 0);
	free(l->seen);
	l->seen = xreallocarray(seen, (size_t)MAX(n, 1), sizeof(*seen));
	l->count = (size_t)n;
	l->known = true;
	for (size_t i = 0; i < ARRAY_LEN(l->probes) && !same; i++) {
		l->probe[i] = ' ';
		link_forget(probe_link(u->probe), &l->probes[i]);
	}
	probe_modules(u);
	loaded_compare(u->sup);
	supervisor_touch(u->sup);
}

static void
on_stats(void *arg, const struct redisReply *reply, int error)
{
	struct loaded *l = arg;
	struct unit *u = CONTAINER_OF(l, struct unit, loaded);
	uint64_t errors, before = l->errors_known ? l->errors : 0;

	if (error != 0 || !slice_to_u64(reply_info(reply, "unexpected_error_replies"), &errors)) {
		return; /* before Redis 6.2 nobody counts them */
	}
	l->errors = errors;
	l->errors_known = true;
	if (errors > before && is_replica(u) && !l->diverged) {
		l->diverged = true;
		history_add(u->sup->history, EVENT_INSTANCE_DIVERGED, u->name,
		    json_pack("{s:I}", "unexpected_error_replies", (json_int_t)errors),
		    "could not carry out %llu commands of its master: its data differs, it cannot "
		    "take over; "
		    "`holdfast restart %s` copies it anew",
		    (unsigned long long)(errors - before), u->name);
		set_priority(u);
		supervisor_touch(u->sup);
	}
}

static void
look(struct unit *u)
{
	u->loaded.asked = true;
	u->loaded.looked_ms = clock_mono_ms();
	(void)link_send(probe_link(u->probe), 0, on_list, &u->loaded, "MODULE", "LIST", NULL);
	(void)link_send(probe_link(u->probe), 0, on_stats, &u->loaded, "INFO", "stats", NULL);
}

void
loaded_on_answering(struct unit *u)
{
	if (!u->loaded.asked) {
		look(u);
	}
}

void
loaded_started(struct unit *u)
{
	struct loaded *l = &u->loaded;

	free(l->seen);
	/* With several hosts it may have been started with priority 0, also by a supervisor before us: see loaded_prove. */
	*l = (struct loaded){.seen = NULL, .anew = l->anew, .demoted = hosts_are_several(u->sup)};
}

void
loaded_fini(struct unit *u)
{
	free(u->loaded.seen);
	u->loaded.seen = NULL;
}

/* ---- what is done about it ---- */

/* Is everything else as it should be, so that one may be taken down for a moment? */
static bool
may_restart(const struct supervisor *s, const struct unit *u)
{
	if (s->plan != PLAN_RUNNING || s->failover != NULL || s->succession || s->rolling != NULL ||
	    s->judge != NULL) {
		return false;
	}
	for (size_t i = 0; i < s->unit_count; i++) {
		const struct unit *other = s->units[i];

		if (other != u && other->kind == UNIT_REDIS && !other->held_down &&
		    process_is_wanted(other->process) && !unit_is_ready(other) &&
		    other->loaded.lacks[0] == '\0') {
			return false;
		}
	}
	return true;
}

/* It lacks what no restart would bring: its server is another one. */
static bool
is_hopeless(const struct unit *u)
{
	const struct loaded *master = &u->sup->master->loaded;

	for (size_t i = 0; i < master->count; i++) {
		if (module_list_find(u->loaded.seen, u->loaded.count, master->seen[i].name) ==
			NULL &&
		    module_set_find(u->sup->modules, master->seen[i].name) == NULL &&
		    master->seen[i].path[0] == '\0') {
			return true;
		}
	}
	return false;
}

/* Once; one that lacks it again has a server that has it not, or does not do what its redis.conf says. */
static void
start_anew(struct unit *u)
{
	struct loaded *l = &u->loaded;

	log_notice("%s: is started anew: %s", u->name, l->lacks);
	process_restart(u->process);
	l->diverged = true; /* what it could not carry out is missing: it is copied anew */
	if (l->anew || is_hopeless(u)) {
		(void)snprintf(l->needs, sizeof(l->needs),
		    "%.220s: its server does not load it; use the same redis.server for all",
		    l->lacks);
		l->needs_set = u->sup->modules_number;
	}
	l->anew = true;
}

void
loaded_tick(struct supervisor *s)
{
	uint64_t now = clock_mono_ms();

	for (size_t i = 0; i < s->unit_count; i++) {
		struct unit *u = s->units[i];

		if (u->kind != UNIT_REDIS) {
			continue;
		}
		if (unit_is_ready(u) && u->loaded.asked && now - u->loaded.looked_ms >= LOOK_MS) {
			look(u);
		}
		if (is_replica(u) && u->loaded.lacks[0] != '\0' && unit_is_ready(u) &&
		    s->master != NULL && may_restart(s, u)) {
			start_anew(u);
			return; /* one at a time */
		}
		if (is_replica(u) && u->loaded.lacks[0] != '\0' && !process_runs(u->process)) {
			process_kick(u->process); /* has the master changed? */
		}
	}
}

/* ---- the words of a server without its module ---- */

/* What stands between `before` and the next quote. */
static bool
find_word(struct slice line, const char *before, char *word, size_t size)
{
	const char *at = memmem(line.ptr, line.len, before, strlen(before));
	size_t left, len = 0;

	if (at == NULL) {
		return false;
	}
	at += strlen(before);
	left = line.len - (size_t)(at - (const char *)line.ptr);
	while (len < left && len < size - 1 && at[len] != '\'') {
		len++;
	}
	(void)snprintf(word, size, "%.*s", (int)len, at);
	return len > 0;
}

/* "bloom" or "search or search-1" of the modules that have this type. */
static void
name_owners(const struct supervisor *s, const char *type, char *text, size_t size)
{
	const struct manifest *m;
	size_t used = 0;

	(void)snprintf(text, size, "that has it");
	for (size_t i = 0;
	     (m = catalogue_of_type(&s->modules->catalogue, type, i)) != NULL && used < size; i++) {
		int n = snprintf(text + used, size - used, "%s%s", i > 0 ? " or " : "", m->name);

		used += n > 0 ? (size_t)n : 0;
	}
}

void
loaded_line(struct unit *u, struct slice line)
{
	char word[64], owners[96];

	if (u->kind != UNIT_REDIS || u->loaded.needs[0] != '\0') {
		return;
	}
	if (find_word(line, "no matching module type '", word, sizeof(word)) ||
	    find_word(line, "no matching module '", word, sizeof(word))) {
		name_owners(u->sup, word, owners, sizeof(owners));
		(void)snprintf(u->loaded.needs, sizeof(u->loaded.needs),
		    "its data has %s, of the module %s, which is not loaded or too old: name it in "
		    "redis.modules",
		    word, owners);
	} else if (memmem(line.ptr, line.len, "reading the append only file", 28) != NULL &&
		   find_word(line, "Unknown command '", word, sizeof(word))) {
		(void)snprintf(u->loaded.needs, sizeof(u->loaded.needs),
		    "its append-only file has the command %s, of a module that is not loaded: name "
		    "it in redis.modules",
		    word);
	} else if (memmem(line.ptr, line.len, "Can't load module from ", 23) != NULL ||
		   memmem(line.ptr, line.len, "Module Configuration detected without", 37) !=
		       NULL) {
		(void)snprintf(u->loaded.needs, sizeof(u->loaded.needs),
		    "a module does not load: see `holdfast logs %s`, and `holdfast check`",
		    u->name);
	}
}

void
loaded_ended(struct unit *u)
{
	struct loaded *l = &u->loaded;

	if (l->needs[0] != '\0' && process_pid(u->process) == 0 && !l->needs_told) {
		l->needs_told = true;
		l->needs_set = u->sup->modules_number;
		history_add(u->sup->history, EVENT_MODULE_MISSING, u->name, NULL,
		    "%s; its files are left as they are", l->needs);
	}
}

/* ---- for status ---- */

json_t *
loaded_json(const struct unit *u)
{
	const struct loaded *l = &u->loaded;
	json_t *array = json_array();

	for (size_t i = 0; i < l->count; i++) {
		const struct module_seen *m = &l->seen[i];
		char version[32];

		(void)json_array_append_new(
		    array, json_pack("{s:s,s:s,s:I,s:s,s:s?}", "name", m->name, "version",
			       module_version_text(m->ver, version), "ver", (json_int_t)m->ver,
			       "path", m->path, "probe",
			       l->probe[i] == '+'   ? "ok"
			       : l->probe[i] == '-' ? "bad"
						    : NULL));
	}
	return array;
}
