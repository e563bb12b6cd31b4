/*
 * holdfast backup: asks the supervisor for one. And what the supervisor starts for it, `holdfast backup --worker redis-2 -d DIR
 * CLUSTER KEEP MAX_AGE_S`: makes a file of what that redis saved, and lets the old ones go; one line of JSON says what came of it.
 */
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/mem.h"
#include "base/slice.h"
#include "cli/cli_priv.h"
#include "instance/backup.h"

#define WORKER_ARGS 3
#define MIB         (1024. * 1024.)

static int
store(const char *data_dir, const struct cli_opts *o)
{
	char *dir = xasprintf("%s/" BACKUP_FOLDER, data_dir);
	char *from = xasprintf("%s/%s/dump.rdb", data_dir, o->worker);
	const char *cluster = o->args[0];
	struct errmsg err = ERRMSG_NONE;
	uint64_t keep, max_age_s, now = clock_wall_ms();
	struct backup_file file;
	unsigned removed = 0;
	int code = CLI_FAILED;
	json_t *line;

	if (!slice_to_u64(slice_str(o->args[1]), &keep) || keep > UINT_MAX ||
	    !slice_to_u64(slice_str(o->args[2]), &max_age_s) || max_age_s > UINT32_MAX) {
		cli_error("backup: two numbers are expected behind the cluster's name");
		code = CLI_USAGE;
	} else if (backup_store(dir, from, cluster, now, &file, &err) < 0 ||
		   backup_rotate(
		       dir, cluster, (unsigned)keep, max_age_s * 1000, now, &removed, &err) < 0) {
		cli_error("%s", err.text);
	} else {
		line = json_pack("{s:I,s:s,s:i}", "bytes", (json_int_t)file.bytes, "sha256",
		    file.sha256, "removed", (int)removed);
		(void)json_object_set_new(line, "file", json_sprintf("%s/%s", dir, file.name));
		cli_put_json(line);
		json_decref(line);
		code = CLI_OK;
	}
	free(dir);
	free(from);
	return code;
}

static int
ask(const struct cli_opts *o)
{
	json_t *reply = NULL;
	int code = cli_ask(o, "backup", NULL, 0, &reply);

	if (code == CLI_OK && o->json) {
		(void)json_object_del(reply, "ok");
		cli_put_json(reply);
	} else if (code == CLI_OK) {
		cli_put_text(cli_text_of(reply, "file"));
		(void)printf("\n%.1f MiB from %s, SHA-256 %s\n",
		    (double)json_integer_value(json_object_get(reply, "bytes")) / MIB,
		    cli_text_of(reply, "source"), cli_text_of(reply, "sha256"));
	}
	json_decref(reply);
	return code;
}

int
cli_backup(int argc, char **argv)
{
	struct cli_opts opts;
	char dir[PATH_MAX];
	int code = cli_opts_parse(argc, argv, "dJW", 0, WORKER_ARGS, &opts);

	if (code < 0 && opts.arg_count != (opts.worker != NULL ? WORKER_ARGS : 0)) {
		cli_error("backup takes no arguments: `holdfast help backup`");
		code = CLI_USAGE;
	}
	if (code < 0 && opts.worker == NULL) {
		code = ask(&opts);
	} else if (code < 0) {
		code = cli_data_dir(&opts, dir, sizeof(dir));
		code = code < 0 ? store(dir, &opts) : code;
	}
	cli_opts_fini(&opts);
	return code;
}
