#include "base/sorted.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "base/defs.h"
#include "base/mem.h"

size_t
sorted_find(const struct sorted *s, sorted_compare_fn *compare, const void *key, bool *ret_found)
{
	size_t low = 0, high = s->count;

	*ret_found = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int diff = compare(s->items[middle], key);

		if (diff == 0) {
			*ret_found = true;
			return middle;
		}
		if (diff < 0) {
			low = middle + 1;
		} else {
			high = middle;
		}
	}
	return low;
}

void
sorted_insert(struct sorted *s, size_t at, void *item)
{
	assert(at <= s->count);
	if (s->count == s->cap) {
		s->cap = MAX(s->cap * 2, (size_t)4);
		s->items = xreallocarray(s->items, s->cap, sizeof(void *));
	}
	memmove(&s->items[at + 1], &s->items[at], (s->count - at) * sizeof(void *));
	s->items[at] = item;
	s->count++;
}

void
sorted_remove(struct sorted *s, size_t at)
{
	assert(at < s->count);
	s->count--;
	memmove(&s->items[at], &s->items[at + 1], (s->count - at) * sizeof(void *));
}

void
sorted_fini(struct sorted *s)
{
	free(s->items);
	*s = (struct sorted){0};
}
