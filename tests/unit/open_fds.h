/* How many descriptors are open: none may be left. */
#ifndef TESTS_UNIT_OPEN_FDS_H
#define TESTS_UNIT_OPEN_FDS_H

#include <fcntl.h>
#include <stddef.h>

static inline size_t
open_fds(void)
{
	size_t count = 0;

	for (int fd = 0; fd < 256; fd++) {
		count += fcntl(fd, F_GETFD) != -1;
	}
	return count;
}

#endif
