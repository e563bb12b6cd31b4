/*
 * Durability: what is acknowledged is on so many replicas. The server's reply to a write is kept back until
 * backend/confirm.h says so, and with it all that comes behind it for this client; other clients, and the reads of
 * this one as long as no write of its own is before them, do not notice. What becomes of it otherwise is said instead
 * of the reply.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/log.h"
#include "base/mem.h"
#include "proxy/held.h"
#include "proxy/proxy_priv.h"

struct holding {
	struct held held;
	struct confirm *confirm; /* borrowed (outlives all sessions) */
	struct confirm_watcher watcher;
};

bool
session_is_durable(const struct session *s)
{
	const struct confirm *c = s->proxy->confirms[s->door];

	return c != NULL && confirm_replicas(c) > 0;
}

void
session_holding_fini(struct session *s)
{
	if (s->rare->holding != NULL) {
		confirm_unwatch(&s->rare->holding->watcher);
		held_fini(&s->rare->holding->held);
		free(s->rare->holding);
		session_rare(s)->holding = NULL;
	}
}

size_t
session_held_bytes(const struct session *s)
{
	return s->rare->holding != NULL ? buf_len(&s->rare->holding->held.bytes) : 0;
}

bool
session_holds_much(const struct session *s)
{
	return session_held_bytes(s) > SESSION_HELD_HIGH;
}

static void
put_instead(struct session *s, enum confirm_outcome outcome)
{
	const struct confirm *c = s->rare->holding->confirm;
	unsigned replicas = confirm_replicas(c);
	char text[160];

	if (outcome == CONFIRM_FEW) {
		(void)snprintf(text, sizeof(text),
		    "-NOREPLICAS the master has the write, but not %u replicas within %llu ms; it "
		    "may yet be lost\r\n",
		    replicas, (unsigned long long)confirm_wait_ms(c));
	} else {
		(void)snprintf(text, sizeof(text),
		    "-UNCERTAIN master lost before %u replicas had the write; it may or may not be "
		    "kept\r\n",
		    replicas);
	}
	session_put(s, slice_str(text));
}

/* What may go goes. */
static void
deliver(struct session *s)
{
	struct holding *h = s->rare->holding;
	enum confirm_outcome outcome;
	struct slice raw;

	while (held_first(&h->held, &raw, &outcome)) {
		if (outcome == CONFIRM_KEPT) {
			session_put(s, raw);
		} else {
			put_instead(s, outcome);
		}
		if (s->conn == NULL) {
			return;
		}
		held_pop(&h->held);
	}
	if (held_is_empty(&h->held)) {
		session_holding_fini(s);
		session_held_are_out(s);
	}
}

static void
on_outcome(void *arg, unsigned process, uint64_t upto, enum confirm_outcome outcome)
{
	struct session *s = OBJ_CAST((struct session *)arg, SESSION_MAGIC);

	held_decide(&s->rare->holding->held, process, upto, outcome);
	deliver(s);
}

static void
too_much(struct session *s)
{
	log_peer(LOG_WARN, "a client is closed: too much of its replies waits for replicas");
	session_close(s);
}

void
session_hold(struct session *s, struct slice bytes)
{
	if (held_add_plain(&s->rare->holding->held, bytes) < 0) {
		too_much(s);
	}
}

void
session_hold_write(struct session *s, const struct lane_reply *reply)
{
	struct holding *h = s->rare->holding;
	uint64_t ticket = 0;

	if (s->ending) {
		return;
	}
	if (h == NULL) {
		h = session_rare(s)->holding = xcalloc(1, sizeof(*h));
		h->confirm = s->proxy->confirms[s->door];
		held_init(&h->held, s->proxy->conf.max_output_bytes);
		h->watcher = (struct confirm_watcher){.on_outcome = on_outcome, .arg = s};
		list_init(&h->watcher.link);
		confirm_watch(h->confirm, &h->watcher);
	}
	if (reply->last) {
		ticket = confirm_add(h->confirm, reply->process);
	}
	if (held_add_write(&h->held, reply->raw, reply->last, ticket, reply->process) < 0) {
		too_much(s);
	} else if (reply->last && ticket == 0) {
		deliver(s);
	}
}
