#include "instance/module_list.h"

#include <inttypes.h>
#include <stdio.h>
#include <string.h>

#include <hiredis/hiredis.h>

#include "base/defs.h"
#include "topo/reply.h"

static void
copy(char *to, size_t size, struct slice from)
{
	(void)snprintf(to, size, "%.*s", (int)MIN(from.len, size - 1), (const char *)from.ptr);
}

int
module_list_read(const struct redisReply *reply, struct module_seen *ret_seen)
{
	size_t count = reply_count(reply);
	int n = 0;

	if (reply == NULL || reply_is_error(reply) || (count == 0 && reply_text(reply).len > 0)) {
		return -1;
	}
	for (size_t i = 0; i < count && n < MODULES_MAX; i++) {
		const struct redisReply *one = reply_at(reply, i);
		struct module_seen *s = &ret_seen[n];

		*s = (struct module_seen){.ver = 0};
		copy(s->name, sizeof(s->name), reply_text(reply_field(one, "name")));
		copy(s->path, sizeof(s->path), reply_text(reply_field(one, "path")));
		(void)reply_u64(reply_field(one, "ver"), &s->ver);
		if (s->name[0] != '\0') {
			n++;
		}
	}
	return n;
}

const struct module_seen *
module_list_find(const struct module_seen *seen, size_t count, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(seen[i].name, name) == 0) {
			return &seen[i];
		}
	}
	return NULL;
}

const char *
module_version_text(uint64_t ver, char *text)
{
	(void)snprintf(
	    text, 32, "%" PRIu64 ".%" PRIu64 ".%" PRIu64, ver / 10000, ver / 100 % 100, ver % 100);
	return text;
}

bool
module_answer_is_good(const struct redisReply *reply, enum manifest_answer answer)
{
	if (reply == NULL || reply_is_error(reply)) {
		return false;
	}
	switch (answer) {
	case MANIFEST_ANY:
		return true;
	case MANIFEST_ZERO:
		return reply->type == REDIS_REPLY_INTEGER && reply->integer == 0;
	case MANIFEST_ARRAY:
		return reply->type == REDIS_REPLY_ARRAY;
	case MANIFEST_NIL_OR_ARRAY:
		return reply->type == REDIS_REPLY_NIL || reply->type == REDIS_REPLY_ARRAY;
	case MANIFEST_TEXT:
		return reply_text(reply).len > 0 || reply->type == REDIS_REPLY_ARRAY;
	}
	return false;
}
