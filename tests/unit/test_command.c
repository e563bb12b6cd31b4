/* The command table: lookups, and that the table keeps to its own rules. */
#include "unit.h"

#include "backend/command.h"

static const struct command *
find(const char *name, const char *sub)
{
	struct slice argv[2] = {slice_str(name), slice_str(sub != NULL ? sub : "")};

	return command_find(argv, sub != NULL ? 2 : 1);
}

static void
names_are_found_without_regard_to_case(void **state)
{
	assert_string_equal(find("get", "k")->name, "GET");
	assert_string_equal(find("GeT", NULL)->name, "GET");
	assert_null(find("GETT", NULL));
	assert_null(find("GE", NULL));
	assert_null(find("", NULL));
	assert_null(find("A-NAME-THAT-IS-LONGER-THAN-ANY-COMMAND-EVER-WAS", NULL));
}

static void
subcommands_win_over_their_container(void **state)
{
	assert_string_equal(find("config", "rewrite")->name, "CONFIG REWRITE");
	assert_string_equal(find("config", "nonsense")->name, "CONFIG");
	assert_string_equal(find("config", NULL)->name, "CONFIG");
	assert_string_equal(find("get", "rewrite")->name, "GET");
}

static void
a_nul_does_not_end_a_name(void **state)
{
	struct slice name = SLICE_LIT("GET\0X"),
		     argv[2] = {SLICE_LIT("CONFIG"), SLICE_LIT("GET\0X")};

	assert_null(command_find(&name, 1));
	assert_string_equal(command_find(argv, 2)->name, "CONFIG");
}

static void
every_row_is_found_and_reads_or_writes(void **state)
{
	for (size_t i = 0; i < command_count(); i++) {
		const struct command *cmd = command_at(i);
		size_t word = strcspn(cmd->name, " ");
		struct slice argv[2] = {{(const uint8_t *)cmd->name, word},
		    slice_str(cmd->name[word] == ' ' ? cmd->name + word + 1 : "")};

		assert_ptr_equal(command_find(argv, argv[1].len > 0 ? 2 : 1), cmd);
		assert_true(((cmd->flags & CMD_READ) != 0) != ((cmd->flags & CMD_WRITE) != 0));
		assert_int_not_equal(cmd->arity, 0);
		if (cmd->name[word] == ' ') {
			struct slice container = argv[0];

			assert_true((command_find(&container, 1)->flags & CMD_SUBS) != 0);
		}
		if (i > 0) {
			assert_true(strcmp(command_at(i - 1)->name, cmd->name) < 0);
		}
	}
}

static void
what_a_server_has_beyond_that_is_learnt(void **state)
{
	uint16_t read = command_flag_of(slice_str("readonly")),
		 write = command_flag_of(slice_str("write"));

	assert_true(command_learn(slice_str("ft.search"), -3, read));
	assert_int_equal(find("FT.Search", NULL)->flags, CMD_READ);
	assert_int_equal(find("ft.search", NULL)->arity, -3);
	assert_true(command_learn(slice_str("ft.config"), -2, CMD_SUBS));
	assert_true(command_learn(slice_str("ft.config|get"), -3, read));
	assert_string_equal(find("ft.config", "GET")->name, "FT.CONFIG GET");
	assert_int_equal(
	    find("ft.config", "set")->flags, CMD_SUBS | CMD_WRITE); /* it does not say */
	assert_true(command_learn(slice_str("config|newer"), 2, read));
	assert_string_equal(find("config", "newer")->name, "CONFIG NEWER");
	/* what the table says stands */
	assert_false(command_learn(slice_str("get"), 2, write));
	assert_int_equal(find("get", NULL)->flags, CMD_READ);
	assert_false(command_learn(slice_str("ft.search"), -3, write));
	assert_false(command_learn(SLICE_LIT("a\0b"), 1, read));
	assert_false(command_learn(slice_str(""), 1, read));
	assert_false(command_learn(slice_str("x"), 1000, read));
}

static void
there_is_an_end_to_what_is_learnt(void **state)
{
	char name[24];
	size_t taken = 0;

	for (size_t i = 0; i < (size_t)2 * COMMANDS_LEARNT_MAX; i++) {
		(void)snprintf(name, sizeof(name), "module.%zu", i);
		taken += command_learn(slice_str(name), -1, CMD_READ);
	}
	assert_in_range(taken, COMMANDS_LEARNT_MAX / 2, COMMANDS_LEARNT_MAX);
	assert_non_null(find("MODULE.17", NULL));
	assert_null(find("MODULE.2047", NULL));
	assert_non_null(find("ZSCORE", NULL));
}

static void
what_changes_data_is_no_read(void **state)
{
	static const char *const writes[] = {"SET", "DEL", "INCR", "BLPOP", "XREADGROUP", "EVAL",
	    "FCALL", "PUBLISH", "GETDEL", "SPOP", "FLUSHALL", "EXEC", "SORT", "GETEX", "RESTORE"};

	for (size_t i = 0; i < ARRAY_LEN(writes); i++) {
		assert_true((find(writes[i], NULL)->flags & CMD_WRITE) != 0);
	}
}

static void
what_is_dangerous_needs_to_be_allowed(void **state)
{
	static const char *const allowed[] = {"DEBUG", "module", "CONFIG REWRITE"};

	assert_true((find("shutdown", NULL)->flags & CMD_REFUSED) != 0);
	assert_true(command_is_allowed(find("debug", NULL), allowed, 3));
	assert_true(command_is_allowed(find("module", "load"), allowed, 3));
	assert_true(command_is_allowed(find("config", "rewrite"), allowed, 3));
	assert_false(command_is_allowed(find("shutdown", NULL), allowed, 3));
	assert_false(command_is_allowed(find("acl", "save"), allowed, 3));
	assert_false(command_is_allowed(find("debug", NULL), NULL, 0));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(names_are_found_without_regard_to_case),
	    cmocka_unit_test(subcommands_win_over_their_container),
	    cmocka_unit_test(a_nul_does_not_end_a_name),
	    cmocka_unit_test(every_row_is_found_and_reads_or_writes),
	    cmocka_unit_test(what_changes_data_is_no_read),
	    cmocka_unit_test(what_is_dangerous_needs_to_be_allowed),
	    cmocka_unit_test(what_a_server_has_beyond_that_is_learnt),
	    cmocka_unit_test(there_is_an_end_to_what_is_learnt),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
