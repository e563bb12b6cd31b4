#include "instance/vote.h"

#include <stdio.h>

#include "topo/reply.h"

int
vote_ask(struct link *l, const struct endpoint *master, uint64_t epoch, const char *id,
    uint64_t timeout_ms, link_reply_fn *fn, void *arg)
{
	char port[8], epoch_text[24];

	(void)snprintf(port, sizeof(port), "%u", master->port);
	(void)snprintf(epoch_text, sizeof(epoch_text), "%llu", (unsigned long long)epoch);
	return link_send(l, timeout_ms, fn, arg, "SENTINEL", "IS-MASTER-DOWN-BY-ADDR", master->host,
	    port, epoch_text, id, NULL);
}

/* Is it down, the id it votes for, the epoch of that vote. */
bool
vote_read(const struct redisReply *reply, struct vote *ret_vote)
{
	uint64_t epoch;

	if (!reply_u64(reply_at(reply, 2), &epoch)) {
		return false;
	}
	*ret_vote = (struct vote){.leader = reply_text(reply_at(reply, 1)), .epoch = epoch};
	return true;
}

bool
vote_is_for(const struct vote *v, const char *id, uint64_t epoch)
{
	return v->epoch == epoch && slice_eq(v->leader, id);
}
