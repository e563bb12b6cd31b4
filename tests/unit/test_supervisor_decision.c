#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#include "supervisor/decision.h"

#define NODES 3
#define WORDS 4
#define NONE  DECISION_NONE

/* Words: file(node, epoch), state(node, epoch). */
#define FILE_SAYS(n, e)                                                                            \
	{                                                                                          \
		.node = (n), .epoch = (e)                                                          \
	}
#define STATE_SAYS(n, e)                                                                           \
	{                                                                                          \
		.node = (n), .epoch = (e), .from_state = true                                      \
	}
#define DATA(t)                                                                                    \
	{                                                                                          \
		.data_time = (t)                                                                   \
	}
#define RUNS(t)                                                                                    \
	{                                                                                          \
		.runs = true, .data_time = (t)                                                     \
	}

#define DAMAGED(t)                                                                                 \
	{                                                                                          \
		.data_time = (t), .damaged = true                                                  \
	}
#define AHEAD(t, n)                                                                                \
	{                                                                                          \
		.data_time = (t), .ahead = (n)                                                     \
	}

static const struct row {
	const char *what;
	struct decision_node nodes[NODES];
	struct decision_word words[WORDS];
	size_t word_count;
	size_t node;
	uint64_t epoch;
	enum decision_reason reason;
} rows[] = {
    {"an empty folder begins with the first", {{0}}, {{0}}, 0, 0, 0, DECISION_FIRST},
    {"all agree, also on one with older data than another's", {DATA(9), DATA(5), DATA(7)},
	{FILE_SAYS(1, 4), FILE_SAYS(1, 4), FILE_SAYS(1, 4), STATE_SAYS(1, 4)}, 4, 1, 4,
	DECISION_SENTINELS},
    {"a stale state database gives way to the sentinels' higher epoch", {DATA(9), DATA(5), DATA(7)},
	{FILE_SAYS(2, 5), FILE_SAYS(2, 5), FILE_SAYS(2, 5), STATE_SAYS(0, 4)}, 4, 2, 5,
	DECISION_SENTINELS},
    {"stale files give way to the state database's higher epoch", {DATA(9), DATA(5), DATA(7)},
	{FILE_SAYS(0, 4), FILE_SAYS(0, 4), FILE_SAYS(0, 4), STATE_SAYS(1, 6)}, 4, 1, 6,
	DECISION_STATE},
    {"one file with the newest epoch goes before two that slept through it",
	{DATA(1), DATA(1), DATA(1)}, {FILE_SAYS(0, 4), FILE_SAYS(0, 4), FILE_SAYS(2, 5)}, 3, 2, 5,
	DECISION_SENTINELS},
    {"no state database: the files", {DATA(9), DATA(5), DATA(7)},
	{FILE_SAYS(2, 5), FILE_SAYS(2, 5), FILE_SAYS(2, 5)}, 3, 2, 5, DECISION_SENTINELS},
    {"no files: the state database", {DATA(9), DATA(5), DATA(7)}, {STATE_SAYS(1, 3)}, 1, 1, 3,
	DECISION_STATE},
    {"one epoch, two masters: most files", {DATA(1), DATA(1), DATA(1)},
	{FILE_SAYS(0, 4), FILE_SAYS(1, 4), FILE_SAYS(1, 4), STATE_SAYS(0, 4)}, 4, 1, 4,
	DECISION_SENTINELS},
    {"one epoch, files even: the state database tips the balance", {DATA(1), DATA(1), DATA(1)},
	{FILE_SAYS(0, 4), FILE_SAYS(1, 4), STATE_SAYS(1, 4)}, 3, 1, 4, DECISION_SENTINELS},
    {"neither: the newest data", {DATA(5), DATA(9), DATA(7)}, {{0}}, 0, 1, 0, DECISION_NEWEST},
    {"neither: one that runs, whatever its files say", {DATA(5), DATA(9), RUNS(0)}, {{0}}, 0, 2, 0,
	DECISION_NEWEST},
    {"the last master came back empty: the newest data, at an epoch of its own",
	{DATA(0), DATA(9), DATA(7)}, {FILE_SAYS(0, 4), STATE_SAYS(0, 4)}, 2, 1, 5, DECISION_EMPTY},
    {"the last master is empty, a replica runs with all in memory", {DATA(0), RUNS(0), DATA(7)},
	{FILE_SAYS(0, 4), STATE_SAYS(0, 4)}, 2, 1, 5, DECISION_EMPTY},
    {"the last master runs: it has its data in memory", {RUNS(0), DATA(9), RUNS(7)},
	{FILE_SAYS(0, 4), STATE_SAYS(0, 4)}, 2, 0, 4, DECISION_SENTINELS},
    {"nobody has data: the last master stays it", {{0}}, {FILE_SAYS(1, 4), STATE_SAYS(1, 4)}, 2, 1,
	4, DECISION_SENTINELS},
    {"the files name a stranger, the database at the same epoch does not",
	{DATA(1), DATA(1), DATA(1)}, {FILE_SAYS(NONE, 4), FILE_SAYS(NONE, 4), STATE_SAYS(2, 4)}, 3,
	2, 4, DECISION_STATE},
    {"the files name a stranger at a higher epoch: by data, above that epoch",
	{DATA(5), DATA(9), DATA(7)}, {FILE_SAYS(NONE, 6), FILE_SAYS(0, 4), STATE_SAYS(0, 4)}, 3, 1,
	7, DECISION_NEWEST},
    {"the last master cannot load its data: the newest that can be loaded",
	{DAMAGED(9), DATA(5), DATA(7)}, {FILE_SAYS(0, 4), STATE_SAYS(0, 4)}, 2, 2, 5,
	DECISION_DAMAGED},
    {"two cannot load theirs", {DAMAGED(9), DATA(5), DAMAGED(7)},
	{FILE_SAYS(0, 4), STATE_SAYS(2, 5)}, 2, 1, 6, DECISION_DAMAGED},
    {"nobody can: the last master stays it, for a person to repair",
	{DAMAGED(9), DAMAGED(5), DAMAGED(7)}, {FILE_SAYS(0, 4), STATE_SAYS(0, 4)}, 2, 0, 4,
	DECISION_SENTINELS},
    {"no word, the newest cannot be loaded", {DAMAGED(9), DATA(5), DATA(7)}, {{0}}, 0, 2, 0,
	DECISION_NEWEST},
    {"the last master has lost its end: who has most of it", {DATA(9), AHEAD(5, 10), AHEAD(7, 20)},
	{FILE_SAYS(0, 4), STATE_SAYS(0, 4)}, 2, 2, 5, DECISION_AHEAD},
    {"who is ahead cannot load it",
	{DATA(9), {.data_time = 5, .ahead = 10, .damaged = true}, DATA(7)},
	{FILE_SAYS(0, 4), STATE_SAYS(0, 4)}, 2, 0, 4, DECISION_SENTINELS},
    {"the last master runs: what it has in memory is more", {RUNS(9), AHEAD(5, 10), DATA(7)},
	{FILE_SAYS(0, 4), STATE_SAYS(0, 4)}, 2, 0, 4, DECISION_SENTINELS},
};

static void
test_table(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];
		struct decision d;

		assert_int_equal(decision_make(r->nodes, NODES, r->words, r->word_count, &d), 0);
		if (d.node != r->node || d.epoch != r->epoch || d.reason != r->reason) {
			(void)printf("%s\n", r->what);
		}
		assert_int_equal(d.node, r->node);
		assert_int_equal(d.epoch, r->epoch);
		assert_int_equal(d.reason, r->reason);
	}
}

/* The order of the words is the order of files: it must not matter. */
static void
test_order_of_words_does_not_matter(void **state)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		const struct row *r = &rows[i];
		struct decision_word turned[WORDS] = {{0}};
		struct decision one, two;

		for (size_t k = 0; k < r->word_count; k++) {
			turned[k] = r->words[r->word_count - 1 - k];
		}
		assert_int_equal(decision_make(r->nodes, NODES, r->words, r->word_count, &one), 0);
		assert_int_equal(decision_make(r->nodes, NODES, turned, r->word_count, &two), 0);
		assert_int_equal(one.node, two.node);
		assert_int_equal(one.epoch, two.epoch);
	}
}

static void
test_who_was_replaced_is_named(void **state)
{
	const struct decision_node nodes[] = {DATA(0), DATA(9)};
	const struct decision_word words[] = {STATE_SAYS(0, 2)};
	struct decision d;

	assert_int_equal(decision_make(nodes, 2, words, 1, &d), 0);
	assert_int_equal(d.instead_of, 0);
}

static void
test_a_master_with_data_that_left_the_configuration_is_not_passed_over(void **state)
{
	const struct decision_node nodes[] = {DATA(5), DATA(9)};
	struct decision_word words[] = {
	    FILE_SAYS(NONE, 3),
	    {.node = NONE, .epoch = 3, .from_state = true, .left_data = true},
	};
	struct decision d;

	assert_int_equal(decision_make(nodes, 2, words, 2, &d), -EBUSY);
	words[1].left_data = false; /* its folder was removed: what is left is the newest */
	assert_int_equal(decision_make(nodes, 2, words, 2, &d), 0);
	assert_int_equal(d.node, 1);
	assert_int_equal(d.epoch, 4);
}

static void
test_without_instances_there_is_none(void **state)
{
	struct decision d;

	assert_int_equal(decision_make(NULL, 0, NULL, 0, &d), -ENOENT);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_table),
	    cmocka_unit_test(test_order_of_words_does_not_matter),
	    cmocka_unit_test(test_who_was_replaced_is_named),
	    cmocka_unit_test(
		test_a_master_with_data_that_left_the_configuration_is_not_passed_over),
	    cmocka_unit_test(test_without_instances_there_is_none),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
