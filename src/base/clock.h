/* Time. Deadlines and intervals use the monotonic clock; wall time is for people and for the
 * database. */
#ifndef BASE_CLOCK_H
#define BASE_CLOCK_H

#include <stddef.h>
#include <stdint.h>

#define CLOCK_RFC3339_SIZE sizeof("2026-01-01T00:00:00.000Z")

uint64_t clock_mono_ms(void);
uint64_t clock_mono_us(void);
/* Milliseconds since 1970, UTC. */
uint64_t clock_wall_ms(void);
/* RFC 3339 in UTC with milliseconds, into `text` of at least CLOCK_RFC3339_SIZE bytes; returns
 * `text`. */
char *clock_rfc3339(uint64_t wall_ms, char *text, size_t size);

#endif
