#include "http/tagmemo.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

struct slot {
	uint8_t *body; /* owned; NULL: empty */
	size_t len, cap;
	char hex[MD5_HEX_BYTES];
};

struct tagmemo {
	struct slot small[TAGMEMO_SMALL_SLOTS], large[TAGMEMO_SLOTS];
};

struct tagmemo *
tagmemo_new(void)
{
	return xcalloc(1, sizeof(struct tagmemo));
}

void
tagmemo_free(struct tagmemo **mp)
{
	struct tagmemo *m = *mp;

	*mp = NULL;
	for (size_t i = 0; m != NULL && i < TAGMEMO_SLOTS; i++) {
		free(m->large[i].body);
	}
	for (size_t i = 0; m != NULL && i < TAGMEMO_SMALL_SLOTS; i++) {
		free(m->small[i].body);
	}
	free(m);
}

/* Of the length and four words of it: bodies that differ elsewhere take each other's place, which is only slower. */
static struct slot *
slot_of(struct tagmemo *m, struct slice body)
{
	uint64_t hash = body.len, word;

	for (size_t i = 0; i < 4; i++) {
		memcpy(&word, body.ptr + i * (body.len - sizeof(word)) / 3, sizeof(word));
		hash = (hash ^ word) * 0x9e3779b97f4a7c15;
	}
	return body.len <= TAGMEMO_SMALL ? &m->small[hash >> 32 & (TAGMEMO_SMALL_SLOTS - 1)]
					 : &m->large[hash >> 32 & (TAGMEMO_SLOTS - 1)];
}

/* Without memory it is not kept. */
static void
keep(struct slot *s, struct slice body, const char *hex)
{
	if (s->cap < body.len) {
		uint8_t *room = realloc(s->body, body.len);

		if (room == NULL) {
			return;
		}
		s->body = room;
		s->cap = body.len;
	}
	memcpy(s->body, body.ptr, body.len);
	s->len = body.len;
	memcpy(s->hex, hex, MD5_HEX_BYTES);
}

void
tagmemo_hex(struct tagmemo *m, struct slice body, char out[static MD5_HEX_BYTES])
{
	struct slot *s;

	if (m == NULL || body.len < TAGMEMO_MIN || body.len > TAGMEMO_MAX) {
		md5_hex(body, out);
		return;
	}
	s = slot_of(m, body);
	if (s->len == body.len && memcmp(s->body, body.ptr, body.len) == 0) {
		memcpy(out, s->hex, MD5_HEX_BYTES);
		return;
	}
	md5_hex(body, out);
	keep(s, body, out);
}
