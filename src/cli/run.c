/* holdfast run: supervise in the foreground. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>

#include "base/mem.h"
#include "cli/cli_priv.h"
#include "supervisor/supervisor.h"

/* The command line of the process; the array is the caller's. */
static char **
whole_argv(int argc, char **argv)
{
	char **whole = xcalloc((size_t)argc + 2, sizeof(*whole));

	whole[0] = program_invocation_name;
	for (int i = 0; i < argc; i++) {
		whole[i + 1] = argv[i];
	}
	return whole;
}

/* Root in the folder of a service: the service could not start any more. */
static int
check_folder(const struct conf_sources *sources)
{
	struct errmsg err = ERRMSG_NONE;
	char *dir = NULL;
	int code = CLI_OK;

	if (conf_data_dir(sources->data_dir, sources->env, &dir, &err) == 0 &&
	    cli_is_foreign_folder(dir, &err)) {
		cli_error("%s", err.text);
		supervisor_give_back(err.text);
		code = CLI_FAILED;
	}
	free(dir);
	return code;
}

static int
run(const struct cli_opts *opts, char *const *argv)
{
	struct conf_sources sources = cli_conf_sources(opts);
	struct conf_faults faults;
	struct conf *conf = NULL;
	int code;

	if (check_folder(&sources) != CLI_OK) {
		return CLI_FAILED;
	}
	conf_faults_init(&faults);
	if (conf_load(&sources, &conf, &faults) < 0) {
		code = cli_say_faults(&faults);
		supervisor_give_back(
		    faults.count > 0 ? faults.items[0] : "its configuration has faults");
	} else if (opts->trial) {
		code = supervisor_trial(conf);
		conf_free(&conf);
	} else {
		code = supervisor_run(conf, &sources, argv);
	}
	conf_faults_fini(&faults);
	return code;
}

int
cli_run(int argc, char **argv)
{
	struct cli_opts opts;
	int code = cli_opts_parse(argc, argv, "cdsY", 0, 0, &opts);

	if (code < 0) {
		char **whole = whole_argv(argc, argv);

		/* One that was started from a descriptor has its number for a name. */
		(void)prctl(PR_SET_NAME, "holdfast", 0, 0, 0);
		code = run(&opts, whole);
		free(whole);
	} else if (code != CLI_OK) {
		supervisor_give_back("it does not understand the command line");
	}
	cli_opts_fini(&opts);
	return code;
}
