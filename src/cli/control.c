/* holdfast failover, start, stop, restart, reload: ask, wait, say what came of it. */
#include <stdio.h>

#include "cli/cli_priv.h"

int
cli_failover(int argc, char **argv)
{
	json_t *reply = NULL;
	struct cli_opts opts;
	int code = cli_opts_parse(argc, argv, "dT", 0, 0, &opts);

	if (code < 0) {
		code = cli_ask(&opts, "failover", json_pack("{s:s?}", "to", opts.to), 0, &reply);
		if (code == CLI_OK) {
			const json_t *m = json_object_get(reply, "master");

			(void)printf("%s is the master now: %s:%lld, epoch %lld\n",
			    cli_text_of(m, "name"), cli_text_of(m, "host"),
			    (long long)json_integer_value(json_object_get(m, "port")),
			    (long long)json_integer_value(json_object_get(m, "epoch")));
		}
	}
	json_decref(reply);
	cli_opts_fini(&opts);
	return code;
}

/* start, stop and restart differ in their words only. */
static int
control_one(int argc, char **argv, const char *done)
{
	json_t *reply = NULL;
	struct cli_opts opts;
	int code = cli_opts_parse(argc, argv, "d", 1, 1, &opts);

	if (code < 0) {
		code = cli_ask(&opts, argv[0], json_pack("{s:s}", "name", opts.args[0]), 0, &reply);
		if (code == CLI_OK) {
			(void)printf("%s %s\n", opts.args[0], done);
		}
	}
	json_decref(reply);
	cli_opts_fini(&opts);
	return code;
}

int
cli_start(int argc, char **argv)
{
	return control_one(argc, argv, "is ready");
}

int
cli_stop(int argc, char **argv)
{
	return control_one(argc, argv, "is stopped");
}

int
cli_restart(int argc, char **argv)
{
	return control_one(argc, argv, "was restarted and is ready");
}

/* One option that changed: an object with option, from and to, or its name alone. */
static void
show_change(const char *head, const json_t *change)
{
	(void)fputs(head, stdout);
	if (json_is_string(change)) {
		cli_put_text(json_string_value(change));
	} else {
		cli_put_text(cli_text_of(change, "option"));
		(void)fputs(": ", stdout);
		cli_put_text(cli_text_of(change, "from"));
		(void)fputs(" -> ", stdout);
		cli_put_text(cli_text_of(change, "to"));
	}
	(void)putchar('\n');
}

int
cli_reload(int argc, char **argv)
{
	json_t *reply = NULL;
	struct cli_opts opts;
	int code = cli_opts_parse(argc, argv, "d", 0, 0, &opts);

	if (code < 0) {
		code = cli_ask(&opts, "reload", NULL, 0, &reply);
	}
	if (code == CLI_OK && reply != NULL) {
		const json_t *applied = json_object_get(reply, "applied");
		const json_t *later = json_object_get(reply, "restart_needed");

		for (size_t i = 0; i < json_array_size(applied); i++) {
			show_change("applied: ", json_array_get(applied, i));
		}
		for (size_t i = 0; i < json_array_size(later); i++) {
			show_change("needs a restart: ", json_array_get(later, i));
		}
		if (json_array_size(applied) == 0 && json_array_size(later) == 0) {
			(void)printf("nothing has changed\n");
		}
	}
	json_decref(reply);
	cli_opts_fini(&opts);
	return code;
}
