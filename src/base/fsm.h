/*
 * State machines as tables. A machine is const data: names of states and events and the rows; its
 * objects hold only the number of their state. `holdfast debug fsm NAME` prints any table, and its
 * golden copy in tests/unit/golden makes a changed row a reviewable diff.
 *
 * The first row that matches state (or FSM_ANY), event and guard wins. A pair without a row is a
 * bug: fsm_step says so and changes nothing. A row that is meant to do nothing has no action and
 * next = FSM_SAME.
 */
#ifndef BASE_FSM_H
#define BASE_FSM_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"

#define FSM_ANY  0xffu
#define FSM_SAME 0xffu

struct fsm_row {
	unsigned state, event;
	bool (*guard)(void *obj);  /* NULL: always */
	void (*action)(void *obj); /* NULL: none; runs after the state was set */
	unsigned
	    next; /* FSM_SAME: stays; an entry into the same state by name runs `entered` again */
	const char *comment; /* why, for the log and the dump */
};

struct fsm {
	const char *name;
	const char *const *states;
	size_t state_count;
	const char *const *events;
	size_t event_count;
	const struct fsm_row *rows;
	size_t row_count;
	/* Called after the state was written and before the row's action; may be NULL. */
	void (*entered)(void *obj, unsigned from, unsigned to, const struct fsm_row *row);
};

/* Feeds one event. `state` belongs to the object. Returns the row used, or NULL when no row matches
 * (nothing changed). */
const struct fsm_row *fsm_step(const struct fsm *m, void *obj, unsigned *state, unsigned event);

/* The table as aligned text, or as a mermaid state diagram. 0 or buf.h's errors. */
int fsm_dump(const struct fsm *m, bool mermaid, struct buf *out) ATTR_WARN_UNUSED;

#endif
