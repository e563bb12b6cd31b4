#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/mem.h"
#include "ctl/ctl_priv.h"

int
ctl_socket_endpoint(
    const char *path, struct endpoint *ret_ep, int *ret_folder_fd, struct errmsg *err)
{
	struct endpoint ep = {.kind = ENDPOINT_UNIX};
	const char *slash = strrchr(path, '/'), *name = slash != NULL ? slash + 1 : path;
	int fd = -1, n, rc = 0;
	char *folder;

	if (strlen(path) < sizeof(((struct sockaddr_un *)0)->sun_path)) {
		(void)snprintf(ep.host, sizeof(ep.host), "%s", path);
		*ret_ep = ep;
		*ret_folder_fd = -1;
		return 0;
	}
	/* The kernel copies the address into 108 bytes, but follows links in it. */
	folder = xstrdup(path);
	fd = open(dirname(folder), O_PATH | O_DIRECTORY | O_CLOEXEC);
	if (fd == -1) {
		rc = -errno;
		errmsg_set(err, "cannot open the folder of %s: %m", path);
		goto out;
	}
	n = snprintf(ep.host, sizeof(ep.host), "/proc/self/fd/%d/%s", fd, name);
	if (n < 0 || (size_t)n >= sizeof(((struct sockaddr_un *)0)->sun_path)) {
		errmsg_set(err, "the name of the socket %s is too long", path);
		(void)close(fd);
		rc = -ENAMETOOLONG;
		goto out;
	}
	*ret_ep = ep;
	*ret_folder_fd = fd;
out:
	free(folder);
	return rc;
}
