/*
 * The modules that all servers of the cluster load: what redis.modules asks for, where the files are, and whether they load.
 *
 *   redis.modules ──resolve──► items with a file ──file checks──► ──trial load on each server program──► good or bad
 *
 * A set is made for a configuration and judged once; from then on it is plain data that nobody changes. An item that is required and bad
 * keeps the whole set from being used; an optional one is left out, everywhere alike. Whether the judgement of before still holds
 * is seen by the files' prints, so that a start with the same files needs no trial.
 */
#ifndef INSTANCE_MODULE_SET_H
#define INSTANCE_MODULE_SET_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/buf.h"
#include "base/defs.h"
#include "conf/conf.h"
#include "instance/manifest.h"
#include "instance/module_file.h"
#include "instance/module_list.h"
#include "net/loop.h"

/* Plain data. */
struct module_item {
	bool optional;
	bool good;    /* found, checked, and loads */
	bool leaving; /* no longer asked for, and loaded until it is proven that no data needs it */
	bool dropped; /* leaving, and that is proven: not loaded any more */
	char word[MODULE_NAME_SIZE]; /* as in redis.modules and [module-NAME] */
	char path[MODULE_PATH_SIZE]; /* "": no file was found */
	char args[MODULE_PATH_SIZE]; /* in redis.conf's quoting */
	char name[MODULE_NAME_SIZE]; /* good: its own name, in MODULE LIST */
	uint64_t ver;                /* good */
	char why[600];               /* not good: what is wrong, and what to do */
	struct module_print print;   /* of its file, when it was checked */
};

/* A server's program that some instance uses. */
struct module_server {
	char *path; /* owned */
	struct module_print print;
	unsigned major; /* of redis_version; 0: not tried */
};

struct module_set {
	struct catalogue catalogue; /* owned, as all below */
	struct module_item *items;  /* in the order of redis.modules */
	size_t count;
	struct module_server *servers;
	size_t server_count;
};

/* Finds and checks the files. Faults of manifests go to `faults` (may be NULL), those of items into them. */
struct module_set *module_set_new(const struct conf *conf, struct conf_faults *faults);
void module_set_free(struct module_set **set);

/* The `i`-th folder in which files of modules are looked for, or NULL. */
const char *module_search_dir(const struct conf *conf, size_t i);
/* The first item that is required and not good, or NULL. */
const struct module_item *module_set_fault(const struct module_set *set);
/* How many are loaded. */
size_t module_set_good(const struct module_set *set);
/* The item of that own name that is loaded, or NULL. */
const struct module_item *module_set_find(const struct module_set *set, const char *name);
/* The oldest of the servers, by redis_version; 0: not known. */
unsigned module_set_oldest(const struct module_set *set);
/*
 * Adds to `set` the good items of `before` that it does not have by name: they are leaving. `before` may be NULL.
 */
void module_set_keep(struct module_set *set, const struct module_set *before);
/* Does a server that starts now load it? */
bool module_item_loads(const struct module_item *it);
bool module_set_has_leaving(const struct module_set *set);
/* What is leaving is not loaded any more (false: is loaded after all). */
void module_set_drop(struct module_set *set, bool drop);
/* What was dropped is gone for good. */
void module_set_forget_dropped(struct module_set *set);
/* Do they load the same files with the same arguments? */
bool module_set_equal(const struct module_set *a, const struct module_set *b);

/* loadmodule PATH ARGS and the end of the line. 0 or -ENOBUFS. */
int module_item_line(const struct module_item *it, struct buf *out) ATTR_WARN_UNUSED;
/* One such line for each good item. 0 or -ENOBUFS. */
int module_set_lines(const struct module_set *set, struct buf *out) ATTR_WARN_UNUSED;
/*
 * Is this directive of redis.conf one of a module that the set does not load? Such a line keeps a server from starting: "Module
 * Configuration detected without loadmodule directive" (module.c).
 */
bool module_set_is_stranded(const struct module_set *set, struct slice directive);

/*
 * What was judged, for the next start. module_set_recall takes it back for items whose file, arguments and servers are the same; true when it
 * could for all, so that no trial is needed.
 */
json_t *module_set_json(const struct module_set *set);
/* The good items of before, whatever the configuration says now. */
struct module_set *module_set_of_json(const struct conf *conf, const json_t *json);
bool module_set_recall(struct module_set *set, const json_t *json);

/* ---- judging ---- */

struct module_judge;
typedef void module_judge_fn(void *arg);

/*
 * Trial loads on every server program: all together, then, if that fails, each alone and those that are good together again. The items
 * say the result. `set` must outlive it. `fn` runs once, never before this returns.
 */
struct module_judge *module_judge_new(
    struct loop *loop, struct module_set *set, const char *scratch, module_judge_fn *fn, void *arg);
void module_judge_free(struct module_judge **j);
/* The same for those who wait: runs the loop until it is done, so nothing else may be on it yet. */
void module_judge_now(struct loop *loop, struct module_set *set, const char *scratch);

#endif
