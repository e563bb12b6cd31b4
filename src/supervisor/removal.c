/*
 * May a module leave? Not while there is a key of one of its types in any database, and never if its snapshots carry data of its own
 * even without a key: then no server without it would load them. The keys are looked for with SCAN on a replica, over a link of its own,
 * so that the master works for it only where there is no replica. Then every append-only file is written anew: the old ones have
 * the module's commands, from the times when there were such keys.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "instance/redis_conf.h"
#include "supervisor/supervisor_priv.h"
#include "topo/link.h"
#include "topo/reply.h"

#define SCAN_COUNT    "1000"
#define SCAN_MS       30000
#define CURSOR_SIZE   24
#define DATABASES_MAX 65536 /* redis.databases is at most that */

struct removal {
	struct supervisor *sup; /* borrowed (outlives it) */
	struct link *link;      /* owned; NULL: nothing is to be asked */
	struct unit *asked;     /* borrowed */
	size_t item, type;      /* the present type: index in the set, and in its manifest */
	unsigned database;
	bool has_database[DATABASES_MAX]; /* by INFO keyspace */
	char cursor[CURSOR_SIZE];
	bool rewriting; /* the append-only files */
	unsigned told;  /* servers that have not answered that they do */
	struct loop_hook end;
	char why[400]; /* why not; "": it may */
};

static void scan(struct removal *r);

static const struct manifest *
manifest_of(const struct supervisor *s, size_t i)
{
	const struct module_item *it = &s->modules->items[i];

	return catalogue_identify(&s->modules->catalogue, it->name, it->path);
}

static void
finish(struct removal *r)
{
	loop_hook_ask(r->sup->loop, &r->end);
}

static void
on_end(void *arg)
{
	struct removal *r = arg;
	struct supervisor *s = r->sup;
	char why[sizeof(r->why)];

	(void)snprintf(why, sizeof(why), "%s", r->why);
	removal_free(s);
	modules_removal_done(s, why[0] != '\0' ? why : NULL);
}

/* What the manifests alone forbid. */
static bool
is_forbidden(struct removal *r)
{
	const struct module_set *set = r->sup->modules;

	for (size_t i = 0; i < set->count && r->why[0] == '\0'; i++) {
		const struct manifest *m = set->items[i].leaving ? manifest_of(r->sup, i) : NULL;

		if (set->items[i].leaving && m == NULL) {
			(void)snprintf(r->why, sizeof(r->why),
			    "the module %s cannot leave: no manifest says which keys are its own; "
			    "write one (types, aux) into "
			    "a folder of redis.module_path",
			    set->items[i].name);
		} else if (m != NULL && m->aux) {
			(void)snprintf(r->why, sizeof(r->why),
			    "the module %s cannot leave: its snapshots hold data of its own even "
			    "without a key, and no server "
			    "without it loads them. Plain keys leave by an append-only file that "
			    "was written with "
			    "aof-use-rdb-preamble no, into a new data folder",
			    set->items[i].name);
		}
	}
	return r->why[0] != '\0';
}

/* ---- rewriting ---- */

static bool
writes_aof(const struct unit *u)
{
	return u->kind == UNIT_REDIS && unit_is_ready(u) && unit_conf(u)->appendonly;
}

static void
on_rewrite(void *arg, const struct redisReply *reply, int error)
{
	struct removal *r = arg;

	r->told--;
	if ((error != 0 || reply_is_error(reply)) && r->why[0] == '\0') {
		(void)snprintf(r->why, sizeof(r->why),
		    "an append-only file cannot be written without what leaves: %s",
		    error != 0 ? strerror(-error) : LOG_QUOTE(reply_text(reply)));
	}
	if (r->told > 0) {
		return;
	}
	for (size_t i = 0; i < r->sup->unit_count; i++) {
		if (writes_aof(r->sup->units[i])) {
			ondisk_begin(r->sup->units[i]);
		}
	}
	supervisor_touch(r->sup);
}

static void
rewrite(struct removal *r)
{
	r->rewriting = true;
	for (size_t i = 0; i < r->sup->unit_count; i++) {
		struct unit *u = r->sup->units[i];

		if (writes_aof(u) &&
		    link_send(probe_link(u->probe), 0, on_rewrite, r, "BGREWRITEAOF", NULL) == 0) {
			u->ondisk.complete = false;
			r->told++;
		}
	}
	supervisor_touch(r->sup);
}

void
removal_check(struct supervisor *s)
{
	struct removal *r = s->removal;

	if (r == NULL || !r->rewriting || r->told > 0) {
		return;
	}
	for (size_t i = 0; i < s->unit_count && r->why[0] == '\0'; i++) {
		if (writes_aof(s->units[i]) && !s->units[i]->ondisk.complete) {
			return;
		}
	}
	r->rewriting = false;
	finish(r);
}

/* ---- scanning ---- */

static const char *
present_type(const struct removal *r)
{
	const struct manifest *m = manifest_of(r->sup, r->item);

	return m != NULL && r->type < m->types.count ? m->types.items[r->type] : NULL;
}

/* To the first type at or behind the present place. False: there is none. */
static bool
find_type(struct removal *r)
{
	const struct module_set *set = r->sup->modules;

	for (; r->item < set->count; r->item++, r->type = 0) {
		if (set->items[r->item].leaving && present_type(r) != NULL) {
			return true;
		}
	}
	return false;
}

/* To the next database that has keys. False: there is none. */
static bool
next_database(struct removal *r)
{
	while (r->database < ARRAY_LEN(r->has_database)) {
		if (r->has_database[r->database]) {
			return true;
		}
		r->database++;
	}
	return false;
}

static void
on_scanned(void *arg, const struct redisReply *reply, int error)
{
	struct removal *r = arg;
	const struct redisReply *keys = reply_at(reply, 1);

	if (error != 0 || reply_count(reply) != 2) {
		(void)snprintf(r->why, sizeof(r->why),
		    "%s could not be searched for keys of the module %s: %s", r->asked->name,
		    r->sup->modules->items[r->item].name,
		    error != 0 ? strerror(-error) : LOG_QUOTE(reply_text(reply)));
		finish(r);
		return;
	}
	if (reply_count(keys) > 0) {
		(void)snprintf(r->why, sizeof(r->why),
		    "the module %s cannot leave: the key %.80s in database %u (type %s) needs it; "
		    "delete or move such keys "
		    "first",
		    r->sup->modules->items[r->item].name, LOG_QUOTE(reply_text(reply_at(keys, 0))),
		    r->database, present_type(r));
		finish(r);
		return;
	}
	(void)snprintf(r->cursor, sizeof(r->cursor), "%.*s",
	    (int)MIN(reply_text(reply_at(reply, 0)).len, sizeof(r->cursor) - 1),
	    (const char *)reply_text(reply_at(reply, 0)).ptr);
	if (strcmp(r->cursor, "0") == 0) {
		r->type++;
		if (!find_type(r)) {
			r->database++;
			r->item = r->type = 0;
		}
	}
	scan(r);
}

static void
scan(struct removal *r)
{
	char database[16];
	int rc;

	if (!find_type(r) || !next_database(r)) {
		rewrite(r);
		return;
	}
	(void)snprintf(database, sizeof(database), "%u", r->database);
	rc = link_send(r->link, SCAN_MS, NULL, NULL, "SELECT", database, NULL);
	if (rc == 0) {
		rc = link_send(r->link, SCAN_MS, on_scanned, r, "SCAN", r->cursor, "COUNT",
		    SCAN_COUNT, "TYPE", present_type(r), NULL);
	}
	if (rc < 0) {
		(void)snprintf(r->why, sizeof(r->why), "%s cannot be asked: %s", r->asked->name,
		    strerror(-rc));
		finish(r);
	}
}

static void
on_keyspace(void *arg, const struct redisReply *reply, int error)
{
	struct removal *r = arg;

	for (unsigned i = 0; i < r->sup->conf->redis_databases; i++) {
		char name[16];

		(void)snprintf(name, sizeof(name), "db%u", i);
		r->has_database[i] = reply_info(reply, name).len > 0;
	}
	if (error != 0) {
		(void)snprintf(r->why, sizeof(r->why), "%s does not answer: %s", r->asked->name,
		    strerror(-error));
		finish(r);
		return;
	}
	scan(r);
}

static void
on_up(struct link *l, void *owner)
{
	(void)link_send(l, SCAN_MS, on_keyspace, owner, "INFO", "keyspace", NULL);
}

/* It would be asked again from the beginning, for ever. */
static void
on_down(struct link *l, void *owner, int error, const char *why)
{
	struct removal *r = owner;

	link_rest(l, true);
	if (r->why[0] == '\0') {
		(void)snprintf(r->why, sizeof(r->why),
		    "%s cannot be asked for keys of what leaves: %.200s", r->asked->name, why);
	}
	finish(r);
}

static const struct link_ops link_ops = {.on_up = on_up, .on_down = on_down};

void
removal_begin(struct supervisor *s)
{
	struct removal *r = xcalloc(1, sizeof(*r));
	struct link_spec spec = {.user = INSTANCE_USER, .password = s->secret, .stall_ms = SCAN_MS};

	removal_free(s);
	*r = (struct removal){.sup = s, .asked = s->master, .cursor = "0"};
	loop_hook_init(&r->end, on_end, r);
	s->removal = r;
	if (is_forbidden(r)) {
		finish(r);
		return;
	}
	for (size_t i = 0; i < s->unit_count; i++) {
		if (s->units[i]->kind == UNIT_REDIS && servers_is_synced(s->units[i])) {
			r->asked = s->units[i];
		}
	}
	spec.at = r->asked->at;
	r->link = link_new(s->loop, &spec, &link_ops, r);
}

void
removal_free(struct supervisor *s)
{
	struct removal *r = s->removal;

	s->removal = NULL;
	if (r != NULL) {
		for (size_t i = 0; i < s->unit_count; i++) {
			if (s->units[i]->probe != NULL) {
				link_forget(probe_link(s->units[i]->probe), r);
			}
		}
		loop_hook_cancel(&r->end);
		link_free(&r->link);
		loop_bury(s->loop, free, r);
	}
}
