#include "cli/worker.h"

#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "cli/cli.h"
#include "conf/conf.h"

/* Alone: the configuration as `holdfast run` would read it, and the sentinels that were named. */
static int
run_alone(const struct cli_opts *opts, const struct worker_ops *ops)
{
	struct conf_sources sources = {.file = opts->config,
	    .env = environ,
	    .sets = opts->set.items,
	    .set_count = opts->set.count,
	    .data_dir = opts->dir};
	struct worker_args args = {
	    .sentinels = opts->sentinel.items, .sentinel_count = opts->sentinel.count};
	struct conf_faults faults;
	int code = CLI_BAD_CONFIG;

	conf_faults_init(&faults);
	if (conf_load(&sources, &args.conf, &faults) == 0) {
		code = worker_main(&args, ops);
	}
	for (size_t i = 0; i < faults.count; i++) {
		cli_error("%s", faults.items[i]);
	}
	conf_faults_fini(&faults);
	return code;
}

int
cli_worker(int argc, char **argv, const struct worker_ops *ops)
{
	struct worker_args args = {0};
	struct cli_opts opts;
	int code = cli_opts_parse(argc, argv, "cdsSW", 0, 0, &opts);

	if (code < 0 && opts.worker != NULL) {
		/* It may be started as /proc/self/exe. */
		(void)prctl(PR_SET_NAME, "holdfast", 0, 0, 0);
		args.name = opts.worker;
		code = worker_main(&args, ops);
	} else if (code < 0 && opts.sentinel.count > 0) {
		code = run_alone(&opts, ops);
	} else if (code < 0) {
		cli_error("%s needs to know whom to ask: name a sentinel with --sentinel HOST:PORT",
		    argv[0]);
		code = CLI_USAGE;
	}
	cli_opts_fini(&opts);
	return code;
}
