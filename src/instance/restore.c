#include "instance/restore.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "instance/backup.h"
#include "instance/redis_data.h"

#define MANIFEST_SUFFIX ".manifest"
#define MANIFEST_MAX    ((size_t)256 * 1024)
#define OUR_MANIFEST    "appendonlydir/appendonly.aof.manifest"
#define SET_ASIDE       "before-restore"

const char *
restore_kind_name(enum restore_kind kind)
{
	return kind == RESTORE_RDB   ? "a snapshot"
	       : kind == RESTORE_AOF ? "an append-only file"
				     : "a folder of append-only files";
}

void
restore_close(struct restore_source *s)
{
	for (size_t i = 0; i < s->count; i++) {
		(void)close(s->files[i].fd);
		free(s->files[i].name);
	}
	free(s->files);
	free(s->path);
	*s = (struct restore_source){0};
}

/* Opens a file and notes it under `name` (taken over). */
static int
add(struct restore_source *s, const char *path, char *name, struct errmsg *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = -errno;
	struct stat st;

	if (fd == -1 || fstat(fd, &st) == -1) {
		errmsg_set(err, "cannot read %s: %s", path, strerror(-rc));
	} else if (!S_ISREG(st.st_mode)) {
		rc = -EINVAL;
		errmsg_set(err, "%s is no plain file", path);
	} else if (s->count >= RESTORE_FILES_MAX) {
		rc = -E2BIG;
		errmsg_set(err, "%s has more than %d files: write it anew (BGREWRITEAOF) first",
		    s->path, RESTORE_FILES_MAX);
	} else {
		s->files = xreallocarray(s->files, s->count + 1, sizeof(*s->files));
		s->files[s->count++] = (struct restore_file){.name = name, .fd = fd};
		return 0;
	}
	if (fd != -1) {
		(void)close(fd);
	}
	free(name);
	return rc;
}

/* ---- one file ---- */

static int
open_file(struct restore_source *s, struct errmsg *err)
{
	char head[5] = "";
	int rc = add(s, s->path, xstrdup("dump.rdb"), err);
	ssize_t n;

	if (rc < 0) {
		return rc;
	}
	n = pread(s->files[0].fd, head, sizeof(head), 0);
	if (n == (ssize_t)sizeof(head) && memcmp(head, "REDIS", sizeof(head)) == 0) {
		const char *dot = strrchr(s->path, '.');

		/* An append-only file may begin with a snapshot, too. */
		s->kind = dot != NULL && strcmp(dot, ".aof") == 0 ? RESTORE_AOF : RESTORE_RDB;
	} else if (n > 0 && (head[0] == '*' || head[0] == '#')) {
		s->kind = RESTORE_AOF;
	} else {
		errmsg_set(err,
		    "%s is neither a snapshot (dump.rdb) nor an append-only file of redis",
		    s->path);
		return -EINVAL;
	}
	if (s->kind == RESTORE_AOF) {
		free(s->files[0].name);
		s->files[0].name = xstrdup("appendonly.aof");
	}
	return 0;
}

/* ---- a folder of append-only files ---- */

/* The one manifest in the folder: its name, the caller's; NULL: there is none, or more than one (-EINVAL). */
static char *
find_manifest(const char *dir, int *ret_rc)
{
	DIR *d = opendir(dir);
	char *found = NULL;
	struct dirent *entry;

	*ret_rc = 0;
	while (d != NULL && (entry = readdir(d)) != NULL) {
		size_t len = strlen(entry->d_name), end = strlen(MANIFEST_SUFFIX);

		if (len <= end || strcmp(entry->d_name + len - end, MANIFEST_SUFFIX) != 0) {
			continue;
		}
		if (found != NULL) {
			*ret_rc = -EINVAL;
			break;
		}
		found = xstrdup(entry->d_name);
	}
	if (d != NULL) {
		(void)closedir(d);
	}
	if (*ret_rc < 0) {
		free(found);
		found = NULL;
	}
	return found;
}

/* The file that a line of a manifest names ("file NAME seq 1 type b"); NULL: none, or not in this very folder. The caller's. */
static char *
file_of(const char *line)
{
	const char *at = strstr(line, "file ");
	size_t len = at != NULL ? strcspn(at + 5, " \r\n") : 0;
	char *name;

	if (at != line || len == 0 || len > 255) {
		return NULL;
	}
	name = xstrndup(at + 5, len);
	if (strchr(name, '/') != NULL || name[0] == '.' || name[0] == '"') {
		free(name);
		return NULL;
	}
	return name;
}

static int
add_named(struct restore_source *s, const char *line, struct errmsg *err)
{
	char *name = file_of(line), *path;
	int rc;

	if (name == NULL) {
		errmsg_set(err, "the manifest of %s has a line that names no file of it", s->path);
		return -EINVAL;
	}
	path = xasprintf("%s/%s", s->path, name);
	rc = add(s, path, xasprintf("appendonlydir/%s", name), err);
	free(path);
	free(name);
	return rc;
}

static int
add_listed(struct restore_source *s, const char *manifest, struct errmsg *err)
{
	FILE *f = fopen(manifest, "re");
	char *line = NULL;
	size_t size = 0, total = 0;
	ssize_t n;
	int rc = f != NULL ? 0 : -errno;

	if (rc < 0) {
		errmsg_set(err, "cannot read %s: %s", manifest, strerror(-rc));
		return rc;
	}
	while (rc == 0 && (n = getline(&line, &size, f)) > 0) {
		total += (size_t)n;
		if (total > MANIFEST_MAX) {
			rc = -E2BIG;
			errmsg_set(err, "%s is too long for a manifest", manifest);
		} else if (line[0] != '#' && line[strspn(line, " \r\n")] != '\0' &&
			   strstr(line, "type h") == NULL) { /* history: about to be deleted */
			rc = add_named(s, line, err);
		}
	}
	free(line);
	(void)fclose(f);
	if (rc == 0 && s->count < 2) {
		rc = -EINVAL;
		errmsg_set(err, "%s names no files", manifest);
	}
	return rc;
}

/* Its own name of the manifest does not matter: the files are named in it. */
static int
open_aof_folder(struct restore_source *s, const char *manifest, struct errmsg *err)
{
	char *path = xasprintf("%s/%s", s->path, manifest);
	int rc;

	s->kind = RESTORE_AOF_DIR;
	rc = add(s, path, xstrdup(OUR_MANIFEST), err);
	if (rc == 0) {
		rc = add_listed(s, path, err);
	}
	free(path);
	return rc;
}

/* ---- the data folder of a redis ---- */

static bool
is_there(const char *dir, const char *name)
{
	char *path = xasprintf("%s/%s", dir, name);
	bool there = access(path, F_OK) == 0;

	free(path);
	return there;
}

static int
choose(struct restore_source *s, struct errmsg *err)
{
	static const char *const names[] = {"appendonlydir", "appendonly.aof", "dump.rdb"};
	const char *found = NULL;
	char *path;

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (!is_there(s->path, names[i])) {
			continue;
		}
		if (found != NULL) {
			errmsg_set(err,
			    "%s has both %s and %s: name the one to restore (a server with "
			    "`appendonly yes` has its newest data in the append-only one)",
			    s->path, found, names[i]);
			return -EEXIST;
		}
		found = names[i];
	}
	if (found == NULL) {
		errmsg_set(err, "%s has neither a dump.rdb nor append-only files", s->path);
		return -ENOENT;
	}
	path = xasprintf("%s/%s", s->path, found);
	free(s->path);
	s->path = path;
	return 0;
}

/* A folder: with a manifest it is one of append-only files, else that of a redis, which has one thing to take. */
static int
open_folder(struct restore_source *s, bool chosen, struct errmsg *err)
{
	int rc;
	char *manifest = find_manifest(s->path, &rc);
	struct stat st;

	if (rc < 0) {
		errmsg_set(err, "%s has more than one manifest", s->path);
	} else if (manifest != NULL) {
		rc = open_aof_folder(s, manifest, err);
	} else if (chosen) {
		rc = -EINVAL;
		errmsg_set(err, "%s has no manifest, so redis itself would not read it", s->path);
	} else {
		rc = choose(s, err);
		if (rc == 0 && stat(s->path, &st) == 0 && S_ISDIR(st.st_mode)) {
			rc = open_folder(s, true, err);
		} else if (rc == 0) {
			rc = open_file(s, err);
		}
	}
	free(manifest);
	return rc;
}

int
restore_open(const char *path, struct restore_source *ret_source, struct errmsg *err)
{
	struct restore_source s = {.path = xstrdup(path)};
	struct stat st;
	int rc;

	if (stat(path, &st) == -1) {
		rc = -errno;
		errmsg_set(err, "cannot read %s: %s", path, strerror(-rc));
	} else if (S_ISDIR(st.st_mode)) {
		rc = open_folder(&s, false, err);
	} else {
		rc = open_file(&s, err);
	}
	if (rc < 0) {
		restore_close(&s);
	} else {
		*ret_source = s;
	}
	return rc;
}

/* ---- placing ---- */

static int
copy_all(const struct restore_source *s, const char *dir, struct errmsg *err)
{
	char *folder = xasprintf("%s/appendonlydir", dir);
	int rc = s->kind == RESTORE_AOF_DIR ? backup_make_folder(folder, err) : 0;

	/* The manifest is the first: without it redis takes none of the others for its own, so it comes last. */
	for (size_t i = s->count; i > 0 && rc == 0; i--) {
		char *to = xasprintf("%s/%s", dir, s->files[i - 1].name);

		rc = backup_copy(s->files[i - 1].fd, to, err);
		free(to);
	}
	if (rc == 0 && s->kind == RESTORE_AOF_DIR) {
		rc = backup_flush_folder(folder, err);
	}
	free(folder);
	return rc;
}

/* What was copied so far goes. */
static void
remove_all(const struct restore_source *s, const char *dir)
{
	for (size_t i = 0; i < s->count; i++) {
		char *path = xasprintf("%s/%s", dir, s->files[i].name);

		(void)unlink(path);
		free(path);
	}
	if (s->kind == RESTORE_AOF_DIR) {
		char *path = xasprintf("%s/appendonlydir", dir);

		(void)rmdir(path);
		free(path);
	}
}

int
restore_take_back(
    const struct restore_source *s, const char *dir, uint64_t stamp, struct errmsg *err)
{
	remove_all(s, dir);
	return redis_data_put_back(dir, SET_ASIDE, stamp, err);
}

int
restore_place(const struct restore_source *s, const char *dir, uint64_t stamp, struct errmsg *err)
{
	struct errmsg undo = ERRMSG_NONE;
	int rc = backup_make_folder(dir, err);

	if (rc < 0) {
		return rc;
	}
	rc = redis_data_set_aside(dir, SET_ASIDE, stamp, err);
	if (rc < 0) {
		if (redis_data_put_back(dir, SET_ASIDE, stamp, &undo) < 0) {
			errmsg_prefix(err, "%s", undo.text);
		}
		return rc;
	}
	rc = copy_all(s, dir, err);
	if (rc == 0) {
		rc = backup_flush_folder(dir, err);
	}
	if (rc < 0 && restore_take_back(s, dir, stamp, &undo) < 0) {
		errmsg_prefix(err, "%s", undo.text);
	}
	return rc;
}
