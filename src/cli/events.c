/* holdfast events: the history, one line an event. */
#include <stdio.h>

#include "cli/cli_priv.h"

#define EVENTS_DEFAULT 50

static void
show_event(const json_t *line, const struct cli_opts *o)
{
	const json_t *event = json_object_get(line, "event");

	if (o->json) {
		cli_put_json(event);
		return;
	}
	(void)printf("%s  %-19s  ", cli_text_of(event, "time"), cli_text_of(event, "kind"));
	cli_put_text(cli_text_of(event, "subject"));
	(void)fputs(": ", stdout);
	cli_put_text(cli_text_of(event, "text"));
	(void)putchar('\n');
}

int
cli_events(int argc, char **argv)
{
	struct cli_opts opts;
	json_t *args;
	int code = cli_opts_parse(argc, argv, "dJnf", 0, 0, &opts);

	if (code < 0) {
		args = json_pack("{s:I, s:b}", "n",
		    (json_int_t)(opts.has_lines ? opts.lines : EVENTS_DEFAULT), "follow",
		    opts.follow);
		code = cli_stream(&opts, "events", args, show_event);
	}
	cli_opts_fini(&opts);
	return code;
}
