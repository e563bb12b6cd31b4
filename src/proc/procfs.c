#include "proc/procfs.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "base/slice.h"

/* Fields of /proc/PID/stat, from the third on. */
enum { STATE = 3, UTIME = 14, STIME = 15, START = 22 };

/* Reads the file and gives state and the wanted number fields, which are in ascending order. 0 or -ESRCH; zombies count as gone. */
static int
read_stat(pid_t pid, char *ret_state, const int *wanted, size_t count, uint64_t *ret_values)
{
	char path[64], text[1024], *field, *save = NULL;
	size_t found = 0;
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
	*ret_state = field[0];
	for (int i = STATE; field != NULL && found < count; i++) {
		if (i == wanted[found] && !slice_to_u64(slice_str(field), &ret_values[found++])) {
			return -ESRCH;
		}
		field = strtok_r(NULL, " ", &save);
	}
	return found == count ? 0 : -ESRCH;
}

int
procfs_start_ticks(pid_t pid, uint64_t *ret_ticks)
{
	static const int wanted[] = {START};
	char state;

	return read_stat(pid, &state, wanted, 1, ret_ticks);
}

uint64_t
procfs_cpu_ticks(pid_t pid)
{
	static const int wanted[] = {UTIME, STIME};
	uint64_t ticks[2];
	char state;

	return read_stat(pid, &state, wanted, 2, ticks) == 0 ? ticks[0] + ticks[1] : 0;
}

bool
procfs_is_runnable(pid_t pid)
{
	char state;

	return read_stat(pid, &state, NULL, 0, NULL) == 0 && state == 'R';
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
