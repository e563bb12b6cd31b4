#include "proxy/held.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"

#define FIRST_ENTRIES 8

void
held_init(struct held *h, size_t bytes_max)
{
	*h = (struct held){0};
	buf_init(&h->bytes, bytes_max);
}

void
held_fini(struct held *h)
{
	buf_fini(&h->bytes);
	free(h->entries);
	*h = (struct held){0};
}

static struct held_entry *
last_of(struct held *h)
{
	return held_is_empty(h) ? NULL : &h->entries[h->count - 1];
}

static void
push(struct held *h, struct held_entry entry)
{
	if (h->head > h->cap / 2 && h->count == h->cap) {
		for (size_t i = h->head; i < h->count; i++) {
			h->entries[i - h->head] = h->entries[i];
		}
		h->count -= h->head;
		h->head = 0;
	}
	if (h->count == h->cap) {
		h->cap = h->cap == 0 ? FIRST_ENTRIES : h->cap * 2;
		h->entries = xreallocarray(h->entries, h->cap, sizeof(*h->entries));
	}
	h->entries[h->count++] = entry;
}

int
held_add_plain(struct held *h, struct slice raw)
{
	struct held_entry *last = last_of(h);
	int err = buf_add_slice(&h->bytes, raw);

	if (err < 0) {
		return err;
	}
	if (last != NULL && last->state == HELD_PLAIN) {
		last->len += raw.len;
	} else {
		push(h, (struct held_entry){.len = raw.len, .state = HELD_PLAIN});
	}
	return 0;
}

int
held_add_write(struct held *h, struct slice raw, bool last, uint64_t ticket, unsigned process)
{
	struct held_entry *at = last_of(h);
	int err = buf_add_slice(&h->bytes, raw);

	if (err < 0) {
		return err;
	}
	if (at == NULL || at->state != HELD_OPEN) {
		push(h, (struct held_entry){.state = HELD_OPEN});
		at = last_of(h);
	}
	at->len += raw.len;
	if (last) {
		at->state = ticket != 0 ? HELD_ASKED : HELD_DECIDED;
		at->outcome = CONFIRM_LOST;
		at->ticket = ticket;
		at->process = process;
	}
	return 0;
}

void
held_decide(struct held *h, unsigned process, uint64_t upto, enum confirm_outcome outcome)
{
	for (size_t i = h->head; i < h->count; i++) {
		struct held_entry *e = &h->entries[i];

		if (e->state == HELD_ASKED && e->process == process && e->ticket <= upto) {
			e->state = HELD_DECIDED;
			e->outcome = (uint8_t)outcome;
		}
	}
}

bool
held_first(struct held *h, struct slice *ret_raw, enum confirm_outcome *ret_outcome)
{
	const struct held_entry *e;

	if (held_is_empty(h)) {
		return false;
	}
	e = &h->entries[h->head];
	if (e->state != HELD_PLAIN && e->state != HELD_DECIDED) {
		return false;
	}
	*ret_raw = (struct slice){buf_slice(&h->bytes).ptr, e->len};
	*ret_outcome = e->state == HELD_PLAIN ? CONFIRM_KEPT : (enum confirm_outcome)e->outcome;
	return true;
}

void
held_pop(struct held *h)
{
	assert(!held_is_empty(h));
	buf_consume(&h->bytes, h->entries[h->head].len);
	h->head++;
	if (held_is_empty(h)) {
		h->head = h->count = 0;
	}
}
