/* The data folder: there or to be made, ours to write in, with room. */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/check.h"

#define MIB ((uint64_t)1 << 20)
/* Less than that is soon full of nothing but logs and the append-only file's rewriting. */
#define FREE_BYTES_MIN (64 * MIB)

static void
check_room(const char *dir, const char *there, struct conf_faults *faults)
{
	struct statvfs fs;
	uint64_t free_bytes;

	if (statvfs(there, &fs) == -1) {
		conf_faults_add(
		    faults, "%s: cannot tell how much room is left: %s", there, strerror(errno));
		return;
	}
	free_bytes = (uint64_t)fs.f_bavail * fs.f_frsize;
	if (free_bytes < FREE_BYTES_MIN || (fs.f_files > 0 && fs.f_favail == 0)) {
		conf_faults_add(faults,
		    "%s: only %" PRIu64 " MiB%s are left there, %" PRIu64
		    " MiB are the least: make room, or choose another data "
		    "folder with -d",
		    dir, free_bytes / MIB,
		    fs.f_files > 0 && fs.f_favail == 0 ? " and no inodes" : "",
		    FREE_BYTES_MIN / MIB);
		return;
	}
	check_good("data folder", "%s%s, %" PRIu64 " MiB free", dir,
	    strcmp(dir, there) == 0 ? "" : " (to be made)", free_bytes / MIB);
}

/* The longest part of the path that exists; a new string. */
static char *
existing_part(const char *dir)
{
	char *part = xstrdup(dir), *slash;
	struct stat st;

	while (lstat(part, &st) == -1 && errno == ENOENT && (slash = strrchr(part, '/')) != NULL &&
	       part[1] != '\0') {
		slash[slash == part ? 1 : 0] = '\0';
	}
	return part;
}

/* A folder of an instance that was made by another user, root mostly, stops that instance. */
static void
check_instances(const struct conf *conf, struct conf_faults *faults)
{
	for (unsigned n = 0; n < conf->redis_instances + conf->sentinel_instances; n++) {
		bool redis = n < conf->redis_instances;
		char *dir = xasprintf("%s/%s-%u", conf->data_dir, redis ? "redis" : "sentinel",
		    redis ? n + 1 : n - conf->redis_instances + 1);

		if (access(dir, R_OK | W_OK | X_OK) == -1 && errno != ENOENT) {
			conf_faults_add(faults, "%s: %s: give it to the user who runs Holdfast",
			    dir, strerror(errno));
		}
		free(dir);
	}
}

void
check_folders(const struct conf *conf, struct conf_faults *faults)
{
	const char *dir = conf->data_dir;
	char *there = existing_part(dir);
	struct stat st;

	if (stat(there, &st) == -1) {
		conf_faults_add(faults, "data folder %s: %s: %s", dir, there, strerror(errno));
	} else if (!S_ISDIR(st.st_mode)) {
		conf_faults_add(faults,
		    "data folder %s: %s is no folder: choose another one with -d or HOLDFAST_DIR",
		    dir, there);
	} else if (access(there, W_OK | X_OK) == -1) {
		conf_faults_add(faults,
		    "data folder %s: %s cannot be written (%s): give it to the user who runs "
		    "Holdfast, or choose another one with -d "
		    "or HOLDFAST_DIR",
		    dir, there, strerror(errno));
	} else {
		check_room(dir, there, faults);
		check_instances(conf, faults);
	}
	free(there);
}
