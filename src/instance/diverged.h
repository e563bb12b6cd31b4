/*
 * What a master that was cut off has written and the new one may not have. It is asked for as a replica would ask: from the offset that its
 * replicas have acknowledged up to its end, out of its backlog. So nothing of it is lost when it becomes a replica itself and copies the new
 * master's data over its own.
 *
 *   cut off, writes paused ─▸ diverged_start ─▸ [stream in memory] ─▸ diverged_write, all that no replica has acknowledged
 *   heard again            ─▸ the new master says where the histories part ─▸ diverged_write again, exactly that
 *
 * Bounded: by the server's backlog (repl-backlog-size) and by DIVERGED_MAX. Nothing is changed on any server.
 */
#ifndef INSTANCE_DIVERGED_H
#define INSTANCE_DIVERGED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/errmsg.h"
#include "base/slice.h"
#include "net/endpoint.h"
#include "net/loop.h"

#define DIVERGED_MAX ((size_t)16 * 1024 * 1024)
/* What supervisors publish; no data (see voice.c). */
#define DIVERGED_CHANNEL "__holdfast__:beat"

struct diverged;

/* Borrowed until diverged_start returns, user and password until the end. */
struct diverged_spec {
	struct endpoint at;
	const char *user, *password;
	/* One of its replicas: we ask in that one's name, so that no sentinel takes us for another one. */
	struct endpoint replica;
};

struct diverged_ops {
	/* 0: it is there, and may be nothing at all; or a negative errno and why. The owner frees it. */
	void (*on_done)(void *owner, int error, const char *why);
};

/* How much of it there is. */
struct diverged_count {
	size_t writes; /* commands, MULTI and EXEC not counted */
	size_t bytes;  /* of the file */
	bool
	    cut_off; /* its beginning or end is missing: more than we keep, or than the backlog had */
};

struct diverged *diverged_start(struct loop *loop, const struct diverged_spec *spec,
    const struct diverged_ops *ops, void *owner, struct errmsg *err);
/* No callback after this. NULL is fine. */
void diverged_free(struct diverged **d);

/* Once it is there: the replication id; from which offset on no replica has acknowledged anything. */
const char *diverged_replid(const struct diverged *d);
uint64_t diverged_unacknowledged(const struct diverged *d);
/*
 * Writes what begins at offset `from` or later to `path`, mode 0600, in place of what is there; removes it when there is no write among it. The
 * commands as they were replicated, each with its database selected. 0 or -errno with `err`.
 */
int diverged_write(const struct diverged *d, uint64_t from, const char *path,
    struct diverged_count *ret_count, struct errmsg *err) ATTR_WARN_UNUSED;

/*
 * The same without server and disk: `stream` is what a master sends to its replicas, its first byte that of offset `first`. Appends to `out`. What
 * begins before `from`, and what is no data, is left out. Returns the number of writes; -EPROTO: it is no such stream.
 */
int diverged_extract(struct slice stream, uint64_t first, uint64_t from, struct buf *out,
    size_t *ret_writes) ATTR_WARN_UNUSED;

#endif
