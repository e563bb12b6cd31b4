/*
 * A configuration for a test: the text of a file, an environment and arguments of -s, loaded as the program loads
 * them. The file is named test.ini and stands in a folder of its own.
 */
#ifndef TESTS_UNIT_CONF_FIXTURE_H
#define TESTS_UNIT_CONF_FIXTURE_H

#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "base/mem.h"
#include "conf/conf.h"
#include "scratch.h"

struct fixture {
	char *dir;
	char *file;
	struct conf *conf; /* of the last load, or NULL */
	struct conf_faults faults;
};

static inline int
fixture_setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->dir = scratch_make();
	f->file = xasprintf("%s/test.ini", f->dir);
	conf_faults_init(&f->faults);
	*state = f;
	return f->dir != NULL ? 0 : -1;
}

static inline void
fixture_forget(struct fixture *f)
{
	conf_free(&f->conf);
	conf_faults_fini(&f->faults);
}

static inline int
fixture_teardown(void **state)
{
	struct fixture *f = *state;

	fixture_forget(f);
	scratch_remove(&f->dir);
	free(f->file);
	free(f);
	return 0;
}

static inline void
fixture_write(struct fixture *f, const char *name, const void *bytes, size_t len)
{
	FILE *out = fopen(scratch_path(f->dir, name), "we");

	assert_non_null(out);
	assert_int_equal(fwrite(bytes, 1, len, out), len);
	assert_int_equal(fclose(out), 0);
}

/* Literals as an environment, whose type promises less than is kept: nobody writes to it. */
static inline char *const *
fixture_env(const char *const *strings)
{
	char *const *env;

	memcpy(&env, &strings, sizeof(env));
	return env;
}

/* text NULL: no file; env and sets end with NULL, or are NULL. */
static inline int
fixture_load(struct fixture *f, const char *text, const char *const *env, const char *const *sets)
{
	static const char *const nothing[] = {NULL};
	struct conf_sources src = {
	    .file = text != NULL ? f->file : NULL,
	    .env = fixture_env(env != NULL ? env : nothing),
	    .sets = sets,
	    .data_dir = "/data",
	};

	fixture_forget(f);
	if (text != NULL) {
		fixture_write(f, "test.ini", text, strlen(text));
	}
	while (sets != NULL && sets[src.set_count] != NULL) {
		src.set_count++;
	}
	return conf_load(&src, &f->conf, &f->faults);
}

#define STRINGS(...) ((const char *const[]){__VA_ARGS__, NULL})

/* A fault whose text begins with `where` (after the folder of the file) and has `words` in it. */
static inline bool
fixture_has_fault(const struct fixture *f, const char *where, const char *words)
{
	for (size_t i = 0; i < f->faults.count; i++) {
		const char *fault = f->faults.items[i];

		if (strncmp(fault, f->dir, strlen(f->dir)) == 0) {
			fault += strlen(f->dir) + 1;
		}
		if (strncmp(fault, where, strlen(where)) == 0 &&
		    strstr(fault + strlen(where), words) != NULL) {
			return true;
		}
	}
	return false;
}

#define assert_fault(f, where, words)                                                              \
	do {                                                                                       \
		if (!fixture_has_fault(f, where, words)) {                                         \
			for (size_t i_ = 0; i_ < (f)->faults.count; i_++) {                        \
				print_error("%s\n", (f)->faults.items[i_]);                        \
			}                                                                          \
			fail_msg("no fault at '%s' with '%s'", where, words);                      \
		}                                                                                  \
	} while (0)

/* Loads `text`; it must have that one fault and no other. */
#define assert_only_fault(f, text, where, words)                                                   \
	do {                                                                                       \
		assert_int_equal(fixture_load(f, text, NULL, NULL), -EINVAL);                      \
		assert_fault(f, where, words);                                                     \
		assert_int_equal((f)->faults.count, 1);                                            \
		assert_null((f)->conf);                                                            \
	} while (0)

#define assert_loads(f, text, env, sets)                                                           \
	do {                                                                                       \
		int rc_ = fixture_load(f, text, env, sets);                                        \
		for (size_t i_ = 0; i_ < (f)->faults.count; i_++) {                                \
			print_error("%s\n", (f)->faults.items[i_]);                                \
		}                                                                                  \
		assert_int_equal(rc_, 0);                                                          \
	} while (0)

#endif
