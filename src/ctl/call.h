/*
 * The client's side of the control protocol for processes with a loop: one request over a connection of its own, each line of
 * its answer as it comes. Nothing waits.
 *
 *   ctl_call_begin ─► connect, send ─► on_line … on_line ─► on_end
 */
#ifndef CTL_CALL_H
#define CTL_CALL_H

#include <stdint.h>

#include <jansson.h>

#include "base/defs.h"
#include "base/errmsg.h"
#include "net/loop.h"

struct ctl_call;

struct ctl_call_ops {
	/* A line of a stream; borrowed. The call may be cancelled within. NULL: they are skipped. */
	void (*on_line)(void *owner, json_t *line);
	/*
	 * The end, once: 0 and the last line (borrowed), or -EREMOTEIO: the supervisor refused (its words in `why`, its line in
	 * `reply`); -ENOTCONN: nobody supervises the folder; -EPIPE: it went away; -ETIMEDOUT; -EPROTO. The call is gone after it.
	 */
	void (*on_end)(void *owner, int error, json_t *reply, const char *why);
};

/*
 * Asks the supervisor whose socket is at `path`. Takes over the reference to `args` (may be NULL); `by` (may be NULL) is for
 * whom. timeout_ms 0: none. No callback before this returns. NULL with the reason in `err`.
 */
struct ctl_call *ctl_call_begin(struct loop *loop, const char *path, const char *cmd, json_t *args,
    const char *by, uint64_t timeout_ms, const struct ctl_call_ops *ops, void *owner,
    struct errmsg *err);
/* No callback after this. NULL is fine. */
void ctl_call_cancel(struct ctl_call **c);

#endif
