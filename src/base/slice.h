/* A borrowed run of bytes: what parsers work on. It owns nothing and ends where its buffer's next
 * change begins. */
#ifndef BASE_SLICE_H
#define BASE_SLICE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>

struct slice {
	const uint8_t *ptr; /* borrowed */
	size_t len;
};

#define SLICE_LIT(s) ((struct slice){(const uint8_t *)(s), sizeof(s) - 1})

static inline struct slice
slice_str(const char *text)
{
	return (struct slice){(const uint8_t *)text, strlen(text)};
}

static inline bool
slice_eq(struct slice s, const char *text)
{
	size_t len = strlen(text);

	return s.len == len && (len == 0 || memcmp(s.ptr, text, len) == 0);
}

static inline bool
slice_begins(struct slice s, const char *text)
{
	size_t len = strlen(text);

	return s.len >= len && (len == 0 || memcmp(s.ptr, text, len) == 0);
}

/* As slice_eq, but without regard to ASCII case. */
static inline bool
slice_caseeq(struct slice s, const char *text)
{
	size_t len = strlen(text);

	return s.len == len && (len == 0 || strncasecmp((const char *)s.ptr, text, len) == 0);
}

/* What a hexadecimal digit is worth; -1: it is none. */
static inline int
slice_hex_digit(uint8_t c)
{
	if (c >= '0' && c <= '9') {
		return c - '0';
	}
	c |= 0x20;
	return c >= 'a' && c <= 'f' ? c - 'a' + 10 : -1;
}

/* The whole slice as a decimal number without sign, blanks or leading '+'; false when it is not one
 * or overflows. */
bool slice_to_u64(struct slice s, uint64_t *ret_value);
/* The same with an optional leading '-'. */
bool slice_to_i64(struct slice s, int64_t *ret_value);

#endif
