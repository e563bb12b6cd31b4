/* holdfast failover, start, stop, restart, reload: ask, wait, say what came of it. */
#include <stdio.h>
#include <string.h>

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
ask_one(const struct cli_opts *o, const char *cmd, const char *done, json_t **ret_reply)
{
	int code = cli_ask(o, cmd, json_pack("{s:s}", "name", o->args[0]), 0, ret_reply);

	if (code == CLI_OK) {
		(void)printf("%s %s\n", o->args[0], done);
	}
	return code;
}

static int
control_one(int argc, char **argv, const char *done)
{
	json_t *reply = NULL;
	struct cli_opts opts;
	int code = cli_opts_parse(argc, argv, "d", 1, 1, &opts);

	if (code < 0) {
		code = ask_one(&opts, argv[0], done, &reply);
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

static void
show_step(const json_t *line, const struct cli_opts *o)
{
	if (json_is_string(json_object_get(line, "step"))) {
		cli_put_text(cli_text_of(line, "step"));
		(void)putchar('\n');
	}
}

int
cli_restart(int argc, char **argv)
{
	json_t *reply = NULL;
	struct cli_opts opts;
	int code = cli_opts_parse(argc, argv, "dR", 0, 1, &opts);

	if (code >= 0) {
		cli_opts_fini(&opts);
		return code;
	}
	if (opts.rolling == (opts.arg_count == 1)) {
		cli_error(
		    "restart takes either the NAME of an instance or --rolling, which restarts "
		    "all servers one after the other");
		code = CLI_USAGE;
	} else if (opts.rolling) {
		opts.follow = true; /* each step as it happens, however long it takes */
		code = cli_stream(&opts, "rolling", NULL, show_step);
	} else {
		code = ask_one(&opts, argv[0], "was restarted and is ready", &reply);
	}
	json_decref(reply);
	cli_opts_fini(&opts);
	return code;
}

/* How what needs a restart takes effect. */
static void
show_how(const json_t *later)
{
	bool rolling = false, all = false;

	for (size_t i = 0; i < json_array_size(later); i++) {
		const json_t *change = json_array_get(later, i);
		const char *what = cli_text_of(change, "restart");
		const char *option = cli_text_of(change, "option");
		size_t len = strlen(option);
		/* where a server is reached is fixed for the life of its supervisor */
		bool is_port = len > 5 && strcmp(option + len - 5, ".port") == 0;
		bool server = strcmp(what, "redis") == 0 || strcmp(what, "sentinel") == 0;

		rolling = rolling || (server && !is_port);
		all = all || (what[0] != '\0' && (!server || is_port));
	}
	if (rolling) {
		(void)printf("%s with `holdfast restart --rolling`, while clients go on\n",
		    all ? "what is the servers' own takes effect" : "it takes effect");
	}
	if (all) {
		(void)printf("%s when `holdfast run` is stopped and started\n",
		    rolling ? "ports, proxy, http and supervisor options take effect"
			    : "it takes effect");
	}
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
		show_how(later);
		if (json_object_get(reply, "waits_for") != NULL) {
			const char *waits = cli_text_of(reply, "waits_for");

			(void)printf("TLS between hosts begins or ends on all of them at the same "
				     "moment, while the proxies hold requests%s%s\n",
			    waits[0] != '\0' ? "; `holdfast reload` is to be done on: " : "",
			    waits);
		} else if (json_object_get(reply, "pid") != NULL) {
			(void)printf(
			    "the supervisor has begun anew in place, as is needed where a host "
			    "becomes one of several or none of them; see `holdfast "
			    "status`\n");
		} else if (json_array_size(applied) == 0 && json_array_size(later) == 0) {
			(void)printf("nothing has changed\n");
		}
	}
	json_decref(reply);
	cli_opts_fini(&opts);
	return code;
}
