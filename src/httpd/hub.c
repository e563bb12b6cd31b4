#include "httpd/hub.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/buf.h"
#include "base/log.h"
#include "base/mem.h"
#include "base/sorted.h"
#include "httpd/httpd_priv.h"
#include "resp/reader.h"
#include "resp/write.h"

#define HUB_MAGIC 0x48554255U

enum hub_state {
	HUB_ASKING, /* a PING that waits for a master proves the lane; nothing else is asked yet */
	HUB_UP,     /* the lane is raw: the server speaks when it likes */
};

static const struct {
	const char *subscribe, *subscribed, *unsubscribe, *unsubscribed, *message;
} words[HUB_KINDS] = {
    [HUB_CHANNEL] = {"SUBSCRIBE", "subscribe", "UNSUBSCRIBE", "unsubscribe", "message"},
    [HUB_PATTERN] = {"PSUBSCRIBE", "psubscribe", "PUNSUBSCRIBE", "punsubscribe", "pmessage"},
    [HUB_SHARD] = {"SSUBSCRIBE", "ssubscribe", "SUNSUBSCRIBE", "sunsubscribe", "smessage"},
};

struct topic {
	struct list link;          /* hub.in_order */
	struct list subscriptions; /* struct subscription.of_topic */
	enum hub_kind kind;
	bool is_on;   /* the server confirmed it */
	bool is_sent; /* and was asked since the lane is up */
	bool in_use;  /* its list is being walked: freed afterwards */
	size_t len;
	uint8_t name[];
};

struct subscription {
	struct list of_topic, of_subscriber;
	struct topic *topic;           /* borrowed: a topic lives as long as it has one */
	struct subscriber *subscriber; /* borrowed, likewise */
	bool confirmed;
};

/* What the server was asked and has not answered. */
struct question {
	struct list link;
	enum hub_kind kind;
	size_t len;
	uint8_t name[];
};

struct hub {
	uint32_t magic;
	struct list link;    /* httpd.hubs */
	struct httpd *httpd; /* borrowed (outlives it) */
	enum hub_state state;
	struct requester requester;
	struct lane *lane;     /* owned */
	char *user, *password; /* owned; NULL: none */
	size_t user_len, password_len;
	struct list in_order;  /* struct topic.link: the oldest first */
	struct sorted topics;  /* of struct topic, owned, by kind and name */
	struct list questions; /* in the order of asking */
	struct buf partial;    /* owned: a message that came in pieces so far */
	bool too_large;        /* … and is dropped */
	bool asked;            /* ASKING: the PING is out */
	bool ended;            /* freed at the end of this turn */
};

static struct hub *
hub_of(void *owner)
{
	return OBJ_CAST((struct hub *)owner, HUB_MAGIC);
}

/* ---- topics ---- */

struct topic_key {
	enum hub_kind kind;
	struct slice name;
};

static int
compare(const void *item, const void *key)
{
	const struct topic *t = item;
	const struct topic_key *k = key;
	int diff = (int)t->kind - (int)k->kind;

	if (diff == 0) {
		diff = memcmp(t->name, k->name.ptr, MIN(t->len, k->name.len));
	}
	return diff != 0 ? diff : (t->len > k->name.len) - (t->len < k->name.len);
}

/* Where it is, or belongs. */
static size_t
find(const struct hub *hub, enum hub_kind kind, struct slice name, bool *ret_found)
{
	const struct topic_key key = {kind, name};

	return sorted_find(&hub->topics, compare, &key, ret_found);
}

static struct topic *
topic_find(const struct hub *hub, enum hub_kind kind, struct slice name)
{
	bool found;
	size_t at = find(hub, kind, name, &found);

	return found ? hub->topics.items[at] : NULL;
}

static struct topic *
topic_get(struct hub *hub, enum hub_kind kind, struct slice name)
{
	bool found;
	size_t at = find(hub, kind, name, &found);
	struct topic *t;

	if (found) {
		return hub->topics.items[at];
	}
	t = xcalloc(1, sizeof(*t) + name.len);
	list_init(&t->link);
	list_push(&hub->in_order, &t->link);
	list_init(&t->subscriptions);
	t->kind = kind;
	t->len = name.len;
	memcpy(t->name, name.ptr, name.len);
	sorted_insert(&hub->topics, at, t);
	return t;
}

static struct slice
name_of(const struct topic *t)
{
	return (struct slice){t->name, t->len};
}

/* ---- asking the server ---- */

static void
ask(struct hub *hub, const char *command, enum hub_kind kind, struct slice name)
{
	struct slice argv[] = {slice_str(command), name};
	struct question *q = xcalloc(1, sizeof(*q) + name.len);
	struct buf out;

	list_init(&q->link);
	q->kind = kind;
	q->len = name.len;
	memcpy(q->name, name.ptr, name.len);
	list_push(&hub->questions, &q->link);
	buf_init(&out, 0);
	/* without memory the link is of no use: it is made anew */
	if (resp_add_command(&out, argv, 2) < 0 ||
	    lane_send(&hub->requester, hub->lane, buf_slice(&out), LANE_UNCOUNTED) < 0) {
		lane_abandon(hub->lane);
	}
	buf_fini(&out);
}

static void
ask_for(struct hub *hub, struct topic *t)
{
	if (hub->state != HUB_UP || t->is_sent) {
		return;
	}
	if (!lane_is_ready(hub->lane)) {
		lane_want(&hub->requester, hub->lane); /* a switchover: it comes back, or is lost */
	} else {
		t->is_sent = true;
		ask(hub, words[t->kind].subscribe, t->kind, name_of(t));
	}
}

static void
ask_for_all(struct hub *hub)
{
	list_for_each (item, &hub->in_order) {
		ask_for(hub, CONTAINER_OF(item, struct topic, link));
	}
}

static void
forget_questions(struct hub *hub)
{
	struct list *item;

	while ((item = list_shift(&hub->questions)) != NULL) {
		free(CONTAINER_OF(item, struct question, link));
	}
}

/* Proves the lane, or waits for a master, or gets the server's refusal of the user. */
static void
begin_asking(struct hub *hub)
{
	hub->state = HUB_ASKING;
	lane_set_pinned(hub->lane, false);
	lane_set_raw(hub->lane, false);
	for (size_t i = 0; i < hub->topics.count; i++) {
		struct topic *t = hub->topics.items[i];

		t->is_sent = t->is_on = false;
	}
	/* more is held for a master than may be: the next subscription tries again */
	hub->asked = lane_send(&hub->requester, hub->lane, SLICE_LIT("*1\r\n$4\r\nPING\r\n"),
			 LANE_READ | LANE_UNCOUNTED) == 0;
}

/* ---- the end ---- */

static void
free_now(void *obj)
{
	struct hub *hub = obj;

	hub->magic = 0;
	if (hub->password != NULL) {
		explicit_bzero(hub->password, hub->password_len);
	}
	free(hub->user);
	free(hub->password);
	sorted_fini(&hub->topics);
	buf_fini(&hub->partial);
	free(hub);
}

/* Nobody listens any more. */
static void
hub_end(struct hub *hub)
{
	hub->ended = true;
	forget_questions(hub);
	requester_fini(&hub->requester);
	lane_release(&hub->lane);
	list_del(&hub->link);
	loop_bury(hub->httpd->loop, free_now, hub);
}

static void
topic_leave(struct hub *hub, struct topic *t)
{
	bool found;
	size_t at;

	if (t->in_use || !list_is_empty(&t->subscriptions)) {
		return;
	}
	at = find(hub, t->kind, name_of(t), &found);
	assert(found && hub->topics.items[at] == t);
	list_del(&t->link);
	sorted_remove(&hub->topics, at);
	if (hub->topics.count == 0) {
		hub_end(hub);
	} else if (hub->state == HUB_UP && t->is_sent && lane_is_ready(hub->lane)) {
		ask(hub, words[t->kind].unsubscribe, t->kind, name_of(t));
	}
	free(t);
}

static void
subscription_free(struct subscription *sub)
{
	struct subscriber *s = sub->subscriber;
	struct hub *hub = s->hub;
	struct topic *t = sub->topic;

	list_del(&sub->of_topic);
	list_del(&sub->of_subscriber);
	s->confirmed -= sub->confirmed;
	free(sub);
	if (--s->count == 0) {
		s->hub = NULL;
	}
	topic_leave(hub, t);
}

/* ---- what the server says ---- */

/* "subscribe" and the like, with how many subscriptions this subscriber has. */
static void
confirm(struct subscriber *s, enum hub_kind kind, const char *word, const struct slice *name)
{
	struct buf out;
	int err;

	buf_init(&out, 0);
	err = resp_add_header(&out, '*', 3);
	if (err == 0) {
		err = resp_add_bulk(&out, slice_str(word));
	}
	if (err == 0) {
		err = name != NULL ? resp_add_bulk(&out, *name) : resp_add_null(&out, 2);
	}
	if (err == 0) {
		err = resp_add_int(&out, (int64_t)s->confirmed);
	}
	if (err == 0) {
		s->httpd->said++;
		s->ops->on_message(s->owner, kind, buf_slice(&out));
	}
	buf_fini(&out);
}

static void
confirm_subscription(struct subscription *sub)
{
	struct slice name = name_of(sub->topic);

	sub->subscriber->confirmed += !sub->confirmed;
	sub->confirmed = true;
	confirm(sub->subscriber, sub->topic->kind, words[sub->topic->kind].subscribed, &name);
}

enum said { SAID_SUBSCRIBED, SAID_UNSUBSCRIBED, SAID_MESSAGE, SAID_OTHER };

static enum said
read_reply(struct slice raw, enum hub_kind *ret_kind, struct slice *ret_name)
{
	struct resp_cursor c = {raw};
	struct resp_item head, word, name;

	if (!resp_cursor_next(&c, &head) || head.type != RESP_ARRAY || head.number < 3 ||
	    !resp_cursor_next(&c, &word) || word.type != RESP_BULK ||
	    !resp_cursor_next(&c, &name)) {
		return SAID_OTHER;
	}
	*ret_name = name.str;
	for (int kind = 0; kind < HUB_KINDS; kind++) {
		*ret_kind = (enum hub_kind)kind;
		if (slice_eq(word.str, words[kind].message)) {
			return SAID_MESSAGE;
		}
		if (slice_eq(word.str, words[kind].subscribed)) {
			return SAID_SUBSCRIBED;
		}
		if (slice_eq(word.str, words[kind].unsubscribed)) {
			return SAID_UNSUBSCRIBED;
		}
	}
	return SAID_OTHER;
}

/*
 * To all of a topic; `tell` may finish any subscriber, but of those only the present one's subscription is in the
 * list's hands. The topic and the hub stay until the walk is over.
 */
static void
tell_all(
    struct hub *hub, struct topic *t, void (*tell)(struct subscription *sub, void *arg), void *arg)
{
	t->in_use = true;
	list_for_each_safe (item, next, &t->subscriptions) {
		tell(CONTAINER_OF(item, struct subscription, of_topic), arg);
	}
	t->in_use = false;
	topic_leave(hub, t);
}

static void
tell_message(struct subscription *sub, void *arg)
{
	struct subscriber *s = sub->subscriber;

	if (sub->confirmed) {
		s->ops->on_message(s->owner, sub->topic->kind, *(const struct slice *)arg);
	}
}

/* Those that the server has confirmed, in the order of the subscriber, whatever order the server had. */
static void
confirm_ready(struct subscriber *s)
{
	list_for_each_safe (item, next, &s->subscriptions) {
		struct subscription *sub = CONTAINER_OF(item, struct subscription, of_subscriber);

		if (sub->confirmed) {
			continue;
		}
		if (!sub->topic->is_on) {
			return;
		}
		confirm_subscription(sub);
		if (s->hub == NULL) {
			return; /* it was finished within */
		}
	}
}

static void
tell_confirmed(struct subscription *sub, void *arg)
{
	(void)arg;
	if (!sub->confirmed) {
		confirm_ready(sub->subscriber);
	}
}

struct refusal {
	struct slice error;
	bool local, only_new;
};

static void
tell_refused(struct subscription *sub, void *arg)
{
	const struct refusal *r = arg;
	struct subscriber *s = sub->subscriber;

	if (r->only_new && sub->confirmed) {
		return;
	}
	subscription_free(sub);
	s->ops->on_refused(s->owner, r->error, r->local);
}

static void
on_confirmed(struct hub *hub, enum hub_kind kind, struct slice name)
{
	struct topic *t = topic_find(hub, kind, name);

	if (t != NULL) {
		t->is_on = true;
		tell_all(hub, t, tell_confirmed, NULL);
	}
}

static struct question *
take_question(struct hub *hub)
{
	struct list *item = list_shift(&hub->questions);

	return item != NULL ? CONTAINER_OF(item, struct question, link) : NULL;
}

/* A whole reply while the lane is raw. */
static void
on_said(struct hub *hub, struct slice raw, char type)
{
	enum hub_kind kind;
	struct slice name;
	struct question *q;
	struct topic *t;
	enum said said = type == '-' ? SAID_OTHER : read_reply(raw, &kind, &name);

	hub->httpd->said++;
	if (said == SAID_MESSAGE) {
		t = topic_find(hub, kind, name);
		if (t != NULL) {
			tell_all(hub, t, tell_message, &raw);
		}
		return;
	}
	q = take_question(hub);
	if (said == SAID_SUBSCRIBED) {
		on_confirmed(hub, kind, name);
	} else if (type == '-' && q != NULL) {
		t = topic_find(hub, q->kind, (struct slice){q->name, q->len});
		if (t != NULL) {
			t->is_sent = false;
			tell_all(hub, t, tell_refused, &(struct refusal){.error = raw});
		}
	}
	free(q);
}

/* The PING was answered: the lane serves, or nobody does. */
static void
on_asked(struct hub *hub, const struct lane_reply *reply)
{
	/* those who have waited are told; who was subscribed already waits on for a master */
	struct refusal r = {reply->raw, reply->local, reply->local};

	if (reply->type != '-') {
		hub->state = HUB_UP;
		lane_set_pinned(hub->lane, true);
		lane_set_raw(hub->lane, true);
		ask_for_all(hub);
		return;
	}
	for (size_t i = hub->topics.count; i > 0 && !hub->ended; i--) {
		if (i <= hub->topics.count) {
			tell_all(hub, hub->topics.items[i - 1], tell_refused, &r);
		}
	}
	if (!hub->ended) {
		begin_asking(hub);
	}
}

static void
on_reply(void *owner, const struct lane_reply *reply)
{
	struct hub *hub = hub_of(owner);
	size_t max = (size_t)hub->httpd->limits.body_bytes;

	if (hub->state == HUB_ASKING) {
		if (reply->last) {
			on_asked(hub, reply);
		}
		return;
	}
	if (reply->first && reply->last) {
		on_said(hub, reply->raw, reply->type);
		return;
	}
	if (reply->first) {
		buf_clear(&hub->partial);
		hub->too_large = false;
	}
	if (buf_len(&hub->partial) + reply->raw.len > max ||
	    buf_add_slice(&hub->partial, reply->raw) < 0) {
		hub->too_large = true;
		buf_fini(&hub->partial);
	}
	if (reply->last && hub->too_large) {
		log_peer(LOG_WARN,
		    "a message that is larger than http.max_request_bytes was not handed on");
	} else if (reply->last) {
		struct buf whole = hub->partial;

		buf_init(&hub->partial, 0);
		on_said(hub, buf_slice(&whole), reply->type);
		buf_fini(&whole);
	}
}

static void
on_room(void *owner)
{
	ask_for_all(hub_of(owner));
}

static void
on_lost(void *owner, struct lane *lane, unsigned dropped, unsigned unsent)
{
	struct hub *hub = hub_of(owner);

	(void)lane;
	(void)dropped;
	(void)unsent;
	if (hub->state == HUB_UP) {
		forget_questions(hub);
		buf_fini(&hub->partial);
		begin_asking(hub);
	}
}

static bool
is_settled(void *owner)
{
	return list_is_empty(&hub_of(owner)->questions);
}

static const struct requester_ops requester_ops = {
    .on_reply = on_reply, .is_settled = is_settled, .on_room = on_room, .on_lost = on_lost};

/* ---- hubs ---- */

static bool
is_same(const char *ours, size_t len, struct slice theirs)
{
	return (ours == NULL) == (theirs.ptr == NULL) && len == theirs.len &&
	       (len == 0 || memcmp(ours, theirs.ptr, len) == 0);
}

static char *
dup_slice(struct slice s)
{
	return s.ptr != NULL ? xstrndup((const char *)s.ptr, s.len) : NULL;
}

static struct hub *
hub_get(struct httpd *h, const struct lane_key *key)
{
	struct hub *hub;

	list_for_each (item, &h->hubs) {
		hub = CONTAINER_OF(item, struct hub, link);
		if (is_same(hub->user, hub->user_len, key->user) &&
		    is_same(hub->password, hub->password_len, key->password)) {
			return hub;
		}
	}
	hub = xcalloc(1, sizeof(*hub));
	*hub = (struct hub){.magic = HUB_MAGIC,
	    .httpd = h,
	    .user = dup_slice(key->user),
	    .password = dup_slice(key->password),
	    .user_len = key->user.len,
	    .password_len = key->password.len};
	list_init(&hub->link);
	list_init(&hub->in_order);
	list_init(&hub->questions);
	buf_init(&hub->partial, 0);
	requester_init(&hub->requester, &requester_ops, hub);
	hub->lane = lane_own(h->backend, key, &hub->requester);
	list_push(&h->hubs, &hub->link);
	begin_asking(hub);
	return hub;
}

/* ---- subscribers ---- */

void
subscriber_init(
    struct subscriber *s, struct httpd *h, const struct subscriber_ops *ops, void *owner)
{
	*s = (struct subscriber){.ops = ops, .owner = owner, .httpd = h};
	list_init(&s->subscriptions);
}

void
subscriber_fini(struct subscriber *s)
{
	while (!list_is_empty(&s->subscriptions)) {
		subscription_free(
		    CONTAINER_OF(s->subscriptions.next, struct subscription, of_subscriber));
	}
}

static struct subscription *
find_subscription(const struct subscriber *s, const struct topic *t)
{
	list_for_each (item, &s->subscriptions) {
		struct subscription *sub = CONTAINER_OF(item, struct subscription, of_subscriber);

		if (sub->topic == t) {
			return sub;
		}
	}
	return NULL;
}

int
hub_subscribe(
    struct subscriber *s, const struct lane_key *key, enum hub_kind kind, struct slice name)
{
	struct hub *hub;
	struct topic *t;
	struct subscription *sub;

	if (s->count >= SUBSCRIBER_TOPICS_MAX) {
		return -ENOBUFS;
	}
	hub = s->hub != NULL ? s->hub : hub_get(s->httpd, key);
	s->hub = hub;
	if (hub->state == HUB_ASKING && !hub->asked) {
		begin_asking(hub);
	}
	t = topic_get(hub, kind, name);
	sub = find_subscription(s, t);
	if (sub == NULL) {
		sub = xcalloc(1, sizeof(*sub));
		*sub = (struct subscription){.topic = t, .subscriber = s};
		list_init(&sub->of_topic);
		list_init(&sub->of_subscriber);
		list_push(&t->subscriptions, &sub->of_topic);
		list_push(&s->subscriptions, &sub->of_subscriber);
		s->count++;
	}
	if (sub->confirmed) {
		confirm_subscription(sub); /* asked twice, told twice */
	} else if (t->is_on) {
		confirm_ready(s);
	} else {
		ask_for(hub, t);
	}
	return 0;
}

void
hub_unsubscribe(struct subscriber *s, enum hub_kind kind, struct slice name)
{
	struct topic *t = s->hub != NULL ? topic_find(s->hub, kind, name) : NULL;
	struct subscription *sub = t != NULL ? find_subscription(s, t) : NULL;

	if (sub != NULL) {
		subscription_free(sub);
	}
	confirm(s, kind, words[kind].unsubscribed, &name);
}

void
hub_unsubscribe_all(struct subscriber *s, enum hub_kind kind)
{
	bool any = false;

	list_for_each_safe (item, next, &s->subscriptions) {
		struct subscription *sub = CONTAINER_OF(item, struct subscription, of_subscriber);
		struct buf name;

		if (sub->topic->kind != kind) {
			continue;
		}
		buf_init(&name, 0);
		if (buf_add_slice(&name, name_of(sub->topic)) == 0) {
			hub_unsubscribe(s, kind, buf_slice(&name));
		}
		buf_fini(&name);
		any = true;
	}
	if (!any) {
		confirm(s, kind, words[kind].unsubscribed, NULL);
	}
}

bool
hub_kind_of(unsigned command_id, enum hub_kind *ret_kind, bool *ret_subscribes)
{
	static const struct {
		enum command_id id;
		enum hub_kind kind;
		bool subscribes;
	} rows[] = {{CMD_SUBSCRIBE, HUB_CHANNEL, true}, {CMD_PSUBSCRIBE, HUB_PATTERN, true},
	    {CMD_SSUBSCRIBE, HUB_SHARD, true}, {CMD_UNSUBSCRIBE, HUB_CHANNEL, false},
	    {CMD_PUNSUBSCRIBE, HUB_PATTERN, false}, {CMD_SUNSUBSCRIBE, HUB_SHARD, false}};

	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (rows[i].id == command_id) {
			*ret_kind = rows[i].kind;
			*ret_subscribes = rows[i].subscribes;
			return true;
		}
	}
	return false;
}
