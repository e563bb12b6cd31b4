#include "backend/queue.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"

#define FIRST_FLIGHTS 4

void
queue_init(struct queue *q)
{
	*q = (struct queue){0};
	buf_init(&q->bytes, 0);
}

void
queue_fini(struct queue *q)
{
	free(q->ring);
	q->ring = NULL;
	q->cap = q->head = q->count = 0;
	buf_fini(&q->bytes);
}

static void
grow(struct queue *q)
{
	size_t cap = q->cap == 0 ? FIRST_FLIGHTS : q->cap * 2;
	struct flight *ring = xcalloc(cap, sizeof(*ring));

	for (size_t i = 0; i < q->count; i++) {
		ring[i] = *queue_at(q, i);
	}
	free(q->ring);
	q->ring = ring;
	q->cap = cap;
	q->head = 0;
}

int
queue_push(struct queue *q, const struct flight *f, struct slice raw)
{
	if (flight_is_kept(f)) {
		int err = buf_add_slice(&q->bytes, raw);

		assert(f->len == raw.len);
		if (err < 0) {
			return err;
		}
	}
	if (q->count == q->cap) {
		grow(q);
	}
	*queue_at(q, q->count++) = *f;
	return 0;
}

void
queue_pop(struct queue *q)
{
	struct flight *f = queue_at(q, 0);

	assert(q->count > 0);
	if (flight_is_kept(f)) {
		buf_consume(&q->bytes, (size_t)f->len);
	}
	q->head = (q->head + 1) & (q->cap - 1);
	q->count--;
}

void
queue_release(struct queue *q)
{
	if (q->count == 0) {
		queue_fini(q);
	}
}

struct slice
queue_front_bytes(struct queue *q)
{
	const struct flight *f = queue_at(q, 0);

	return flight_is_kept(f) ? (struct slice){buf_slice(&q->bytes).ptr, (size_t)f->len}
				 : (struct slice){NULL, 0};
}

size_t
queue_forget(struct queue *q, const struct requester *who)
{
	size_t n = 0;

	for (size_t i = 0; i < q->count; i++) {
		struct flight *f = queue_at(q, i);

		if (f->who == who) {
			f->who = NULL;
			n++;
		}
	}
	return n;
}
