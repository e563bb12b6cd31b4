/* The last lines that the instances printed, for `holdfast logs`: bounded by bytes, oldest first out. */
#ifndef SUPERVISOR_RING_H
#define SUPERVISOR_RING_H

#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

#define RING_NAME_SIZE 32

struct ring;

/* Borrowed from the ring until the next ring_add. */
struct ring_line {
	uint64_t seq; /* grows by one a line */
	char name[RING_NAME_SIZE];
	struct slice text;
};

struct ring *ring_new(size_t max_bytes);
void ring_free(struct ring **r);
/* The line's number. */
uint64_t ring_add(struct ring *r, const char *name, struct slice text);
/* The last `n` lines of `name` (NULL: of all), oldest first. */
void ring_each(struct ring *r, const char *name, size_t n,
    void (*fn)(void *arg, const struct ring_line *line), void *arg);

#endif
