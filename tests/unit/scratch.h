/*
 * A folder of its own for a test, gone after it. Made below the current folder (the build), so that
 * a test that crashed leaves nothing elsewhere.
 */
#ifndef TESTS_UNIT_SCRATCH_H
#define TESTS_UNIT_SCRATCH_H

#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static inline int
scratch_remove_entry(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st;
	(void)type;
	(void)ftw;
	return remove(path);
}

/* Absolute path; free() it, or scratch_remove. */
static inline char *
scratch_make(void)
{
	char name[] = "scratch-XXXXXX";

	return mkdtemp(name) != NULL ? realpath(name, NULL) : NULL;
}

static inline void
scratch_remove(char **dir)
{
	if (*dir != NULL) {
		(void)nftw(*dir, scratch_remove_entry, 16, FTW_DEPTH | FTW_PHYS);
		free(*dir);
		*dir = NULL;
	}
}

/* As a fixture whose state is the folder. */
static inline int
scratch_setup(void **state)
{
	*state = scratch_make();
	return *state != NULL ? 0 : -1;
}

static inline int
scratch_teardown(void **state)
{
	char *dir = *state;

	scratch_remove(&dir);
	return 0;
}

/* "DIR/NAME" in one of a few static buffers. */
static inline const char *
scratch_path(const char *dir, const char *name)
{
	static char paths[8][4096];
	static unsigned next;
	char *path = paths[next++ % 8];

	(void)snprintf(path, sizeof(paths[0]), "%s/%s", dir, name);
	return path;
}

#endif
