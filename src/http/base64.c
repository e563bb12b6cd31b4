#include "http/base64.h"

#include <errno.h>

#include <openssl/evp.h>

#define STEP_BYTES ((size_t)3 * 256 * 1024) /* the library counts in int */

int
base64_add(struct buf *out, struct slice bytes)
{
	while (bytes.len > 0) {
		size_t n = MIN(bytes.len, STEP_BYTES);
		/* it ends its text with a NUL */
		int err = buf_reserve(out, (n + 2) / 3 * 4 + 1);

		if (err < 0) {
			return err;
		}
		buf_commit(out, (size_t)EVP_EncodeBlock(buf_tail(out), bytes.ptr, (int)n));
		bytes.ptr += n;
		bytes.len -= n;
	}
	return 0;
}

ssize_t
base64_decode(struct slice text, uint8_t *into)
{
	size_t padding = 0;
	int len;

	if (text.len % 4 != 0 || text.len > STEP_BYTES) {
		return -EINVAL;
	}
	if (text.len == 0) {
		return 0;
	}
	while (padding < 2 && text.ptr[text.len - 1 - padding] == '=') {
		padding++;
	}
	/* the library skips blanks and takes '=' for a letter */
	for (size_t i = 0; i < text.len - padding; i++) {
		uint8_t c = text.ptr[i];

		if (!((c >= 'A' && c <= 'Z') || (c >= 'a' && c <= 'z') || (c >= '0' && c <= '9') ||
			c == '+' || c == '/')) {
			return -EINVAL;
		}
	}
	len = EVP_DecodeBlock(into, text.ptr, (int)text.len);
	return len < 0 ? -EINVAL : len - (ssize_t)padding;
}
