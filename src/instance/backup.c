#include "instance/backup.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include <openssl/evp.h>

#include "base/mem.h"
#include "base/slice.h"
#include "base/clock.h"

#define COPY_BYTES   ((size_t)1 << 20)
#define TIME_LENGTH  20 /* 20261126T191500.123Z */
#define SUFFIX       ".rdb"
#define SUM_SUFFIX   ".sha256"
#define TMP_SUFFIX   ".tmp"
#define STALE_MS     (UINT64_C(24) * 3600 * 1000)
#define DIGEST_BYTES 32

/* ---- names ---- */

static void
format_time(uint64_t ms, char *text, size_t size)
{
	time_t s = (time_t)(ms / 1000);
	struct tm tm;

	(void)gmtime_r(&s, &tm);
	(void)snprintf(text, size, "%04d%02d%02dT%02d%02d%02d.%03uZ", tm.tm_year + 1900,
	    tm.tm_mon + 1, tm.tm_mday, tm.tm_hour, tm.tm_min, tm.tm_sec, (unsigned)(ms % 1000));
}

/* `digits` of them at `*at`, which moves on; false: there are others. */
static bool
take_digits(const char **at, unsigned digits, int *ret_value)
{
	*ret_value = 0;
	for (unsigned i = 0; i < digits; i++, (*at)++) {
		if (**at < '0' || **at > '9') {
			return false;
		}
		*ret_value = *ret_value * 10 + (**at - '0');
	}
	return true;
}

static bool
take_char(const char **at, char c)
{
	return *(*at)++ == c;
}

/* The inverse of format_time, for exactly that form; 0: it is another. */
static uint64_t
parse_time(const char *at)
{
	struct tm tm = {0};
	int ms = 0;
	time_t s;

	if (!take_digits(&at, 4, &tm.tm_year) || !take_digits(&at, 2, &tm.tm_mon) ||
	    !take_digits(&at, 2, &tm.tm_mday) || !take_char(&at, 'T') ||
	    !take_digits(&at, 2, &tm.tm_hour) || !take_digits(&at, 2, &tm.tm_min) ||
	    !take_digits(&at, 2, &tm.tm_sec) || !take_char(&at, '.') || !take_digits(&at, 3, &ms) ||
	    !take_char(&at, 'Z')) {
		return 0;
	}
	tm.tm_year -= 1900;
	tm.tm_mon--;
	s = timegm(&tm);
	return s > 0 ? (uint64_t)s * 1000 + (uint64_t)ms : 0;
}

/* The time in the name of a backup of this cluster (with `end` behind it); 0: the name is another. */
static uint64_t
time_of(const char *name, const char *cluster, const char *end)
{
	size_t len = strlen(cluster);

	if (strlen(name) != len + 1 + TIME_LENGTH + strlen(end) ||
	    strncmp(name, cluster, len) != 0 || name[len] != '-' ||
	    strcmp(name + len + 1 + TIME_LENGTH, end) != 0) {
		return 0;
	}
	return parse_time(name + len + 1);
}

/* ---- bytes ---- */

static int
digest(int fd, char ret_hex[BACKUP_SHA256_SIZE])
{
	EVP_MD_CTX *ctx = EVP_MD_CTX_new();
	uint8_t *bytes = xcalloc(1, COPY_BYTES), sum[EVP_MAX_MD_SIZE];
	int rc = ctx != NULL && EVP_DigestInit_ex(ctx, EVP_sha256(), NULL) == 1 ? 0 : -ENOMEM;
	off_t at = 0;

	while (rc == 0) {
		ssize_t n = pread(fd, bytes, COPY_BYTES, at);

		if (n == 0) {
			break;
		}
		if (n > 0) {
			at += n;
			rc = EVP_DigestUpdate(ctx, bytes, (size_t)n) == 1 ? 0 : -ENOMEM;
		} else if (errno != EINTR) {
			rc = -errno;
		}
	}
	if (rc == 0 && EVP_DigestFinal_ex(ctx, sum, NULL) != 1) {
		rc = -ENOMEM;
	}
	for (size_t i = 0; rc == 0 && i < DIGEST_BYTES; i++) {
		(void)snprintf(ret_hex + 2 * i, 3, "%02x", sum[i]);
	}
	free(bytes);
	EVP_MD_CTX_free(ctx);
	return rc;
}

static int
write_all(int fd, const uint8_t *bytes, size_t len)
{
	while (len > 0) {
		ssize_t n = write(fd, bytes, len);

		if (n == -1 && errno != EINTR) {
			return -errno;
		}
		if (n > 0) {
			bytes += n;
			len -= (size_t)n;
		}
	}
	return 0;
}

/* The kernel copies what it can by itself, or only shares the blocks; the rest goes through us. */
static int
copy_bytes(int from, int to)
{
	uint8_t *bytes = NULL;
	loff_t at = 0;
	int rc = 0;

	while (bytes == NULL) {
		ssize_t n = copy_file_range(from, &at, to, NULL, (size_t)1 << 30, 0);

		if (n == 0) {
			return 0;
		}
		if (n == -1 && (errno == ENOSPC || errno == EDQUOT)) {
			return -errno;
		}
		if (n == -1 && errno != EINTR) {
			bytes = xcalloc(1, COPY_BYTES);
		}
	}
	while (rc == 0) {
		ssize_t n = pread(from, bytes, COPY_BYTES, at);

		if (n == 0) {
			break;
		}
		if (n > 0) {
			at += n;
			rc = write_all(to, bytes, (size_t)n);
		} else if (errno != EINTR) {
			rc = -errno;
		}
	}
	free(bytes);
	return rc;
}

static int
flush_and_close(int fd, int rc)
{
	if (rc == 0 && fsync(fd) == -1) {
		rc = -errno;
	}
	if (close(fd) == -1 && rc == 0) {
		rc = -errno;
	}
	return rc;
}

/* A new file has been written, with the result `rc`: flushed, or removed again and told of. */
static int
end_file(int fd, const char *path, int rc, struct errmsg *err)
{
	rc = fd != -1 ? flush_and_close(fd, rc) : rc;
	if (rc < 0) {
		errmsg_set(err, "cannot write %s: %s%s", path, strerror(-rc),
		    rc == -ENOSPC || rc == -EDQUOT ? ": make room" : "");
		if (fd != -1) {
			(void)unlink(path);
		}
	}
	return rc;
}

int
backup_copy(int from, const char *to, struct errmsg *err)
{
	int fd = open(to, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0600);

	return end_file(fd, to, fd != -1 ? copy_bytes(from, fd) : -errno, err);
}

int
backup_make_folder(const char *dir, struct errmsg *err)
{
	int rc = mkdir(dir, 0700) == 0 ? 0 : -errno;

	if (rc == 0) {
		char *parent = xasprintf("%s/..", dir);

		rc = backup_flush_folder(parent, err);
		free(parent);
	} else if (rc == -EEXIST) {
		rc = 0; /* what is in the way and is no folder is told by who opens it */
	} else {
		errmsg_set(err, "cannot make the folder %s: %s", dir, strerror(-rc));
	}
	return rc;
}

int
backup_flush_folder(const char *dir, struct errmsg *err)
{
	int fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	int rc = fd != -1 && fsync(fd) == 0 ? 0 : -errno;

	if (fd != -1) {
		(void)close(fd);
	}
	if (rc < 0) {
		errmsg_set(err, "cannot flush the folder %s: %s", dir, strerror(-rc));
	}
	return rc;
}

/* ---- a new one ---- */

/* Only a whole snapshot begins so. */
static int
check_magic(int fd, const char *path, struct errmsg *err)
{
	char magic[5];

	if (pread(fd, magic, sizeof(magic), 0) != (ssize_t)sizeof(magic) ||
	    memcmp(magic, "REDIS", sizeof(magic)) != 0) {
		errmsg_set(err, "%s is no snapshot of redis", path);
		return -EILSEQ;
	}
	return 0;
}

/* Under the name `to`: the very file, or where that cannot be, a copy. */
static int
take(const char *from, int fd, const char *to, struct errmsg *err)
{
	struct stat opened, named;

	if (link(from, to) == 0) {
		/* Not another one that took its place meanwhile. */
		if (fstat(fd, &opened) == 0 && lstat(to, &named) == 0 &&
		    opened.st_ino == named.st_ino && opened.st_dev == named.st_dev) {
			if (fsync(fd) == -1) {
				int rc = -errno;

				errmsg_set(err, "cannot flush %s: %s", to, strerror(-rc));
				return rc;
			}
			return 0;
		}
		(void)unlink(to);
	}
	return backup_copy(fd, to, err);
}

static int
write_sum(const char *path, const char *name, const char *hex, struct errmsg *err)
{
	char line[BACKUP_SHA256_SIZE + BACKUP_NAME_SIZE + 4];
	int len = snprintf(line, sizeof(line), "%s  %s\n", hex, name);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC | O_NOFOLLOW, 0600);
	int rc = fd != -1 ? write_all(fd, (const uint8_t *)line, (size_t)len) : -errno;

	return end_file(fd, path, rc, err);
}

static int
rename_to(const char *from, const char *to, struct errmsg *err)
{
	int rc = rename(from, to) == 0 ? 0 : -errno;

	if (rc < 0) {
		errmsg_set(err, "cannot rename %s to %s: %s", from, to, strerror(-rc));
	}
	return rc;
}

int
backup_store(const char *dir, const char *from, const char *cluster, uint64_t time_ms,
    struct backup_file *ret_file, struct errmsg *err)
{
	struct backup_file file = {0};
	char when[TIME_LENGTH + 20], *path, *tmp, *sum;
	struct stat st;
	int fd, rc = backup_make_folder(dir, err);

	if (rc < 0) {
		return rc;
	}
	format_time(time_ms, when, sizeof(when));
	(void)snprintf(file.name, sizeof(file.name), "%s-%s" SUFFIX, cluster, when);
	path = xasprintf("%s/%s", dir, file.name);
	tmp = xasprintf("%s" TMP_SUFFIX, path);
	sum = xasprintf("%s" SUM_SUFFIX, path);
	fd = open(from, O_RDONLY | O_CLOEXEC);
	if (fd == -1) {
		rc = -errno;
		errmsg_set(err, "cannot read the snapshot %s: %s", from, strerror(-rc));
		goto out;
	}
	rc = check_magic(fd, from, err);
	if (rc == 0) {
		rc = take(from, fd, tmp, err);
	}
	if (rc < 0) {
		goto out;
	}
	rc = fstat(fd, &st) == 0 ? digest(fd, file.sha256) : -errno;
	if (rc < 0) {
		errmsg_set(err, "cannot read %s: %s", tmp, strerror(-rc));
	}
	if (rc == 0) {
		file.bytes = (uint64_t)st.st_size;
		rc = write_sum(sum, file.name, file.sha256, err);
		if (rc == 0) {
			rc = rename_to(tmp, path, err);
		}
		if (rc < 0) {
			(void)unlink(sum);
		}
	}
	if (rc < 0) {
		(void)unlink(tmp);
		goto out;
	}
	rc = backup_flush_folder(dir, err);
	if (rc == 0) {
		*ret_file = file;
	}
out:
	if (fd != -1) {
		(void)close(fd);
	}
	free(path);
	free(tmp);
	free(sum);
	return rc;
}

/* ---- the old ones ---- */

struct found {
	uint64_t *times; /* owned */
	size_t count;
};

static int
newest_first(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return *x > *y ? -1 : *x < *y ? 1 : 0;
}

static int
find_all(const char *dir, const char *cluster, struct found *ret_found, struct errmsg *err)
{
	DIR *d = opendir(dir);
	struct dirent *entry;

	*ret_found = (struct found){0};
	if (d == NULL) {
		int rc = errno == ENOENT ? 0 : -errno;

		if (rc < 0) {
			errmsg_set(err, "cannot read the folder %s: %s", dir, strerror(-rc));
		}
		return rc;
	}
	while ((entry = readdir(d)) != NULL) {
		uint64_t time_ms = time_of(entry->d_name, cluster, SUFFIX);

		if (time_ms > 0) {
			ret_found->times = xreallocarray(
			    ret_found->times, ret_found->count + 1, sizeof(*ret_found->times));
			ret_found->times[ret_found->count++] = time_ms;
		}
	}
	(void)closedir(d);
	if (ret_found->count > 0) {
		qsort(ret_found->times, ret_found->count, sizeof(*ret_found->times), newest_first);
	}
	return 0;
}

uint64_t
backup_newest_ms(const char *dir, const char *cluster)
{
	struct found found;
	uint64_t newest;

	if (find_all(dir, cluster, &found, NULL) < 0) {
		return 0;
	}
	newest = found.count > 0 ? found.times[0] : 0;
	free(found.times);
	return newest;
}

/* The checksum goes last: a backup never stands without it. */
static int
remove_one(const char *dir, const char *cluster, uint64_t time_ms, struct errmsg *err)
{
	char when[TIME_LENGTH + 20], *path, *sum;
	int rc = 0;

	format_time(time_ms, when, sizeof(when));
	path = xasprintf("%s/%s-%s" SUFFIX, dir, cluster, when);
	sum = xasprintf("%s" SUM_SUFFIX, path);
	if (unlink(path) == -1 && errno != ENOENT) {
		rc = -errno;
		errmsg_set(err, "cannot remove %s: %s", path, strerror(-rc));
	} else {
		(void)unlink(sum);
	}
	free(path);
	free(sum);
	return rc;
}

static void
remove_stale(const char *dir, const char *cluster, uint64_t now_ms)
{
	DIR *d = opendir(dir);
	struct dirent *entry;

	while (d != NULL && (entry = readdir(d)) != NULL) {
		uint64_t time_ms = time_of(entry->d_name, cluster, SUFFIX TMP_SUFFIX);

		if (time_ms > 0 && time_ms + STALE_MS < now_ms) {
			(void)unlinkat(dirfd(d), entry->d_name, 0);
			(void)remove_one(dir, cluster, time_ms, NULL); /* its checksum */
		}
	}
	if (d != NULL) {
		(void)closedir(d);
	}
}

int
backup_rotate(const char *dir, const char *cluster, unsigned keep, uint64_t keep_ms,
    uint64_t now_ms, unsigned *ret_removed, struct errmsg *err)
{
	struct found found;
	unsigned removed = 0;
	int rc = find_all(dir, cluster, &found, err);

	for (size_t i = 1; i < found.count && rc == 0; i++) {
		bool many = keep > 0 && i >= keep;
		bool old = keep_ms > 0 && found.times[i] + keep_ms < now_ms;

		if (many || old) {
			rc = remove_one(dir, cluster, found.times[i], err);
			removed += rc == 0 ? 1 : 0;
		}
	}
	free(found.times);
	if (rc == 0) {
		remove_stale(dir, cluster, now_ms);
		*ret_removed = removed;
	}
	return rc;
}

/* ---- proof ---- */

/* The first word of the checksum's file. */
static int
read_sum(const char *path, char ret_hex[BACKUP_SHA256_SIZE], struct errmsg *err)
{
	char *sum = xasprintf("%s" SUM_SUFFIX, path);
	int fd = open(sum, O_RDONLY | O_CLOEXEC), rc = 0;
	ssize_t n;

	if (fd == -1) {
		rc = -errno;
		errmsg_set(err, "cannot read %s: %s", sum, strerror(-rc));
	} else {
		n = read(fd, ret_hex, BACKUP_SHA256_SIZE - 1);
		ret_hex[n > 0 ? n : 0] = '\0';
		if (strspn(ret_hex, "0123456789abcdef") != BACKUP_SHA256_SIZE - 1) {
			rc = -EILSEQ;
			errmsg_set(err, "%s does not begin with a SHA-256 checksum", sum);
		}
		(void)close(fd);
	}
	free(sum);
	return rc;
}

int
backup_verify(const char *path, struct errmsg *err)
{
	char wanted[BACKUP_SHA256_SIZE], found[BACKUP_SHA256_SIZE];
	int fd, rc = read_sum(path, wanted, err);

	if (rc < 0) {
		return rc;
	}
	fd = open(path, O_RDONLY | O_CLOEXEC);
	rc = fd != -1 ? digest(fd, found) : -errno;
	if (rc < 0) {
		errmsg_set(err, "cannot read %s: %s", path, strerror(-rc));
	} else if (strcmp(wanted, found) != 0) {
		rc = -EILSEQ;
		errmsg_set(err,
		    "%s is damaged: its checksum is not the one of %s" SUM_SUFFIX
		    ": take another backup",
		    path, path);
	}
	if (fd != -1) {
		(void)close(fd);
	}
	return rc;
}
