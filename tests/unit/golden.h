/*
 * Golden files: text that a reviewer should see change, such as the table of a state machine. The file
 * is tests/unit/golden/NAME in the source folder; HF_GOLDEN_UPDATE=1 in the environment writes it anew.
 * Include it after cmocka.
 */
#ifndef TESTS_UNIT_GOLDEN_H
#define TESTS_UNIT_GOLDEN_H

#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/fsm.h"

/* True when `got` is what the file holds; else says on standard output what to look at. */
static inline bool
golden_is(const char *name, struct slice got)
{
	const char *root = getenv("HF_SRCDIR"), *update = getenv("HF_GOLDEN_UPDATE");
	char path[4096], want[65536];
	size_t len = 0;
	FILE *f;

	(void)snprintf(
	    path, sizeof(path), "%s/tests/unit/golden/%s", root != NULL ? root : ".", name);
	if (update != NULL && strcmp(update, "1") == 0) {
		f = fopen(path, "we");
		return f != NULL && fwrite(got.ptr, 1, got.len, f) == got.len && fclose(f) == 0;
	}
	f = fopen(path, "re");
	if (f != NULL) {
		len = fread(want, 1, sizeof(want), f);
		(void)fclose(f);
	}
	if (f != NULL && len == got.len && (len == 0 || memcmp(want, got.ptr, len) == 0)) {
		return true;
	}
	(void)printf("%s is not what the program says now (HF_GOLDEN_UPDATE=1 writes it anew; then "
		     "look at the difference):\n%.*s\n",
	    path, (int)got.len, (const char *)got.ptr);
	return false;
}

/* The machine's table is tests/unit/golden/NAME.fsm. */
static inline void
golden_check(const struct fsm *m)
{
	struct buf dump;
	char name[64];

	buf_init(&dump, 0);
	assert_int_equal(fsm_dump(m, false, &dump), 0);
	(void)snprintf(name, sizeof(name), "%s.fsm", m->name);
	assert_true(golden_is(name, buf_slice(&dump)));
	buf_fini(&dump);
}

/* The number of pairs of state and event that have no row: each is refused, and changes nothing. */
static inline void
golden_count_absent(const struct fsm *m, size_t want)
{
	size_t absent = 0;

	for (unsigned s = 0; s < m->state_count; s++) {
		for (unsigned e = 0; e < m->event_count; e++) {
			bool found = false;

			for (size_t i = 0; i < m->row_count && !found; i++) {
				found = (m->rows[i].state == s || m->rows[i].state == FSM_ANY) &&
					m->rows[i].event == e;
			}
			absent += found ? 0 : 1;
		}
	}
	assert_int_equal(absent, want);
}

#endif
