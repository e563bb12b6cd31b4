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
	for (size_t i = 0; i < s->sorted.count; i++) {
		free(s->sorted.items[i]);
	}
	sorted_fini(&s->sorted);
	s->bytes = 0;
}

struct sub_key {
	enum subs_kind kind;
	struct slice name;
};

static int
compare(const void *item, const void *key)
{
	const struct sub *sub = item;
	const struct sub_key *k = key;
	int diff;

	if (sub->kind != k->kind) {
		return sub->kind < k->kind ? -1 : 1;
	}
	diff = memcmp(sub->name, k->name.ptr, MIN((size_t)sub->len, k->name.len));
	if (diff != 0) {
		return diff;
	}
	return sub->len < k->name.len ? -1 : sub->len > k->name.len;
}

int
subs_add(struct subs *s, enum subs_kind kind, struct slice name)
{
	const struct sub_key key = {kind, name};
	struct sub *item;
	bool found;
	size_t at = sorted_find(&s->sorted, compare, &key, &found);
	size_t bytes = sizeof(*item) + name.len;

	if (found) {
		return 0;
	}
	if (s->bytes + bytes > SUBS_BYTES_MAX) {
		return -ENOBUFS;
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
	sorted_insert(&s->sorted, at, item);
	s->bytes += bytes;
	return 0;
}

void
subs_remove(struct subs *s, enum subs_kind kind, struct slice name)
{
	const struct sub_key key = {kind, name};
	bool found;
	size_t at = sorted_find(&s->sorted, compare, &key, &found);

	if (!found) {
		return;
	}
	s->bytes -= sizeof(struct sub) + subs_at(s, at)->len;
	free(s->sorted.items[at]);
	sorted_remove(&s->sorted, at);
}

int
subs_add_commands(const struct subs *s, struct buf *out, size_t *ret_replies)
{
	int err = 0;

	for (size_t i = 0; i < subs_count(s) && err == 0;) {
		size_t end = i + 1;

		while (end < subs_count(s) && end - i < NAMES_A_COMMAND &&
		       subs_at(s, end)->kind == subs_at(s, i)->kind) {
			end++;
		}
		err = resp_add_header(out, '*', end - i + 1);
		if (err == 0) {
			err = resp_add_bulk(out, slice_str(words[subs_at(s, i)->kind].subscribe));
		}
		for (; i < end && err == 0; i++) {
			err = resp_add_bulk(
			    out, (struct slice){subs_at(s, i)->name, subs_at(s, i)->len});
		}
	}
	*ret_replies = subs_count(s);
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
