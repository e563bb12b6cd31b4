/*
 * The schema, as the steps that lead to it. A step that was released is never changed: a new
 * version is a new step at the end. STRICT tables: a value of the wrong type is an error, not a
 * surprise at reading.
 */
#include <stdio.h>

#include "store/store_priv.h"

const char *const schema_steps[] = {
    /* 0 → 1 */
    "CREATE TABLE instances ("
    " name TEXT PRIMARY KEY CHECK (name <> ''),"
    " kind TEXT NOT NULL,"
    " pid INTEGER NOT NULL CHECK (pid >= 0),"
    " start_ticks INTEGER NOT NULL,"
    " boot_id TEXT NOT NULL,"
    " port INTEGER NOT NULL CHECK (port BETWEEN 0 AND 65535),"
    " role TEXT NOT NULL CHECK (role IN ('', 'master', 'replica')),"
    " wanted_up INTEGER NOT NULL CHECK (wanted_up IN (0, 1)),"
    " restarts INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE master ("
    " cluster TEXT PRIMARY KEY CHECK (cluster <> ''),"
    " instance TEXT NOT NULL,"
    " host TEXT NOT NULL CHECK (host <> ''),"
    " port INTEGER NOT NULL CHECK (port BETWEEN 1 AND 65535),"
    " epoch INTEGER NOT NULL CHECK (epoch >= 0),"
    " since_ms INTEGER NOT NULL"
    ") STRICT, WITHOUT ROWID;"
    "CREATE TABLE events ("
    " id INTEGER PRIMARY KEY AUTOINCREMENT," /* never used again: followers resume after an id */
    " time_ms INTEGER NOT NULL,"
    " kind TEXT NOT NULL,"
    " subject TEXT NOT NULL,"
    " text TEXT NOT NULL,"
    " detail TEXT NOT NULL"
    ") STRICT;"
    "CREATE TABLE meta ("
    " key TEXT PRIMARY KEY CHECK (key <> ''),"
    " value TEXT NOT NULL"
    ") STRICT, WITHOUT ROWID;",
    /* 1 → 2: figures of each minute */
    "CREATE TABLE samples ("
    " minute INTEGER PRIMARY KEY," /* since 1970 */
    " figures TEXT NOT NULL"       /* a JSON object: name → value */
    ") STRICT;",
};
const unsigned schema_step_count = ARRAY_LEN(schema_steps);

_Static_assert(ARRAY_LEN(schema_steps) == STORE_SCHEMA_VERSION, "a step for each schema version");

int
schema_migrate(sqlite3 *db, const char *path, const char *const *steps, unsigned from,
    unsigned count, struct errmsg *err)
{
	for (unsigned version = from; version < count; version++) {
		char mark[64];
		int rc;

		(void)snprintf(mark, sizeof(mark), "PRAGMA user_version = %u", version + 1);
		rc = sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL);
		if (rc == SQLITE_OK) {
			rc = sqlite3_exec(db, steps[version], NULL, NULL, NULL);
		}
		if (rc == SQLITE_OK) {
			rc = sqlite3_exec(db, mark, NULL, NULL, NULL);
		}
		if (rc == SQLITE_OK) {
			rc = sqlite3_exec(db, "COMMIT", NULL, NULL, NULL);
		}
		if (rc != SQLITE_OK) {
			int error =
			    store_sqlite_error(db, rc, "cannot bring to a newer schema", path, err);

			if (!sqlite3_get_autocommit(db)) {
				(void)sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
			}
			return error;
		}
	}
	return 0;
}
