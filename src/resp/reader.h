/*
 * Reads the content of one reply as it comes, for those who turn it into something else (HTTP). It
 * tells what it sees in order and keeps nothing, so a value of any size passes through:
 *
 *   *2 $3 abc :7    →  item(ARRAY, 2)  item(BULK, 3) bytes("ab") bytes("c") end  item(INT, 7)
 *
 * Runs may be cut anywhere. Depth and number of elements are bounded.
 */
#ifndef RESP_READER_H
#define RESP_READER_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/defs.h"
#include "base/slice.h"

enum resp_type {
	RESP_SIMPLE,    /* +  text follows as bytes */
	RESP_ERROR,     /* -  and ! (RESP3): text follows as bytes */
	RESP_BULK,      /* $  bytes follow; `number` is the length */
	RESP_VERBATIM,  /* =  bytes follow, the first four are "txt:" or the like */
	RESP_INT,       /* :  `number` */
	RESP_DOUBLE,    /* ,  text follows as bytes: "1.5", "inf", "-inf", "nan" */
	RESP_BIGNUM,    /* (  text follows as bytes */
	RESP_BOOL,      /* #  `number` 0 or 1 */
	RESP_NULL,      /* _, and RESP2's $-1 and *-1 */
	RESP_ARRAY,     /* *  `number` elements follow */
	RESP_SET,       /* ~ */
	RESP_PUSH,      /* > */
	RESP_MAP,       /* %  `number` pairs follow: twice as many elements */
	RESP_ATTRIBUTE, /* |  `number` pairs, then the element that they describe */
};

static inline bool
resp_type_is_aggregate(enum resp_type t)
{
	return t >= RESP_ARRAY;
}

static inline bool
resp_type_has_bytes(enum resp_type t)
{
	return t <= RESP_VERBATIM || t == RESP_DOUBLE || t == RESP_BIGNUM;
}

struct resp_reader_ops {
	/* Each element; those with bytes are followed by on_bytes (zero or more) and on_end. */
	void (*on_item)(void *arg, enum resp_type type, int64_t number);
	void (*on_bytes)(void *arg, struct slice bytes);
	void (*on_end)(void *arg);
};

enum resp_reader_status { RESP_READER_MORE, RESP_READER_DONE, RESP_READER_BAD };

#define RESP_READER_DEPTH 32

/* Plain data, embedded. */
struct resp_reader {
	uint64_t left[RESP_READER_DEPTH]; /* elements to come on each level */
	uint64_t bytes;                   /* to come of the present string */
	uint64_t number;
	uint64_t max_elements, elements; /* of the whole reply */
	uint8_t depth, state, element, digits;
	bool negative;
};

/* max_elements: more than that in one reply is BAD; 0: no limit. */
void resp_reader_init(struct resp_reader *r, uint64_t max_elements);
enum resp_reader_status resp_reader_feed(struct resp_reader *r, struct slice in,
    const struct resp_reader_ops *ops, void *arg, size_t *ret_used) ATTR_WARN_UNUSED;

/*
 * For short replies that are there as a whole (ROLE, HELLO, CONFIG GET): one element a call, in
 * order; strings are borrowed from `rest`. False at the end and when it is no whole RESP.
 */
struct resp_item {
	enum resp_type type;
	int64_t number;   /* as on_item */
	struct slice str; /* types with bytes */
};

struct resp_cursor {
	struct slice rest;
};

bool resp_cursor_next(struct resp_cursor *c, struct resp_item *ret_item);

#endif
