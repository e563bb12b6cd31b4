#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "instance/backup.h"
#include "instance/restore.h"

#include "scratch.h"

#define T0     UINT64_C(1780000000123) /* 2026-05-28T20:26:40.123Z */
#define DAY_MS UINT64_C(86400000)

static int
set_up(void **state)
{
	char *dir = scratch_make();

	*state = dir;
	return dir != NULL ? 0 : -1;
}

static void
put(const char *path, const char *text)
{
	FILE *f = fopen(path, "w");

	assert_non_null(f);
	assert_true(fputs(text, f) >= 0);
	assert_int_equal(fclose(f), 0);
}

static bool
is_there(const char *dir, const char *name)
{
	return access(scratch_path(dir, name), F_OK) == 0;
}

static void
store(const char *dir, uint64_t time_ms)
{
	struct backup_file file;
	struct errmsg err = ERRMSG_NONE;

	put(scratch_path(dir, "dump.rdb"), "REDIS0011");
	assert_int_equal(backup_store(scratch_path(dir, "backup"), scratch_path(dir, "dump.rdb"),
			     "main", time_ms, &file, &err),
	    0);
}

static void
a_backup_has_its_time_and_checksum(void **state)
{
	const char *dir = *state;
	struct backup_file file;
	struct errmsg err = ERRMSG_NONE;

	put(scratch_path(dir, "dump.rdb"), "REDIS0011");
	assert_int_equal(backup_store(scratch_path(dir, "backup"), scratch_path(dir, "dump.rdb"),
			     "main", T0, &file, &err),
	    0);
	assert_string_equal(file.name, "main-20260528T202640.123Z.rdb");
	assert_int_equal(file.bytes, 9);
	/* printf REDIS0011 | sha256sum */
	assert_string_equal(
	    file.sha256, "aa0c5ee432abdbcd84e07a173d094cb54ea17c2561aa8a43ec9c214338966573");
	assert_int_equal(backup_newest_ms(scratch_path(dir, "backup"), "main"), T0);
	assert_int_equal(backup_newest_ms(scratch_path(dir, "backup"), "other"), 0);
	assert_int_equal(
	    backup_verify(scratch_path(dir, "backup/main-20260528T202640.123Z.rdb"), &err), 0);
}

static void
a_file_that_is_no_snapshot_is_refused(void **state)
{
	const char *dir = *state;
	struct backup_file file;
	struct errmsg err = ERRMSG_NONE;

	put(scratch_path(dir, "dump.rdb"), "REDI");
	assert_int_equal(backup_store(scratch_path(dir, "backup"), scratch_path(dir, "dump.rdb"),
			     "main", T0, &file, &err),
	    -EILSEQ);
	assert_int_equal(backup_newest_ms(scratch_path(dir, "backup"), "main"), 0);
}

static void
a_changed_byte_is_noticed(void **state)
{
	const char *dir = *state;
	struct errmsg err = ERRMSG_NONE;

	store(dir, T0);
	put(scratch_path(dir, "dump.rdb"), "REDIS0012"); /* the very file */
	assert_int_equal(
	    backup_verify(scratch_path(dir, "backup/main-20260528T202640.123Z.rdb"), &err),
	    -EILSEQ);
	put(scratch_path(dir, "backup/main-20260528T202640.123Z.rdb.sha256"), "short");
	assert_int_equal(
	    backup_verify(scratch_path(dir, "backup/main-20260528T202640.123Z.rdb"), &err),
	    -EILSEQ);
	assert_int_equal(backup_verify(scratch_path(dir, "dump.rdb"), &err), -ENOENT);
}

/* A disk that is full just then: files may not become longer than 10 bytes. */
static void
a_checksum_that_cannot_be_written_leaves_nothing(void **state)
{
	const struct rlimit none = {RLIM_INFINITY, RLIM_INFINITY}, little = {10, RLIM_INFINITY};
	char *backup = strdup(scratch_path(*state, "backup"));
	char *dump = strdup(scratch_path(*state, "dump.rdb"));
	struct backup_file file;
	struct errmsg err = ERRMSG_NONE;
	int rc;

	put(dump, "REDIS0011");
	(void)signal(SIGXFSZ, SIG_IGN);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &little), 0);
	rc = backup_store(backup, dump, "main", T0, &file, &err);
	assert_int_equal(setrlimit(RLIMIT_FSIZE, &none), 0);
	assert_int_equal(rc, -EFBIG);
	assert_int_equal(backup_newest_ms(backup, "main"), 0);
	assert_int_equal(rmdir(backup), 0); /* it is empty */
	free(backup);
	free(dump);
}

static void
rotation_goes_by_count_and_age(void **state)
{
	const char *dir = *state;
	char *backup = strdup(scratch_path(dir, "backup"));
	struct errmsg err = ERRMSG_NONE;
	unsigned removed = 99;

	for (unsigned day = 0; day < 5; day++) {
		store(dir, T0 + day * DAY_MS);
	}
	put(scratch_path(backup, "main-20200101T000000.000Z.rdb.old"), "");
	put(scratch_path(backup, "main2-20200101T000000.000Z.rdb"), "");
	put(scratch_path(backup, "main-20200101T000000.000Z.rdb.tmp"), "");
	put(scratch_path(backup, "main-20200101T000000.000Z.rdb.sha256"), "");
	assert_int_equal(backup_rotate(backup, "main", 0, 0, T0 + 5 * DAY_MS, &removed, &err), 0);
	assert_int_equal(removed, 0);
	assert_int_equal(backup_rotate(backup, "main", 4, 0, T0 + 5 * DAY_MS, &removed, &err), 0);
	assert_int_equal(removed, 1);
	assert_false(is_there(backup, "main-20260528T202640.123Z.rdb"));
	assert_false(is_there(backup, "main-20260528T202640.123Z.rdb.sha256"));
	assert_int_equal(
	    backup_rotate(backup, "main", 0, 3 * DAY_MS, T0 + 5 * DAY_MS, &removed, &err), 0);
	assert_int_equal(removed, 1);
	/* The newest stays at any age. */
	assert_int_equal(
	    backup_rotate(backup, "main", 1, DAY_MS, T0 + 500 * DAY_MS, &removed, &err), 0);
	assert_int_equal(removed, 2);
	assert_int_equal(backup_newest_ms(backup, "main"), T0 + 4 * DAY_MS);
	assert_true(is_there(backup, "main-20200101T000000.000Z.rdb.old"));
	assert_true(is_there(backup, "main2-20200101T000000.000Z.rdb"));
	assert_false(is_there(backup, "main-20200101T000000.000Z.rdb.tmp"));
	assert_false(is_there(backup, "main-20200101T000000.000Z.rdb.sha256"));
	free(backup);
}

static void
a_manifest_leads_to_nothing_outside(void **state)
{
	static const char *const bad[] = {"file ../secret seq 1 type b\n",
	    "file /etc/passwd seq 1 type b\n", "file .. seq 1 type b\n", "nonsense\n",
	    "file  seq 1\n", "file gone.aof seq 1 type i\n", ""};
	const char *dir = *state;
	struct restore_source source;
	struct errmsg err = ERRMSG_NONE;

	assert_int_equal(mkdir(scratch_path(dir, "aof"), 0700), 0);
	put(scratch_path(dir, "secret"), "x");
	for (size_t i = 0; i < sizeof(bad) / sizeof(bad[0]); i++) {
		put(scratch_path(dir, "aof/own.aof.manifest"), bad[i]);
		assert_true(restore_open(scratch_path(dir, "aof"), &source, &err) < 0);
	}
}

static void
a_place_that_cannot_be_filled_is_as_before(void **state)
{
	const char *dir = *state;
	struct restore_source source;
	struct errmsg err = ERRMSG_NONE;
	int bad;

	put(scratch_path(dir, "new.rdb"), "REDIS0011");
	assert_int_equal(restore_open(scratch_path(dir, "new.rdb"), &source, &err), 0);
	assert_int_equal(mkdir(scratch_path(dir, "redis-1"), 0700), 0);
	put(scratch_path(dir, "redis-1/dump.rdb"), "before");
	bad = open(dir, O_RDONLY | O_DIRECTORY);
	assert_int_equal(close(source.files[0].fd), 0);
	source.files[0].fd = bad; /* reading it fails */
	assert_true(restore_place(&source, scratch_path(dir, "redis-1"), 7, &err) < 0);
	assert_true(is_there(dir, "redis-1/dump.rdb"));
	assert_false(is_there(dir, "redis-1/dump.rdb.before-restore-7"));
	restore_close(&source);
}

static void
what_was_placed_can_be_taken_back(void **state)
{
	const char *dir = *state;
	struct restore_source source;
	struct errmsg err = ERRMSG_NONE;
	struct stat before, after;

	put(scratch_path(dir, "new.rdb"), "REDIS0011");
	assert_int_equal(restore_open(scratch_path(dir, "new.rdb"), &source, &err), 0);
	assert_int_equal(mkdir(scratch_path(dir, "redis-1"), 0700), 0);
	put(scratch_path(dir, "redis-1/dump.rdb"), "before");
	assert_int_equal(stat(scratch_path(dir, "redis-1/dump.rdb"), &before), 0);
	assert_int_equal(restore_place(&source, scratch_path(dir, "redis-1"), 7, &err), 0);
	assert_int_equal(stat(scratch_path(dir, "redis-1/dump.rdb"), &after), 0);
	assert_int_not_equal(before.st_ino, after.st_ino);
	assert_int_equal(restore_take_back(&source, scratch_path(dir, "redis-1"), 7, &err), 0);
	assert_int_equal(stat(scratch_path(dir, "redis-1/dump.rdb"), &after), 0);
	assert_int_equal(before.st_ino, after.st_ino);
	assert_false(is_there(dir, "redis-1/dump.rdb.before-restore-7"));
	restore_close(&source);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		a_backup_has_its_time_and_checksum, set_up, scratch_teardown),
	    cmocka_unit_test_setup_teardown(
		a_file_that_is_no_snapshot_is_refused, set_up, scratch_teardown),
	    cmocka_unit_test_setup_teardown(a_changed_byte_is_noticed, set_up, scratch_teardown),
	    cmocka_unit_test_setup_teardown(
		a_checksum_that_cannot_be_written_leaves_nothing, set_up, scratch_teardown),
	    cmocka_unit_test_setup_teardown(
		rotation_goes_by_count_and_age, set_up, scratch_teardown),
	    cmocka_unit_test_setup_teardown(
		a_manifest_leads_to_nothing_outside, set_up, scratch_teardown),
	    cmocka_unit_test_setup_teardown(
		a_place_that_cannot_be_filled_is_as_before, set_up, scratch_teardown),
	    cmocka_unit_test_setup_teardown(
		what_was_placed_can_be_taken_back, set_up, scratch_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
