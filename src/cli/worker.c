#include "cli/worker.h"

#include <string.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "cli/cli_priv.h"

/* Alone: the configuration as `holdfast run` would read it, and the sentinels that were named. */
static int
run_alone(const struct cli_opts *opts, const struct worker_ops *ops)
{
	struct worker_args args = {
	    .sentinels = opts->sentinel.items, .sentinel_count = opts->sentinel.count};
	int code = cli_conf(opts, &args.conf);

	return code < 0 ? worker_main(&args, ops) : code;
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
