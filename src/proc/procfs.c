#include "proc/procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/slice.h"

int
procfs_start_ticks(pid_t pid, uint64_t *ret_ticks)
{
	char path[64], text[1024], *field, *save = NULL;
	uint64_t ticks;
	ssize_t n;
	int fd;

	(void)snprintf(path, sizeof(path), "/proc/%ld/stat", (long)pid);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd == -1) {
		return -ESRCH;
	}
	n = read(fd, text, sizeof(text) - 1);
	(void)close(fd);
	if (n <= 0) {
		return -ESRCH;
	}
	text[n] = '\0';
	/* "pid (comm) state …": comm may hold blanks and brackets, so count from the last one */
	field = strrchr(text, ')');
	field = field != NULL ? strtok_r(field + 1, " ", &save) : NULL;
	if (field == NULL || field[0] == 'Z' || field[0] == 'X') {
		return -ESRCH;
	}
	for (int i = 3; field != NULL && i < 22; i++) {
		field = strtok_r(NULL, " ", &save);
	}
	if (field == NULL || !slice_to_u64(slice_str(field), &ticks)) {
		return -ESRCH;
	}
	*ret_ticks = ticks;
	return 0;
}

bool
procfs_is_same(pid_t pid, uint64_t start_ticks)
{
	uint64_t ticks;

	return pid > 1 && procfs_start_ticks(pid, &ticks) == 0 && ticks == start_ticks;
}

uint64_t
procfs_age_ms(uint64_t start_ticks)
{
	struct timespec now;
	uint64_t now_ms, start_ms = start_ticks * 1000 / (uint64_t)sysconf(_SC_CLK_TCK);

	if (clock_gettime(CLOCK_BOOTTIME, &now) == -1) {
		return 0;
	}
	now_ms = (uint64_t)now.tv_sec * 1000 + (uint64_t)now.tv_nsec / 1000000;
	return now_ms > start_ms ? now_ms - start_ms : 0;
}
