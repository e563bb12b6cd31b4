/*
 * The request scanner: the first byte chooses where the rest is cut and how large a request may be
 * to be shown whole. What is found must not depend on the cut, and RESP that is sent on must be
 * what was sent in.
 */
#include <assert.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "resp/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

struct found {
	uint64_t bytes, requests, errors;
};

static struct found
scan(const struct resp_limits *limits, const uint8_t *data, size_t size, size_t step)
{
	struct resp_request_scanner s;
	struct resp_request req;
	struct found found = {0};
	struct buf inline_buf;
	size_t done = 0;

	buf_init(&inline_buf, 0);
	resp_request_init(&s);
	for (size_t end = MIN(step, size); found.errors == 0; end = MIN(end + step, size)) {
		enum resp_request_status st;

		do {
			size_t len = end - done;
			uint8_t *copy = malloc(len > 0 ? len : 1);

			assert(copy != NULL);
			if (len > 0) {
				memcpy(copy, data + done, len);
			}
			st = resp_request_scan(
			    &s, limits, (struct slice){copy, len}, &inline_buf, &req);
			assert(req.used <= len);
			if (st != RESP_REQUEST_MORE && st != RESP_REQUEST_BAD) {
				found.bytes += req.raw.len;
				found.requests += req.last;
				assert(req.kept <= RESP_ARGV_KEPT);
				for (size_t i = 0; i < req.kept; i++) {
					assert(req.argv[i].ptr >= req.raw.ptr &&
					       req.argv[i].ptr + req.argv[i].len <=
						   req.raw.ptr + req.raw.len);
				}
			}
			found.errors += st == RESP_REQUEST_BAD;
			done += req.used;
			free(copy);
		} while (st != RESP_REQUEST_MORE && st != RESP_REQUEST_BAD);
		if (end == size) {
			break;
		}
	}
	buf_fini(&inline_buf);
	return found;
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct resp_limits limits = RESP_LIMITS_DEFAULT;
	struct found whole, cut;

	if (size < 1) {
		return 0;
	}
	limits.whole_max = data[0] & 0x80 ? RESP_WHOLE_MAX : 16;
	whole = scan(&limits, data + 1, size - 1, size);
	cut = scan(&limits, data + 1, size - 1, (data[0] & 0x7fu) + 1);
	/* a scanner that waits for more does not look at what it has: it may see a fault later */
	assert(whole.errors >= cut.errors);
	assert(whole.requests == cut.requests);
	return 0;
}
