/*
 * Completion for bash and zsh, from the tables of subcommands and options: `holdfast debug completion bash`. A subcommand takes the options
 * that its usage names.
 */
#include <stdbool.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli_priv.h"

static const struct row {
	char letter;
	const char *name, *argument, *help;
} options[] = {
#define CLI_OPTION(letter, name, argument, help) {letter, name, argument, help},
#include "cli/options.def"
#undef CLI_OPTION
};

/* Capital letters are for us alone. */
static bool
has_letter(const struct row *o)
{
	return o->letter >= 'a' && o->letter <= 'z';
}

/* Does the usage name the option, as `-d` or as `--json`? */
static bool
takes(const struct cli_command *c, const struct row *o)
{
	char word[40], letter[4];

	(void)snprintf(word, sizeof(word), "--%s", o->name);
	(void)snprintf(letter, sizeof(letter), "-%c", o->letter);
	for (const char *at = c->usage; (at = strchr(at, '-')) != NULL; at += strspn(at, "-")) {
		size_t len = strcspn(at, " ]|.");

		if ((len == strlen(word) && strncmp(at, word, len) == 0) ||
		    (has_letter(o) && len == 2 && strncmp(at, letter, 2) == 0)) {
			return true;
		}
	}
	return o->letter == 'h';
}

/* Is there such a word that is no option's argument, as that of [--to NAME] is? */
static bool
has_operand(const struct cli_command *c, const char *word)
{
	for (const char *at = c->usage; (at = strstr(at, word)) != NULL; at++) {
		const char *before = at;

		while (before > c->usage && before[-1] != ' ') {
			before--;
		}
		while (before > c->usage && before[-1] == ' ') {
			before--;
		}
		while (before > c->usage && before[-1] != ' ') {
			before--;
		}
		if (before[strspn(before, "[")] != '-') {
			return true;
		}
	}
	return false;
}

/* What the shell offers behind the options: instances, files, or nothing. */
static const char *
operand(const struct cli_command *c)
{
	if (has_operand(c, "NAME") || has_operand(c, "INSTANCE")) {
		return strcmp(c->name, "debug") == 0 ? "" : "instances";
	}
	if (has_operand(c, "BINARY") || has_operand(c, "SOURCE") || strcmp(c->name, "cert") == 0) {
		return "files";
	}
	return has_operand(c, "SUBCOMMAND") ? "commands" : "";
}

static void
print_commands(const char *between)
{
	const struct cli_command *c;

	for (size_t i = 0; (c = cli_command_at(i)) != NULL; i++) {
		(void)printf("%s%s", i > 0 ? between : "", c->name);
	}
}

static void
print_bash(void)
{
	const struct cli_command *c;

	(void)printf(
	    "# bash completion of holdfast: made by `holdfast debug completion bash`\n"
	    "_holdfast_instances() {\n"
	    "\tholdfast status 2>/dev/null | sed -n 's/^ *\\([a-z]*-[0-9]*\\)  *.*/\\1/p'\n"
	    "}\n"
	    "# Only these are names of files: redis-1 is none, though a folder may be called so.\n"
	    "_holdfast_files() {\n"
	    "\tmapfile -t COMPREPLY < <(compgen \"$1\" -- \"$word\")\n"
	    "\tcompopt -o filenames 2>/dev/null\n"
	    "}\n"
	    "_holdfast() {\n"
	    "\tlocal word=${COMP_WORDS[COMP_CWORD]} before=${COMP_WORDS[COMP_CWORD-1]}\n"
	    "\tlocal command=${COMP_WORDS[1]} commands=\"");
	print_commands(" ");
	(void)printf("\" options= operand=\n"
		     "\tCOMPREPLY=()\n"
		     "\tif [ \"$COMP_CWORD\" -eq 1 ]; then\n"
		     "\t\tmapfile -t COMPREPLY < <(compgen -W \"$commands\" -- \"$word\")\n"
		     "\t\treturn\n"
		     "\tfi\n"
		     "\tcase $before in\n"
		     "\t-c|--config|--webdis) _holdfast_files -f; return;;\n"
		     "\t-d|--dir) _holdfast_files -d; return;;\n"
		     "\t--to) mapfile -t COMPREPLY < <(compgen -W \"$(_holdfast_instances)\" -- "
		     "\"$word\"); return;;\n"
		     "\t-s|--set|-n|--lines|--user|--sentinel) return;;\n"
		     "\tesac\n"
		     "\tcase $command in\n");
	for (size_t i = 0; (c = cli_command_at(i)) != NULL; i++) {
		(void)printf("\t%s) options=\"", c->name);
		for (size_t k = 0; k < sizeof(options) / sizeof(options[0]); k++) {
			if (takes(c, &options[k])) {
				(void)printf(" --%s", options[k].name);
			}
		}
		(void)printf("\" operand=%s;;\n", operand(c));
	}
	(void)printf("\tesac\n"
		     "\tcase $word,$operand in\n"
		     "\t-*) mapfile -t COMPREPLY < <(compgen -W \"$options\" -- \"$word\");;\n"
		     "\t*,instances) mapfile -t COMPREPLY < <(compgen -W "
		     "\"$(_holdfast_instances)\" -- \"$word\");;\n"
		     "\t*,commands) mapfile -t COMPREPLY < <(compgen -W \"$commands\" -- "
		     "\"$word\");;\n"
		     "\t*,files) _holdfast_files -f;;\n"
		     "\tesac\n"
		     "}\n"
		     "complete -F _holdfast holdfast\n");
}

/* Within single quotes, and in the brackets of _arguments. */
static void
print_zsh_text(const char *text)
{
	for (; *text != '\0'; text++) {
		if (*text == '\'') {
			(void)fputs("'\\''", stdout);
		} else {
			if (strchr(":[]\\", *text) != NULL) {
				(void)putchar('\\');
			}
			(void)putchar(*text);
		}
	}
}

static const char *
zsh_action(const struct row *o)
{
	return strcmp(o->argument, "FILE") == 0  ? "_files"
	       : strcmp(o->argument, "DIR") == 0 ? "_files -/"
	       : o->letter == 'T'                ? "_holdfast_instances"
						 : " ";
}

/* As --dir or as -d, `other` being the one of these that is not to be offered behind it; NULL: it may be given again. */
static void
print_zsh_form(const struct row *o, const char *form, const char *other)
{
	if (other == NULL) {
		(void)printf(" \\\n\t\t\t'*%s[", form);
	} else {
		(void)printf(" \\\n\t\t\t'%s%s[", other, form);
	}
	print_zsh_text(o->help);
	if (o->argument != NULL) {
		(void)printf(
		    "]:%s:%s'", o->argument[0] == 'S' ? "setting" : o->argument, zsh_action(o));
	} else {
		(void)printf("]'");
	}
}

static void
print_zsh_option(const struct row *o)
{
	bool again = strstr(o->help, "repeatable") != NULL;
	char form[40], other[44] = "";

	if (has_letter(o)) {
		(void)snprintf(form, sizeof(form), "-%c", o->letter);
		(void)snprintf(other, sizeof(other), "(--%s)", o->name);
		print_zsh_form(o, form, again ? NULL : other);
		(void)snprintf(other, sizeof(other), "(-%c)", o->letter);
	}
	(void)snprintf(form, sizeof(form), "--%s%s", o->name, o->argument != NULL ? "=" : "");
	print_zsh_form(o, form, again ? NULL : other);
}

static void
print_zsh(void)
{
	const struct cli_command *c;

	(void)printf("#compdef holdfast\n# made by `holdfast debug completion zsh`\n"
		     "_holdfast_instances() {\n"
		     "\tlocal -a names\n"
		     "\tnames=(${(f)\"$(holdfast status 2>/dev/null | sed -n 's/^ "
		     "*\\([a-z]*-[0-9]*\\)  *.*/\\1/p')\"})\n"
		     "\tcompadd -a names\n"
		     "}\n"
		     "_holdfast_commands() {\n"
		     "\tlocal -a commands\n"
		     "\tcommands=(\n");
	for (size_t i = 0; (c = cli_command_at(i)) != NULL; i++) {
		(void)printf("\t\t'%s:", c->name);
		print_zsh_text(c->help);
		(void)printf("'\n");
	}
	(void)printf("\t)\n\t_describe command commands\n}\n"
		     "_holdfast() {\n"
		     "\tif (( CURRENT == 2 )); then\n\t\t_holdfast_commands\n\t\treturn\n\tfi\n"
		     "\tlocal command=$words[2]\n"
		     "\tshift words\n\t(( CURRENT-- ))\n"
		     "\tcase $command in\n");
	for (size_t i = 0; (c = cli_command_at(i)) != NULL; i++) {
		const char *what = operand(c);

		(void)printf("\t%s)\n\t\t_arguments", c->name);
		for (size_t k = 0; k < sizeof(options) / sizeof(options[0]); k++) {
			if (takes(c, &options[k])) {
				print_zsh_option(&options[k]);
			}
		}
		if (what[0] != '\0') {
			(void)printf(" \\\n\t\t\t'*:%s:%s'", what,
			    strcmp(what, "files") == 0      ? "_files"
			    : strcmp(what, "commands") == 0 ? "_holdfast_commands"
							    : "_holdfast_instances");
		}
		(void)printf(";;\n");
	}
	(void)printf("\tesac\n}\n_holdfast \"$@\"\n");
}

int
cli_completion(const char *shell)
{
	if (strcmp(shell, "bash") == 0) {
		print_bash();
	} else if (strcmp(shell, "zsh") == 0) {
		print_zsh();
	} else {
		cli_error("no completion for '%s': write bash or zsh", shell);
		return CLI_USAGE;
	}
	if (fflush(stdout) != 0) {
		cli_error("the completion could not be written: %m");
		return CLI_FAILED;
	}
	return CLI_OK;
}
