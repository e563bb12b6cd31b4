/*
 * What must survive a restart, in one SQLite database: the process table (to adopt what still
 * runs), the master with its epoch, the event history, and a few words (meta).
 *
 * One process writes: the supervisor. Everybody else asks it over the control socket. Every call is
 * synchronous and short; none logs, aborts on a full or read-only disk, or calls back after it
 * returned.
 *
 * What a power cut can take: the last events and pids. What it cannot: readability, and a master,
 * a role or a wanted state that store_master_put or store_instance_put has returned 0 for (these
 * are flushed to the disk before they return; about 5 ms on a disk that flushes slowly, so keep
 * them off the path that clients wait for).
 *
 * Errors everywhere: -ENOSPC disk full, -EROFS read-only, -EACCES, -EIO, -EBUSY (another process
 * holds the database), -EUCLEAN (damaged while open: close, and open again to have it set aside),
 * -EINVAL a value that the table refuses. The text in `err` names the file and what to do.
 */
#ifndef STORE_STORE_H
#define STORE_STORE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>

#include "base/defs.h"
#include "base/errmsg.h"

struct store;

/* --- opening --------------------------------------------------------------------------------- */

enum store_opened {
	STORE_FOUND,   /* as it was left */
	STORE_CREATED, /* there was none: an empty folder */
	STORE_RESET,   /* it was damaged: set aside, a new one was made */
};

struct store_report {
	enum store_opened opened;
	unsigned migrated_from; /* schema version found, when it was older than ours; else 0 */
	char why[256];          /* STORE_RESET: what was wrong with it */
	char set_aside[512]; /* STORE_RESET: where the damaged file is now (its -wal beside it) */
};

/*
 * Opens or makes the database at `path` (its folder exists). Damage of any kind is set aside as
 * PATH.damaged-TIME and reported in ret_report: the caller writes the event. -ENOTSUP: the schema
 * is newer than this program's; nothing was touched.
 */
int store_open(const char *path, struct store **ret_store, struct store_report *ret_report,
    struct errmsg *err) ATTR_WARN_UNUSED;
/*
 * Could store_open use what is at `path`? Looks only, also while another process has it open. 0 (also when there is none), -ENOTSUP as
 * above, or what keeps it from being read.
 */
int store_peek(const char *path, struct errmsg *err) ATTR_WARN_UNUSED;
/* Folds the log into the database file. NULL is fine; *s is NULL afterwards. */
void store_close(struct store **s);

/* --- instances ------------------------------------------------------------------------------- */

#define STORE_NAME_SIZE 64
#define STORE_HOST_SIZE 256

/* Plain data. Which process an instance last had: only pid, start time and boot together name one.
 */
struct store_instance {
	char name[STORE_NAME_SIZE]; /* redis-1; the key */
	char kind[16];              /* redis, sentinel, proxy, http */
	pid_t pid;                  /* 0: none */
	uint64_t start_ticks;       /* field 22 of /proc/PID/stat */
	char boot_id[40];           /* /proc/sys/kernel/random/boot_id */
	uint16_t port;              /* 0: none */
	char role[16];              /* master, replica, or empty */
	bool wanted_up;             /* what the operator asked */
	uint64_t restarts;          /* since the row was made */
};

/* Writes or replaces the row; one that changes nothing costs nothing. */
int store_instance_put(
    struct store *s, const struct store_instance *inst, struct errmsg *err) ATTR_WARN_UNUSED;
/* 0 also when there is no such row. */
int store_instance_delete(struct store *s, const char *name, struct errmsg *err) ATTR_WARN_UNUSED;
/* -ENOENT: no such row. */
int store_instance_get(struct store *s, const char *name, struct store_instance *ret_inst,
    struct errmsg *err) ATTR_WARN_UNUSED;
/* All rows, by name. The callback returns false to stop and must not call the store. */
typedef bool store_instance_fn(void *arg, const struct store_instance *inst);
int store_instance_each(
    struct store *s, store_instance_fn *fn, void *arg, struct errmsg *err) ATTR_WARN_UNUSED;

/* --- the master ------------------------------------------------------------------------------ */

/* Plain data: the master of a cluster as last known. */
struct store_master {
	char cluster[STORE_NAME_SIZE];  /* holdfast.name; the key */
	char instance[STORE_NAME_SIZE]; /* empty when it is not one of ours */
	char host[STORE_HOST_SIZE];
	uint16_t port;
	uint64_t epoch;    /* Sentinel's config-epoch */
	uint64_t since_ms; /* wall clock; 0 in a put: now if host, port or instance changed */
};

/*
 * Durable when it returns 0. What is written is what is kept: whether an epoch may go down (all
 * sentinels made anew) is decided by the caller.
 */
int store_master_put(
    struct store *s, const struct store_master *master, struct errmsg *err) ATTR_WARN_UNUSED;
/* -ENOENT: none known. */
int store_master_get(struct store *s, const char *cluster, struct store_master *ret_master,
    struct errmsg *err) ATTR_WARN_UNUSED;

/* --- events ---------------------------------------------------------------------------------- */

enum event_kind {
#define EVENT(id, name, level, help) EVENT_##id,
#include "store/events.def"
#undef EVENT
	EVENT_KIND_COUNT
};

/* "instance.ready"; never NULL. */
const char *event_kind_name(enum event_kind kind);
/* A enum log_level: how its line in the log is marked. */
int event_kind_level(enum event_kind kind);

/* Plain data, borrowed: valid until the callback that shows it returns. */
struct store_event {
	int64_t id;       /* grows by one; never used again, also over restarts */
	uint64_t time_ms; /* wall clock */
	const char *kind; /* may be one that another version of this program wrote */
	const char *subject;
	const char *text;
	const char *detail; /* a JSON object */
};

#define STORE_EVENTS_KEPT      10000
#define STORE_EVENT_TEXT_MAX   1024 /* longer text is cut */
#define STORE_EVENT_DETAIL_MAX 8192 /* longer detail is replaced by its length */

/*
 * Adds an event, now. `detail`: a JSON object as text, or NULL. Bytes that are not UTF-8 become
 * '?'. The oldest beyond STORE_EVENTS_KEPT go, a few at a time. An event that could not be written
 * is counted, and the next that can be is preceded by a state.gap that says how many are missing.
 * ret_event (may be NULL) is what was stored, as followers are to see it; borrowed until the next
 * call of the store.
 */
int store_event_add(struct store *s, uint64_t time_ms, enum event_kind kind, const char *subject,
    const char *text, const char *detail, struct store_event *ret_event, struct errmsg *err);
/* How many are kept from now on (at least 1); for tests. */
void store_events_keep(struct store *s, uint64_t count);

/* Returns false to stop, and must not call the store. */
typedef bool store_event_fn(void *arg, const struct store_event *event);
/*
 * The last `limit` of those with an id between after_id and before_id (neither included; INT64_MAX: no bound), oldest of them
 * first. `kind`: only of that kind, or of the family whose name it is ("failover"); "": all.
 */
int store_events_page(struct store *s, int64_t after_id, int64_t before_id, const char *kind,
    size_t limit, store_event_fn *fn, void *arg, struct errmsg *err) ATTR_WARN_UNUSED;
/* {"id","time","kind","subject","text","detail"}: the caller's reference. */
json_t *store_event_json(const struct store_event *event);

/* --- figures --------------------------------------------------------------------------------- */

#define STORE_SAMPLES_KEPT 1440 /* minutes: a day */

/* The figures of a minute (since 1970), a JSON object as text; those older than a day go. Not durable: a power cut may take minutes. */
int store_sample_put(
    struct store *s, uint64_t minute, const char *figures, struct errmsg *err) ATTR_WARN_UNUSED;
/* Of the minutes after that one, in order. The callback must not call the store. */
typedef void store_sample_fn(void *arg, uint64_t minute, const char *figures);
int store_samples_each(struct store *s, uint64_t after_minute, store_sample_fn *fn, void *arg,
    struct errmsg *err) ATTR_WARN_UNUSED;

/* --- meta ------------------------------------------------------------------------------------ */

/* A word under a name. NULL value: forget it. `durable` as for the master. */
int store_meta_put(struct store *s, const char *key, const char *value, bool durable,
    struct errmsg *err) ATTR_WARN_UNUSED;
/* -ENOENT: none. free() the value. */
int store_meta_get(
    struct store *s, const char *key, char **ret_value, struct errmsg *err) ATTR_WARN_UNUSED;

/* --- for `holdfast version` and checks ------------------------------------------------------- */

#define STORE_SCHEMA_VERSION 2
const char *store_library_version(void);

#endif
