/*
 * A growable byte queue with a cap: bytes are added at the end and consumed from the front.
 *
 *     data                                   0 <= start <= end <= cap <= max
 *      |..consumed..|======held======|.....free.....|
 *      0          start             end            cap
 *
 * Anything that a peer can make grow goes through here: past `max` the call returns -ENOBUFS and
 * changes nothing, so it fails that peer only. An empty buffer may hold no memory at all
 * (buf_release).
 */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include <stdarg.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/defs.h"
#include "base/slice.h"

struct buf {
	uint8_t *data; /* owned; NULL while cap is 0 */
	size_t start, end, cap;
	size_t max; /* most bytes ever held; 0: no limit */
};

/* Embedded object: no memory is taken yet. */
void buf_init(struct buf *b, size_t max_bytes);
/* Frees the memory; the buffer may be used again. */
void buf_fini(struct buf *b);

static inline size_t
buf_len(const struct buf *b)
{
	return b->end - b->start;
}

/* What is held, borrowed until the next change; not NULL, also when nothing is held. */
static inline struct slice
buf_slice(const struct buf *b)
{
	/* never a null pointer: adding 0 to it, or comparing 0 bytes behind it, is undefined */
	return (struct slice){
	    b->data != NULL ? b->data + b->start : (const uint8_t *)"", b->end - b->start};
}

/* buf_reserve's work when there is too little room. */
int buf_grow(struct buf *b, size_t len) ATTR_WARN_UNUSED;

/* Makes room for at least `len` more bytes at the end. 0, or -ENOBUFS (over max), -ENOMEM. */
ATTR_WARN_UNUSED static inline int
buf_reserve(struct buf *b, size_t len)
{
	bool fits = b->data != NULL && b->cap - b->end >= len &&
		    (b->max == 0 || buf_len(b) + len <= b->max);

	return fits ? 0 : buf_grow(b, len);
}
/* Where to write after buf_reserve, and how much fits. */
static inline uint8_t *
buf_tail(struct buf *b)
{
	return b->data != NULL ? b->data + b->end : NULL;
}
static inline size_t
buf_room(const struct buf *b)
{
	return b->cap - b->end;
}
/* Counts `len` bytes written at buf_tail as held. */
void buf_commit(struct buf *b, size_t len);
/* Drops `len` (at most buf_len) bytes from the front. */
void buf_consume(struct buf *b, size_t len);
/* Keeps the first `len` (at most buf_len) bytes, drops what was appended after them. */
void buf_truncate(struct buf *b, size_t len);
/* Forgets all bytes, keeps the memory. */
void buf_clear(struct buf *b);
/* Gives the memory back when nothing is held. */
void buf_release(struct buf *b);

/* Append; 0, or -ENOBUFS / -ENOMEM with nothing appended. */
ATTR_WARN_UNUSED static inline int
buf_add(struct buf *b, const void *bytes, size_t len)
{
	int err = len > 0 ? buf_reserve(b, len) : 0;

	if (err == 0 && len > 0) {
		memcpy(b->data + b->end, bytes, len);
		b->end += len;
	}
	return err;
}

ATTR_WARN_UNUSED static inline int
buf_add_slice(struct buf *b, struct slice s)
{
	return buf_add(b, s.ptr, s.len);
}

int buf_add_str(struct buf *b, const char *text) ATTR_WARN_UNUSED;
int buf_addf(struct buf *b, const char *fmt, ...) ATTR_PRINTF(2, 3) ATTR_WARN_UNUSED;
int buf_vaddf(struct buf *b, const char *fmt, va_list ap) ATTR_PRINTF(2, 0) ATTR_WARN_UNUSED;

#endif
