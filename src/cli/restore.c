/*
 * holdfast restore: data from elsewhere in the place of ours, while no supervisor and none of its servers runs. All is looked at before the
 * first file is touched. As root it works as the user to whom the data folder belongs: only the source is read with root's rights.
 */
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "cli/cli_priv.h"
#include "conf/conf.h"
#include "instance/backup.h"
#include "instance/redis_conf.h"
#include "instance/restore.h"
#include "net/listener.h"
#include "proc/capture.h"
#include "supervisor/lock.h"

#define CHECK_MS        (UINT64_C(6) * 3600 * 1000)
#define CHECK_BYTES_MAX ((size_t)256 * 1024)

/* The caller's. */
static char *
instance_dir(const struct conf *conf, unsigned i)
{
	return xasprintf("%s/%s", conf->data_dir, conf->redis[i].name);
}

/* Is there such an instance? */
static bool
is_instance(const struct conf *conf, const char *name)
{
	for (unsigned i = 0; i < conf->redis_instances; i++) {
		if (strcmp(conf->redis[i].name, name) == 0) {
			return true;
		}
	}
	return false;
}

/*
 * Without -c the configuration is a guess. What the folder was run with stands in its files: an instance that would be forgotten keeps its data, and begins
 * with it, should it have been the master; at another port one could run unseen.
 */
static int
check_guess(const struct conf *conf, struct errmsg *err)
{
	DIR *d = opendir(conf->data_dir);
	struct dirent *entry;
	int rc = 0;

	for (unsigned i = 0; i < conf->redis_instances && rc == 0; i++) {
		char *dir = instance_dir(conf, i);
		uint16_t port;

		if (redis_conf_read_port(dir, &port, NULL) == 0 && port != conf->redis[i].port) {
			rc = -EINVAL;
			errmsg_set(err,
			    "%s was run with port %u, not %u: name the configuration of this "
			    "folder with -c FILE",
			    dir, port, conf->redis[i].port);
		}
		free(dir);
	}
	while (rc == 0 && d != NULL && (entry = readdir(d)) != NULL) {
		char *dir = xasprintf("%s/%s", conf->data_dir, entry->d_name);
		uint16_t port;

		if (strncmp(entry->d_name, "redis-", 6) == 0 && !is_instance(conf, entry->d_name) &&
		    redis_conf_read_port(dir, &port, NULL) == 0) {
			rc = -EINVAL;
			errmsg_set(err,
			    "%s is there, and only %u redis instances are configured: name the "
			    "configuration of this folder with -c FILE, or remove %s if it is no "
			    "longer needed",
			    dir, conf->redis_instances, dir);
		}
		free(dir);
	}
	if (d != NULL) {
		(void)closedir(d);
	}
	return rc;
}

/* Servers of a supervisor that was killed go on, and would write into what we put there. */
static int
check_nothing_runs(const struct conf *conf, struct errmsg *err)
{
	for (unsigned i = 0; i < conf->redis_instances; i++) {
		const struct conf_redis *r = &conf->redis[i];

		for (size_t k = 0; k < r->bind.count; k++) {
			struct endpoint ep = endpoint_tcp(r->bind.items[k], r->port);
			int rc = listener_probe(&ep, err);

			if (rc == -EADDRINUSE) {
				errmsg_prefix(err, "restore needs all servers stopped (start "
						   "`holdfast run`, then end "
						   "it)");
				return rc;
			}
		}
	}
	return 0;
}

/* redis-check-rdb of the server that will read it; without one the server is the first to see. The caller's; NULL. */
static char *
find_check_program(const struct conf *conf)
{
	struct errmsg err = ERRMSG_NONE;
	char *server = NULL, *slash, *program = NULL;

	if (conf_find_server(conf->redis_server, &server, &err) == 0 &&
	    (slash = strrchr(server, '/')) != NULL) {
		program = xasprintf("%.*s/%s-check-rdb", (int)(slash - server), server,
		    strncmp(slash + 1, "valkey", 6) == 0 ? "valkey" : "redis");
		if (access(program, X_OK) != 0) {
			free(program);
			program = NULL;
		}
	}
	free(server);
	return program;
}

/* The line of what it said that says what is wrong: the one behind its headline, else the last. */
static struct slice
reason_in(struct slice text)
{
	static const char headline[] = "ERROR DETECTED ---\n";
	const uint8_t *found = memmem(text.ptr, text.len, headline, sizeof(headline) - 1), *end;

	while (text.len > 0 && text.ptr[text.len - 1] == '\n') {
		text.len--;
	}
	if (found != NULL && (size_t)(found - text.ptr) + sizeof(headline) - 1 < text.len) {
		found += sizeof(headline) - 1;
		text.len -= (size_t)(found - text.ptr);
		text.ptr = found;
		end = memchr(text.ptr, '\n', text.len);
		return (struct slice){text.ptr, end != NULL ? (size_t)(end - text.ptr) : text.len};
	}
	for (size_t i = text.len; i > 0; i--) {
		if (text.ptr[i - 1] == '\n') {
			return (struct slice){text.ptr + i, text.len - i};
		}
	}
	return text;
}

static int
check_snapshot(const struct conf *conf, const char *path, struct errmsg *err)
{
	char *program = find_check_program(conf), *copy = xstrdup(path);
	char *argv[] = {program, copy, NULL};
	struct buf said;
	int status = 0, rc = 0;

	buf_init(&said, CHECK_BYTES_MAX);
	if (program != NULL) {
		rc = capture(program, argv, CHECK_MS, &said, &status, err);
	}
	if (rc == 0 && status != 0) {
		struct slice line = reason_in(buf_slice(&said));

		rc = -EILSEQ;
		errmsg_set(err,
		    "%s finds the snapshot damaged, or of a newer redis: %.*s: take another one, "
		    "or let "
		    "redis.server be one that is as new",
		    program, (int)MIN(line.len, (size_t)300), (const char *)line.ptr);
	}
	buf_fini(&said);
	free(program);
	free(copy);
	return rc;
}

/* A copy that is ours, looked at before anything else is touched; `source` has it from then on. */
static int
stage(const struct conf *conf, struct restore_source *source, uint64_t stamp, char **ret_copy,
    struct errmsg *err)
{
	char *copy = xasprintf("%s/restore-%llu.tmp", conf->data_dir, (unsigned long long)stamp);
	int fd = -1, rc = backup_copy(source->files[0].fd, copy, err);

	*ret_copy = copy;
	if (rc == 0) {
		rc = check_snapshot(conf, copy, err);
	}
	if (rc == 0) {
		fd = open(copy, O_RDONLY | O_CLOEXEC);
		rc = fd != -1 ? 0 : -errno;
		if (rc < 0) {
			errmsg_set(err, "cannot read %s: %s", copy, strerror(-rc));
		}
	}
	if (rc == 0) {
		(void)close(source->files[0].fd);
		source->files[0].fd = fd;
	}
	return rc;
}

/*
 * All instances, or, where that fails, none. The first one last: where nothing else says who was master, the newest data begins.
 */
static int
place_all(const struct conf *conf, const struct restore_source *source, uint64_t stamp,
    struct errmsg *err)
{
	unsigned left = conf->redis_instances;
	int rc = 0;

	while (left > 0 && rc == 0) {
		char *dir = instance_dir(conf, left - 1);

		rc = restore_place(source, dir, stamp, err);
		left -= rc == 0 ? 1 : 0;
		free(dir);
	}
	for (unsigned i = left; rc < 0 && i < conf->redis_instances; i++) {
		char *dir = instance_dir(conf, i);
		struct errmsg undo = ERRMSG_NONE;

		if (restore_take_back(source, dir, stamp, &undo) < 0) {
			errmsg_prefix(err, "%s", undo.text);
		}
		free(dir);
	}
	return rc;
}

static int
check_source(const struct conf *conf, const struct restore_source *source, struct errmsg *err)
{
	int rc;

	if (source->kind == RESTORE_RDB) {
		rc = backup_verify(source->path, err);
		return rc == -ENOENT ? 0 : rc;
	}
	for (unsigned i = 0; i < conf->redis_instances; i++) {
		if (!conf->redis[i].appendonly) {
			errmsg_set(err,
			    "%s is %s, and redis.appendonly is no: the servers would not read it",
			    source->path, restore_kind_name(source->kind));
			return -EINVAL;
		}
	}
	return 0;
}

static int
restore(const struct conf *conf, const char *path)
{
	uint64_t stamp = clock_wall_ms() / 1000;
	struct restore_source source = {0};
	struct errmsg err = ERRMSG_NONE;
	int lock_fd = -1, rc = restore_open(path, &source, &err);
	char *copy = NULL;

	if (rc == 0) {
		rc = check_source(conf, &source, &err);
	}
	if (rc == 0) {
		rc = MIN(cli_become_owner(conf->data_dir, true, &err), 0);
	}
	if (rc == 0) {
		rc = lock_folder(conf->data_dir, &lock_fd, &err);
	}
	if (rc == 0 && conf->file == NULL) {
		rc = check_guess(conf, &err);
	}
	if (rc == 0) {
		rc = check_nothing_runs(conf, &err);
	}
	if (rc == 0 && source.kind == RESTORE_RDB) {
		rc = stage(conf, &source, stamp, &copy, &err);
	}
	if (rc == 0) {
		rc = place_all(conf, &source, stamp, &err);
	}
	if (rc == 0) {
		(void)printf("%s, %s, is in place for the next start of `holdfast run`\n"
			     "what was there before is in %s/redis-*/*.before-restore-%llu: remove "
			     "it once all is well\n",
		    source.path, restore_kind_name(source.kind), conf->data_dir,
		    (unsigned long long)stamp);
		if (conf->peer_count > 0) {
			(void)printf("do the same on every other host before the first is "
				     "started\n");
		}
	} else {
		cli_error("%s", err.text);
	}
	if (copy != NULL) {
		(void)unlink(copy);
	}
	free(copy);
	if (lock_fd != -1) {
		(void)close(lock_fd);
	}
	restore_close(&source);
	return rc == 0 ? CLI_OK : CLI_FAILED;
}

int
cli_restore(int argc, char **argv)
{
	struct conf *conf = NULL;
	struct cli_opts opts;
	int code = cli_opts_parse(argc, argv, "cds", 1, 1, &opts);

	if (code < 0) {
		code = cli_conf(&opts, &conf);
	}
	if (code < 0) {
		code = restore(conf, opts.args[0]);
	}
	conf_free(&conf);
	cli_opts_fini(&opts);
	return code;
}
