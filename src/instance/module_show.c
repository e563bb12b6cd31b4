#include "instance/module_show.h"

#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"

static json_t *
list_json(const struct conf_list *list)
{
	json_t *array = json_array();

	for (size_t i = 0; i < list->count; i++) {
		(void)json_array_append_new(array, json_string(list->items[i]));
	}
	return array;
}

static json_t *
known_json(const struct manifest *m)
{
	return json_pack("{s:s,s:s?,s:o,s:o,s:o,s:s?,s:s?,s:s,s:s?,s:s?,s:s?,s:b,s:o}", "name",
	    m->name, "title", m->title, "aliases", list_json(&m->aliases), "list_names",
	    list_json(&m->list_names), "files", list_json(&m->files), "server", m->server,
	    "server_note", m->server_note, "status", manifest_status_name(m->status), "note",
	    m->note, "successor", m->successor, "licence", m->licence, "builtin", m->builtin,
	    "args", list_json(&m->args));
}

static json_t *
wanted_json(const struct module_set *set, const struct module_item *it)
{
	const struct manifest *m =
	    it->good ? catalogue_identify(&set->catalogue, it->name, it->path) : NULL;
	char version[32];

	return json_pack("{s:s,s:b,s:s,s:s,s:s,s:s?,s:s?,s:s?,s:s?}", "word", it->word, "required",
	    !it->optional, "state",
	    !it->good     ? "bad"
	    : it->leaving ? "leaving"
			  : "good",
	    "path", it->path, "args", it->args, "name", it->good ? it->name : NULL, "version",
	    it->good ? module_version_text(it->ver, version) : NULL, "why",
	    it->good ? NULL : it->why, "module", m != NULL ? m->name : NULL);
}

/* Its files in the folders that are looked in. */
static json_t *
found_json(const struct conf *conf, const struct manifest *m)
{
	json_t *array = json_array();
	const char *dir;

	for (size_t d = 0; (dir = module_search_dir(conf, d)) != NULL; d++) {
		for (size_t f = 0; f < m->files.count; f++) {
			char *path = xasprintf("%s/%s", dir, m->files.items[f]);

			if (access(path, F_OK) == 0) {
				(void)json_array_append_new(array, json_string(path));
			}
			free(path);
		}
	}
	return array;
}

json_t *
module_show(const struct conf *conf, const struct module_set *set)
{
	json_t *catalogue = json_array(), *wanted = json_array();

	for (size_t i = 0; i < set->catalogue.count; i++) {
		json_t *one = known_json(set->catalogue.items[i]);

		(void)json_object_set_new(one, "found", found_json(conf, set->catalogue.items[i]));
		(void)json_array_append_new(catalogue, one);
	}
	for (size_t i = 0; i < set->count; i++) {
		(void)json_array_append_new(wanted, wanted_json(set, &set->items[i]));
	}
	return json_pack("{s:o,s:o}", "catalogue", catalogue, "wanted", wanted);
}
