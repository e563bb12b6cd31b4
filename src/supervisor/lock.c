#include "supervisor/lock.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/random.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#define SECRET_BYTES 32
#define SECRET_TEXT  ((size_t)SECRET_BYTES * 2)

/* mkdir -p with 0700 for what is made. */
static int
make_folders(const char *dir)
{
	char *path = xstrdup(dir);
	int rc = 0;

	for (char *p = path + 1; rc == 0; p++) {
		bool last = *p == '\0';

		if (*p != '/' && !last) {
			continue;
		}
		*p = '\0';
		if (mkdir(path, 0700) == -1 && errno != EEXIST) {
			rc = -errno;
		}
		if (last) {
			break;
		}
		*p = '/';
	}
	free(path);
	return rc;
}

static int
folder_failed(const char *dir, int rc, struct errmsg *err)
{
	errmsg_set(err,
	    "cannot use the data folder %s: %s: make it writable, or name another with -d", dir,
	    strerror(-rc));
	return rc;
}

int
lock_folder(const char *dir, int *ret_fd, struct errmsg *err)
{
	char *log_dir = xasprintf("%s/log", dir), *path = xasprintf("%s/holdfast.lock", dir),
	     pid[32] = "";
	int rc, fd = -1;
	struct stat st;

	rc = make_folders(log_dir);
	if (rc == 0 && (stat(log_dir, &st) == -1 || !S_ISDIR(st.st_mode))) {
		rc = -ENOTDIR;
	}
	if (rc == 0) {
		fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
		rc = fd == -1 ? -errno : 0;
	}
	if (rc < 0) {
		rc = folder_failed(dir, rc, err);
		goto out;
	}
	if (flock(fd, LOCK_EX | LOCK_NB) == -1) {
		ssize_t n = pread(fd, pid, sizeof(pid) - 1, 0);

		pid[n > 0 ? n : 0] = '\0';
		pid[strcspn(pid, "\n")] = '\0';
		errmsg_set(err,
		    "the data folder %s is held by another supervisor%s%s: stop that one, or name "
		    "another folder with -d",
		    dir, pid[0] != '\0' ? ", pid " : "", pid);
		rc = -EBUSY;
		goto out;
	}
	/* The pid is for people; the lock is what counts. A full disk must not keep us from starting. */
	(void)snprintf(pid, sizeof(pid), "%ld\n", (long)getpid());
	if (ftruncate(fd, 0) == -1 || pwrite(fd, pid, strlen(pid), 0) == -1) {
		errmsg_set(err, "%s: %m", path);
	}
	*ret_fd = fd;
	fd = -1;
out:
	if (fd != -1) {
		(void)close(fd);
	}
	free(log_dir);
	free(path);
	return rc;
}

int
lock_inherit(const char *dir, int fd, int *ret_fd, struct errmsg *err)
{
	char *path = xasprintf("%s/holdfast.lock", dir);
	struct stat ours, here;
	bool same = fd != -1 && fstat(fd, &ours) == 0 && stat(path, &here) == 0 &&
		    ours.st_ino == here.st_ino && ours.st_dev == here.st_dev &&
		    flock(fd, LOCK_EX | LOCK_NB) == 0 && fcntl(fd, F_SETFD, FD_CLOEXEC) == 0;

	free(path);
	if (same) {
		*ret_fd = fd;
		return 0;
	}
	if (fd != -1) {
		(void)close(fd);
	}
	return lock_folder(dir, ret_fd, err);
}

/* Puts it into the file, 0600, in one step. */
static int
write_secret(const char *path, const char *text)
{
	char *tmp = xasprintf("%s.new", path);
	ssize_t len = (ssize_t)strlen(text);
	int rc = 0, fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	if (fd == -1 || write(fd, text, (size_t)len) != len || write(fd, "\n", 1) != 1 ||
	    fsync(fd) == -1 || rename(tmp, path) == -1) {
		rc = errno != 0 ? -errno : -EIO;
		(void)unlink(tmp);
	}
	if (fd != -1) {
		(void)close(fd);
	}
	free(tmp);
	return rc;
}

static int
make_secret(const char *path, char *text)
{
	uint8_t random[SECRET_BYTES];

	if (getrandom(random, sizeof(random), 0) != (ssize_t)sizeof(random)) {
		return -EIO;
	}
	for (size_t i = 0; i < sizeof(random); i++) {
		(void)snprintf(text + 2 * i, 3, "%02x", random[i]);
	}
	return write_secret(path, text);
}

bool
lock_is_own_secret(const char *secret)
{
	return strlen(secret) == SECRET_TEXT &&
	       strspn(secret, "0123456789abcdefABCDEF") == SECRET_TEXT;
}

int
lock_share_secret(const char *dir, const char *secret, char **ret_secret, struct errmsg *err)
{
	char *path = xasprintf("%s/secret", dir);
	int rc = write_secret(path, secret);

	if (rc < 0) {
		errmsg_set(err, "cannot write %s: %s", path, strerror(-rc));
	} else {
		*ret_secret = xstrdup(secret);
	}
	free(path);
	return rc;
}

int
lock_secret(const char *dir, char **ret_secret, struct errmsg *err)
{
	char *path = xasprintf("%s/secret", dir), text[SECRET_TEXT + 1] = "";
	int rc = 0, fd = open(path, O_RDONLY | O_CLOEXEC);
	ssize_t n = 0;

	if (fd != -1) {
		n = read(fd, text, SECRET_TEXT);
		rc = n == -1 ? -errno : 0;
		(void)close(fd);
	} else if (errno == ENOENT) {
		rc = make_secret(path, text);
	} else {
		rc = -errno;
	}
	if (rc < 0) {
		errmsg_set(err, "cannot read or make %s: %s", path, strerror(-rc));
		goto out;
	}
	for (size_t i = 0; i < SECRET_TEXT; i++) {
		if (!isxdigit((unsigned char)text[i])) {
			errmsg_set(err,
			    "%s does not hold our secret (%zu hex digits): restore it, or remove "
			    "it "
			    "while nothing runs here",
			    path, SECRET_TEXT);
			rc = -EINVAL;
			goto out;
		}
	}
	*ret_secret = xstrdup(text);
out:
	free(path);
	return rc;
}
