#include "instance/redis_data.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

#define LOOKED_AT_MAX ((size_t)64 * 1024 * 1024)
#define END_BYTES     1024 /* so many at the end of a file stand for it */
#define END_BYTES_MIN 64   /* fewer may stand anywhere */

/* What redis 6 to 8 and Valkey print before they exit because of a file. */
static const char *const complaints[] = {
    "Bad file format reading the append only file",
    "Unexpected end of file reading the append only file",
    "Unrecoverable error reading the append only file",
    "Unable to obtain the AOF file",
    "Error reading the RDB preamble of the AOF file",
    "Error reading the RDB base file",
    "Fatal error loading the DB",
    "Short read or OOM loading DB",
    "Wrong RDB checksum expected",
    "Internal error in RDB reading offset",
    "Wrong signature trying to load DB from file",
    "Invalid AOF manifest file format",
    "FATAL AOF MANIFEST FILE ERROR",
};

static const char *const data_names[] = {"appendonlydir", "appendonly.aof", "dump.rdb"};

bool
redis_data_is_complaint(struct slice line)
{
	for (size_t i = 0; i < ARRAY_LEN(complaints); i++) {
		if (memmem(line.ptr, line.len, complaints[i], strlen(complaints[i])) != NULL) {
			return true;
		}
	}
	return false;
}

/* appendonly.aof.12.incr.aof: 12. 0: another file. */
static uint64_t
increment_number(const char *name)
{
	const char *end = strstr(name, ".incr."), *begin = end;
	uint64_t number = 0;

	while (begin != NULL && begin > name && begin[-1] != '.') {
		begin--;
	}
	if (begin == NULL ||
	    !slice_to_u64((struct slice){(const uint8_t *)begin, (size_t)(end - begin)}, &number)) {
		return 0;
	}
	return number;
}

/* The newest increment of the append-only file, owned by the caller; NULL: there is none. */
static char *
find_newest(const char *dir)
{
	char *folder = xasprintf("%s/appendonlydir", dir), *found = NULL;
	uint64_t newest = 0;
	struct dirent *entry;
	DIR *d = opendir(folder);

	while (d != NULL && (entry = readdir(d)) != NULL) {
		uint64_t number = increment_number(entry->d_name);

		if (number > newest) {
			newest = number;
			free(found);
			found = xasprintf("%s/%s", folder, entry->d_name);
		}
	}
	if (d != NULL) {
		(void)closedir(d);
	}
	free(folder);
	return found;
}

/* The last part of the newest increment, mapped; empty when there is none. */
static struct slice
map_tail(const char *dir)
{
	char *path = find_newest(dir);
	int fd = path != NULL ? open(path, O_RDONLY | O_CLOEXEC) : -1;
	struct slice tail = {NULL, 0};
	struct stat st;

	if (fd != -1 && fstat(fd, &st) == 0 && st.st_size >= END_BYTES_MIN) {
		off_t page = (off_t)sysconf(_SC_PAGESIZE);
		off_t from = st.st_size > (off_t)LOOKED_AT_MAX
				 ? (st.st_size - (off_t)LOOKED_AT_MAX) / page * page
				 : 0;
		size_t len = (size_t)(st.st_size - from);
		void *at = mmap(NULL, len, PROT_READ, MAP_PRIVATE, fd, from);

		if (at != MAP_FAILED) {
			tail = (struct slice){at, len};
		}
	}
	if (fd != -1) {
		(void)close(fd);
	}
	free(path);
	return tail;
}

static void
unmap(struct slice tail)
{
	if (tail.ptr != NULL) {
		(void)munmap((void *)(uintptr_t)tail.ptr, tail.len);
	}
}

/* How many bytes stand in `text` behind the last place where the end of `other` does; SIZE_MAX: it does not. */
static size_t
bytes_behind_end_of(struct slice text, struct slice other)
{
	size_t len = MIN(other.len, (size_t)END_BYTES);
	const uint8_t *end = other.ptr + other.len - len;

	for (size_t behind = 0; behind + len <= text.len; behind++) {
		if (memcmp(text.ptr + text.len - behind - len, end, len) == 0) {
			return behind;
		}
	}
	return SIZE_MAX;
}

uint64_t
redis_data_ahead(const char *dir, const char *than)
{
	struct slice ours = map_tail(dir), theirs = map_tail(than);
	size_t more = 0;

	if (ours.ptr != NULL && theirs.ptr != NULL) {
		more = bytes_behind_end_of(ours, theirs);
		/* Writes that repeat themselves: each seems to be before the other, and nothing is proven. */
		if (more == SIZE_MAX || bytes_behind_end_of(theirs, ours) != SIZE_MAX) {
			more = 0;
		}
	}
	unmap(ours);
	unmap(theirs);
	return more;
}

/* To the names with the word and the time, or back from them. */
static int
rename_all(const char *dir, const char *word, uint64_t stamp, bool back, struct errmsg *err)
{
	int rc = 0;

	for (size_t i = 0; i < ARRAY_LEN(data_names) && rc == 0; i++) {
		char *name = xasprintf("%s/%s", dir, data_names[i]);
		char *aside = xasprintf("%s.%s-%llu", name, word, (unsigned long long)stamp);

		if (rename(back ? aside : name, back ? name : aside) == -1 && errno != ENOENT) {
			rc = -errno;
			errmsg_set(err, "cannot set %s %s: %s", back ? aside : name,
			    back ? "back" : "aside", strerror(-rc));
		}
		free(name);
		free(aside);
	}
	return rc;
}

int
redis_data_set_aside(const char *dir, const char *word, uint64_t stamp, struct errmsg *err)
{
	return rename_all(dir, word, stamp, false, err);
}

int
redis_data_put_back(const char *dir, const char *word, uint64_t stamp, struct errmsg *err)
{
	return rename_all(dir, word, stamp, true, err);
}
