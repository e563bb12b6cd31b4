/* holdfast check: everything that would keep `holdfast run` from working, told at once. */
#include "cli/check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

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

/* As the service would find it, not as root does: whose the folder is decides, before anything is read. */
static void
look_as_owner(const char *dir)
{
	struct errmsg err = ERRMSG_NONE;
	int rc = cli_become_owner(dir, false, &err);
	char name[64];

	if (rc < 0) {
		cli_error("note: %s: what it may not read or listen on is not seen", err.text);
	} else if (rc > 0) {
		check_good("user", "%s, to whom the data folder belongs",
		    cli_user_name(geteuid(), name, sizeof(name)));
	}
}

static int
check(struct conf_sources *sources)
{
	struct errmsg err = ERRMSG_NONE;
	struct conf_faults faults;
	char *dir = NULL;
	struct conf *conf = NULL;
	int code = CLI_OK;

	conf_faults_init(&faults);
	if (conf_data_dir(sources->data_dir, sources->env, &dir, &err) == 0) {
		sources->data_dir = dir; /* root's default, whoever we are then */
		look_as_owner(dir);
	}
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
	free(dir);
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
