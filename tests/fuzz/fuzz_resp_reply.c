/* The reply scanner and the reader: where a reply ends must not depend on the cut, and what the
 * reader takes for a reply the scanner must take for the same. */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "resp/reader.h"
#include "resp/reply.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static size_t
reply_end(const uint8_t *data, size_t size, size_t step)
{
	struct resp_reply_scanner s;
	size_t used;

	resp_reply_init(&s);
	for (size_t at = 0; at < size; at += step) {
		size_t n = MIN(step, size - at);

		switch (resp_reply_scan(&s, (struct slice){data + at, n}, &used)) {
		case RESP_REPLY_DONE:
			assert(used <= n);
			return at + used;
		case RESP_REPLY_BAD:
			return SIZE_MAX;
		case RESP_REPLY_MORE:
			break;
		}
	}
	return 0;
}

static void
on_item(void *arg, enum resp_type type, int64_t number)
{
	(*(uint64_t *)arg)++;
	assert(!resp_type_is_aggregate(type) || number >= 0);
}

static void
on_bytes(void *arg, struct slice bytes)
{
	assert(bytes.len > 0);
	*(uint64_t *)arg += bytes.ptr[bytes.len - 1];
}

static void
on_end(void *arg)
{
	(void)arg;
}

static size_t
read_end(const uint8_t *data, size_t size, size_t step)
{
	static const struct resp_reader_ops ops = {on_item, on_bytes, on_end};
	struct resp_reader r;
	uint64_t sum = 0;
	size_t used;

	resp_reader_init(&r, 10000);
	for (size_t at = 0; at < size; at += step) {
		size_t n = MIN(step, size - at);

		switch (resp_reader_feed(&r, (struct slice){data + at, n}, &ops, &sum, &used)) {
		case RESP_READER_DONE:
			assert(used <= n);
			return at + used;
		case RESP_READER_BAD:
			return SIZE_MAX;
		case RESP_READER_MORE:
			break;
		}
	}
	return 0;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct resp_cursor c = {{data, size}};
	struct resp_item item;
	size_t end, step, read;

	if (size < 2) {
		return 0;
	}
	while (resp_cursor_next(&c, &item)) {
		assert(c.rest.ptr > data && c.rest.ptr <= data + size);
	}
	step = (size_t)data[0] + 1;
	data++;
	size--;
	end = reply_end(data, size, size);
	assert(reply_end(data, size, step) == end);
	read = read_end(data, size, step);
	assert(read_end(data, size, size) == read);
	/* the reader is the stricter one: it looks at numbers and depth */
	assert(read == end || read == SIZE_MAX || (read == 0 && end == SIZE_MAX));
	return 0;
}
