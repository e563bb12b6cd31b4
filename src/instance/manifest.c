#include "instance/manifest.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include <ini.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/nearest.h"
#include "instance/conf_file.h"

#define LINE_MAX_BYTES 180 /* inih reads lines of 199 */
#define MANIFESTS_MAX  256
#define BLANKS         " \t"
#define NEAR_MAX       3 /* mistyped letters */

enum kind { TEXT, WORDS, YES_NO, STATUS, ANSWER };

static const char *const status_names[] = {
    [MANIFEST_MAINTAINED] = "maintained",
    [MANIFEST_FROZEN] = "frozen",
    [MANIFEST_END_OF_LIFE] = "end-of-life",
};
static const char *const answer_names[] = {
    [MANIFEST_ANY] = "any",
    [MANIFEST_ZERO] = "zero",
    [MANIFEST_ARRAY] = "array",
    [MANIFEST_NIL_OR_ARRAY] = "nil-or-array",
    [MANIFEST_TEXT] = "text",
};

#define KEY(key, kind)                                                                             \
	{                                                                                          \
#key, (kind), offsetof(struct manifest, key)                                       \
	}

/* Every key; `list_name` is the one whose field has another name. */
static const struct key {
	const char *name;
	enum kind kind;
	size_t offset;
} keys[] = {
    KEY(name, TEXT),
    KEY(title, TEXT),
    KEY(aliases, WORDS),
    {"list_name", WORDS, offsetof(struct manifest, list_names)},
    KEY(files, WORDS),
    KEY(builtin, YES_NO),
    KEY(server, TEXT),
    KEY(server_note, TEXT),
    KEY(args, WORDS),
    KEY(directives, WORDS),
    KEY(probe, TEXT),
    KEY(answer, ANSWER),
    KEY(types, WORDS),
    KEY(aux, YES_NO),
    KEY(status, STATUS),
    KEY(note, TEXT),
    KEY(successor, TEXT),
    KEY(licence, TEXT),
};

struct reading {
	struct manifest *m;
	struct errmsg *err;
	bool failed;
};

/* ---- one manifest ---- */

static bool
has_word(const struct conf_list *list, const char *word)
{
	for (size_t i = 0; i < list->count; i++) {
		if (strcasecmp(list->items[i], word) == 0) {
			return true;
		}
	}
	return false;
}

static void
add_words(struct conf_list *list, const char *text)
{
	while (true) {
		size_t len;

		text += strspn(text, "," BLANKS);
		len = strcspn(text, ",");
		if (len == 0) {
			return;
		}
		list->items = xreallocarray(list->items, list->count + 1, sizeof(*list->items));
		list->items[list->count++] = xstrndup(text, len);
		text += len;
	}
}

/* The index of the word among the names, or -1. */
static int
index_of(const char *const *names, size_t count, const char *word)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(names[i], word) == 0) {
			return (int)i;
		}
	}
	return -1;
}

static bool
set_value(struct manifest *m, const struct key *key, const char *value)
{
	void *field = (char *)m + key->offset;
	int i;

	switch (key->kind) {
	case TEXT:
		if (*(char **)field != NULL) {
			return false;
		}
		*(char **)field = xstrdup(value);
		return true;
	case WORDS:
		add_words(field, value);
		return true;
	case YES_NO:
		*(bool *)field = strcmp(value, "yes") == 0;
		return *(bool *)field || strcmp(value, "no") == 0;
	case STATUS:
		i = index_of(status_names, ARRAY_LEN(status_names), value);
		m->status = i >= 0 ? (enum manifest_status)i : m->status;
		return i >= 0;
	case ANSWER:
		i = index_of(answer_names, ARRAY_LEN(answer_names), value);
		m->answer = i >= 0 ? (enum manifest_answer)i : m->answer;
		return i >= 0;
	}
	return false;
}

/* inih: 1 to go on, 0 to stop. */
static int
on_value(void *arg, const char *section, const char *name, const char *value)
{
	struct reading *r = arg;

	if (strcmp(section, "module") != 0) {
		errmsg_set(r->err, "has a section [%s]: only [module] is known", section);
		r->failed = true;
		return 0;
	}
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		if (strcmp(keys[i].name, name) != 0) {
			continue;
		}
		if (set_value(r->m, &keys[i], value)) {
			return 1;
		}
		errmsg_set(r->err, "%s does not take '%s' (see modules/README.md)", name, value);
		r->failed = true;
		return 0;
	}
	errmsg_set(r->err, "has an unknown key '%s' (see modules/README.md)", name);
	r->failed = true;
	return 0;
}

static const char *
find_long_line(const char *text)
{
	while (*text != '\0') {
		size_t len = strcspn(text, "\n");

		if (len > LINE_MAX_BYTES) {
			return text;
		}
		text += len + (text[len] == '\n' ? 1 : 0);
	}
	return NULL;
}

struct manifest *
manifest_parse(const char *text, const char *from, struct errmsg *err)
{
	struct reading r = {.m = xcalloc(1, sizeof(struct manifest)), .err = err};
	const char *line = find_long_line(text);
	int rc;

	r.m->from = xstrdup(from);
	if (line != NULL) {
		errmsg_set(err,
		    "has a line of more than %d bytes: write the key again for the rest: %.40s…",
		    LINE_MAX_BYTES, line);
		goto fail;
	}
	rc = ini_parse_string(text, on_value, &r);
	if (r.failed) {
		goto fail;
	}
	if (rc != 0) {
		errmsg_set(err, "line %d is neither [module] nor KEY = VALUE", rc);
		goto fail;
	}
	if (r.m->name == NULL || (r.m->files.count == 0 && !r.m->builtin)) {
		errmsg_set(err, "needs a name, and files unless it is builtin");
		goto fail;
	}
	return r.m;
fail:
	manifest_free(&r.m);
	return NULL;
}

void
manifest_free(struct manifest **mp)
{
	struct manifest *m = *mp;

	*mp = NULL;
	if (m == NULL) {
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		void *field = (char *)m + keys[i].offset;

		if (keys[i].kind == TEXT) {
			free(*(char **)field);
		} else if (keys[i].kind == WORDS) {
			struct conf_list *list = field;

			for (size_t k = 0; k < list->count; k++) {
				free(list->items[k]);
			}
			free(list->items);
		}
	}
	free(m->from);
	free(m);
}

const char *
manifest_status_name(enum manifest_status status)
{
	return status_names[status];
}

/* ---- the catalogue ---- */

/* Takes it over, in the place of one of the same name if there is one. False: there is no room. */
static bool
add(struct catalogue *c, struct manifest *m)
{
	for (size_t i = 0; i < c->count; i++) {
		if (strcmp(c->items[i]->name, m->name) == 0) {
			manifest_free(&c->items[i]);
			c->items[i] = m;
			return true;
		}
	}
	if (c->count == MANIFESTS_MAX) {
		return false;
	}
	c->items = xreallocarray(c->items, c->count + 1, sizeof(struct manifest *));
	c->items[c->count++] = m;
	return true;
}

static void
load_file(struct catalogue *c, const char *path, struct conf_faults *faults)
{
	struct errmsg err = ERRMSG_NONE;
	struct manifest *m = NULL;
	struct buf text;

	buf_init(&text, CONF_FILE_BYTES_MAX);
	if (conf_file_read(path, &text, &err) == 0 && buf_add(&text, "", 1) == 0) {
		m = manifest_parse((const char *)buf_slice(&text).ptr, path, &err);
	}
	if (m == NULL || !add(c, m)) {
		if (faults != NULL) {
			conf_faults_add(faults, "the manifest %s %s", path,
			    m == NULL ? err.text : "is one too many: at most 256 are read");
		}
		manifest_free(&m);
	}
	buf_fini(&text);
}

static int
is_manifest(const struct dirent *entry)
{
	size_t len = strlen(entry->d_name);

	return len > 4 && strcmp(entry->d_name + len - 4, ".ini") == 0;
}

void
catalogue_load(
    struct catalogue *c, const char *const *dirs, size_t count, struct conf_faults *faults)
{
	*c = (struct catalogue){.count = 0};
	for (size_t i = 0; i < count; i++) {
		struct dirent **names;
		int n = scandir(dirs[i], &names, is_manifest, alphasort);

		for (int k = 0; k < n; k++) {
			char *path = xasprintf("%s/%s", dirs[i], names[k]->d_name);

			load_file(c, path, faults);
			free(path);
			free(names[k]);
		}
		if (n >= 0) {
			free(names);
		}
	}
}

/* Beside the program in a build tree, else where the package has put it. */
static char *
package_dir(void)
{
	char path[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", path, sizeof(path) - 1);
	char *slash, *dir;

	path[n > 0 ? n : 0] = '\0';
	slash = strrchr(path, '/');
	if (slash != NULL) {
		*slash = '\0';
		dir = xasprintf("%s/modules", path);
		if (access(dir, R_OK) == 0) {
			return dir;
		}
		free(dir);
	}
	return xstrdup(PKGDATADIR "/modules");
}

void
catalogue_load_for(struct catalogue *c, const struct conf *conf, struct conf_faults *faults)
{
	size_t count = conf->redis_module_path.count + 1;
	const char **dirs = xcalloc(count, sizeof(*dirs));
	char *own = package_dir();

	dirs[0] = own;
	for (size_t i = 1; i < count; i++) {
		dirs[i] = conf->redis_module_path.items[i - 1];
	}
	catalogue_load(c, dirs, count, faults);
	free(dirs);
	free(own);
}

void
catalogue_fini(struct catalogue *c)
{
	for (size_t i = 0; i < c->count; i++) {
		manifest_free(&c->items[i]);
	}
	free(c->items);
	*c = (struct catalogue){.count = 0};
}

const struct manifest *
catalogue_candidate(const struct catalogue *c, const char *word, size_t i)
{
	for (size_t k = 0; k < c->count; k++) {
		if (strcasecmp(c->items[k]->name, word) == 0 && i-- == 0) {
			return c->items[k];
		}
	}
	for (size_t k = 0; k < c->count; k++) {
		if (strcasecmp(c->items[k]->name, word) != 0 &&
		    has_word(&c->items[k]->aliases, word) && i-- == 0) {
			return c->items[k];
		}
	}
	return NULL;
}

const char *
catalogue_nearest(const struct catalogue *c, const char *word)
{
	const char *best = NULL;
	unsigned least = NEAR_MAX + 1;

	for (size_t k = 0; k < c->count; k++) {
		const struct manifest *m = c->items[k];

		for (size_t i = 0; i <= m->aliases.count; i++) {
			const char *other = i == 0 ? m->name : m->aliases.items[i - 1];
			unsigned distance = nearest_distance(word, other);

			if (distance < least && distance < strlen(word)) {
				least = distance;
				best = other;
			}
		}
	}
	return best;
}

static bool
has_list_name(const struct manifest *m, const char *list_name)
{
	for (size_t i = 0; i < m->list_names.count; i++) {
		if (strcmp(m->list_names.items[i], list_name) == 0) {
			return true; /* case kept: json and ReJSON are two */
		}
	}
	return false;
}

const struct manifest *
catalogue_identify(const struct catalogue *c, const char *list_name, const char *path)
{
	const char *slash = strrchr(path, '/'), *base = slash != NULL ? slash + 1 : path;
	const struct manifest *by_name = NULL;

	for (size_t k = 0; k < c->count; k++) {
		const struct manifest *m = c->items[k];

		if (!has_list_name(m, list_name)) {
			continue;
		}
		if (path[0] == '\0' ? m->builtin : has_word(&m->files, base)) {
			return m;
		}
		by_name = by_name == NULL ? m : by_name;
	}
	return by_name;
}

const struct manifest *
catalogue_of_type(const struct catalogue *c, const char *type, size_t i)
{
	for (size_t k = 0; k < c->count; k++) {
		for (size_t t = 0; t < c->items[k]->types.count; t++) {
			if (strcmp(c->items[k]->types.items[t], type) == 0 && i-- == 0) {
				return c->items[k];
			}
		}
	}
	return NULL;
}
