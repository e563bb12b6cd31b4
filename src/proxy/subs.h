/*
 * What a session is subscribed to, learnt from the server's confirmations, so that it can be
 * subscribed again on the next master without the client noticing. A sorted set of names; bounded,
 * since a client decides how many.
 */
#ifndef PROXY_SUBS_H
#define PROXY_SUBS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/defs.h"
#include "base/slice.h"
#include "base/sorted.h"

#define SUBS_BYTES_MAX ((size_t)16 * 1024 * 1024)

enum subs_kind { SUBS_CHANNEL, SUBS_PATTERN, SUBS_SHARD, SUBS_KINDS };

struct sub {
	uint32_t len;
	uint8_t kind;
	uint8_t name[];
};

/* Embedded object; zero is empty. */
struct subs {
	struct sorted sorted; /* of struct sub, owned, by kind and name */
	size_t bytes;
};

static inline size_t
subs_count(const struct subs *s)
{
	return s->sorted.count;
}

static inline const struct sub *
subs_at(const struct subs *s, size_t i)
{
	return s->sorted.items[i];
}

void subs_fini(struct subs *s);
/* 0, -ENOBUFS (more than SUBS_BYTES_MAX), -ENOMEM. Adding what is there, or removing what is not, is fine. */
int subs_add(struct subs *s, enum subs_kind kind, struct slice name) ATTR_WARN_UNUSED;
void subs_remove(struct subs *s, enum subs_kind kind, struct slice name);
/* The commands that subscribe to all of it; *ret_replies confirmations will come. */
int subs_add_commands(const struct subs *s, struct buf *out, size_t *ret_replies) ATTR_WARN_UNUSED;

/* What a message from the server is about. */
enum subs_message {
	SUBS_OTHER,      /* a reply like any other */
	SUBS_PUSHED,     /* a message, or another push that answers nothing */
	SUBS_SUBSCRIBED, /* confirmations, with kind and name */
	SUBS_UNSUBSCRIBED,
};
enum subs_message subs_read(
    struct slice raw, enum subs_kind *ret_kind, struct slice *ret_name, uint64_t *ret_left);

#endif
