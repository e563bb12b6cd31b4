/* A request target and an authority: lengths foretold are lengths decoded, pieces stay inside. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>

#include "base/buf.h"
#include "http/uri.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
decode(struct slice piece)
{
	struct buf out;
	ssize_t len = uri_decoded_len(piece);
	int err;

	buf_init(&out, 0);
	err = uri_decode(piece, &out);
	assert(len >= 0 ? err == 0 && buf_len(&out) == (size_t)len : err == -EINVAL);
	assert(len <= (ssize_t)piece.len);
	buf_fini(&out);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice all = {data, size}, segment, name, value;
	struct uri u = uri_split(all);
	size_t seen = 0;

	while (uri_next_segment(&u.path, &segment)) {
		seen += segment.len;
		decode(segment);
	}
	while (uri_next_param(&u.query, &name, &value)) {
		seen += name.len + value.len;
		decode(name);
		decode(value);
	}
	assert(seen <= size);
	if (uri_split_authority(all, &name, &value)) {
		assert(name.len > 0 && name.len + value.len <= size);
		(void)uri_host_is_address(name);
	}
	return 0;
}
