/* The table of subcommands, and how argv finds its row. */
#include "cli/cli.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "base/nearest.h"

static const struct cli_command table[] = {
#define CLI_COMMAND(name, fn, usage, help) {#name, fn, usage, help},
#include "cli/commands.def"
#undef CLI_COMMAND
};

const struct cli_command *
cli_command_at(size_t index)
{
	return index < ARRAY_LEN(table) ? &table[index] : NULL;
}

const struct cli_command *
cli_command_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (strcmp(table[i].name, name) == 0) {
			return &table[i];
		}
	}
	return NULL;
}

void
cli_error(const char *fmt, ...)
{
	va_list ap;

	(void)fflush(stdout); /* what was shown before comes first */
	(void)fputs("holdfast: ", stderr);
	va_start(ap, fmt);
	(void)vfprintf(stderr, fmt, ap);
	va_end(ap);
	(void)fputc('\n', stderr);
}

/* The subcommand that was probably meant; NULL when none is near. */
static const char *
nearest_command(const char *word)
{
	const char *nearest = NULL;
	unsigned least = (unsigned)strlen(word) / 2 + 1; /* half of it must be right */

	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		unsigned distance = nearest_distance(word, table[i].name);

		if (distance < least) {
			least = distance;
			nearest = table[i].name;
		}
	}
	return nearest;
}

static void
print_all_help(FILE *out)
{
	int width = 0;

	(void)fputs(
	    "holdfast keeps a highly available Redis running: redis-server, sentinels, a proxy "
	    "that always\nleads to the master, and an HTTP front end.\n\nusage: holdfast "
	    "SUBCOMMAND [OPTION...]\n\n",
	    out);
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		width = MAX(width, (int)strlen(table[i].name));
	}
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		(void)fprintf(out, "  %-*s  %s\n", width, table[i].name, table[i].help);
	}
	(void)fputs(
	    "\n`holdfast help SUBCOMMAND` tells its options; holdfast(8) tells the rest.\n", out);
}

static int
unknown_command(const char *word)
{
	const char *nearest = nearest_command(word);

	if (word[0] == '-') {
		cli_error("options follow the subcommand: holdfast SUBCOMMAND %.64s; `holdfast "
			  "help` lists the subcommands",
		    word);
	} else if (nearest != NULL) {
		cli_error(
		    "there is no subcommand '%.64s': did you mean '%s'? `holdfast help` lists all",
		    word, nearest);
	} else {
		cli_error("there is no subcommand '%.64s': `holdfast help` lists all", word);
	}
	return CLI_USAGE;
}

int
cli_help(int argc, char **argv)
{
	const struct cli_command *cmd;
	struct cli_opts opts;
	int code = cli_opts_parse(argc, argv, "", 0, 1, &opts);

	if (code < 0) {
		cmd = opts.arg_count == 1 ? cli_command_find(opts.args[0]) : NULL;
		if (opts.arg_count == 0) {
			print_all_help(stdout);
			code = CLI_OK;
		} else if (cmd == NULL) {
			code = unknown_command(opts.args[0]);
		} else {
			char name[32], option[] = "--help", *ask[] = {name, option, NULL};

			(void)snprintf(name, sizeof(name), "%s", cmd->name);
			code = cmd->fn(2, ask);
		}
	}
	cli_opts_fini(&opts);
	return code;
}

/* What was printed must have arrived: a full disk behind `> file` is a failure too. */
static int
flush_output(int code)
{
	if ((fflush(stdout) == EOF || ferror(stdout)) && code == CLI_OK) {
		cli_error("cannot write the output: %s", strerror(errno));
		return CLI_FAILED;
	}
	return code;
}

int
cli_main(int argc, char **argv)
{
	const struct cli_command *cmd;
	const char *word = argc > 1 ? argv[1] : NULL;

	if (word == NULL) {
		print_all_help(stderr);
		return CLI_USAGE;
	}
	if (strcmp(word, "--help") == 0 || strcmp(word, "-h") == 0) {
		print_all_help(stdout);
		return flush_output(CLI_OK);
	}
	if (strcmp(word, "--version") == 0) {
		word = "version";
	}
	cmd = cli_command_find(word);
	if (cmd == NULL) {
		return unknown_command(word);
	}
	return flush_output(cmd->fn(argc - 1, argv + 1));
}
