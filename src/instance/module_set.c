#include "instance/module_set.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "base/mem.h"
#include "instance/conf_file.h"

static const char *const usual_dirs[] = {
    "/opt/redis-stack/lib",
    "/usr/lib/redis/modules",
    "/usr/local/lib/redis/modules",
    "/usr/lib/valkey",
};

/* ---- finding ---- */

const char *
module_search_dir(const struct conf *conf, size_t i)
{
	size_t own = conf->redis_module_path.count;

	if (i < own) {
		return conf->redis_module_path.items[i];
	}
	return i - own < ARRAY_LEN(usual_dirs) ? usual_dirs[i - own] : NULL;
}

/* Folder by folder: what stands in the first one counts, whichever of the candidates it is. */
static bool
find_file(
    const struct conf *conf, const struct catalogue *c, const char *word, char *path, size_t size)
{
	const struct manifest *m;
	const char *dir;

	for (size_t d = 0; (dir = module_search_dir(conf, d)) != NULL; d++) {
		for (size_t i = 0; (m = catalogue_candidate(c, word, i)) != NULL; i++) {
			for (size_t f = 0; f < m->files.count; f++) {
				int n = snprintf(path, size, "%s/%s", dir, m->files.items[f]);

				if (n > 0 && (size_t)n < size && access(path, F_OK) == 0) {
					return true;
				}
			}
		}
	}
	path[0] = '\0';
	return false;
}

/* "a, b or c" of the file names that the word stands for. */
static void
name_files(const struct catalogue *c, const char *word, char *text, size_t size)
{
	const struct manifest *m;
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; (m = catalogue_candidate(c, word, i)) != NULL; i++) {
		for (size_t f = 0; f < m->files.count && used < size; f++) {
			if (strstr(text, m->files.items[f]) == NULL) {
				int n = snprintf(text + used, size - used, "%s%s",
				    used > 0 ? " or " : "", m->files.items[f]);

				used += n > 0 ? (size_t)n : 0;
			}
		}
	}
}

static void
explain_missing(const struct conf *conf, const struct catalogue *c, struct module_item *it)
{
	const struct manifest *m = catalogue_candidate(c, it->word, 0);
	const char *near = catalogue_nearest(c, it->word);
	char files[128];

	if (m == NULL) {
		(void)snprintf(it->why, sizeof(it->why),
		    "no module of this name is known%s%s%s: see `holdfast modules`, or give its "
		    "path in "
		    "[module-%s]",
		    near != NULL ? ", is it '" : "", near != NULL ? near : "",
		    near != NULL ? "'" : "", it->word);
	} else if (m->builtin) {
		(void)snprintf(it->why, sizeof(it->why),
		    "is part of the server (%s): take it out of redis.modules", m->title);
	} else {
		name_files(c, it->word, files, sizeof(files));
		(void)snprintf(it->why, sizeof(it->why),
		    "no %s in the %zu folders that are looked in: install the module there, name "
		    "its folder in "
		    "redis.module_path, or its file as path in [module-%s]",
		    files, conf->redis_module_path.count + ARRAY_LEN(usual_dirs), it->word);
	}
}

static void
resolve(const struct conf *conf, struct module_set *set, size_t i, struct module_item *it)
{
	struct conf_module_item asked;
	struct errmsg err = ERRMSG_NONE;

	if (conf_module_get(conf, i, &asked, &err) < 0) {
		(void)snprintf(it->why, sizeof(it->why), "%s", err.text);
		return;
	}
	it->optional = asked.optional;
	(void)snprintf(it->word, sizeof(it->word), "%s", asked.name);
	(void)snprintf(it->args, sizeof(it->args), "%s", asked.args);
	(void)snprintf(it->path, sizeof(it->path), "%s", asked.path);
	if (it->path[0] == '\0' &&
	    !find_file(conf, &set->catalogue, it->word, it->path, sizeof(it->path))) {
		explain_missing(conf, &set->catalogue, it);
	} else if (module_file_check(it->path, &it->print, &err) < 0) {
		(void)snprintf(it->why, sizeof(it->why), "%s", err.text);
	}
}

/* A module is loaded once: the same file under two words is refused here, with both. */
static void
refuse_twice(struct module_set *set)
{
	for (size_t i = 1; i < set->count; i++) {
		struct module_item *it = &set->items[i];

		for (size_t k = 0; k < i && it->why[0] == '\0'; k++) {
			if (set->items[k].why[0] == '\0' &&
			    module_print_equal(&set->items[k].print, &it->print)) {
				(void)snprintf(it->why, sizeof(it->why),
				    "is the same file as %s (%.300s): take one of the two out",
				    set->items[k].word, it->path);
			}
		}
	}
}

static void
add_server(struct module_set *set, const char *configured)
{
	struct errmsg err = ERRMSG_NONE;
	char *path = NULL;

	if (conf_find_server(configured, &path, &err) < 0) {
		return; /* said by those who start it */
	}
	for (size_t i = 0; i < set->server_count; i++) {
		if (strcmp(set->servers[i].path, path) == 0) {
			free(path);
			return;
		}
	}
	set->servers = xreallocarray(set->servers, set->server_count + 1, sizeof(*set->servers));
	set->servers[set->server_count] = (struct module_server){.path = path};
	module_print_of(path, &set->servers[set->server_count++].print);
}

struct module_set *
module_set_new(const struct conf *conf, struct conf_faults *faults)
{
	struct module_set *set = xcalloc(1, sizeof(*set));

	catalogue_load_for(&set->catalogue, conf, faults);
	set->count = conf->redis_modules.count;
	set->items = xcalloc(set->count + 1, sizeof(*set->items));
	for (size_t i = 0; i < set->count; i++) {
		resolve(conf, set, i, &set->items[i]);
	}
	refuse_twice(set);
	for (unsigned n = 0; n < conf->redis_instances && set->count > 0; n++) {
		add_server(set, conf->redis[n].server);
	}
	return set;
}

void
module_set_free(struct module_set **sp)
{
	struct module_set *set = *sp;

	*sp = NULL;
	if (set == NULL) {
		return;
	}
	catalogue_fini(&set->catalogue);
	for (size_t i = 0; i < set->server_count; i++) {
		free(set->servers[i].path);
	}
	free(set->servers);
	free(set->items);
	free(set);
}

/* ---- looking ---- */

const struct module_item *
module_set_fault(const struct module_set *set)
{
	for (size_t i = 0; i < set->count; i++) {
		if (!set->items[i].good && !set->items[i].optional) {
			return &set->items[i];
		}
	}
	return NULL;
}

size_t
module_set_good(const struct module_set *set)
{
	size_t n = 0;

	for (size_t i = 0; i < set->count; i++) {
		n += module_item_loads(&set->items[i]) ? 1 : 0;
	}
	return n;
}

const struct module_item *
module_set_find(const struct module_set *set, const char *name)
{
	for (size_t i = 0; i < set->count; i++) {
		if (module_item_loads(&set->items[i]) && strcmp(set->items[i].name, name) == 0) {
			return &set->items[i];
		}
	}
	return NULL;
}

static bool
has_item(const struct module_set *set, const struct module_item *it)
{
	for (size_t i = 0; i < set->count; i++) {
		const struct module_item *other = &set->items[i];

		if (module_item_loads(other) && strcmp(other->path, it->path) == 0 &&
		    strcmp(other->args, it->args) == 0 &&
		    module_print_equal(&other->print, &it->print)) {
			return true;
		}
	}
	return false;
}

bool
module_set_equal(const struct module_set *a, const struct module_set *b)
{
	for (size_t i = 0; i < a->count; i++) {
		if (module_item_loads(&a->items[i]) && !has_item(b, &a->items[i])) {
			return false;
		}
	}
	return module_set_good(a) == module_set_good(b);
}

int
module_item_line(const struct module_item *it, struct buf *out)
{
	int err = buf_add_str(out, "loadmodule ") | conf_file_add_word(out, it->path) |
		  buf_addf(out, "%s%s\n", it->args[0] != '\0' ? " " : "", it->args);

	return err != 0 ? -ENOBUFS : 0;
}

int
module_set_lines(const struct module_set *set, struct buf *out)
{
	int err = 0;

	for (size_t i = 0; i < set->count && err == 0; i++) {
		err = module_item_loads(&set->items[i]) ? module_item_line(&set->items[i], out) : 0;
	}
	return err;
}

unsigned
module_set_oldest(const struct module_set *set)
{
	unsigned oldest = set->server_count > 0 ? set->servers[0].major : 0;

	for (size_t i = 1; i < set->server_count; i++) {
		oldest = MIN(oldest, set->servers[i].major);
	}
	return oldest;
}

void
module_set_keep(struct module_set *set, const struct module_set *before)
{
	for (size_t i = 0; before != NULL && i < before->count; i++) {
		const struct module_item *old = &before->items[i];

		if (!old->good || module_set_find(set, old->name) != NULL) {
			continue;
		}
		set->items = xreallocarray(set->items, set->count + 1, sizeof(*set->items));
		set->items[set->count] = *old;
		set->items[set->count++].leaving = true;
	}
}

bool
module_item_loads(const struct module_item *it)
{
	return it->good && !it->dropped;
}

bool
module_set_has_leaving(const struct module_set *set)
{
	for (size_t i = 0; i < set->count; i++) {
		if (set->items[i].leaving) {
			return true;
		}
	}
	return false;
}

void
module_set_drop(struct module_set *set, bool drop)
{
	for (size_t i = 0; i < set->count; i++) {
		set->items[i].dropped = drop && set->items[i].leaving;
	}
}

void
module_set_forget_dropped(struct module_set *set)
{
	size_t kept = 0;

	for (size_t i = 0; i < set->count; i++) {
		if (!set->items[i].dropped) {
			set->items[kept++] = set->items[i];
		}
	}
	set->count = kept;
}

static bool
begins_with(struct slice text, const char *head)
{
	size_t len = strlen(head);

	return text.len > len && strncasecmp((const char *)text.ptr, head, len) == 0;
}

/* Does the directive belong to a module of this manifest? */
static bool
belongs_to(const struct manifest *m, struct slice directive)
{
	for (size_t i = 0; i < m->directives.count; i++) {
		if (begins_with(directive, m->directives.items[i])) {
			return true;
		}
	}
	return false;
}

bool
module_set_is_stranded(const struct module_set *set, struct slice directive)
{
	const uint8_t *dot = memchr(directive.ptr, '.', directive.len);
	struct slice head = {directive.ptr, dot != NULL ? (size_t)(dot - directive.ptr) : 0};
	bool known = dot != NULL;

	for (size_t i = 0; i < set->count && dot != NULL; i++) {
		if (module_item_loads(&set->items[i]) && slice_caseeq(head, set->items[i].name)) {
			return false;
		}
	}
	for (size_t k = 0; k < set->catalogue.count; k++) {
		const struct manifest *m = set->catalogue.items[k];

		if (!belongs_to(m, directive)) {
			continue;
		}
		known = true;
		for (size_t i = 0; i < set->count; i++) {
			if (module_item_loads(&set->items[i]) &&
			    catalogue_identify(
				&set->catalogue, set->items[i].name, set->items[i].path) == m) {
				return false;
			}
		}
	}
	return known;
}

/* ---- remembering ---- */

static json_t *
print_json(const struct module_print *p)
{
	return json_pack("[I,I,I,I]", (json_int_t)p->device, (json_int_t)p->inode,
	    (json_int_t)p->bytes, (json_int_t)p->changed_ns);
}

static struct module_print
print_of_json(const json_t *j)
{
	return (struct module_print){
	    .device = (uint64_t)json_integer_value(json_array_get(j, 0)),
	    .inode = (uint64_t)json_integer_value(json_array_get(j, 1)),
	    .bytes = (uint64_t)json_integer_value(json_array_get(j, 2)),
	    .changed_ns = (uint64_t)json_integer_value(json_array_get(j, 3)),
	};
}

json_t *
module_set_json(const struct module_set *set)
{
	json_t *items = json_array(), *servers = json_array();

	for (size_t i = 0; i < set->count; i++) {
		const struct module_item *it = &set->items[i];

		(void)json_array_append_new(
		    items, json_pack("{s:s,s:b,s:b,s:s,s:s,s:s,s:I,s:s,s:o}", "word", it->word,
			       "optional", it->optional, "good", it->good, "path", it->path, "args",
			       it->args, "name", it->name, "ver", (json_int_t)it->ver, "why",
			       it->why, "print", print_json(&it->print)));
	}
	for (size_t i = 0; i < set->server_count; i++) {
		(void)json_array_append_new(servers,
		    json_pack("{s:s,s:o,s:i}", "path", set->servers[i].path, "print",
			print_json(&set->servers[i].print), "major", (int)set->servers[i].major));
	}
	return json_pack("{s:o,s:o}", "items", items, "servers", servers);
}

static void
copy_text(char *to, size_t size, const json_t *object, const char *key)
{
	const char *text = json_string_value(json_object_get(object, key));

	(void)snprintf(to, size, "%s", text != NULL ? text : "");
}

static bool
is_text(const json_t *object, const char *key, const char *text)
{
	const char *value = json_string_value(json_object_get(object, key));

	return value != NULL && strcmp(value, text) == 0;
}

static bool
recall_server(struct module_server *server, const json_t *servers)
{
	size_t i;
	json_t *one;

	json_array_foreach(servers, i, one)
	{
		struct module_print print = print_of_json(json_object_get(one, "print"));

		if (is_text(one, "path", server->path) &&
		    module_print_equal(&print, &server->print)) {
			server->major = (unsigned)json_integer_value(json_object_get(one, "major"));
			return server->major > 0;
		}
	}
	return false;
}

struct module_set *
module_set_of_json(const struct conf *conf, const json_t *json)
{
	struct module_set *set = xcalloc(1, sizeof(*set));
	const json_t *items = json_object_get(json, "items");
	size_t i;
	json_t *one;

	catalogue_load_for(&set->catalogue, conf, NULL);
	set->items = xcalloc(json_array_size(items) + 1, sizeof(*set->items));
	json_array_foreach(items, i, one)
	{
		struct module_item *it = &set->items[set->count];

		if (!json_is_true(json_object_get(one, "good"))) {
			continue;
		}
		it->good = true;
		it->optional = json_is_true(json_object_get(one, "optional"));
		it->ver = (uint64_t)json_integer_value(json_object_get(one, "ver"));
		it->print = print_of_json(json_object_get(one, "print"));
		copy_text(it->word, sizeof(it->word), one, "word");
		copy_text(it->path, sizeof(it->path), one, "path");
		copy_text(it->args, sizeof(it->args), one, "args");
		copy_text(it->name, sizeof(it->name), one, "name");
		set->count++;
	}
	for (unsigned n = 0; n < conf->redis_instances; n++) {
		add_server(set, conf->redis[n].server);
	}
	for (i = 0; i < set->server_count; i++) {
		(void)recall_server(&set->servers[i], json_object_get(json, "servers"));
	}
	return set;
}

static bool
recall_item(struct module_item *it, const json_t *items)
{
	size_t i;
	json_t *one;

	json_array_foreach(items, i, one)
	{
		struct module_print print = print_of_json(json_object_get(one, "print"));
		const char *name = json_string_value(json_object_get(one, "name"));

		if (is_text(one, "path", it->path) && is_text(one, "args", it->args) &&
		    module_print_equal(&print, &it->print) && name != NULL && name[0] != '\0' &&
		    json_is_true(json_object_get(one, "good"))) {
			(void)snprintf(it->name, sizeof(it->name), "%s", name);
			it->ver = (uint64_t)json_integer_value(json_object_get(one, "ver"));
			it->good = true;
			return true;
		}
	}
	return false;
}

bool
module_set_recall(struct module_set *set, const json_t *json)
{
	bool all = set->count > 0;

	for (size_t i = 0; i < set->server_count && all; i++) {
		all = recall_server(&set->servers[i], json_object_get(json, "servers"));
	}
	for (size_t i = 0; i < set->count && all; i++) {
		/* What has no good file needs no trial to be bad. */
		all = set->items[i].why[0] != '\0' ||
		      recall_item(&set->items[i], json_object_get(json, "items"));
	}
	for (size_t i = 0; i < set->count && !all; i++) {
		set->items[i].good = false;
	}
	return all;
}
