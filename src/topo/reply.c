#include "topo/reply.h"

#include <arpa/inet.h>
#include <stdio.h>
#include <string.h>

#include <hiredis/hiredis.h>

bool
reply_is_error(const struct redisReply *r)
{
	return r != NULL && r->type == REDIS_REPLY_ERROR;
}

bool
reply_has_code(const struct redisReply *r, const char *code)
{
	size_t len = strlen(code);

	return reply_is_error(r) && r->len >= len && memcmp(r->str, code, len) == 0 &&
	       (r->len == len || r->str[len] == ' ');
}

bool
reply_is_ok(const struct redisReply *r)
{
	return r != NULL && r->type == REDIS_REPLY_STATUS && slice_eq(reply_text(r), "OK");
}

struct slice
reply_text(const struct redisReply *r)
{
	if (r == NULL || r->str == NULL ||
	    (r->type != REDIS_REPLY_STRING && r->type != REDIS_REPLY_STATUS &&
		r->type != REDIS_REPLY_ERROR)) {
		return SLICE_LIT("");
	}
	return (struct slice){(const uint8_t *)r->str, r->len};
}

bool
reply_u64(const struct redisReply *r, uint64_t *ret_value)
{
	if (r != NULL && r->type == REDIS_REPLY_INTEGER && r->integer >= 0) {
		*ret_value = (uint64_t)r->integer;
		return true;
	}
	return r != NULL && r->type == REDIS_REPLY_STRING && slice_to_u64(reply_text(r), ret_value);
}

size_t
reply_count(const struct redisReply *r)
{
	return r != NULL && r->type == REDIS_REPLY_ARRAY ? r->elements : 0;
}

const struct redisReply *
reply_at(const struct redisReply *r, size_t i)
{
	return i < reply_count(r) ? r->element[i] : NULL;
}

const struct redisReply *
reply_field(const struct redisReply *r, const char *name)
{
	for (size_t i = 0; i + 1 < reply_count(r); i += 2) {
		if (slice_eq(reply_text(r->element[i]), name)) {
			return r->element[i + 1];
		}
	}
	return NULL;
}

bool
reply_endpoint(
    const struct redisReply *host, const struct redisReply *port, struct endpoint *ret_at)
{
	struct slice text = reply_text(host);
	char name[INET6_ADDRSTRLEN];
	uint8_t binary[sizeof(struct in6_addr)];
	uint64_t number;

	if (text.len == 0 || text.len >= sizeof(name) || memchr(text.ptr, '\0', text.len) != NULL ||
	    !reply_u64(port, &number) || number == 0 || number > UINT16_MAX) {
		return false;
	}
	memcpy(name, text.ptr, text.len);
	name[text.len] = '\0';
	if (inet_pton(AF_INET, name, binary) != 1 && inet_pton(AF_INET6, name, binary) != 1) {
		return false;
	}
	*ret_at = endpoint_tcp(name, (uint16_t)number);
	return true;
}

struct slice
reply_info(const struct redisReply *r, const char *name)
{
	struct slice rest = reply_text(r);
	size_t name_len = strlen(name);

	while (rest.len > 0) {
		const uint8_t *end = memchr(rest.ptr, '\n', rest.len);
		size_t len = end == NULL ? rest.len : (size_t)(end - rest.ptr);

		if (len > name_len && memcmp(rest.ptr, name, name_len) == 0 &&
		    rest.ptr[name_len] == ':') {
			struct slice value = {rest.ptr + name_len + 1, len - name_len - 1};

			if (value.len > 0 && value.ptr[value.len - 1] == '\r') {
				value.len--;
			}
			return value;
		}
		if (end == NULL) {
			break;
		}
		rest.ptr += len + 1;
		rest.len -= len + 1;
	}
	return SLICE_LIT("");
}
