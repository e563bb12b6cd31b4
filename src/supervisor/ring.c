#include "supervisor/ring.h"

#include <stdio.h>
#include <stdlib.h>

#include "base/list.h"
#include "base/mem.h"

struct entry {
	struct list link;
	uint64_t seq;
	char name[RING_NAME_SIZE];
	size_t len;
	uint8_t text[];
};

struct ring {
	struct list entries; /* oldest first; owned */
	size_t bytes, max_bytes;
	uint64_t next_seq;
};

struct ring *
ring_new(size_t max_bytes)
{
	struct ring *r = xcalloc(1, sizeof(*r));

	*r = (struct ring){.max_bytes = max_bytes, .next_seq = 1};
	list_init(&r->entries);
	return r;
}

static void
drop_oldest(struct ring *r)
{
	struct entry *e = CONTAINER_OF(list_shift(&r->entries), struct entry, link);

	r->bytes -= sizeof(*e) + e->len;
	free(e);
}

void
ring_free(struct ring **rp)
{
	struct ring *r = *rp;

	*rp = NULL;
	if (r == NULL) {
		return;
	}
	while (!list_is_empty(&r->entries)) {
		drop_oldest(r);
	}
	free(r);
}

uint64_t
ring_add(struct ring *r, const char *name, struct slice text)
{
	struct entry *e = xcalloc(1, sizeof(*e) + text.len);

	e->seq = r->next_seq++;
	(void)snprintf(e->name, sizeof(e->name), "%s", name);
	e->len = text.len;
	memcpy(e->text, text.ptr, text.len);
	list_push(&r->entries, &e->link);
	r->bytes += sizeof(*e) + text.len;
	while (r->bytes > r->max_bytes && r->entries.next != &e->link) {
		drop_oldest(r);
	}
	return e->seq;
}

void
ring_each(struct ring *r, const char *name, size_t n,
    void (*fn)(void *arg, const struct ring_line *line), void *arg)
{
	struct list *it = &r->entries;
	size_t found = 0;

	/* Back to the first line to show, then forwards. */
	while (it->prev != &r->entries && found < n) {
		const struct entry *e = CONTAINER_OF(it->prev, struct entry, link);

		it = it->prev;
		found += name == NULL || strcmp(e->name, name) == 0 ? 1 : 0;
	}
	for (it = it == &r->entries ? it->next : it; n > 0 && it != &r->entries; it = it->next) {
		const struct entry *e = CONTAINER_OF(it, struct entry, link);
		struct ring_line line = {.seq = e->seq, .text = {e->text, e->len}};

		if (name == NULL || strcmp(e->name, name) == 0) {
			memcpy(line.name, e->name, sizeof(line.name));
			fn(arg, &line);
		}
	}
}
