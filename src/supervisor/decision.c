#include "supervisor/decision.h"

#include <errno.h>

static const char *const reasons[DECISION_REASON_COUNT] = {
    [DECISION_SENTINELS] = "the sentinels' files",
    [DECISION_STATE] = "the state database",
    [DECISION_NEWEST] = "its data, the newest here",
    [DECISION_FIRST] = "an empty folder",
    [DECISION_EMPTY] = "its data, since the last master's is gone",
    [DECISION_DAMAGED] = "its data, since the last master's is damaged",
    [DECISION_AHEAD] = "its data, of which the last master has lost the end",
};

const char *
decision_reason_text(enum decision_reason reason)
{
	return reasons[reason];
}

/* How much is said for the word's node at its epoch: most files, and the database where files are even. */
static unsigned
weight(const struct decision_word *words, size_t count, const struct decision_word *word)
{
	unsigned sum = 0;

	for (size_t i = 0; i < count; i++) {
		if (words[i].node == word->node && words[i].epoch == word->epoch) {
			sum += words[i].from_state ? 1 : 2;
		}
	}
	return sum;
}

/* The word that counts: of the highest epoch, with the most weight. One that names none of ours comes last. */
static const struct decision_word *
find_word(const struct decision_word *words, size_t count)
{
	const struct decision_word *best = NULL;

	for (size_t i = 0; i < count; i++) {
		const struct decision_word *w = &words[i];

		if (best == NULL || w->epoch > best->epoch ||
		    (w->epoch == best->epoch && best->node == DECISION_NONE &&
			w->node != DECISION_NONE) ||
		    (w->epoch == best->epoch && w->node != DECISION_NONE &&
			weight(words, count, w) > weight(words, count, best))) {
			best = w;
		}
	}
	return best;
}

static bool
is_newer(const struct decision_node *a, const struct decision_node *b)
{
	return a->runs != b->runs ? a->runs : a->data_time > b->data_time;
}

static bool
has_data(const struct decision_node *n)
{
	return n->runs || (n->data_time > 0 && !n->damaged);
}

/* Who has the newest data: one that runs before those that do not. DECISION_NONE: nobody has any. */
static size_t
find_newest(const struct decision_node *nodes, size_t count)
{
	size_t newest = DECISION_NONE;

	for (size_t i = 0; i < count; i++) {
		if (has_data(&nodes[i]) &&
		    (newest == DECISION_NONE || is_newer(&nodes[i], &nodes[newest]))) {
			newest = i;
		}
	}
	return newest;
}

/* Who has most of what the last master has lost. DECISION_NONE: nobody is known to. */
static size_t
find_ahead(const struct decision_node *nodes, size_t count)
{
	size_t most = DECISION_NONE;

	for (size_t i = 0; i < count; i++) {
		if (nodes[i].ahead > 0 && has_data(&nodes[i]) &&
		    (most == DECISION_NONE || nodes[i].ahead > nodes[most].ahead)) {
			most = i;
		}
	}
	return most;
}

static bool
was_found_in_files(const struct decision_word *words, size_t count, const struct decision_word *w)
{
	for (size_t i = 0; i < count; i++) {
		if (!words[i].from_state && words[i].node == w->node &&
		    words[i].epoch == w->epoch) {
			return true;
		}
	}
	return false;
}

int
decision_make(const struct decision_node *nodes, size_t node_count,
    const struct decision_word *words, size_t word_count, struct decision *ret_decision)
{
	const struct decision_word *word = find_word(words, word_count);
	size_t newest = find_newest(nodes, node_count), ahead = find_ahead(nodes, node_count);
	struct decision d = {.epoch = word != NULL ? word->epoch : 0, .instead_of = DECISION_NONE};

	if (node_count == 0) {
		return -ENOENT;
	}
	if (word != NULL && word->node == DECISION_NONE) {
		for (size_t i = 0; i < word_count; i++) {
			if (words[i].epoch == word->epoch && words[i].left_data) {
				return -EBUSY;
			}
		}
	}
	if (word == NULL || word->node == DECISION_NONE) {
		d.node = newest != DECISION_NONE ? newest : 0;
		d.reason = newest != DECISION_NONE ? DECISION_NEWEST : DECISION_FIRST;
		d.epoch += word != NULL ? 1 : 0;
	} else if (!has_data(&nodes[word->node]) && newest != DECISION_NONE) {
		/* Its replicas would copy the emptiness, or wait for it for ever. */
		d.node = newest;
		d.reason = nodes[word->node].damaged ? DECISION_DAMAGED : DECISION_EMPTY;
		d.instead_of = word->node;
		d.epoch++;
	} else if (!nodes[word->node].runs && ahead != DECISION_NONE && ahead != word->node) {
		d.node = ahead;
		d.reason = DECISION_AHEAD;
		d.instead_of = word->node;
		d.epoch++;
	} else {
		d.node = word->node;
		d.reason = was_found_in_files(words, word_count, word) ? DECISION_SENTINELS
								       : DECISION_STATE;
	}
	*ret_decision = d;
	return 0;
}
