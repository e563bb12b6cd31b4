/* What the subcommands that read the configuration share: where it comes from, and saying what is wrong with it. */
#include "cli/cli_priv.h"
#include "conf/conf.h"

extern char **environ;

struct conf_sources
cli_conf_sources(const struct cli_opts *o)
{
	return (struct conf_sources){.file = o->config,
	    .env = environ,
	    .sets = o->set.items,
	    .set_count = o->set.count,
	    .data_dir = o->dir};
}

int
cli_say_faults(const struct conf_faults *faults)
{
	for (size_t i = 0; i < faults->count; i++) {
		cli_error("%s", faults->items[i]);
	}
	if (faults->dropped > 0) {
		cli_error("and %zu more", faults->dropped);
	}
	return CLI_BAD_CONFIG;
}

int
cli_conf(const struct cli_opts *o, struct conf **ret_conf)
{
	struct conf_sources sources = cli_conf_sources(o);
	struct conf_faults faults;
	int code = -1;

	conf_faults_init(&faults);
	if (conf_load(&sources, ret_conf, &faults) < 0) {
		code = cli_say_faults(&faults);
	}
	conf_faults_fini(&faults);
	return code;
}
