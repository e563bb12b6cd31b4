/*
 * The command line: argv → one subcommand, whose int is the exit code. commands.def is the table of
 * subcommands, options.def that of their options; help, usage errors and the man page's synopsis
 * come from them. Each subcommand is `int cli_NAME(int argc, char **argv)` in a file of its own,
 * argv[0] being its name; it says its errors itself (cli_error) and returns an enum cli_exit.
 */
#ifndef CLI_CLI_H
#define CLI_CLI_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/defs.h"

enum cli_exit {
	CLI_OK = 0,
	CLI_FAILED = 1,
	CLI_USAGE = 2,
	CLI_NOT_READY = 3, /* not ready, or no supervisor runs */
	CLI_BAD_CONFIG = 78,
};

/* All that main calls. */
int cli_main(int argc, char **argv);

/* "holdfast: what, and what to do about it" on standard error. */
void cli_error(const char *fmt, ...) ATTR_PRINTF(1, 2);

/* A list of borrowed arguments. */
struct cli_list {
	const char **items; /* owned array */
	size_t count;
};

/* What a subcommand was told. Strings are borrowed from argv. */
struct cli_opts {
	const char *config, *dir, *host, *to, *user, *worker, *webdis; /* NULL: not given */
	struct cli_list set, sentinel;
	bool json, watch, follow, trial, rolling, renew;
	bool has_lines;
	uint64_t lines;
	const char *ca;
	uint64_t port, seconds; /* 0: not given */
	char **args;            /* what is no option */
	int arg_count;
};

/*
 * Reads the options of a subcommand: `accept` are letters of options.def ("cds"; help is always
 * accepted), min_args to max_args (-1: any number) what else it takes. With a leading '+' in
 * `accept`, options end at the first argument that is none. Returns -1 to go on, or the exit code
 * after a usage error or help was printed. cli_opts_fini in any case.
 */
int cli_opts_parse(int argc, char **argv, const char *accept, int min_args, int max_args,
    struct cli_opts *ret_opts) ATTR_WARN_UNUSED;
void cli_opts_fini(struct cli_opts *o);

/*
 * The data folder of these options: -d, $HOLDFAST_DIR, or the default for this user. An exit code,
 * after the error was said, or -1 and the folder in `dir`.
 */
int cli_data_dir(const struct cli_opts *o, char *dir, size_t size) ATTR_WARN_UNUSED;

/* --- the subcommands ------------------------------------------------------------------------- */

typedef int cli_fn(int argc, char **argv);

struct cli_command {
	const char *name;
	cli_fn *fn;
	const char *usage; /* what follows the name */
	const char *help;  /* one line */
};

/* NULL past the end. */
const struct cli_command *cli_command_at(size_t index);
const struct cli_command *cli_command_find(const char *name);

cli_fn cli_run, cli_check, cli_debug, cli_proxy, cli_http;
cli_fn cli_status, cli_events, cli_logs, cli_cli, cli_version, cli_help;
cli_fn cli_failover, cli_start, cli_stop, cli_restart, cli_reload, cli_upgrade, cli_modules;
cli_fn cli_backup, cli_restore, cli_cert, cli_invite, cli_join;

#endif
