/*
 * Subscriptions of HTTP clients. However many clients listen to a channel, the server is asked once and says
 * each message once; the hub hands it to all of them.
 *
 *   subscriber ─┐               ┌ topic "news"   ┐
 *   subscriber ─┼ subscription ─┼ topic "a*"     ┼ hub ── own lane, raw ── master
 *   subscriber ─┘               └ …              ┘
 *
 * One hub for each user on the server, made with the first subscription and gone with the last. When the master is
 * lost the same is subscribed again on the next one, and nobody is told: messages that were published meanwhile
 * are missed, as with any subscriber of Redis.
 */
#ifndef HTTPD_HUB_H
#define HTTPD_HUB_H

#include <stdbool.h>
#include <stddef.h>

#include "backend/lane.h"
#include "base/list.h"
#include "base/slice.h"

struct httpd;
struct hub;

#define SUBSCRIBER_TOPICS_MAX 10000 /* of one client */

enum hub_kind { HUB_CHANNEL, HUB_PATTERN, HUB_SHARD, HUB_KINDS };

struct subscriber_ops {
	/* A message or a confirmation, whole, as the server says it in RESP2. The subscriber may be finished within. */
	void (*on_message)(void *owner, enum hub_kind kind, struct slice raw);
	/* The server refused, or there is no master (`local`): that subscription is gone. */
	void (*on_refused)(void *owner, struct slice error, bool local);
};

/* Embedded in a client. */
struct subscriber {
	const struct subscriber_ops *ops; /* borrowed (static) */
	void *owner;                      /* borrowed (contains it) */
	struct httpd *httpd;              /* borrowed (outlives it) */
	struct hub *hub; /* borrowed; NULL before the first subscription and after the last */
	struct list subscriptions; /* owned */
	size_t count, confirmed;
};

void subscriber_init(
    struct subscriber *s, struct httpd *h, const struct subscriber_ops *ops, void *owner);
/* No callback after this. */
void subscriber_fini(struct subscriber *s);

/*
 * on_message brings the confirmation, perhaps before this returns; every call gets one. 0, or -ENOBUFS: too many.
 * All subscriptions of a subscriber are made with the same key.
 */
int hub_subscribe(struct subscriber *s, const struct lane_key *key, enum hub_kind kind,
    struct slice name) ATTR_WARN_UNUSED;
/* The confirmation comes before this returns. */
void hub_unsubscribe(struct subscriber *s, enum hub_kind kind, struct slice name);
/* All of that kind; one confirmation each, or one without a name when there were none. */
void hub_unsubscribe_all(struct subscriber *s, enum hub_kind kind);

/* SUBSCRIBE, PSUBSCRIBE and SSUBSCRIBE, and their opposites, by command_id; false: another command. */
bool hub_kind_of(unsigned command_id, enum hub_kind *ret_kind, bool *ret_subscribes);

#endif
