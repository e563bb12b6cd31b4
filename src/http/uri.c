#include "http/uri.h"

#include <arpa/inet.h>
#include <errno.h>
#include <string.h>

static struct slice
slice_from(struct slice s, size_t at)
{
	return (struct slice){s.len > 0 ? s.ptr + at : s.ptr, s.len - at};
}

struct uri
uri_split(struct slice target)
{
	struct uri u = {.path = target};
	const uint8_t *mark = target.len > 0 ? memchr(target.ptr, '?', target.len) : NULL;

	if (mark != NULL) {
		u.path.len = (size_t)(mark - target.ptr);
		u.query = slice_from(target, u.path.len + 1);
	}
	if (u.path.len > 0 && u.path.ptr[0] == '/') {
		u.path = slice_from(u.path, 1);
	}
	return u;
}

bool
uri_next_segment(struct slice *path, struct slice *ret_segment)
{
	const uint8_t *slash;

	if (path->len == 0) {
		return false;
	}
	slash = memchr(path->ptr, '/', path->len);
	*ret_segment = *path;
	if (slash == NULL) {
		path->len = 0;
	} else {
		ret_segment->len = (size_t)(slash - path->ptr);
		*path = slice_from(*path, ret_segment->len + 1);
	}
	return true;
}

ssize_t
uri_decoded_len(struct slice encoded)
{
	size_t len = encoded.len;
	const uint8_t *p = encoded.ptr, *end = p + encoded.len;

	while (p < end && (p = memchr(p, '%', (size_t)(end - p))) != NULL) {
		if (end - p < 3 || slice_hex_digit(p[1]) < 0 || slice_hex_digit(p[2]) < 0) {
			return -EINVAL;
		}
		len -= 2;
		p += 3;
	}
	return (ssize_t)len;
}

void
uri_decode_raw(struct slice encoded, uint8_t *into)
{
	for (size_t i = 0; i < encoded.len; i++) {
		uint8_t c = encoded.ptr[i];

		if (c == '%') {
			c = (uint8_t)(slice_hex_digit(encoded.ptr[i + 1]) << 4 |
				      slice_hex_digit(encoded.ptr[i + 2]));
			i += 2;
		} else if (c == '+') {
			c = ' ';
		}
		*into++ = c;
	}
}

int
uri_decode(struct slice encoded, struct buf *out)
{
	ssize_t len = uri_decoded_len(encoded);
	int err;

	if (len <= 0) {
		return (int)len;
	}
	err = buf_reserve(out, (size_t)len);
	if (err < 0) {
		return err;
	}
	uri_decode_raw(encoded, buf_tail(out));
	buf_commit(out, (size_t)len);
	return 0;
}

bool
uri_next_param(struct slice *query, struct slice *ret_name, struct slice *ret_value)
{
	struct slice pair;
	const uint8_t *amp, *equals;

	if (query->len == 0) {
		return false;
	}
	amp = memchr(query->ptr, '&', query->len);
	pair = *query;
	if (amp == NULL) {
		query->len = 0;
	} else {
		pair.len = (size_t)(amp - query->ptr);
		*query = slice_from(*query, pair.len + 1);
	}
	equals = pair.len > 0 ? memchr(pair.ptr, '=', pair.len) : NULL;
	*ret_name = pair;
	*ret_value = (struct slice){pair.ptr + pair.len, 0};
	if (equals != NULL) {
		ret_name->len = (size_t)(equals - pair.ptr);
		*ret_value = slice_from(pair, ret_name->len + 1);
	}
	return true;
}

bool
uri_split_authority(struct slice authority, struct slice *ret_host, struct slice *ret_port)
{
	struct slice host = authority, port = {authority.ptr + authority.len, 0};
	const uint8_t *end;

	if (authority.len == 0 || memchr(authority.ptr, '@', authority.len) != NULL) {
		return false;
	}
	if (authority.ptr[0] == '[') {
		end = memchr(authority.ptr, ']', authority.len);
		if (end == NULL) {
			return false;
		}
		host = (struct slice){authority.ptr + 1, (size_t)(end - authority.ptr) - 1};
		authority = slice_from(authority, host.len + 2);
		if (authority.len > 0 && authority.ptr[0] != ':') {
			return false;
		}
		if (authority.len > 0) {
			port = slice_from(authority, 1);
		}
	} else if ((end = memchr(authority.ptr, ':', authority.len)) != NULL) {
		host.len = (size_t)(end - authority.ptr);
		port = slice_from(authority, host.len + 1);
	}
	for (size_t i = 0; i < port.len; i++) {
		if (port.ptr[i] < '0' || port.ptr[i] > '9') {
			return false;
		}
	}
	if (host.len == 0 || port.len > 5) {
		return false;
	}
	*ret_host = host;
	*ret_port = port;
	return true;
}

bool
uri_host_is_address(struct slice host)
{
	char text[INET6_ADDRSTRLEN];
	struct in6_addr addr;

	if (host.len == 0 || host.len >= sizeof(text) || memchr(host.ptr, 0, host.len) != NULL) {
		return false;
	}
	memcpy(text, host.ptr, host.len);
	text[host.len] = '\0';
	return inet_pton(AF_INET, text, &addr) == 1 || inet_pton(AF_INET6, text, &addr) == 1;
}

bool
uri_host_is(struct slice host, const char *name)
{
	size_t len = strlen(name);

	if (host.len > 0 && host.ptr[host.len - 1] == '.') {
		host.len--;
	}
	return host.len == len && strncasecmp((const char *)host.ptr, name, len) == 0;
}
