/* holdfast run: supervise in the foreground. */
#include <stdio.h>
#include <stdlib.h>

#include "cli/cli.h"
#include "conf/conf.h"
#include "supervisor/supervisor.h"

extern char **environ;

int
cli_run(int argc, char **argv)
{
	struct conf_sources sources = {.env = environ};
	struct conf_faults faults;
	struct cli_opts opts;
	struct conf *conf = NULL;
	int code = cli_opts_parse(argc, argv, "cds", 0, 0, &opts);

	if (code >= 0) {
		cli_opts_fini(&opts);
		return code;
	}
	sources.file = opts.config;
	sources.sets = opts.set.items;
	sources.set_count = opts.set.count;
	sources.data_dir = opts.dir;
	conf_faults_init(&faults);
	if (conf_load(&sources, &conf, &faults) < 0) {
		for (size_t i = 0; i < faults.count; i++) {
			cli_error("%s", faults.items[i]);
		}
		if (faults.dropped > 0) {
			cli_error("and %zu more", faults.dropped);
		}
		code = CLI_BAD_CONFIG;
	} else {
		code = supervisor_run(conf, &sources);
	}
	conf_faults_fini(&faults);
	cli_opts_fini(&opts);
	return code;
}
