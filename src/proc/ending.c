#include "proc/ending.h"

#include <assert.h>
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

/* "size resident …" in pages; 0 once it is ending. */
static uint64_t
read_pages(int fd)
{
	char text[128];
	ssize_t n = pread(fd, text, sizeof(text) - 1, 0);
	uint64_t pages;
	char *second, *end;

	text[n > 0 ? n : 0] = '\0';
	second = strchr(text, ' ');
	end = second != NULL ? strchr(second + 1, ' ') : NULL;
	if (end == NULL) {
		return 0;
	}
	*end = '\0';
	return slice_to_u64(slice_str(second + 1), &pages) ? pages : 0;
}

static void
on_timer(struct ev_loop *ev, ev_timer *w, int revents)
{
	struct ending *e = OBJ_CAST((struct ending *)w->data, ENDING_MAGIC);

	if (read_pages(e->fd) == 0) {
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
	uint64_t pages = fd != -1 ? read_pages(fd) : 0;

	if (fd != -1) {
		(void)close(fd);
	}
	return pages * (uint64_t)sysconf(_SC_PAGESIZE);
}
