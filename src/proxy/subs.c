#include "proxy/subs.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "resp/reader.h"
#include "resp/write.h"

/* Names in one command, so that no command grows without bound. */
#define NAMES_A_COMMAND 1000

static const struct {
	const char *subscribe, *subscribed, *unsubscribed, *message;
} words[SUBS_KINDS] = {
    [SUBS_CHANNEL] = {"SUBSCRIBE", "subscribe", "unsubscribe", "message"},
    [SUBS_PATTERN] = {"PSUBSCRIBE", "psubscribe", "punsubscribe", "pmessage"},
    [SUBS_SHARD] = {"SSUBSCRIBE", "ssubscribe", "sunsubscribe", "smessage"},
};

void
subs_fini(struct subs *s)
{
	for (size_t i = 0; i < s->count; i++) {
		free(s->items[i]);
	}
	free(s->items);
	*s = (struct subs){0};
}

static int
compare(const struct sub *item, enum subs_kind kind, struct slice name)
{
	int diff;

	if (item->kind != kind) {
		return item->kind < kind ? -1 : 1;
	}
	diff = memcmp(item->name, name.ptr, MIN((size_t)item->len, name.len));
	if (diff != 0) {
		return diff;
	}
	return item->len < name.len ? -1 : item->len > name.len;
}

/* Where the name is, or belongs. */
static size_t
find(const struct subs *s, enum subs_kind kind, struct slice name, bool *ret_found)
{
	size_t low = 0, high = s->count;

	*ret_found = false;
	while (low < high) {
		size_t middle = low + (high - low) / 2;
		int diff = compare(s->items[middle], kind, name);

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

int
subs_add(struct subs *s, enum subs_kind kind, struct slice name)
{
	struct sub *item;
	bool found;
	size_t at = find(s, kind, name, &found), bytes = sizeof(*item) + name.len;

	if (found) {
		return 0;
	}
	if (s->bytes + bytes > SUBS_BYTES_MAX) {
		return -ENOBUFS;
	}
	if (s->count == s->cap) {
		s->cap = s->cap == 0 ? 4 : s->cap * 2;
		s->items = xreallocarray(s->items, s->cap, sizeof(struct sub *));
	}
	item = malloc(bytes);
	if (item == NULL) {
		return -ENOMEM;
	}
	item->kind = (uint8_t)kind;
	item->len = (uint32_t)name.len;
	if (name.len > 0) {
		memcpy(item->name, name.ptr, name.len);
	}
	memmove(&s->items[at + 1], &s->items[at], (s->count - at) * sizeof(struct sub *));
	s->items[at] = item;
	s->count++;
	s->bytes += bytes;
	return 0;
}

void
subs_remove(struct subs *s, enum subs_kind kind, struct slice name)
{
	bool found;
	size_t at = find(s, kind, name, &found);

	if (!found) {
		return;
	}
	s->bytes -= sizeof(struct sub) + s->items[at]->len;
	free(s->items[at]);
	s->count--;
	memmove(&s->items[at], &s->items[at + 1], (s->count - at) * sizeof(struct sub *));
}

int
subs_add_commands(const struct subs *s, struct buf *out, size_t *ret_replies)
{
	int err = 0;

	for (size_t i = 0; i < s->count && err == 0;) {
		size_t end = i + 1;

		while (end < s->count && end - i < NAMES_A_COMMAND &&
		       s->items[end]->kind == s->items[i]->kind) {
			end++;
		}
		err = resp_add_header(out, '*', end - i + 1);
		if (err == 0) {
			err = resp_add_bulk(out, slice_str(words[s->items[i]->kind].subscribe));
		}
		for (; i < end && err == 0; i++) {
			err =
			    resp_add_bulk(out, (struct slice){s->items[i]->name, s->items[i]->len});
		}
	}
	*ret_replies = s->count;
	return err;
}

enum subs_message
subs_read(struct slice raw, enum subs_kind *ret_kind, struct slice *ret_name, uint64_t *ret_left)
{
	struct resp_cursor c = {raw};
	struct resp_item head, word, name, left;
	bool is_push = raw.len > 0 && raw.ptr[0] == '>';

	if (!resp_cursor_next(&c, &head) || !resp_type_is_aggregate(head.type) || head.number < 2 ||
	    !resp_cursor_next(&c, &word) || word.type != RESP_BULK) {
		return is_push ? SUBS_PUSHED : SUBS_OTHER;
	}
	for (int kind = 0; kind < SUBS_KINDS; kind++) {
		bool subscribed = slice_eq(word.str, words[kind].subscribed);

		if (slice_eq(word.str, words[kind].message)) {
			return SUBS_PUSHED;
		}
		if ((subscribed || slice_eq(word.str, words[kind].unsubscribed)) &&
		    resp_cursor_next(&c, &name) && resp_cursor_next(&c, &left) &&
		    left.type == RESP_INT && left.number >= 0) {
			*ret_kind = (enum subs_kind)kind;
			*ret_name = name.str; /* empty when nothing was subscribed */
			*ret_left = (uint64_t)left.number;
			return subscribed ? SUBS_SUBSCRIBED : SUBS_UNSUBSCRIBED;
		}
	}
	return is_push ? SUBS_PUSHED : SUBS_OTHER;
}
