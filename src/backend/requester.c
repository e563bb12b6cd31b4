#include "backend/requester.h"

#include <assert.h>

#include "backend/backend_priv.h"

void
requester_init(struct requester *r, const struct requester_ops *ops, void *owner)
{
	*r = (struct requester){.ops = ops, .owner = owner};
	list_init(&r->waiting);
}

void
requester_fini(struct requester *r)
{
	list_del(&r->waiting);
	if (r->queue != NULL) {
		struct wire *w = r->queue->wire;

		requester_set_slow(r, false);
		if (w != NULL) {
			(void)queue_forget(&w->retry, r);
		}
		(void)queue_forget(r->queue, r);
		r->queue = NULL;
	}
	r->unanswered = 0;
	if (r->own != NULL) {
		r->own->requester = NULL;
		r->own = NULL;
	}
}

void
requester_set_slow(struct requester *r, bool slow)
{
	struct wire *w = r->queue != NULL ? r->queue->wire : NULL;

	r->slow = slow;
	if (r->own != NULL) {
		w = r->own->wire;
	} else if (w != NULL && !slow &&
		   (w->queue.count == 0 || queue_at(&w->queue, 0)->who != r)) {
		return; /* if it is stalled, then for another */
	}
	if (w != NULL) {
		wire_set_slow(w, r, slow);
	}
}

void
requester_settle(struct requester *r, uint64_t len)
{
	assert(r->unanswered > 0);
	r->kept_bytes -= (uint32_t)MIN(len, (uint64_t)r->kept_bytes);
	if (--r->unanswered == 0) {
		r->queue = NULL;
	}
}

/* ---- answers ---- */

static const char uncertain_error[] =
    "-UNCERTAIN master lost before it answered; the write may or may not have happened\r\n";
static const char cut_error[] =
    "-MASTERDOWN master lost while the request was on its way; it was not executed\r\n";

const char *
flight_local_error(const struct flight *f)
{
	return (f->flags & FLIGHT_UNCERTAIN) != 0 ? uncertain_error : cut_error;
}

void
flight_answered(struct backend *b, const struct flight *f, bool error)
{
	if ((f->flags & (LANE_SILENT | LANE_UNCOUNTED)) == 0) {
		/* a difference of the lower halves: right for an hour */
		metrics_add(b->metrics, f->flags >> LANE_COMMAND_SHIFT, error,
		    (uint32_t)b->now_us - f->arrived_us);
	}
}

void
requester_answer(struct backend *b, struct requester *r, const struct flight *f, const char *error)
{
	struct lane_reply reply = {
	    .raw = slice_str(error), .first = true, .last = true, .type = '-', .local = true};

	if (error[0] == '\0') {
		reply.first = false;
	}
	(void)backend_tick(b);
	flight_answered(b, f, true);
	requester_settle(r, f->len);
	r->ops->on_reply(r->owner, &reply);
}
