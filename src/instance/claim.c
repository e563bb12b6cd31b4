#include "instance/claim.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>

#include "base/mem.h"
#include "instance/vote.h"
#include "topo/link.h"
#include "topo/watcher.h"

#define CLAIM_MAGIC  0x434c4149U
#define ANSWER_MS    5000
#define MAX_ATTEMPTS 8 /* higher epochs that are tried for one and the same present one */

struct claimed {
	struct claim *c; /* borrowed */
	struct endpoint at;
	uint64_t epoch; /* that it was asked for; 0: not */
	bool asking;
};

struct claim {
	uint32_t magic;
	struct watcher *watcher; /* borrowed */
	char id[CLAIM_ID_SIZE];
	uint64_t epoch; /* that is asked for; 0: none yet */
	unsigned attempts;
	struct claimed sentinels[WATCHER_MAX_SENTINELS];
};

static void ask(struct claim *c, size_t i);

static void
on_vote(void *arg, const struct redisReply *reply, int error)
{
	struct claimed *s = arg;
	struct claim *c = s->c;
	struct vote vote;

	s->asking = false;
	if (error != 0 || !vote_read(reply, &vote)) {
		s->epoch = 0; /* asked again when all is well next time */
		return;
	}
	if (s->epoch != c->epoch) {
		ask(c, (size_t)(s - c->sentinels)); /* that has moved on meanwhile */
		return;
	}
	if (vote_is_for(&vote, c->id, s->epoch) || c->attempts >= MAX_ATTEMPTS) {
		return;
	}
	/* It had voted for somebody else: a leader of Sentinel's own that came to nothing, or a supervisor before us. */
	c->attempts++;
	c->epoch = MAX(c->epoch, vote.epoch) + 1;
	for (size_t i = 0; i < watcher_count(c->watcher); i++) {
		ask(c, i);
	}
}

static void
ask(struct claim *c, size_t i)
{
	const struct watcher_sentinel *v =
	    i < watcher_count(c->watcher) ? watcher_get(c->watcher, i) : NULL;
	struct claimed *s = &c->sentinels[i];

	if (v == NULL || !v->connected || !v->knows || v->failover || s->asking ||
	    (endpoint_equal(&s->at, &v->at) && s->epoch == c->epoch)) {
		return;
	}
	*s = (struct claimed){.c = c, .at = v->at};
	if (vote_ask(watcher_link(c->watcher, i), &v->names.at, c->epoch, c->id, ANSWER_MS, on_vote,
		s) == 0) {
		s->epoch = c->epoch;
		s->asking = true;
	}
}

void
claim_run(struct claim *c)
{
	uint64_t present = 0;

	for (size_t i = 0; i < watcher_count(c->watcher); i++) {
		const struct watcher_sentinel *v = watcher_get(c->watcher, i);

		present = MAX(present, v->connected && v->knows ? v->names.epoch : 0);
	}
	if (c->epoch <= present) {
		c->epoch = present + 1;
		c->attempts = 0;
	}
	for (size_t i = 0; i < watcher_count(c->watcher); i++) {
		ask(c, i);
	}
}

const char *
claim_id(const struct claim *c)
{
	return c->id;
}

uint64_t
claim_epoch(const struct claim *c)
{
	return c->epoch;
}

struct claim *
claim_new(struct watcher *watcher, const char *id)
{
	struct claim *c = xcalloc(1, sizeof(*c));

	c->magic = CLAIM_MAGIC;
	c->watcher = watcher;
	(void)snprintf(c->id, sizeof(c->id), "%s", id);
	return c;
}

void
claim_free(struct claim **cp)
{
	struct claim *c = *cp;

	*cp = NULL;
	if (c == NULL) {
		return;
	}
	for (size_t i = 0; i < watcher_count(c->watcher); i++) {
		for (size_t k = 0; k < WATCHER_MAX_SENTINELS; k++) {
			link_forget(watcher_link(c->watcher, i), &c->sentinels[k]);
		}
	}
	c->magic = 0;
	free(c);
}
