/* Opening the state database: a new one, an old one, a newer one, and every kind of damage. */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "scratch.h"
#include "store/store.h"
#include "store/store_priv.h"

static char *dir;        /* a fresh one for each test */
static const char *path; /* DIR/state.db */
static struct errmsg err;
static struct store_report report;

static int
setup(void **state)
{
	static char name[4096];

	dir = scratch_make();
	(void)snprintf(name, sizeof(name), "%s/state.db", dir);
	path = name;
	err = ERRMSG_NONE;
	return dir == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	scratch_remove(&dir);
	return 0;
}

static struct store *
open_it(void)
{
	struct store *s = NULL;
	int rc = store_open(path, &s, &report, &err);

	if (rc < 0) {
		print_error("store_open: %s\n", err.text);
	}
	assert_int_equal(rc, 0);
	return s;
}

/* A database with a master, instances and enough events to fill many pages; closed. */
static void
make_filled(void)
{
	struct store_master m = {.cluster = "main",
	    .instance = "redis-2",
	    .host = "127.0.0.1",
	    .port = 6382,
	    .epoch = 7};
	struct store *s = open_it();
	char text[600];

	memset(text, 'x', sizeof(text) - 1);
	text[sizeof(text) - 1] = '\0';
	assert_int_equal(store_master_put(s, &m, &err), 0);
	for (int i = 0; i < 100; i++) {
		assert_int_equal(
		    store_event_add(s, 0, EVENT_INSTANCE_READY, "redis-1", text, NULL, NULL, &err),
		    0);
	}
	store_close(&s);
}

static void
run_sql(const char *sql)
{
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, sql, NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_close(db), SQLITE_OK);
}

static void
overwrite(off_t at, const void *bytes, size_t len)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	assert_int_not_equal(fd, -1);
	assert_int_equal(pwrite(fd, bytes, len, at), len);
	(void)close(fd);
}

static bool
count_event(void *arg, const struct store_event *event)
{
	(*(size_t *)arg)++;
	return true;
}

static size_t
count_events(struct store *s)
{
	size_t n = 0;

	assert_int_equal(
	    store_events_page(s, 0, INT64_MAX, "", SIZE_MAX, count_event, &n, &err), 0);
	return n;
}

/* The damaged file is kept under the reported name, and a working, empty database took its place.
 */
static void
assert_reset(const char *why)
{
	struct store *s = open_it();
	struct store_master m;
	struct stat st;

	assert_int_equal(report.opened, STORE_RESET);
	if (strstr(report.why, why) == NULL) {
		fail_msg("'%s' does not say '%s'", report.why, why);
	}
	assert_int_equal(strncmp(report.set_aside, path, strlen(path)), 0);
	assert_int_equal(stat(report.set_aside, &st), 0);
	assert_int_equal(store_master_get(s, "main", &m, &err), -ENOENT);
	assert_int_equal(
	    store_event_add(s, 0, EVENT_STATE_DAMAGED, "main", report.why, NULL, NULL, &err), 0);
	store_close(&s);
}

static void
test_creates_in_empty_folder(void **state)
{
	struct store *s = open_it();
	struct stat st;

	assert_int_equal(report.opened, STORE_CREATED);
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_int_equal(access(scratch_path(dir, "state.db.new"), F_OK), -1);
	store_close(&s);
}

static void
test_finds_what_was_stored(void **state)
{
	struct store_master m;
	struct store *s;

	make_filled();
	s = open_it();
	assert_int_equal(report.opened, STORE_FOUND);
	assert_int_equal(report.migrated_from, 0);
	assert_int_equal(store_master_get(s, "main", &m, &err), 0);
	assert_string_equal(m.instance, "redis-2");
	assert_int_equal(m.epoch, 7);
	assert_int_equal(count_events(s), 100);
	store_close(&s);
}

static void
test_close_leaves_one_file(void **state)
{
	make_filled();
	assert_int_equal(access(scratch_path(dir, "state.db-wal"), F_OK), -1);
	assert_int_equal(access(scratch_path(dir, "state.db-shm"), F_OK), -1);
}

static void
test_uses_write_ahead_log_and_small_cache(void **state)
{
	struct store *s = open_it();
	sqlite3_stmt *q = NULL;

	assert_int_equal(sqlite3_prepare_v2(s->db, "PRAGMA journal_mode", -1, &q, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(q), SQLITE_ROW);
	assert_string_equal(sqlite3_column_text(q, 0), "wal");
	(void)sqlite3_finalize(q);
	assert_int_equal(sqlite3_prepare_v2(s->db, "PRAGMA cache_size", -1, &q, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(q), SQLITE_ROW);
	assert_int_equal(sqlite3_column_int(q, 0), -256);
	(void)sqlite3_finalize(q);
	store_close(&s);
}

static void
test_refuses_newer_schema_untouched(void **state)
{
	struct store *s = NULL;
	struct stat before, after;
	char known[32];

	make_filled();
	run_sql("PRAGMA user_version = 999");
	assert_int_equal(stat(path, &before), 0);
	assert_int_equal(store_open(path, &s, &report, &err), -ENOTSUP);
	assert_null(s);
	assert_non_null(strstr(err.text, "version 999"));
	(void)snprintf(known, sizeof(known), "up to %d:", STORE_SCHEMA_VERSION);
	assert_non_null(strstr(err.text, known));
	assert_int_equal(stat(path, &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_int_equal(before.st_mtim.tv_nsec, after.st_mtim.tv_nsec);
}

/* `holdfast upgrade` asks it while the supervisor has the database open. */
static void
test_peek_tells_what_open_would(void **state)
{
	struct store *s = NULL;

	assert_int_equal(store_peek(path, &err), 0); /* there is none: one would be made */
	assert_int_equal(access(path, F_OK), -1);
	make_filled();
	assert_int_equal(store_open(path, &s, &report, &err), 0);
	assert_int_equal(store_peek(path, &err), 0);
	store_close(&s);
	run_sql("PRAGMA user_version = 999");
	assert_int_equal(store_peek(path, &err), -ENOTSUP);
	assert_non_null(strstr(err.text, "version 999"));
}

static void
test_migrates_step_by_step(void **state)
{
	static const char *const steps[] = {
	    "CREATE TABLE a (x INTEGER) STRICT; INSERT INTO a VALUES (1)",
	    "ALTER TABLE a ADD COLUMN y TEXT NOT NULL DEFAULT 'old'",
	    "UPDATE a SET x = x + 1",
	};
	sqlite3_stmt *q = NULL;
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(schema_migrate(db, path, steps, 0, 1, &err), 0);
	assert_int_equal(schema_migrate(db, path, steps, 1, 3, &err), 0);
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT x, y FROM a", -1, &q, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(q), SQLITE_ROW);
	assert_int_equal(sqlite3_column_int(q, 0), 2);
	assert_string_equal(sqlite3_column_text(q, 1), "old");
	(void)sqlite3_finalize(q);
	assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &q, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(q), SQLITE_ROW);
	assert_int_equal(sqlite3_column_int(q, 0), 3);
	(void)sqlite3_finalize(q);
	(void)sqlite3_close(db);
}

static void
test_failed_migration_changes_nothing(void **state)
{
	static const char *const steps[] = {
	    "CREATE TABLE a (x INTEGER) STRICT",
	    "CREATE TABLE b (x INTEGER) STRICT; INSERT INTO nowhere VALUES (1)",
	};
	sqlite3_stmt *q = NULL;
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_true(schema_migrate(db, path, steps, 0, 2, &err) < 0);
	assert_non_null(strstr(err.text, "nowhere"));
	assert_int_equal(sqlite3_prepare_v2(db, "SELECT * FROM b", -1, &q, NULL), SQLITE_ERROR);
	assert_int_equal(sqlite3_prepare_v2(db, "PRAGMA user_version", -1, &q, NULL), SQLITE_OK);
	assert_int_equal(sqlite3_step(q), SQLITE_ROW);
	assert_int_equal(sqlite3_column_int(q, 0), 1);
	(void)sqlite3_finalize(q);
	(void)sqlite3_close(db);
}

static void
test_garbage_is_set_aside(void **state)
{
	char garbage[5000];

	for (size_t i = 0; i < sizeof(garbage); i++) {
		garbage[i] = (char)(i * 31 + 7);
	}
	overwrite(0, garbage, sizeof(garbage));
	assert_reset("not a database");
}

static void
test_empty_file_is_set_aside(void **state)
{
	overwrite(0, "", 0);
	assert_reset("empty");
}

static void
test_truncated_is_set_aside(void **state)
{
	static const double parts[] = {0.99, 0.5, 0.1};
	struct stat st;

	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		make_filled();
		assert_int_equal(stat(path, &st), 0);
		assert_int_equal(truncate(path, (off_t)((double)st.st_size * parts[i])), 0);
		assert_reset("");
		assert_int_equal(unlink(path), 0);
	}
	make_filled();
	assert_int_equal(truncate(path, 50), 0);
	assert_reset("");
}

static void
test_other_application_is_set_aside(void **state)
{
	run_sql("CREATE TABLE t (x); PRAGMA application_id = 12345; PRAGMA user_version = 1");
	assert_reset("not a state database of holdfast");
}

static void
test_schema_without_tables_is_set_aside(void **state)
{
	make_filled();
	run_sql("DROP TABLE master");
	assert_reset("master");
}

static void
test_lost_schema_version_is_set_aside(void **state)
{
	make_filled();
	run_sql("PRAGMA user_version = 0");
	assert_reset("schema");
}

static void
test_log_without_database_is_set_aside(void **state)
{
	int fd = open(scratch_path(dir, "state.db-wal"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	struct store *s;

	assert_int_equal(write(fd, "left over", 9), 9);
	(void)close(fd);
	s = open_it();
	assert_int_equal(report.opened, STORE_RESET);
	assert_non_null(strstr(report.why, "log"));
	store_close(&s);
}

/* Whatever page is hit: the database opens, and if it was not set aside everything can be read. */
static void
test_flipped_pages(void **state)
{
	static const unsigned char noise[64] = {[0 ... 63] = 0xa5};
	size_t resets = 0, pages;
	struct stat st;

	make_filled();
	assert_int_equal(stat(path, &st), 0);
	pages = (size_t)st.st_size / 4096;
	assert_true(pages > 15);
	for (size_t page = 0; page < pages; page++) {
		struct store *s;

		assert_int_equal(unlink(path), 0);
		make_filled();
		overwrite((off_t)page * 4096, noise, sizeof(noise));
		s = open_it();
		if (report.opened == STORE_RESET) {
			resets++;
		} else {
			assert_int_equal(report.opened, STORE_FOUND);
			(void)count_events(s);
		}
		store_close(&s);
	}
	assert_true(resets >= pages - 1);
}

static void
test_damaged_twice_keeps_both(void **state)
{
	char first[sizeof(report.set_aside)];

	overwrite(0, "garbage", 7);
	assert_reset("");
	(void)snprintf(first, sizeof(first), "%s", report.set_aside);
	assert_int_equal(unlink(path), 0);
	overwrite(0, "garbage", 7);
	assert_reset("");
	assert_string_not_equal(first, report.set_aside);
	assert_int_equal(access(first, F_OK), 0);
}

static void
test_unfinished_creation_is_no_obstacle(void **state)
{
	int fd = open(scratch_path(dir, "state.db.new"), O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	struct store *s;

	assert_int_equal(write(fd, "half", 4), 4);
	(void)close(fd);
	s = open_it();
	assert_int_equal(report.opened, STORE_CREATED);
	store_close(&s);
}

static void
test_folder_in_its_place_is_refused(void **state)
{
	struct store *s = NULL;

	assert_int_equal(mkdir(path, 0700), 0);
	assert_int_equal(store_open(path, &s, &report, &err), -EINVAL);
	assert_non_null(strstr(err.text, path));
}

static void
test_missing_folder_is_an_error(void **state)
{
	struct store *s = NULL;

	assert_int_equal(
	    store_open(scratch_path(dir, "nowhere/state.db"), &s, &report, &err), -ENOENT);
	assert_non_null(strstr(err.text, "nowhere/state.db"));
}

static void
test_another_writer_is_an_error_in_time(void **state)
{
	struct store *s = open_it();
	sqlite3 *db = NULL;

	assert_int_equal(sqlite3_open(path, &db), SQLITE_OK);
	assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(store_meta_put(s, "a", "b", true, &err), -EBUSY);
	assert_non_null(strstr(err.text, "another process"));
	assert_int_equal(sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL), SQLITE_OK);
	assert_int_equal(store_meta_put(s, "a", "b", true, &err), 0);
	(void)sqlite3_close(db);
	store_close(&s);
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_creates_in_empty_folder),
	    TEST(test_finds_what_was_stored),
	    TEST(test_close_leaves_one_file),
	    TEST(test_uses_write_ahead_log_and_small_cache),
	    TEST(test_refuses_newer_schema_untouched),
	    TEST(test_peek_tells_what_open_would),
	    TEST(test_migrates_step_by_step),
	    TEST(test_failed_migration_changes_nothing),
	    TEST(test_garbage_is_set_aside),
	    TEST(test_empty_file_is_set_aside),
	    TEST(test_truncated_is_set_aside),
	    TEST(test_other_application_is_set_aside),
	    TEST(test_schema_without_tables_is_set_aside),
	    TEST(test_lost_schema_version_is_set_aside),
	    TEST(test_log_without_database_is_set_aside),
	    TEST(test_flipped_pages),
	    TEST(test_damaged_twice_keeps_both),
	    TEST(test_unfinished_creation_is_no_obstacle),
	    TEST(test_folder_in_its_place_is_refused),
	    TEST(test_missing_folder_is_an_error),
	    TEST(test_another_writer_is_an_error_in_time),
	};

	return cmocka_run_group_tests_name("store: opening", tests, NULL, NULL);
}
