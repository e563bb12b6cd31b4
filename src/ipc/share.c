#include "ipc/share.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define SHARE_MAGIC 0x53484152U
#define SEALS       (F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL)

/* Mapped, and read by workers of other versions: a change needs another magic. */
struct share {
	uint32_t magic;
	_Atomic uint64_t next;
	_Atomic uint32_t numbers[SHARE_SLOTS][SHARE_NUMBERS];
};

static int
map(int fd, struct share **ret_share)
{
	struct share *s =
	    mmap(NULL, sizeof(struct share), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);

	if (s == MAP_FAILED) {
		return -errno;
	}
	*ret_share = s;
	return 0;
}

int
share_new(int *ret_fd, struct share **ret_share)
{
	int fd = memfd_create("holdfast-share", MFD_CLOEXEC | MFD_ALLOW_SEALING), rc;

	if (fd == -1) {
		return -errno;
	}
	if (ftruncate(fd, sizeof(struct share)) == -1 || fcntl(fd, F_ADD_SEALS, SEALS) == -1) {
		rc = -errno;
		goto fail;
	}
	rc = map(fd, ret_share);
	if (rc < 0) {
		goto fail;
	}
	(*ret_share)->magic = SHARE_MAGIC;
	*ret_fd = fd;
	return 0;

fail:
	(void)close(fd);
	return rc;
}

int
share_open(int fd, struct share **ret_share)
{
	struct share *s = NULL;
	struct stat st;
	int rc;

	/* sealed: nobody can take the memory away from below us */
	if (fcntl(fd, F_GET_SEALS) != SEALS || fstat(fd, &st) == -1 ||
	    st.st_size != (off_t)sizeof(*s)) {
		return -EINVAL;
	}
	rc = map(fd, &s);
	if (rc < 0) {
		return rc;
	}
	if (s->magic != SHARE_MAGIC) {
		share_close(&s);
		return -EINVAL;
	}
	*ret_share = s;
	return 0;
}

void
share_close(struct share **sp)
{
	if (*sp != NULL) {
		(void)munmap(*sp, sizeof(struct share));
		*sp = NULL;
	}
}

void
share_set(struct share *s, unsigned slot, enum share_number what, uint32_t value)
{
	assert(slot < SHARE_SLOTS);
	atomic_store_explicit(&s->numbers[slot][what], value, memory_order_relaxed);
}

void
share_clear(struct share *s, unsigned slot)
{
	for (unsigned i = 0; i < SHARE_NUMBERS; i++) {
		share_set(s, slot, (enum share_number)i, 0);
	}
}

uint64_t
share_sum(const struct share *s, enum share_number what)
{
	uint64_t sum = 0;

	for (unsigned i = 0; i < SHARE_SLOTS; i++) {
		sum += atomic_load_explicit(&s->numbers[i][what], memory_order_relaxed);
	}
	return sum;
}

uint64_t
share_next(struct share *s)
{
	return atomic_fetch_add_explicit(&s->next, 1, memory_order_relaxed) + 1;
}
