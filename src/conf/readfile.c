#include "conf/conf_priv.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

int
conf_read_file(const char *path, void *bytes, size_t max, size_t *ret_len, struct errmsg *err)
{
	/* Not to wait for whoever writes into a fifo: a reload happens in the supervisor's loop. */
	int fd = open(path, O_RDONLY | O_CLOEXEC | O_NOCTTY | O_NONBLOCK), rc = 0;
	size_t len = 0;
	struct stat st;
	ssize_t n = 1;

	if (fd == -1 || fstat(fd, &st) == -1) {
		rc = -errno;
		errmsg_set(err, "%s: cannot be read: %s%s", path, strerror(-rc),
		    rc == -EACCES ? ": give it, and the way there, to the user who runs Holdfast"
		    : rc == -ENOENT || rc == -ENOTDIR ? ": make it, or correct the path"
						      : "");
	} else if (!S_ISREG(st.st_mode)) {
		rc = -EINVAL;
		errmsg_set(err, "%s: cannot be read: %s", path,
		    S_ISDIR(st.st_mode) ? "it is a directory" : "it is no regular file");
	}
	while (rc == 0 && n != 0 && len <= max) {
		n = read(fd, (char *)bytes + len, max + 1 - len);
		if (n == -1 && errno != EINTR) {
			rc = -errno;
			errmsg_set(err, "%s: cannot be read: %s", path, strerror(-rc));
		}
		len += n > 0 ? (size_t)n : 0;
	}
	if (rc == 0 && len > max) {
		rc = -EFBIG;
		errmsg_set(err, "%s: the file is too large: at most %zu bytes", path, max);
	}
	if (fd != -1) {
		(void)close(fd);
	}
	if (rc == 0) {
		*ret_len = len;
	}
	return rc;
}
