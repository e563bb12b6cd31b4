/*
 * Data from elsewhere in the place of what the redis instances have: a backup, the dump.rdb of another Redis, its appendonly.aof
 * (before version 7) or its appendonlydir. All instances get it, whichever of them will begin as master; what they had is set aside as
 * NAME.before-restore-TIME, never deleted. Only while nothing runs.
 *
 *   restore_open: finds out what it is, opens all its files  ──►  (privileges may go)  ──►  restore_place
 */
#ifndef INSTANCE_RESTORE_H
#define INSTANCE_RESTORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/defs.h"
#include "base/errmsg.h"

#define RESTORE_FILES_MAX 512

enum restore_kind {
	RESTORE_RDB,     /* a snapshot */
	RESTORE_AOF,     /* one append-only file */
	RESTORE_AOF_DIR, /* the folder of them, with its manifest */
};

struct restore_file {
	char *name; /* owned: in the folder of an instance */
	int fd;     /* owned */
};

/* Plain data; restore_close it. */
struct restore_source {
	enum restore_kind kind;
	char *path;                 /* owned: what it was found to be */
	struct restore_file *files; /* owned */
	size_t count;
};

/*
 * `path`: a snapshot, an append-only file, a folder of them, or the data folder of a redis with exactly one of these. 0; -ENOENT; -EINVAL: it is
 * neither, or not whole; -EEXIST: it has both, and one must be named; or another errno, with what to do.
 */
int restore_open(
    const char *path, struct restore_source *ret_source, struct errmsg *err) ATTR_WARN_UNUSED;
void restore_close(struct restore_source *s);

/* Words for people: "a snapshot". */
const char *restore_kind_name(enum restore_kind kind);

/*
 * Puts copies of the files into `dir`, the folder of an instance (made when missing), all flushed; what redis would load from there is set
 * aside first. 0 or a negative errno; then what was set aside has its old names again.
 */
int restore_place(const struct restore_source *s, const char *dir, uint64_t stamp,
    struct errmsg *err) ATTR_WARN_UNUSED;
/* The inverse of a restore_place that succeeded, with the same stamp. 0 or a negative errno; the copies are gone in any case. */
int restore_take_back(const struct restore_source *s, const char *dir, uint64_t stamp,
    struct errmsg *err) ATTR_WARN_UNUSED;

#endif
