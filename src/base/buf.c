#include "base/buf.h"

#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define BUF_FIRST_BYTES 256

void
buf_init(struct buf *b, size_t max_bytes)
{
	*b = (struct buf){.max = max_bytes};
}

void
buf_fini(struct buf *b)
{
	free(b->data);
	b->data = NULL;
	b->start = b->end = b->cap = 0;
}

int
buf_grow(struct buf *b, size_t len)
{
	size_t held = buf_len(b), want, cap;
	uint8_t *data;

	if (__builtin_add_overflow(held, len, &want) || (b->max != 0 && want > b->max)) {
		return -ENOBUFS;
	}
	/*
	 * Moving pays while at most half is held: the next move is then half the memory away. A
	 * fuller buffer grows, else a slow reader's queue would be moved for every few bytes.
	 */
	if (b->data != NULL && b->cap >= want &&
	    (held <= b->cap / 2 || (b->max != 0 && b->cap >= b->max))) {
		memmove(b->data, b->data + b->start, held);
		b->start = 0;
		b->end = held;
		return 0;
	}
	cap = MAX(b->cap, (size_t)BUF_FIRST_BYTES);
	if (b->data != NULL && cap >= want) {
		want = cap > SIZE_MAX / 2 ? cap : cap * 2;
	}
	while (cap < want) {
		cap = cap > SIZE_MAX / 2 ? want : cap * 2;
	}
	if (b->max != 0) {
		cap = MIN(cap, b->max);
	}
	/* realloc of a big block moves pages, not bytes */
	data = b->start == 0 ? realloc(b->data, cap) : malloc(cap);
	if (data == NULL) {
		return -ENOMEM;
	}
	if (b->start > 0) {
		memcpy(data, b->data + b->start, held);
		free(b->data);
	}
	b->data = data;
	b->start = 0;
	b->end = held;
	b->cap = cap;
	return 0;
}

void
buf_commit(struct buf *b, size_t len)
{
	assert(len <= b->cap - b->end);
	b->end += len;
}

void
buf_consume(struct buf *b, size_t len)
{
	assert(len <= buf_len(b));
	b->start += len;
	if (b->start == b->end) {
		b->start = b->end = 0;
	}
}

void
buf_truncate(struct buf *b, size_t len)
{
	assert(len <= buf_len(b));
	b->end = b->start + len;
}

void
buf_clear(struct buf *b)
{
	b->start = b->end = 0;
}

void
buf_release(struct buf *b)
{
	if (b->start == b->end) {
		buf_fini(b);
	}
}

int
buf_add_str(struct buf *b, const char *text)
{
	return buf_add(b, text, strlen(text));
}

int
buf_vaddf(struct buf *b, const char *fmt, va_list ap)
{
	va_list again;
	char small[256];
	int n, err;

	va_copy(again, ap);
	n = vsnprintf(small, sizeof(small), fmt, ap);
	assert(n >= 0);
	if ((size_t)n < sizeof(small)) {
		err = buf_add(b, small, (size_t)n);
	} else {
		err = buf_reserve(b, (size_t)n + 1);
		if (err == 0) {
			(void)vsnprintf((char *)buf_tail(b), (size_t)n + 1, fmt, again);
			b->end += (size_t)n;
		}
	}
	va_end(again);
	return err;
}

int
buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	int err;

	va_start(ap, fmt);
	err = buf_vaddf(b, fmt, ap);
	va_end(ap);
	return err;
}
