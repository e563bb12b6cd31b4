#include "proc/ending.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/slice.h"

#define ENDING_MAGIC 0x454e4449U

struct ending {
	uint32_t magic;
	struct loop *loop; /* borrowed (outlives all) */
	int fd; /* owned: /proc/PID/statm, of that very process whatever becomes of its number */
	ev_timer timer;
	ending_fn *fn;
	void *arg; /* borrowed (outlives the watch) */
};

static int
open_statm(pid_t pid)
{
	char path[64];

	(void)snprintf(path, sizeof(path), "/proc/%ld/statm", (long)pid);
	return open(path, O_RDONLY | O_CLOEXEC);
}

/* "size resident …" in pages. 0; -ESRCH: it is ending or has ended; another negative errno: nothing is known. */
static int
read_pages(int fd, uint64_t *ret_pages)
{
	char text[128];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	char *second, *end;

	if (n == -1) {
		return -errno;
	}
	text[n] = '\0';
	second = strchr(text, ' ');
	end = second != NULL ? strchr(second + 1, ' ') : NULL;
	if (end == NULL) {
		return -EIO;
	}
	*end = '\0';
	if (!slice_to_u64(slice_str(second + 1), ret_pages)) {
		return -EIO;
	}
	return *ret_pages > 0 ? 0 : -ESRCH;
}

static void
on_timer(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct ending *e = OBJ_CAST((struct ending *)w->data, ENDING_MAGIC);
	uint64_t pages;

	if (read_pages(e->fd, &pages) == -ESRCH) {
		ev_timer_stop(ev, w);
		e->fn(e->arg);
	}
}

struct ending *
ending_watch(struct loop *loop, pid_t pid, uint64_t interval_ms, ending_fn *fn, void *arg)
{
	double interval = (double)interval_ms / 1000.;
	int fd = open_statm(pid);
	struct ending *e;

	if (fd == -1) {
		return NULL;
	}
	e = xcalloc(1, sizeof(*e));
	*e = (struct ending){.magic = ENDING_MAGIC, .loop = loop, .fd = fd, .fn = fn, .arg = arg};
	ev_timer_init(&e->timer, on_timer, interval, interval);
	e->timer.data = e;
	ev_timer_start(loop_ev(loop), &e->timer);
	return e;
}

static void
free_now(void *obj)
{
	struct ending *e = obj;

	e->magic = 0;
	free(e);
}

void
ending_free(struct ending **ep)
{
	struct ending *e = *ep;

	*ep = NULL;
	if (e == NULL) {
		return;
	}
	ev_timer_stop(loop_ev(e->loop), &e->timer);
	(void)close(e->fd);
	loop_bury(e->loop, free_now, e);
}

uint64_t
ending_resident_bytes(pid_t pid)
{
	int fd = open_statm(pid);
	uint64_t pages = 0;

	if (fd == -1) {
		return 0;
	}
	(void)read_pages(fd, &pages);
	(void)close(fd);
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}
