/* Options of all subcommands, by one table. */
#include <errno.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/nearest.h"
#include "base/slice.h"
#include "cli/cli.h"
#include "conf/conf.h"

#define LINES_MAX   1000000
#define SECONDS_MAX 86400

static const struct option_row {
	char letter; /* capital: no short form */
	const char *name, *argument, *help;
} rows[] = {
#define CLI_OPTION(letter, name, argument, help) {letter, name, argument, help},
#include "cli/options.def"
#undef CLI_OPTION
};

static bool
has_short_form(const struct option_row *row)
{
	return row->letter >= 'a' && row->letter <= 'z';
}

static bool
is_accepted(const struct option_row *row, const char *accept)
{
	return row->letter == 'h' || strchr(accept, row->letter) != NULL;
}

static void
print_help(const char *name, const char *accept)
{
	const struct cli_command *cmd = cli_command_find(name);

	(void)printf("usage: holdfast %s%s%s\n", name,
	    cmd != NULL && cmd->usage[0] != '\0' ? " " : "", cmd != NULL ? cmd->usage : "");
	if (cmd != NULL) {
		(void)printf("\n%s\n", cmd->help);
	}
	(void)printf("\n");
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		char shape[64];

		if (!is_accepted(&rows[i], accept)) {
			continue;
		}
		(void)snprintf(shape, sizeof(shape), "%c%c%s--%s%s%s",
		    has_short_form(&rows[i]) ? '-' : ' ',
		    has_short_form(&rows[i]) ? rows[i].letter : ' ',
		    has_short_form(&rows[i]) ? ", " : "  ", rows[i].name,
		    rows[i].argument != NULL ? "=" : "",
		    rows[i].argument != NULL ? rows[i].argument : "");
		(void)printf("  %-28s  %s\n", shape, rows[i].help);
	}
}

/* The tables that getopt_long wants. A leading '+' of `accept` means the same to it. */
static void
fill_getopt(const char *accept, char *letters, struct option *longs)
{
	size_t n = 0, l = 0;

	letters[n++] = accept[0] == '+' ? '+' : '-'; /* '-': other arguments come as option 1 */
	letters[n++] = ':';
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (!is_accepted(&rows[i], accept)) {
			continue;
		}
		if (has_short_form(&rows[i])) {
			letters[n++] = rows[i].letter;
			if (rows[i].argument != NULL) {
				letters[n++] = ':';
			}
		}
		longs[l++] = (struct option){rows[i].name,
		    rows[i].argument != NULL ? required_argument : no_argument, NULL,
		    rows[i].letter};
	}
	letters[n] = '\0';
	longs[l] = (struct option){0};
}

static void
list_add(struct cli_list *list, const char *item)
{
	list->items = xreallocarray(list->items, list->count + 1, sizeof(*list->items));
	list->items[list->count++] = item;
}

static bool
take_number(const char *cmd, const char *option, const char *text, uint64_t max, uint64_t *ret_n)
{
	if (!slice_to_u64(slice_str(text), ret_n) || *ret_n == 0 || *ret_n > max) {
		cli_error("%s: --%s takes a number of 1 to %llu, not '%.32s'", cmd, option,
		    (unsigned long long)max, text);
		return false;
	}
	return true;
}

static bool
take_lines(const char *cmd, const char *text, struct cli_opts *o)
{
	if (!slice_to_u64(slice_str(text), &o->lines) || o->lines > LINES_MAX) {
		cli_error("%s: -n takes a number of 0 to %d, not '%.32s'", cmd, LINES_MAX, text);
		return false;
	}
	o->has_lines = true;
	return true;
}

/* False after a usage error. */
static bool
take(const char *cmd, int letter, const char *value, struct cli_opts *o)
{
	switch (letter) {
	case 'c':
		o->config = value;
		break;
	case 'd':
		o->dir = value;
		break;
	case 's':
		list_add(&o->set, value);
		break;
	case 'J':
		o->json = true;
		break;
	case 'w':
		o->watch = true;
		break;
	case 'f':
		o->follow = true;
		break;
	case 'R':
		o->rolling = true;
		break;
	case 'n':
		return take_lines(cmd, value, o);
	case 'H':
		o->host = value;
		break;
	case 'T':
		o->to = value;
		break;
	case 'U':
		o->user = value;
		break;
	case 'S':
		list_add(&o->sentinel, value);
		break;
	case 'I':
		o->webdis = value;
		break;
	case 'A':
		o->ca = value;
		break;
	case 'P':
		return take_number(cmd, "port", value, UINT16_MAX, &o->port);
	case 'E':
		return take_number(cmd, "seconds", value, SECONDS_MAX, &o->seconds);
	case 'N':
		o->renew = true;
		break;
	case 'Y':
		o->trial = true;
		break;
	case 'W':
		o->worker = value;
		break;
	default:
		return false;
	}
	return true;
}

static void
unknown_option(const char *cmd, const char *word, const char *accept)
{
	const char *nearest = "help", *bare = word + strspn(word, "-");
	unsigned least = -1u;
	char plain[64];

	(void)snprintf(plain, sizeof(plain), "%.*s", (int)strcspn(bare, "="), bare);
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		unsigned distance = nearest_distance(plain, rows[i].name);

		if (is_accepted(&rows[i], accept) && distance < least) {
			least = distance;
			nearest = rows[i].name;
		}
	}
	if (strncmp(word, "--", 2) == 0) {
		cli_error(
		    "%s has no option '--%s': did you mean '--%s'? `holdfast help %s` lists all",
		    cmd, plain, nearest, cmd);
	} else {
		cli_error("%s has no option '%.32s': `holdfast help %s` lists all", cmd, word, cmd);
	}
}

static int
check_arguments(const char *cmd, const struct cli_opts *o, int min_args, int max_args)
{
	const struct cli_command *row = cli_command_find(cmd);
	const char *usage = row != NULL ? row->usage : "";

	if (o->arg_count < min_args) {
		cli_error("%s needs more arguments: holdfast %s %s", cmd, cmd, usage);
		return CLI_USAGE;
	}
	if (max_args >= 0 && o->arg_count > max_args) {
		cli_error(
		    "%s does not take '%.64s': holdfast %s %s", cmd, o->args[max_args], cmd, usage);
		return CLI_USAGE;
	}
	return -1;
}

int
cli_opts_parse(int argc, char **argv, const char *accept, int min_args, int max_args,
    struct cli_opts *ret_opts)
{
	char letters[2 * ARRAY_LEN(rows) + 3];
	struct option longs[ARRAY_LEN(rows) + 1];
	struct cli_opts *o = ret_opts;
	int letter;

	*o = (struct cli_opts){0};
	fill_getopt(accept, letters, longs);
	o->args = xcalloc((size_t)argc + 1, sizeof(*o->args));
	opterr = 0;
	optind = 0; /* begin anew */
	while ((letter = getopt_long(argc, argv, letters, longs, NULL)) != -1) {
		if (letter == 1) {
			o->args[o->arg_count++] = optarg;
		} else if (letter == 'h') {
			print_help(argv[0], accept);
			return CLI_OK;
		} else if (letter == ':') {
			cli_error("%s: option '%s' needs a value: `holdfast help %s`", argv[0],
			    argv[optind - 1], argv[0]);
			return CLI_USAGE;
		} else if (letter == '?') {
			char word[3] = {'-', (char)optopt, '\0'};
			bool is_short = optopt != 0 && strncmp(argv[optind - 1], "--", 2) != 0;

			unknown_option(argv[0], is_short ? word : argv[optind - 1], accept);
			return CLI_USAGE;
		} else if (!take(argv[0], letter, optarg, o)) {
			return CLI_USAGE;
		}
	}
	while (optind < argc) {
		o->args[o->arg_count++] = argv[optind++];
	}
	return check_arguments(argv[0], o, min_args, max_args);
}

void
cli_opts_fini(struct cli_opts *o)
{
	free(o->set.items);
	free(o->sentinel.items);
	free(o->args);
	*o = (struct cli_opts){0};
}

int
cli_data_dir(const struct cli_opts *o, char *dir, size_t size)
{
	struct errmsg err = ERRMSG_NONE;
	char *found = NULL;
	int code = -1;

	if (conf_data_dir(o->dir, environ, &found, &err) < 0) {
		cli_error("%s", err.text);
		return CLI_FAILED;
	}
	if ((size_t)snprintf(dir, size, "%s", found) >= size) {
		cli_error("the path of the data folder is too long: %s", found);
		code = CLI_FAILED;
	}
	free(found);
	return code;
}
