/* holdfast check: everything that would keep `holdfast run` from working, told at once. */
#include "cli/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include "cli/cli_priv.h"

/* Others on this host can read a file that holds a secret itself: it works, and should not be. */
static void
warn_of_secrets(const struct conf *conf)
{
	struct stat st;

	if (conf->file != NULL && conf->file_has_secret && stat(conf->file, &st) == 0 &&
	    (st.st_mode & 077) != 0) {
		cli_error("note: %s holds a password and can be read by others: chmod 600 it, or "
			  "put the password into a file of "
			  "its own, as password = @FILE",
		    conf->file);
	}
}

static int
check(const struct conf_sources *sources)
{
	struct conf_faults faults;
	struct conf *conf = NULL;
	int code = CLI_OK;

	conf_faults_init(&faults);
	if (conf_load_anyway(sources, &conf, &faults) == 0) {
		check_good("configuration", "%s",
		    conf->file != NULL ? conf->file
				       : "no file, all defaults but -s and the environment");
	}
	warn_of_secrets(conf);
	check_programs(conf, &faults);
	check_modules(conf, &faults);
	check_listeners(conf, &faults);
	check_tls(conf, &faults);
	if (conf->data_dir != NULL) {
		check_folders(conf, &faults);
	}
	(void)fflush(stdout);
	if (faults.count > 0) {
		code = cli_say_faults(&faults);
	}
	conf_faults_fini(&faults);
	conf_free(&conf);
	return code;
}

int
cli_check(int argc, char **argv)
{
	struct conf_sources sources;
	struct cli_opts opts;
	int code = cli_opts_parse(argc, argv, "cdsI", 0, 0, &opts);

	if (code < 0 && opts.webdis != NULL) {
		code = check_webdis(opts.webdis);
	} else if (code < 0) {
		sources = cli_conf_sources(&opts);
		code = check(&sources);
	}
	cli_opts_fini(&opts);
	return code;
}
