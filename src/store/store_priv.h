/*
 * What the files of this room share: the open database, its prepared statements, and how a result
 * of SQLite becomes an errno and a sentence. Nothing outside src/store includes it, unit tests
 * aside.
 */
#ifndef STORE_STORE_PRIV_H
#define STORE_STORE_PRIV_H

#include <sqlite3.h>

#include "base/buf.h"
#include "store/store.h"

#define STORE_MAGIC          0x53544f52U
#define STORE_APPLICATION_ID 0x48465354 /* "HFST", PRAGMA application_id */

enum store_stmt {
	STMT_BEGIN,
	STMT_COMMIT,
	STMT_ROLLBACK,
	STMT_INSTANCE_PUT,
	STMT_INSTANCE_DELETE,
	STMT_INSTANCE_GET,
	STMT_INSTANCE_ALL,
	STMT_MASTER_PUT,
	STMT_MASTER_GET,
	STMT_EVENT_ADD,
	STMT_EVENT_TRIM,
	STMT_EVENTS_PAGE,
	STMT_SAMPLE_PUT,
	STMT_SAMPLE_TRIM,
	STMT_SAMPLES,
	STMT_META_PUT,
	STMT_META_DELETE,
	STMT_META_GET,
	STMT_COUNT
};

struct store {
	uint32_t magic;
	sqlite3 *db;                     /* owned */
	char *path;                      /* owned */
	sqlite3_stmt *stmts[STMT_COUNT]; /* owned; prepared at open, which also proves the schema */
	bool full_sync;                  /* what PRAGMA synchronous is at present */
	uint64_t events_kept;
	uint64_t events_lost;
	struct buf shown; /* the strings of the event that store_event_add shows */
};

/* Turns SQLite's result (of `db`, may be NULL) into an errno; the sentence begins with `doing`,
 * e.g. "cannot write". */
int store_sqlite_error(
    sqlite3 *db, int result, const char *doing, const char *path, struct errmsg *err);
/* A statement ready to be bound. */
sqlite3_stmt *store_stmt(struct store *s, enum store_stmt which);
/* Runs a statement that returns no rows, and resets it. */
int store_run(struct store *s, sqlite3_stmt *stmt, struct errmsg *err);
/* The result of stepping a query: 1 a row, 0 no more (reset), or an error (reset). */
int store_row(struct store *s, sqlite3_stmt *stmt, struct errmsg *err) ATTR_WARN_UNUSED;
/* From here on a commit reaches the disk before it returns, or only the file. */
int store_sync_full(struct store *s, bool full, struct errmsg *err);
/* Column as a string into an array, cut to fit. */
void store_text(sqlite3_stmt *stmt, int column, char *into, size_t size);

/* schema.c: steps[i] brings version i to i + 1. */
extern const char *const schema_steps[];
extern const unsigned schema_step_count;
/* Brings the database from version `from` to `count`, a transaction a step. 0 or an error. */
int schema_migrate(sqlite3 *db, const char *path, const char *const *steps, unsigned from,
    unsigned count, struct errmsg *err) ATTR_WARN_UNUSED;

#endif
