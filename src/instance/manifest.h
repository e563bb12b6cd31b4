/*
 * The catalogue of modules: what is known of each, from manifests (modules/README.md says what may stand in one). Several products
 * share a name, a word or a file name, so a word leads to candidates, and what a server says it has loaded is matched by the
 * name in MODULE LIST and the file's name together.
 *
 * Plain data, read once; nothing here looks at a module's file or asks a server.
 */
#ifndef INSTANCE_MANIFEST_H
#define INSTANCE_MANIFEST_H

#include <stdbool.h>
#include <stddef.h>

#include "base/defs.h"
#include "conf/conf.h"

enum manifest_status { MANIFEST_MAINTAINED, MANIFEST_FROZEN, MANIFEST_END_OF_LIFE };
/* What a probe's answer must be. */
enum manifest_answer {
	MANIFEST_ANY,
	MANIFEST_ZERO,
	MANIFEST_ARRAY,
	MANIFEST_NIL_OR_ARRAY,
	MANIFEST_TEXT
};

/* Texts that were not given are NULL, lists empty. */
struct manifest {
	char *name, *title, *server, *server_note, *probe, *note, *successor, *licence;
	struct conf_list aliases, list_names, files, args, directives, types;
	enum manifest_status status;
	enum manifest_answer answer;
	bool builtin; /* part of the server: no file */
	bool aux;     /* its snapshots do not load without it, even those without a key of it */
	char *from;   /* the file it was read from */
};

struct catalogue {
	struct manifest **items; /* owned */
	size_t count;
};

/*
 * All *.ini of the folders, in their order, sorted by name within one; a later one of the same name replaces the one before. A folder
 * that is not there is left out; a file with a fault is left out and named in `faults` (may be NULL). At most 256 in all.
 */
void catalogue_load(
    struct catalogue *c, const char *const *dirs, size_t count, struct conf_faults *faults);
/* As above from the package's folder, and those of redis.module_path. */
void catalogue_load_for(struct catalogue *c, const struct conf *conf, struct conf_faults *faults);
void catalogue_fini(struct catalogue *c);

/* One manifest of `text` (with NUL, as from a file named `from`), owned by the caller; NULL with the reason. */
struct manifest *manifest_parse(const char *text, const char *from, struct errmsg *err);
void manifest_free(struct manifest **m);

/* The `i`-th manifest that the word stands for, or NULL: first the one of that name, then those with that alias. */
const struct manifest *catalogue_candidate(const struct catalogue *c, const char *word, size_t i);
/* The word of the catalogue that is nearest to this one, for messages; NULL. */
const char *catalogue_nearest(const struct catalogue *c, const char *word);
/*
 * What a server has loaded: `list_name` of MODULE LIST and its path ("": built in, or an old server that does not say). NULL: not known.
 */
const struct manifest *catalogue_identify(
    const struct catalogue *c, const char *list_name, const char *path);
/* Whose keys are of this type, by an error's word for it; the `i`-th. NULL. */
const struct manifest *catalogue_of_type(const struct catalogue *c, const char *type, size_t i);

/* "maintained", "frozen", "end-of-life". */
const char *manifest_status_name(enum manifest_status status);

#endif
