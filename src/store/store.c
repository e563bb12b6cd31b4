/*
 * Opening: what is there is proven before it is trusted, and what is new appears whole.
 *
 *   state.db missing ──────────────────────────────→ make state.db.new, fsync, rename ─→ open
 *   state.db there → application id, schema version, quick_check, every statement prepared
 *        newer schema → refused, nothing touched
 *        damaged      → renamed with its -wal and -shm → as if missing, and told to the caller
 *
 * Since a new database is renamed into place, an empty state.db is never ours: it lost its
 * contents, and that is damage too.
 */
#include "store/store.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/store_priv.h"

#define BUSY_WAIT_MS 100

static const char *const stmt_sql[] = {
    [STMT_BEGIN] = "BEGIN IMMEDIATE",
    [STMT_COMMIT] = "COMMIT",
    [STMT_ROLLBACK] = "ROLLBACK",
    [STMT_INSTANCE_PUT] =
	"INSERT INTO instances (name, kind, pid, start_ticks, boot_id, port, role, wanted_up,"
	" restarts) VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9)"
	" ON CONFLICT (name) DO UPDATE SET kind = ?2, pid = ?3, start_ticks = ?4, boot_id = ?5,"
	" port = ?6, role = ?7, wanted_up = ?8, restarts = ?9",
    [STMT_INSTANCE_DELETE] = "DELETE FROM instances WHERE name = ?1",
    [STMT_INSTANCE_GET] = "SELECT name, kind, pid, start_ticks, boot_id, port, role, wanted_up,"
			  " restarts FROM instances WHERE name = ?1",
    [STMT_INSTANCE_ALL] = "SELECT name, kind, pid, start_ticks, boot_id, port, role, wanted_up,"
			  " restarts FROM instances ORDER BY name",
    [STMT_MASTER_PUT] = "INSERT INTO master (cluster, instance, host, port, epoch, since_ms)"
			" VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT (cluster) DO UPDATE SET"
			" instance = ?2, host = ?3, port = ?4, epoch = ?5, since_ms = ?6",
    [STMT_MASTER_GET] = "SELECT instance, host, port, epoch, since_ms FROM master"
			" WHERE cluster = ?1",
    [STMT_EVENT_ADD] = "INSERT INTO events (time_ms, kind, subject, text, detail)"
		       " VALUES (?1, ?2, ?3, ?4, ?5)",
    /* A few at a time: when the bound was lowered, no event pays for all of it. */
    [STMT_EVENT_TRIM] = "DELETE FROM events WHERE id IN"
			" (SELECT id FROM events WHERE id <= ?1 ORDER BY id LIMIT 64)",
    [STMT_EVENTS_PAGE] = "SELECT id, time_ms, kind, subject, text, detail FROM"
			 " (SELECT * FROM events WHERE id > ?1 AND id < ?2 AND"
			 "  (?3 = '' OR kind = ?3 OR substr(kind, 1, length(?3) + 1) = ?3 || '.')"
			 "  ORDER BY id DESC LIMIT ?4) ORDER BY id",
    [STMT_SAMPLE_PUT] = "INSERT OR REPLACE INTO samples (minute, figures) VALUES (?1, ?2)",
    [STMT_SAMPLE_TRIM] = "DELETE FROM samples WHERE minute <= ?1",
    [STMT_SAMPLES] = "SELECT minute, figures FROM samples WHERE minute > ?1 ORDER BY minute",
    [STMT_META_PUT] = "INSERT INTO meta (key, value) VALUES (?1, ?2)"
		      " ON CONFLICT (key) DO UPDATE SET value = ?2",
    [STMT_META_DELETE] = "DELETE FROM meta WHERE key = ?1",
    [STMT_META_GET] = "SELECT value FROM meta WHERE key = ?1",
};

_Static_assert(ARRAY_LEN(stmt_sql) == STMT_COUNT, "a text for each statement");

/* --- results --------------------------------------------------------------------------------- */

int
store_sqlite_error(sqlite3 *db, int result, const char *doing, const char *path, struct errmsg *err)
{
	int system_error = db != NULL ? sqlite3_system_errno(db) : 0, primary = result & 0xff;

	if (primary == SQLITE_IOERR || primary == SQLITE_CANTOPEN) {
		/* The system knows better than SQLite which fault it was. */
		if (system_error == ENOSPC || system_error == EDQUOT) {
			primary = SQLITE_FULL;
		} else if (system_error == EROFS) {
			primary = SQLITE_READONLY;
		}
	}
	switch (primary) {
	case SQLITE_FULL:
		errmsg_set(err, "%s %s: no space left on its disk: free some", doing, path);
		return -ENOSPC;
	case SQLITE_READONLY:
		errmsg_set(err, "%s %s: it is read-only: make the file and its folder writable",
		    doing, path);
		return -EROFS;
	case SQLITE_CORRUPT:
	case SQLITE_NOTADB:
		errmsg_set(err, "%s %s: it is damaged (%s): at the next start it is set aside",
		    doing, path, sqlite3_errstr(result));
		return -EUCLEAN;
	case SQLITE_BUSY:
	case SQLITE_LOCKED:
		errmsg_set(err, "%s %s: another process holds it: end that", doing, path);
		return -EBUSY;
	case SQLITE_CONSTRAINT:
	case SQLITE_MISMATCH:
	case SQLITE_TOOBIG:
		errmsg_set(err, "%s %s: %s", doing, path,
		    db != NULL ? sqlite3_errmsg(db) : sqlite3_errstr(result));
		return -EINVAL;
	case SQLITE_NOMEM:
		errmsg_set(err, "%s %s: out of memory", doing, path);
		return -ENOMEM;
	case SQLITE_CANTOPEN:
	case SQLITE_PERM:
	case SQLITE_IOERR:
		if (system_error == 0) {
			system_error = primary == SQLITE_IOERR ? EIO : EACCES;
		}
		errmsg_set(err, "%s %s: %s (%s)", doing, path, strerror(system_error),
		    sqlite3_errstr(result));
		return -system_error;
	default:
		errmsg_set(err, "%s %s: %s", doing, path,
		    db != NULL ? sqlite3_errmsg(db) : sqlite3_errstr(result));
		return -EIO;
	}
}

sqlite3_stmt *
store_stmt(struct store *s, enum store_stmt which)
{
	assert(s->magic == STORE_MAGIC);
	return s->stmts[which];
}

/* A statement that is left unreset keeps its read transaction, and the log could never shrink. */
static void
stmt_reset(sqlite3_stmt *stmt)
{
	(void)sqlite3_reset(stmt);
	(void)sqlite3_clear_bindings(stmt);
}

int
store_run(struct store *s, sqlite3_stmt *stmt, struct errmsg *err)
{
	int rc = sqlite3_step(stmt), error = 0;

	if (rc != SQLITE_DONE) {
		error = store_sqlite_error(s->db, rc, "cannot write", s->path, err);
	}
	stmt_reset(stmt);
	return error;
}

int
store_row(struct store *s, sqlite3_stmt *stmt, struct errmsg *err)
{
	int rc = sqlite3_step(stmt), error = 0;

	if (rc == SQLITE_ROW) {
		return 1;
	}
	if (rc != SQLITE_DONE) {
		error = store_sqlite_error(s->db, rc, "cannot read", s->path, err);
	}
	stmt_reset(stmt);
	return error;
}

int
store_sync_full(struct store *s, bool full, struct errmsg *err)
{
	int rc;

	if (s->full_sync == full) {
		return 0;
	}
	rc = sqlite3_exec(s->db, full ? "PRAGMA synchronous = FULL" : "PRAGMA synchronous = NORMAL",
	    NULL, NULL, NULL);
	if (rc != SQLITE_OK) {
		return store_sqlite_error(s->db, rc, "cannot write", s->path, err);
	}
	s->full_sync = full;
	return 0;
}

void
store_text(sqlite3_stmt *stmt, int column, char *into, size_t size)
{
	const unsigned char *text = sqlite3_column_text(stmt, column);

	(void)snprintf(into, size, "%s", text != NULL ? (const char *)text : "");
}

/* --- opening --------------------------------------------------------------------------------- */

/* The one integer that a PRAGMA answers. */
static int
read_pragma(sqlite3 *db, const char *sql, int64_t *ret_value)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(db, sql, -1, &stmt, NULL);

	if (rc == SQLITE_OK) {
		rc = sqlite3_step(stmt);
		if (rc == SQLITE_ROW) {
			*ret_value = sqlite3_column_int64(stmt, 0);
			rc = SQLITE_OK;
		}
	}
	(void)sqlite3_finalize(stmt);
	return rc;
}

/* Fills `why` when the pages do not hang together. SQLITE_OK, SQLITE_CORRUPT, or another fault. */
static int
check_pages(sqlite3 *db, char *why, size_t size)
{
	sqlite3_stmt *stmt = NULL;
	int rc = sqlite3_prepare_v2(db, "PRAGMA quick_check(1)", -1, &stmt, NULL);

	if (rc == SQLITE_OK) {
		rc = sqlite3_step(stmt);
		if (rc == SQLITE_ROW) {
			store_text(stmt, 0, why, size);
			rc = strcmp(why, "ok") == 0 ? SQLITE_OK : SQLITE_CORRUPT;
			if (rc == SQLITE_OK) {
				why[0] = '\0';
			}
		}
	}
	(void)sqlite3_finalize(stmt);
	return rc;
}

static int
damaged(char *why, size_t size, const char *what)
{
	(void)snprintf(why, size, "%s", what);
	return -EUCLEAN;
}

static int
newer_schema(const char *path, int64_t version, struct errmsg *err)
{
	errmsg_set(err,
	    "%s has schema version %lld, this holdfast knows versions up to %d: start the newer "
	    "holdfast that wrote it, or move the file away (the master is then asked of the "
	    "sentinels)",
	    path, (long long)version, STORE_SCHEMA_VERSION);
	return -ENOTSUP;
}

/* Is it ours, not newer than us, and whole? -EUCLEAN with `why` when it must be set aside. */
static int
check_database(struct store *s, unsigned *ret_version, char *why, size_t size, struct errmsg *err)
{
	int64_t id = 0, version = 0;
	int rc = read_pragma(s->db, "PRAGMA application_id", &id);

	if (rc == SQLITE_OK) {
		rc = read_pragma(s->db, "PRAGMA user_version", &version);
	}
	if (rc == SQLITE_OK && id != STORE_APPLICATION_ID) {
		return damaged(why, size, "it is not a state database of holdfast");
	}
	if (rc == SQLITE_OK && version > STORE_SCHEMA_VERSION) {
		return newer_schema(s->path, version, err);
	}
	if (rc == SQLITE_OK && version < 1) {
		return damaged(why, size, "it has no schema");
	}
	/* The supervisor is to stay under 8 MB in all: a small cache, before all pages are read. */
	if (rc == SQLITE_OK) {
		rc = sqlite3_exec(s->db, "PRAGMA cache_size = -256", NULL, NULL, NULL);
	}
	if (rc == SQLITE_OK) {
		rc = check_pages(s->db, why, size);
	}
	if (rc != SQLITE_OK) {
		return store_sqlite_error(s->db, rc, "cannot open", s->path, err);
	}
	*ret_version = (unsigned)version;
	return 0;
}

static int
set_up_connection(struct store *s, struct errmsg *err)
{
	/* The log is folded in every 200 pages and does not stay larger than that. A file system
	 * that cannot share memory keeps SQLite's rollback journal, which is slower and as safe. */
	static const char pragmas[] = "PRAGMA temp_store = MEMORY;"
				      "PRAGMA mmap_size = 0;"
				      "PRAGMA trusted_schema = OFF;"
				      "PRAGMA cell_size_check = ON;"
				      "PRAGMA synchronous = NORMAL;"
				      "PRAGMA journal_mode = WAL;"
				      "PRAGMA wal_autocheckpoint = 200;"
				      "PRAGMA journal_size_limit = 819200;";
	int rc = sqlite3_exec(s->db, pragmas, NULL, NULL, NULL);

	(void)sqlite3_db_config(s->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
	if (rc != SQLITE_OK) {
		return store_sqlite_error(s->db, rc, "cannot open", s->path, err);
	}
	return 0;
}

/* Every statement, now: a table or column that is not what the schema version promises shows. */
static int
prepare_all(struct store *s, char *why, size_t size, struct errmsg *err)
{
	for (size_t i = 0; i < STMT_COUNT; i++) {
		int rc = sqlite3_prepare_v3(
		    s->db, stmt_sql[i], -1, SQLITE_PREPARE_PERSISTENT, &s->stmts[i], NULL);

		if (rc == SQLITE_ERROR || (rc & 0xff) == SQLITE_CORRUPT) {
			return damaged(why, size, sqlite3_errmsg(s->db));
		}
		if (rc != SQLITE_OK) {
			return store_sqlite_error(s->db, rc, "cannot open", s->path, err);
		}
	}
	return 0;
}

static void
store_free(struct store *s)
{
	for (size_t i = 0; i < STMT_COUNT; i++) {
		(void)sqlite3_finalize(s->stmts[i]);
	}
	(void)sqlite3_close(s->db);
	buf_fini(&s->shown);
	free(s->path);
	s->magic = 0;
	free(s);
}

static int
migrate(struct store *s, unsigned version, struct errmsg *err)
{
	int rc = store_sync_full(s, true, err);

	if (rc == 0) {
		rc = schema_migrate(s->db, s->path, schema_steps, version, schema_step_count, err);
	}
	if (rc == 0) {
		rc = store_sync_full(s, false, err);
	}
	return rc;
}

static int
open_connection(struct store *s, struct errmsg *err)
{
	int rc = sqlite3_open_v2(s->path, &s->db,
	    SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);

	/* What may not be written, SQLite opens for reading without a word. */
	if (rc == SQLITE_OK && sqlite3_db_readonly(s->db, "main") == 1) {
		rc = SQLITE_READONLY;
	}
	if (rc != SQLITE_OK) {
		return store_sqlite_error(s->db, rc, "cannot open", s->path, err);
	}
	(void)sqlite3_busy_timeout(s->db, BUSY_WAIT_MS);
	return 0;
}

/* -EUCLEAN with report->why: must be set aside. */
static int
open_existing(
    const char *path, struct store **ret_store, struct store_report *report, struct errmsg *err)
{
	struct store *s = xcalloc(1, sizeof(*s));
	struct errmsg fault = ERRMSG_NONE;
	unsigned version = 0;
	int rc;

	*s = (struct store){
	    .magic = STORE_MAGIC, .path = xstrdup(path), .events_kept = STORE_EVENTS_KEPT};
	buf_init(&s->shown, 0);
	rc = open_connection(s, &fault);
	if (rc == 0) {
		rc = check_database(s, &version, report->why, sizeof(report->why), &fault);
	}
	if (rc == 0) {
		rc = set_up_connection(s, &fault);
	}
	if (rc == 0 && version < schema_step_count) {
		rc = migrate(s, version, &fault);
		report->migrated_from = version;
	}
	if (rc == 0) {
		rc = prepare_all(s, report->why, sizeof(report->why), &fault);
	}
	if (rc < 0) {
		if (rc == -EUCLEAN && report->why[0] == '\0') {
			(void)damaged(report->why, sizeof(report->why),
			    sqlite3_errstr(sqlite3_extended_errcode(s->db)));
		}
		errmsg_set(err, "%s", fault.text);
		store_free(s);
		return rc;
	}
	*ret_store = s;
	return 0;
}

/* A rename is on the disk only when its folder is. */
static int
sync_folder(const char *path, struct errmsg *err)
{
	char *copy = xstrdup(path);
	int rc = 0, fd = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);

	if (fd == -1 || fsync(fd) == -1) {
		rc = -errno;
		errmsg_set(err, "cannot flush the folder of %s: %m", path);
	}
	if (fd != -1) {
		(void)close(fd);
	}
	free(copy);
	return rc;
}

static void
remove_with_logs(const char *path)
{
	static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};

	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
		char *name = xasprintf("%s%s", path, suffixes[i]);

		(void)unlink(name);
		free(name);
	}
}

/* A whole, empty database at `path`, or none. */
static int
create_database(const char *path, struct errmsg *err)
{
	char *fresh = xasprintf("%s.new", path), mark[64];
	sqlite3 *db = NULL;
	int rc, fd;

	remove_with_logs(fresh); /* of a creation that was cut short */
	fd = open(fresh, O_CREAT | O_EXCL | O_RDWR | O_CLOEXEC, 0600);
	if (fd == -1) {
		rc = -errno;
		errmsg_set(err, "cannot make %s: %m", path);
		free(fresh);
		return rc;
	}
	(void)snprintf(mark, sizeof(mark), "PRAGMA application_id = %d", STORE_APPLICATION_ID);
	rc = sqlite3_open_v2(
	    fresh, &db, SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
	if (rc == SQLITE_OK) {
		rc = sqlite3_exec(db, mark, NULL, NULL, NULL);
	}
	if (rc != SQLITE_OK) {
		rc = store_sqlite_error(db, rc, "cannot make", fresh, err);
		goto out;
	}
	rc = schema_migrate(db, fresh, schema_steps, 0, schema_step_count, err);
	if (rc < 0) {
		goto out;
	}
	(void)sqlite3_close(db);
	db = NULL;
	if (fsync(fd) == -1 || rename(fresh, path) == -1) {
		rc = -errno;
		errmsg_set(err, "cannot make %s: %m", path);
		goto out;
	}
	rc = sync_folder(path, err);
out:
	(void)sqlite3_close(db);
	(void)close(fd);
	if (rc < 0) {
		remove_with_logs(fresh);
	}
	free(fresh);
	return rc;
}

/* Renames the database and what belongs to it; its name is free afterwards. */
static int
set_aside(const char *path, struct store_report *report, struct errmsg *err)
{
	static const char *const suffixes[] = {"", "-wal", "-shm", "-journal"};
	time_t now = (time_t)(clock_wall_ms() / 1000);
	struct stat st;
	struct tm tm;
	char when[32];

	(void)gmtime_r(&now, &tm);
	(void)strftime(when, sizeof(when), "%Y%m%dT%H%M%SZ", &tm);
	for (unsigned attempt = 0;; attempt++) {
		char more[16] = "", *log;
		bool taken;

		if (attempt > 0) {
			(void)snprintf(more, sizeof(more), ".%u", attempt);
		}
		(void)snprintf(report->set_aside, sizeof(report->set_aside), "%s.damaged-%s%s",
		    path, when, more);
		log = xasprintf("%s-wal", report->set_aside);
		taken = lstat(report->set_aside, &st) == 0 || lstat(log, &st) == 0;
		free(log);
		if (!taken) {
			break;
		}
	}
	for (size_t i = 0; i < ARRAY_LEN(suffixes); i++) {
		char *from = xasprintf("%s%s", path, suffixes[i]);
		char *to = xasprintf("%s%s", report->set_aside, suffixes[i]);
		int rc = 0;

		if (rename(from, to) == -1 && errno != ENOENT) {
			rc = -errno;
			errmsg_set(err, "cannot set the damaged %s aside as %s: %m", from, to);
		}
		free(from);
		free(to);
		if (rc < 0) {
			return rc;
		}
	}
	return 0;
}

/* 1: there is something to open; 0: an empty folder; -EUCLEAN with `why`: not a database at all. */
static int
look(const char *path, char *why, size_t size, struct errmsg *err)
{
	char *log;
	struct stat st;
	int rc;

	if (stat(path, &st) == 0) {
		if (!S_ISREG(st.st_mode)) {
			errmsg_set(err, "%s is not a file: move it away", path);
			return -EINVAL;
		}
		return st.st_size == 0 ? damaged(why, size, "it is empty (0 bytes)") : 1;
	}
	if (errno != ENOENT) {
		rc = -errno;
		errmsg_set(err, "cannot open %s: %m", path);
		return rc;
	}
	/* A log without its database: SQLite would play it into the new one. */
	log = xasprintf("%s-wal", path);
	rc = stat(log, &st) == 0 && st.st_size > 0
		 ? damaged(why, size, "it is missing, only its log is there")
		 : 0;
	free(log);
	return rc;
}

/* A damaged database makes room for a new one. */
static int
start_anew(
    const char *path, struct store **ret_store, struct store_report *report, struct errmsg *err)
{
	struct store_report fresh = {.opened = STORE_CREATED};
	int rc = 0;

	if (report->opened == STORE_RESET) {
		rc = set_aside(path, report, err);
	}
	if (rc == 0) {
		rc = create_database(path, err);
	}
	if (rc == 0) {
		rc = open_existing(path, ret_store, &fresh, err);
		if (rc == -EUCLEAN) {
			errmsg_set(err,
			    "%s was damaged right after it was made (%s): check its disk", path,
			    fresh.why);
		}
	}
	return rc;
}

int
store_open(
    const char *path, struct store **ret_store, struct store_report *ret_report, struct errmsg *err)
{
	struct store_report report = {.opened = STORE_FOUND};
	int rc;

	if (strlen(path) + sizeof(".damaged-20260101T000000Z.4294967295-journal") >
	    sizeof(report.set_aside)) {
		errmsg_set(err, "the path of the state database is too long: %s", path);
		return -ENAMETOOLONG;
	}
	rc = look(path, report.why, sizeof(report.why), err);
	if (rc == 1) {
		rc = open_existing(path, ret_store, &report, err);
	} else if (rc == 0) {
		report.opened = STORE_CREATED;
		rc = start_anew(path, ret_store, &report, err);
	}
	if (rc == -EUCLEAN && report.opened == STORE_FOUND) {
		report.opened = STORE_RESET;
		report.migrated_from = 0;
		rc = start_anew(path, ret_store, &report, err);
	}
	if (rc == 0) {
		*ret_report = report;
	}
	return rc;
}

void
store_close(struct store **sp)
{
	struct store *s = *sp;

	*sp = NULL;
	if (s != NULL) {
		assert(s->magic == STORE_MAGIC);
		store_free(s);
	}
}

const char *
store_library_version(void)
{
	return sqlite3_libversion();
}

int
store_peek(const char *path, struct errmsg *err)
{
	int64_t id = 0, version = 0;
	sqlite3 *db = NULL;
	int rc, error = 0;

	if (access(path, F_OK) == -1 && errno == ENOENT) {
		return 0;
	}
	rc = sqlite3_open_v2(
	    path, &db, SQLITE_OPEN_READONLY | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE, NULL);
	if (rc == SQLITE_OK) {
		(void)sqlite3_busy_timeout(db, BUSY_WAIT_MS);
		rc = read_pragma(db, "PRAGMA application_id", &id);
	}
	if (rc == SQLITE_OK) {
		rc = read_pragma(db, "PRAGMA user_version", &version);
	}
	if (rc != SQLITE_OK) {
		error = store_sqlite_error(db, rc, "cannot read", path, err);
	} else if (id == STORE_APPLICATION_ID && version > STORE_SCHEMA_VERSION) {
		error = newer_schema(path, version, err);
	}
	(void)sqlite3_close(db);
	return error;
}
