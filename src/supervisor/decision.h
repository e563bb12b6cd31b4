/*
 * Who is master to begin with, out of what was found: a pure function, so that a table tests it. An instance is never chosen because of
 * its own old redis.conf: the sentinels' files and the state database have a word, the higher epoch first, and what counts
 * after that is who has data.
 */
#ifndef SUPERVISOR_DECISION_H
#define SUPERVISOR_DECISION_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/defs.h"

#define DECISION_NONE SIZE_MAX

/* A redis instance. */
struct decision_node {
	bool runs;          /* since before: it has what it has in memory */
	uint64_t data_time; /* when its newest data file changed, in any unit; 0: it has none */
	bool damaged;       /* it has tried to load its data and could not */
	/* By how many bytes its data goes on beyond that of the master that the words name; 0: it does not, or nobody knows. */
	uint64_t ahead;
};

/* Somebody's word: one sentinel's file, or the state database. */
struct decision_word {
	size_t node; /* DECISION_NONE: it names none of ours */
	uint64_t epoch;
	bool from_state;
	bool left_data; /* an instance that the configuration no longer has, but its data is here */
};

enum decision_reason {
	DECISION_SENTINELS,
	DECISION_STATE,
	DECISION_NEWEST,  /* nobody has a word: the newest data */
	DECISION_FIRST,   /* no word and no data */
	DECISION_EMPTY,   /* the last master has lost its data, another has some */
	DECISION_DAMAGED, /* the last master cannot load its data, another has some */
	DECISION_AHEAD,   /* the last master has lost the end of its data, another has it */
	DECISION_REASON_COUNT
};

struct decision {
	size_t node;
	uint64_t epoch; /* above all that was found, unless it is what was found */
	enum decision_reason reason;
	size_t instead_of; /* DECISION_EMPTY, _DAMAGED, _AHEAD: whom */
};

/*
 * 0; -ENOENT: there are no nodes; -EBUSY: the last master is an instance that the configuration no longer has, and its
 * data, which nobody else may have, would be left behind.
 */
int decision_make(const struct decision_node *nodes, size_t node_count,
    const struct decision_word *words, size_t word_count,
    struct decision *ret_decision) ATTR_WARN_UNUSED;

/* "the sentinels' files": for people. */
const char *decision_reason_text(enum decision_reason reason);

#endif
