/* The golden copy of a state machine's table: a changed row is a reviewable difference in tests/unit/golden. */
#ifndef TESTS_UNIT_GOLDEN_H
#define TESTS_UNIT_GOLDEN_H

#include <stdio.h>
#include <stdlib.h>

#include "base/fsm.h"

static void
golden_check(const struct fsm *m)
{
	const char *srcdir = getenv("HF_SRCDIR");
	char path[1024], text[32768];
	struct buf dump;
	size_t n;
	FILE *f;

	buf_init(&dump, 0);
	assert_int_equal(fsm_dump(m, false, &dump), 0);
	assert_int_equal(buf_add(&dump, "", 1), 0);
	(void)snprintf(path, sizeof(path), "%s/tests/unit/golden/%s.fsm",
	    srcdir != NULL ? srcdir : ".", m->name);
	f = fopen(path, "re");
	if (f == NULL) {
		fail_msg("no golden copy %s; the table is:\n%s", path,
		    (const char *)buf_slice(&dump).ptr);
	}
	n = fread(text, 1, sizeof(text) - 1, f);
	(void)fclose(f);
	text[n] = '\0';
	assert_string_equal((const char *)buf_slice(&dump).ptr, text);
	buf_fini(&dump);
}

/* Every pair without a row is either refused (and changes nothing) or wanted: the caller lists the refused ones. */
static void
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
