#include "proc/output.h"

#include <assert.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"

#define OUTPUT_MAGIC     0x4f555450U
#define PIPE_BYTES       (1024 * 1024)
#define READS_A_TURN     4
#define READS_AT_THE_END 64

struct output {
	uint32_t magic;
	struct loop *loop; /* borrowed (outlives all) */
	ev_io io;
	int fd; /* owned */
	struct buf partial;
	output_line_fn *line_fn;
	void *owner; /* borrowed (outlives the output) */
};

static void
cut_lines(struct output *o)
{
	for (;;) {
		struct slice held = buf_slice(&o->partial), line = held;
		const uint8_t *nl = held.len > 0 ? memchr(held.ptr, '\n', held.len) : NULL;

		if (nl != NULL && (size_t)(nl - held.ptr) <= OUTPUT_LINE_MAX) {
			line.len = (size_t)(nl - held.ptr);
			o->line_fn(o->owner, line);
			buf_consume(&o->partial, line.len + 1);
		} else if (held.len > OUTPUT_LINE_MAX) {
			line.len = OUTPUT_LINE_MAX;
			o->line_fn(o->owner, line);
			buf_consume(&o->partial, line.len);
		} else {
			return;
		}
	}
}

/* False at the end of the stream or when nothing is there now. */
static bool
read_once(struct output *o)
{
	uint8_t *scratch = loop_scratch(o->loop);
	ssize_t n = read(o->fd, scratch, LOOP_SCRATCH_BYTES);

	if (n > 0) {
		if (buf_add(&o->partial, scratch, (size_t)n) < 0) {
			buf_clear(&o->partial); /* no memory: these lines are lost, the child is not
						   disturbed */
		}
		cut_lines(o);
		buf_release(&o->partial);
		return true;
	}
	if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
		ev_io_stop(loop_ev(o->loop), &o->io);
	}
	return n == -1 && errno == EINTR;
}

static void
on_readable(struct ev_loop *ev, ev_io *w, int revents)
{
	struct output *o = OBJ_CAST((struct output *)w->data, OUTPUT_MAGIC);

	for (int i = 0; i < READS_A_TURN && read_once(o); i++) {
	}
}

static struct output *
make(struct loop *loop, int fd, output_line_fn *line_fn, void *owner)
{
	struct output *o = xcalloc(1, sizeof(*o));

	*o = (struct output){
	    .magic = OUTPUT_MAGIC, .loop = loop, .fd = fd, .line_fn = line_fn, .owner = owner};
	buf_init(&o->partial, 0);
	ev_io_init(&o->io, on_readable, fd, EV_READ);
	o->io.data = o;
	ev_io_start(loop_ev(loop), &o->io);
	return o;
}

/* The pipe behind `link` opened again with `flags`: a description of its own, so flags are not
 * shared. */
static int
reopen(const char *link, int flags)
{
	struct stat st;
	int fd = open(link, flags | O_NONBLOCK | O_CLOEXEC);

	if (fd != -1 && (fstat(fd, &st) == -1 || !S_ISFIFO(st.st_mode))) {
		(void)close(fd);
		return -1;
	}
	return fd;
}

struct output *
output_new(struct loop *loop, output_line_fn *line_fn, void *owner, int *ret_child_fd)
{
	char link[64];
	int ends[2], child_fd;

	if (pipe2(ends, O_CLOEXEC | O_NONBLOCK) == -1) {
		return NULL;
	}
	(void)fcntl(ends[0], F_SETPIPE_SZ, PIPE_BYTES); /* smaller is fine where the limit is */
	(void)snprintf(link, sizeof(link), "/proc/self/fd/%d", ends[1]);
	child_fd = reopen(link, O_RDWR);
	if (child_fd == -1) {
		child_fd = ends[1]; /* no /proc: then at least as a plain pipe */
	} else {
		(void)close(ends[1]);
	}
	*ret_child_fd = child_fd;
	return make(loop, ends[0], line_fn, owner);
}

struct output *
output_adopt(struct loop *loop, pid_t pid, output_line_fn *line_fn, void *owner)
{
	char link[64];
	int fd;

	(void)snprintf(link, sizeof(link), "/proc/%ld/fd/1", (long)pid);
	fd = reopen(link, O_RDONLY);
	return fd != -1 ? make(loop, fd, line_fn, owner) : NULL;
}

static void
free_now(void *obj)
{
	struct output *o = obj;

	o->magic = 0;
	buf_fini(&o->partial);
	free(o);
}

void
output_finish(struct output **op)
{
	struct output *o = *op;

	*op = NULL;
	if (o == NULL) {
		return;
	}
	/* A grandchild may hold the pipe open and go on printing: bounded. */
	for (int i = 0; i < READS_AT_THE_END && read_once(o); i++) {
	}
	if (buf_len(&o->partial) > 0) {
		o->line_fn(o->owner, buf_slice(&o->partial));
		buf_clear(&o->partial);
	}
	ev_io_stop(loop_ev(o->loop), &o->io);
	(void)close(o->fd);
	loop_bury(o->loop, free_now, o);
}
