/*
 * Backups as files: DIR/backup/CLUSTER-TIME.rdb, each with CLUSTER-TIME.rdb.sha256 beside it, in the form that `sha256sum -c`
 * reads. Who saves the snapshot, and when, is the supervisor's business (supervisor/backup.c); here it becomes a backup, and what
 * is too old goes.
 *
 *   redis-2/dump.rdb  ──link or copy──►  NAME.tmp  ──flush──►  checksum  ──flush──►  NAME, NAME.sha256
 *
 * Redis replaces its snapshot by renaming another over it and never changes one that stands: a second name for it costs no room
 * until then. All of this reads and writes whole files and blocks: never in a process that serves.
 */
#ifndef INSTANCE_BACKUP_H
#define INSTANCE_BACKUP_H

#include <stddef.h>
#include <stdint.h>

#include "base/defs.h"
#include "base/errmsg.h"

#define BACKUP_FOLDER      "backup"
#define BACKUP_NAME_SIZE   128
#define BACKUP_SHA256_SIZE 65 /* hex digits and the end */

struct backup_file {
	char name[BACKUP_NAME_SIZE]; /* in the folder */
	char sha256[BACKUP_SHA256_SIZE];
	uint64_t bytes;
};

/*
 * Makes the snapshot `from` a backup in the folder `dir` (made when missing, 0700), under the cluster's name and the time `time_ms`
 * (wall clock). On return it is on the disk under its name, which no half-written one ever has. 0, or a negative errno with what to do.
 */
int backup_store(const char *dir, const char *from, const char *cluster, uint64_t time_ms,
    struct backup_file *ret_file, struct errmsg *err) ATTR_WARN_UNUSED;

/*
 * Removes backups of this cluster beyond the newest `keep` (0: any number may stay), and those older than `keep_ms` (0: any age) at
 * `now_ms`; the newest always stays. Also what an interrupted backup left a day ago. 0 and how many went, or a negative errno.
 */
int backup_rotate(const char *dir, const char *cluster, unsigned keep, uint64_t keep_ms,
    uint64_t now_ms, unsigned *ret_removed, struct errmsg *err) ATTR_WARN_UNUSED;

/* The time of the newest backup of this cluster; 0: there is none. Reads the folder only. */
uint64_t backup_newest_ms(const char *dir, const char *cluster);

/*
 * Is the file what its checksum says? 0; -ENOENT: there is no checksum beside it; -EILSEQ: it is damaged, or another errno,
 * with the reason.
 */
int backup_verify(const char *path, struct errmsg *err) ATTR_WARN_UNUSED;

/* Copies `from` to the new file `to` (0600, must not exist), sparing room where the file system shares blocks, and flushes it. */
int backup_copy(int from, const char *to, struct errmsg *err) ATTR_WARN_UNUSED;
/* Makes a folder (0700) that stays after a power cut, unless it is there. */
int backup_make_folder(const char *dir, struct errmsg *err) ATTR_WARN_UNUSED;
/* Flushes a folder, so that the names in it are on the disk. */
int backup_flush_folder(const char *dir, struct errmsg *err) ATTR_WARN_UNUSED;

#endif
