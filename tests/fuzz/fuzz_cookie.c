/* A Cookie header: what is found lies within it, and what is read is all of what was found. */
#include <assert.h>
#include <string.h>

#include "httpd/cookie.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
look_at(struct slice value)
{
	struct cookie c;

	if (!cookie_read(value, &c)) {
		return;
	}
	assert(value.len < COOKIE_MAX && c.mac.len == COOKIE_MAC_HEX);
	assert(c.claim.ptr == value.ptr && c.user.ptr == value.ptr);
	assert(c.user.len < c.claim.len && c.claim.ptr[c.user.len] == '.');
	assert(memchr(c.user.ptr, '.', c.user.len) == NULL);
	assert(c.mac.ptr + c.mac.len == value.ptr + value.len);
	assert(c.claim.len + 1 + c.mac.len == value.len);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct slice value;

	look_at((struct slice){data, size});
	if (cookie_find((struct slice){data, size}, "holdfast-0a1b2c3d", &value)) {
		assert(value.len > 0 && value.ptr > data && value.ptr + value.len <= data + size);
		assert(memchr(value.ptr, ';', value.len) == NULL);
		look_at(value);
	}
	return 0;
}
