#include "backend/scripts.h"

#include <stdlib.h>
#include <string.h>

#include "base/defs.h"
#include "base/mem.h"
#include "base/sorted.h"

struct script {
	uint64_t number, used;
	size_t len;
	uint8_t body[];
};

struct scripts {
	struct sorted sorted; /* struct script: owned */
	size_t bytes;
	uint64_t last, uses;
};

struct scripts *
scripts_new(void)
{
	return xcalloc(1, sizeof(struct scripts));
}

void
scripts_free(struct scripts **sp)
{
	if (*sp != NULL) {
		scripts_clear(*sp);
		free(*sp);
		*sp = NULL;
	}
}

static int
compare(const void *item, const void *key)
{
	const struct script *script = item;
	const struct slice *body = key;

	if (script->len != body->len) {
		return script->len < body->len ? -1 : 1;
	}
	return body->len == 0 ? 0 : memcmp(script->body, body->ptr, body->len);
}

bool
scripts_has(struct scripts *s, struct slice body)
{
	bool found;
	size_t at = sorted_find(&s->sorted, compare, &body, &found);

	if (found) {
		((struct script *)s->sorted.items[at])->used = ++s->uses;
	}
	return found;
}

static void
drop(struct scripts *s, size_t at)
{
	struct script *script = s->sorted.items[at];

	s->bytes -= sizeof(*script) + script->len;
	sorted_remove(&s->sorted, at);
	free(script);
}

static void
drop_oldest(struct scripts *s)
{
	size_t oldest = 0;

	for (size_t i = 1; i < s->sorted.count; i++) {
		const struct script *one = s->sorted.items[i], *best = s->sorted.items[oldest];

		oldest = one->used < best->used ? i : oldest;
	}
	drop(s, oldest);
}

void
scripts_add(struct scripts *s, struct slice body)
{
	size_t bytes = sizeof(struct script) + body.len;
	struct script *script;
	bool found;
	size_t at;

	if (scripts_has(s, body) || bytes > SCRIPTS_BYTES_MAX) {
		return;
	}
	while (s->sorted.count >= SCRIPTS_COUNT_MAX || s->bytes + bytes > SCRIPTS_BYTES_MAX) {
		drop_oldest(s);
	}
	script = malloc(bytes);
	if (script == NULL) {
		return; /* it is a client's size; without it there is NOSCRIPT at worst */
	}
	*script = (struct script){.number = ++s->last, .used = ++s->uses, .len = body.len};
	if (body.len > 0) {
		memcpy(script->body, body.ptr, body.len);
	}
	at = sorted_find(&s->sorted, compare, &body, &found);
	sorted_insert(&s->sorted, at, script);
	s->bytes += bytes;
}

void
scripts_clear(struct scripts *s)
{
	while (s->sorted.count > 0) {
		drop(s, s->sorted.count - 1);
	}
	sorted_fini(&s->sorted);
}

size_t
scripts_count(const struct scripts *s)
{
	return s->sorted.count;
}

struct slice
scripts_at(const struct scripts *s, size_t i, uint64_t *ret_number)
{
	const struct script *script = s->sorted.items[i];

	*ret_number = script->number;
	return (struct slice){script->body, script->len};
}

uint64_t
scripts_last(const struct scripts *s)
{
	return s->last;
}
