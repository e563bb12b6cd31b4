/* holdfast upgrade: another binary in the place of the supervisor that runs. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "cli/cli_priv.h"

/* The trial, and until the new one serves. */
#define UPGRADE_MS 120000

int
cli_upgrade(int argc, char **argv)
{
	char path[PATH_MAX], *binary = NULL;
	json_t *reply = NULL;
	struct cli_opts opts;
	int code = cli_opts_parse(argc, argv, "d", 0, 1, &opts);

	/* The supervisor has another working directory. */
	if (code < 0 && opts.arg_count == 1) {
		binary = realpath(opts.args[0], path);
		if (binary == NULL) {
			cli_error("there is no program %s: %s", opts.args[0], strerror(errno));
			code = CLI_FAILED;
		}
	}
	if (code < 0) {
		code = cli_ask(
		    &opts, "upgrade", json_pack("{s:s?}", "binary", binary), UPGRADE_MS, &reply);
		if (code == CLI_OK) {
			(void)printf("holdfast %s took the place of %s, pid %lld\n",
			    cli_text_of(reply, "to"), cli_text_of(reply, "from"),
			    (long long)json_integer_value(json_object_get(reply, "pid")));
		}
	}
	json_decref(reply);
	cli_opts_fini(&opts);
	return code;
}
