#include "httpd/cookie.h"

#include <string.h>

#include "base/defs.h"

/* What stands before `c`, off the front of *s, and `c` with it; all of it where there is no `c`. */
static struct slice
take_until(struct slice *s, uint8_t c)
{
	const uint8_t *stop = s->len > 0 ? memchr(s->ptr, c, s->len) : NULL;
	size_t n = stop != NULL ? (size_t)(stop - s->ptr) : s->len;
	struct slice part = {s->ptr, n};

	n = MIN(n + 1, s->len);
	s->ptr += n;
	s->len -= n;
	return part;
}

bool
cookie_find(struct slice header, const char *name, struct slice *ret_value)
{
	while (header.len > 0) {
		struct slice value = take_until(&header, ';'), have;

		while (value.len > 0 && value.ptr[0] == ' ') {
			value.ptr++;
			value.len--;
		}
		have = take_until(&value, '=');
		if (value.len > 0 && slice_eq(have, name)) {
			*ret_value = value;
			return true;
		}
	}
	return false;
}

bool
cookie_read(struct slice value, struct cookie *ret)
{
	struct slice rest;
	struct cookie c;

	if (value.len <= COOKIE_MAC_HEX + 1 || value.len >= COOKIE_MAX ||
	    value.ptr[value.len - COOKIE_MAC_HEX - 1] != '.') {
		return false;
	}
	c.claim = (struct slice){value.ptr, value.len - COOKIE_MAC_HEX - 1};
	c.mac = (struct slice){value.ptr + c.claim.len + 1, COOKIE_MAC_HEX};
	rest = c.claim;
	c.user = take_until(&rest, '.');
	if (!slice_to_u64(take_until(&rest, '.'), &c.expires_s)) {
		return false;
	}
	*ret = c;
	return true;
}
