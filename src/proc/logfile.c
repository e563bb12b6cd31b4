#include "proc/logfile.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"

struct logfile {
	char *path; /* owned */
	int fd;     /* owned; -1 while closed */
	size_t size_bytes, max_bytes;
	unsigned keep;
};

struct logfile *
logfile_new(const char *path, size_t max_bytes, unsigned keep)
{
	struct logfile *f = xcalloc(1, sizeof(*f));

	*f =
	    (struct logfile){.path = xstrdup(path), .fd = -1, .max_bytes = max_bytes, .keep = keep};
	return f;
}

void
logfile_free(struct logfile **fp)
{
	struct logfile *f = *fp;

	*fp = NULL;
	if (f == NULL) {
		return;
	}
	if (f->fd != -1) {
		(void)close(f->fd);
	}
	free(f->path);
	free(f);
}

void
logfile_set_limits(struct logfile *f, size_t max_bytes, unsigned keep)
{
	f->max_bytes = max_bytes;
	f->keep = keep;
}

static int
open_file(struct logfile *f)
{
	struct stat st;

	f->fd = open(f->path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0640);
	if (f->fd == -1) {
		return -errno;
	}
	f->size_bytes = fstat(f->fd, &st) == 0 ? (size_t)st.st_size : 0;
	return 0;
}

static void
rotate(struct logfile *f)
{
	(void)close(f->fd);
	f->fd = -1;
	for (unsigned i = f->keep; i > 0; i--) {
		char *from = i > 1 ? xasprintf("%s.%u", f->path, i - 1) : xstrdup(f->path);
		char *to = xasprintf("%s.%u", f->path, i);

		(void)rename(from, to);
		free(from);
		free(to);
	}
	if (f->keep == 0) {
		(void)unlink(f->path);
	}
}

int
logfile_line(struct logfile *f, struct slice line)
{
	struct iovec parts[2] = {{(void *)(uintptr_t)line.ptr, line.len}, {(char[]){'\n'}, 1}};
	ssize_t n;
	int err;

	if (f->fd != -1 && f->size_bytes + line.len + 1 > f->max_bytes && f->size_bytes > 0) {
		rotate(f);
	}
	if (f->fd == -1) {
		err = open_file(f);
		if (err < 0) {
			return err;
		}
	}
	n = writev(f->fd, parts, 2);
	if (n == -1) {
		err = -errno;
		(void)close(f->fd);
		f->fd = -1;
		return err;
	}
	f->size_bytes += (size_t)n;
	return (size_t)n == line.len + 1 ? 0 : -ENOSPC;
}

void
logfile_tail(
    const char *path, size_t max_bytes, void (*fn)(void *arg, struct slice line), void *arg)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct slice rest;
	struct stat st;
	struct buf b;
	off_t from;
	ssize_t n = 0;

	buf_init(&b, 0);
	if (fd == -1 || fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) ||
	    buf_reserve(&b, max_bytes) < 0) {
		goto out;
	}
	from = (size_t)st.st_size > max_bytes ? st.st_size - (off_t)max_bytes : 0;
	n = pread(fd, buf_tail(&b), max_bytes, from);
	if (n <= 0) {
		goto out;
	}
	buf_commit(&b, (size_t)n);
	rest = buf_slice(&b);
	if (from > 0) {
		/* the first line is cut: skip it */
		const uint8_t *nl = memchr(rest.ptr, '\n', rest.len);

		rest = nl == NULL ? (struct slice){rest.ptr, 0}
				  : (struct slice){nl + 1, rest.len - (size_t)(nl + 1 - rest.ptr)};
	}
	while (rest.len > 0) {
		const uint8_t *nl = memchr(rest.ptr, '\n', rest.len);
		size_t len = nl != NULL ? (size_t)(nl - rest.ptr) : rest.len;

		fn(arg, (struct slice){rest.ptr, len});
		len = MIN(len + 1, rest.len);
		rest.ptr += len;
		rest.len -= len;
	}
out:
	if (fd != -1) {
		(void)close(fd);
	}
	buf_fini(&b);
}
