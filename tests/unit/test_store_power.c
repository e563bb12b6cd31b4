/*
 * What may never be lost: the database after kill -9 at any moment, after a power cut at any
 * moment, and calls on a full or read-only disk.
 *
 * The power cut is played on real files. A layer under SQLite notes each flush by copying the
 * flushed file: the copy is what the disk surely has. After each step the disk is put together in
 * every way that a cut could leave it (of each file: what was flushed, or what was written, or the
 * log cut anywhere behind what was flushed) and opened.
 */
#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/defs.h"
#include "base/mem.h"
#include "scratch.h"
#include "store/store.h"

static char *dir;
static struct errmsg err;
static struct store_report report;

static int
setup(void **state)
{
	dir = scratch_make();
	err = ERRMSG_NONE;
	return dir == NULL ? -1 : 0;
}

static int
teardown(void **state)
{
	scratch_remove(&dir);
	return 0;
}

static struct store_master
master_of_epoch(uint64_t epoch)
{
	struct store_master m = {
	    .cluster = "main", .host = "127.0.0.1", .port = 6381, .epoch = epoch};

	(void)snprintf(m.instance, sizeof(m.instance), "redis-%u", (unsigned)(epoch % 3 + 1));
	return m;
}

/* Long enough that the log is folded in every few events. */
static const char *
long_detail(void)
{
	static char text[8000];

	memset(text, 'd', sizeof(text) - 1);
	memcpy(text, "{\"a\":\"", 6);
	memcpy(text + sizeof(text) - 3, "\"}", 3);
	return text;
}

static bool
see_event(void *arg, const struct store_event *ev)
{
	(*(size_t *)arg)++;
	return ev->text[0] != '\0';
}

/* Opens what is there: it must be readable as it is, and know at least this epoch. */
static void
assert_knows(const char *path, uint64_t at_least, uint64_t at_most)
{
	struct store *s = NULL;
	struct store_master m = {.epoch = 0};
	size_t n = 0;
	int rc = store_open(path, &s, &report, &err);

	if (rc < 0) {
		fail_msg("%s", err.text);
	}
	if (report.opened != STORE_FOUND) {
		fail_msg("damaged: %s", report.why);
	}
	rc = store_master_get(s, "main", &m, &err);
	assert_true(rc == 0 || (rc == -ENOENT && at_least == 0));
	if (m.epoch < at_least || m.epoch > at_most) {
		fail_msg("epoch %llu, not %llu to %llu", (unsigned long long)m.epoch,
		    (unsigned long long)at_least, (unsigned long long)at_most);
	}
	assert_int_equal(store_events_page(s, 0, INT64_MAX, "", SIZE_MAX, see_event, &n, &err), 0);
	store_close(&s);
}

/* --- kill -9 --------------------------------------------------------------------------------- */

static void
write_until_killed(const char *path, int told, uint64_t epoch)
{
	struct store *s = NULL;

	if (store_open(path, &s, &report, &err) < 0) {
		_exit(1);
	}
	for (;; epoch++) {
		struct store_master m = master_of_epoch(epoch);

		if (store_master_put(s, &m, &err) < 0 ||
		    write(told, &epoch, sizeof(epoch)) != sizeof(epoch) ||
		    store_event_add(s, 0, EVENT_MASTER_ELECTED, "main", "elected", long_detail(),
			NULL, &err) < 0) {
			_exit(1);
		}
	}
}

static void
test_killed_writer_loses_nothing(void **state)
{
	const char *path = scratch_path(dir, "state.db");
	uint64_t epoch = 0, told;

	for (unsigned round = 0; round < 20; round++) {
		int ends[2], status;
		pid_t pid;

		assert_int_equal(pipe(ends), 0);
		pid = fork();
		assert_int_not_equal(pid, -1);
		if (pid == 0) {
			(void)close(ends[0]);
			write_until_killed(path, ends[1], epoch + 1);
		}
		(void)close(ends[1]);
		for (unsigned i = 0; i < 3 + round * 2; i++) {
			assert_int_equal(read(ends[0], &told, sizeof(told)), sizeof(told));
			epoch = told;
		}
		assert_int_equal(kill(pid, SIGKILL), 0);
		while (read(ends[0], &told, sizeof(told)) == sizeof(told)) {
			epoch = told;
		}
		assert_int_equal(waitpid(pid, &status, 0), pid);
		assert_true(WIFSIGNALED(status));
		(void)close(ends[0]);
		assert_knows(path, epoch, epoch + 1);
	}
}

/* --- power cut ------------------------------------------------------------------------------- */

#define FILES_MAX 16
static struct {
	sqlite3_file *file;
	const sqlite3_io_methods *real;
	sqlite3_io_methods ours; /* database and log have different ones */
	char path[512];
} watched[FILES_MAX];
static size_t watched_count;
static int (*real_open)(sqlite3_vfs *, const char *, sqlite3_file *, int, int *);

/* Copies at most `max` bytes; a missing source makes a missing copy. */
static void
copy_file(const char *from, const char *to, off_t max)
{
	int in = open(from, O_RDONLY | O_CLOEXEC), out;
	char block[65536];
	off_t left = max;
	ssize_t n;

	(void)unlink(to);
	if (in == -1) {
		return;
	}
	out = open(to, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	assert_int_not_equal(out, -1);
	while (left > 0 && (n = read(in, block, MIN(sizeof(block), (size_t)left))) > 0) {
		assert_int_equal(write(out, block, (size_t)n), n);
		left -= n;
	}
	(void)close(in);
	(void)close(out);
}

static int
on_sync(sqlite3_file *file, int flags)
{
	size_t i = 0;
	char *copy;

	while (watched[i].file != file) {
		i++;
		assert_true(i < FILES_MAX);
	}
	copy = xasprintf("%s.flushed", watched[i].path);
	copy_file(watched[i].path, copy, INT32_MAX);
	free(copy);
	return watched[i].real->xSync(file, flags);
}

static int
on_open(sqlite3_vfs *vfs, const char *name, sqlite3_file *file, int flags, int *ret_flags)
{
	int rc = real_open(vfs, name, file, flags, ret_flags);

	if (rc == SQLITE_OK && name != NULL && watched_count < FILES_MAX &&
	    (flags & (SQLITE_OPEN_MAIN_DB | SQLITE_OPEN_WAL)) != 0) {
		watched[watched_count].file = file;
		watched[watched_count].real = file->pMethods;
		watched[watched_count].ours = *file->pMethods;
		watched[watched_count].ours.xSync = on_sync;
		file->pMethods = &watched[watched_count].ours;
		(void)snprintf(watched[watched_count].path, sizeof(watched[0].path), "%s", name);
		watched_count++;
	}
	return rc;
}

static off_t
size_of(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 ? st.st_size : 0;
}

/* Every disk that a cut at this moment could leave must know the epoch. */
static void
assert_every_cut(const char *path, uint64_t at_least, uint64_t at_most)
{
	char *cut = xasprintf("%s/cut.db", dir), *cut_log = xasprintf("%s-wal", cut);
	char *log = xasprintf("%s-wal", path);
	char *flushed = xasprintf("%s.flushed", path), *flushed_log = xasprintf("%s.flushed", log);
	off_t sure = size_of(flushed_log), written = size_of(log);
	size_t now_watched = watched_count;
	struct {
		const char *db, *log;
		off_t log_size;
	} disks[] = {
	    {flushed, flushed_log, INT32_MAX},
	    {flushed, log, INT32_MAX},
	    {path, log, INT32_MAX},
	    {flushed, log, sure + (written - sure) / 3},
	    {flushed, log, sure + (written - sure) / 2 + 13},
	};

	for (size_t i = 0; i < ARRAY_LEN(disks); i++) {
		if (disks[i].log_size < sure) {
			continue; /* the log began anew since */
		}
		copy_file(disks[i].db, cut, INT32_MAX);
		copy_file(disks[i].log, cut_log, disks[i].log_size);
		watched_count = FILES_MAX; /* the reader's files are not of interest */
		assert_knows(cut, at_least, at_most);
		watched_count = now_watched;
	}
	free(cut);
	free(cut_log);
	free(log);
	free(flushed);
	free(flushed_log);
}

static void
test_power_cut_keeps_the_master(void **state)
{
	const char *path = scratch_path(dir, "state.db");
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);
	struct store *s = NULL;
	char *flushed = xasprintf("%s.flushed", path);

	assert_int_equal(store_open(path, &s, &report, &err), 0);
	store_close(&s);
	copy_file(path, flushed, INT32_MAX);
	real_open = vfs->xOpen;
	vfs->xOpen = on_open;
	assert_int_equal(store_open(path, &s, &report, &err), 0);
	for (uint64_t epoch = 1; epoch <= 20; epoch++) {
		struct store_master m = master_of_epoch(epoch);
		struct store_instance inst = {.name = "redis-1", .kind = "redis", .role = "master"};

		/* events and pids may be lost, but take nothing with them */
		for (int i = 0; i < 12; i++) {
			assert_int_equal(store_event_add(s, 0, EVENT_LINK_UP, "redis-1", "up",
					     long_detail(), NULL, &err),
			    0);
		}
		inst.pid = (pid_t)epoch;
		assert_int_equal(store_instance_put(s, &inst, &err), 0);
		assert_every_cut(path, epoch - 1, epoch - 1);
		assert_int_equal(store_master_put(s, &m, &err), 0);
		assert_every_cut(path, epoch, epoch);
	}
	vfs->xOpen = real_open;
	store_close(&s);
	free(flushed);
}

/* --- full and read-only disks ---------------------------------------------------------------- */

static bool disk_full;
static sqlite3_syscall_ptr real_pwrite64, real_pwrite, real_write, real_open_call;

static ssize_t
our_pwrite64(int fd, const void *bytes, size_t len, off64_t at)
{
	if (disk_full) {
		errno = ENOSPC;
		return -1;
	}
	return pwrite64(fd, bytes, len, at);
}

static ssize_t
our_write(int fd, const void *bytes, size_t len)
{
	if (disk_full) {
		errno = ENOSPC;
		return -1;
	}
	return write(fd, bytes, len);
}

static int
our_open(const char *path, int flags, int mode)
{
	if ((flags & O_ACCMODE) != O_RDONLY) {
		errno = EROFS;
		return -1;
	}
	return open(path, flags, mode);
}

static void
override_call(const char *name, sqlite3_syscall_ptr ours, sqlite3_syscall_ptr *real)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);

	*real = vfs->xGetSystemCall(vfs, name);
	if (*real != NULL) {
		assert_int_equal(vfs->xSetSystemCall(vfs, name, ours), SQLITE_OK);
	}
}

static void
restore_call(const char *name, sqlite3_syscall_ptr real)
{
	sqlite3_vfs *vfs = sqlite3_vfs_find(NULL);

	if (real != NULL) {
		assert_int_equal(vfs->xSetSystemCall(vfs, name, real), SQLITE_OK);
	}
}

static void
test_full_disk_is_an_error_and_passes(void **state)
{
	const char *path = scratch_path(dir, "state.db");
	struct store_master m = master_of_epoch(1), out;
	struct store_event ev;
	struct store *s = NULL;

	assert_int_equal(store_open(path, &s, &report, &err), 0);
	assert_int_equal(store_meta_put(s, "a", "b", false, &err), 0);
	override_call("pwrite64", (sqlite3_syscall_ptr)our_pwrite64, &real_pwrite64);
	override_call("pwrite", (sqlite3_syscall_ptr)our_pwrite64, &real_pwrite);
	override_call("write", (sqlite3_syscall_ptr)our_write, &real_write);
	disk_full = true;
	assert_int_equal(store_master_put(s, &m, &err), -ENOSPC);
	assert_non_null(strstr(err.text, "no space left"));
	assert_non_null(strstr(err.text, path));
	assert_int_equal(
	    store_event_add(s, 0, EVENT_LINK_UP, "redis-1", "up", NULL, NULL, &err), -ENOSPC);
	assert_int_equal(
	    store_event_add(s, 0, EVENT_LINK_UP, "redis-1", "up", NULL, NULL, &err), -ENOSPC);
	assert_int_equal(store_master_get(s, "main", &out, &err), -ENOENT); /* reading goes on */
	disk_full = false;
	assert_int_equal(store_master_put(s, &m, &err), 0);
	assert_int_equal(store_event_add(s, 0, EVENT_LINK_UP, "redis-1", "up", NULL, &ev, &err), 0);
	assert_int_equal(ev.id, 2); /* after the event that tells of the gap */
	restore_call("pwrite64", real_pwrite64);
	restore_call("pwrite", real_pwrite);
	restore_call("write", real_write);
	store_close(&s);
	assert_knows(path, 1, 1);
}

static void
test_full_disk_at_creation_leaves_nothing(void **state)
{
	const char *path = scratch_path(dir, "state.db");
	struct store *s = NULL;

	override_call("pwrite64", (sqlite3_syscall_ptr)our_pwrite64, &real_pwrite64);
	override_call("pwrite", (sqlite3_syscall_ptr)our_pwrite64, &real_pwrite);
	override_call("write", (sqlite3_syscall_ptr)our_write, &real_write);
	disk_full = true;
	assert_int_equal(store_open(path, &s, &report, &err), -ENOSPC);
	assert_non_null(strstr(err.text, "no space left"));
	disk_full = false;
	restore_call("pwrite64", real_pwrite64);
	restore_call("pwrite", real_pwrite);
	restore_call("write", real_write);
	assert_int_equal(access(path, F_OK), -1);
	assert_int_equal(access(scratch_path(dir, "state.db.new"), F_OK), -1);
}

static void
test_read_only_disk_is_refused_and_kept(void **state)
{
	const char *path = scratch_path(dir, "state.db");
	struct store_master m = master_of_epoch(4);
	struct store *s = NULL;

	assert_int_equal(store_open(path, &s, &report, &err), 0);
	assert_int_equal(store_master_put(s, &m, &err), 0);
	store_close(&s);
	override_call("open", (sqlite3_syscall_ptr)our_open, &real_open_call);
	assert_int_equal(store_open(path, &s, &report, &err), -EROFS);
	restore_call("open", real_open_call);
	assert_null(s);
	assert_non_null(strstr(err.text, "read-only"));
	assert_knows(path, 4, 4);
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_killed_writer_loses_nothing),
	    TEST(test_power_cut_keeps_the_master),
	    TEST(test_full_disk_is_an_error_and_passes),
	    TEST(test_full_disk_at_creation_leaves_nothing),
	    TEST(test_read_only_disk_is_refused_and_kept),
	};

	return cmocka_run_group_tests_name("store: power", tests, NULL, NULL);
}
