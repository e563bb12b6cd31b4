/* holdfast events: the history of all hosts, or of one; one line an event. */
#include <stdio.h>

#include "cli/cli_priv.h"

#define EVENTS_DEFAULT 50

static int host_width; /* the longest name of a host; 0: there is only one, or one was asked for */

static void
take_hosts(const json_t *hosts)
{
	for (size_t i = 0; i < json_array_size(hosts); i++) {
		host_width = MAX(host_width, (int)json_string_length(json_array_get(hosts, i)));
	}
}

static void
show_event(const json_t *line, const struct cli_opts *o)
{
	const json_t *event = json_object_get(line, "event");
	const json_t *missing = json_object_get(line, "missing");

	if (missing != NULL) {
		cli_error("events of host %s are missing: %s", cli_text_of(missing, "host"),
		    cli_text_of(missing, "why"));
	}
	take_hosts(json_object_get(line, "hosts"));
	if (event == NULL) {
		return;
	}
	if (o->json) {
		cli_put_json(event);
		return;
	}
	(void)printf("%s  ", cli_text_of(event, "time"));
	if (host_width > 0) {
		(void)printf("%-*s  ", host_width, cli_text_of(event, "host"));
	}
	(void)printf("%-19s  ", cli_text_of(event, "kind"));
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
	int code = cli_opts_parse(argc, argv, "dJHnf", 0, 0, &opts);

	if (code < 0) {
		args = json_pack("{s:I, s:b, s:s*}", "n",
		    (json_int_t)(opts.has_lines ? opts.lines : EVENTS_DEFAULT), "follow",
		    opts.follow, "host", opts.host);
		code = cli_stream(&opts, "events", args, show_event);
	}
	cli_opts_fini(&opts);
	return code;
}
