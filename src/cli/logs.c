/* holdfast logs: what the instances printed; of all of them with each line's name before it. */
#include <stdio.h>

#include "cli/cli_priv.h"

#define LINES_DEFAULT 100

static void
show_line(const json_t *line, const struct cli_opts *o)
{
	const json_t *log = json_object_get(line, "log");

	if (o->arg_count == 0) {
		(void)printf("%-11s | ", cli_text_of(log, "name"));
	}
	cli_put_text(cli_text_of(log, "line"));
	(void)putchar('\n');
}

int
cli_logs(int argc, char **argv)
{
	struct cli_opts opts;
	json_t *args;
	int code = cli_opts_parse(argc, argv, "dnf", 0, 1, &opts);

	if (code < 0) {
		args =
		    json_pack("{s:s?, s:I, s:b}", "name", opts.arg_count > 0 ? opts.args[0] : NULL,
			"n", (json_int_t)(opts.has_lines ? opts.lines : LINES_DEFAULT), "follow",
			opts.follow);
		code = cli_stream(&opts, "logs", args, show_line);
	}
	cli_opts_fini(&opts);
	return code;
}
