/*
 * The epoch: whoever wins the sentinels' votes for it decides who is master under it. What Sentinel itself asks for when it leads
 * a failover (sentinel.c, sentinelAskMasterStateToOtherSentinels and sentinelVoteLeader).
 */
#include "base/clock.h"
#include "base/log.h"
#include "instance/failover_priv.h"
#include "instance/vote.h"
#include "topo/link.h"
#include "topo/reply.h"

#define ANSWER_MS    1500
#define MAX_ATTEMPTS 4
#define AHEAD_MS     5 /* by then the dead process has closed its sockets, as a rule */

static size_t
count_votes(const struct failover *f)
{
	size_t votes = 0;

	for (size_t i = 0; i < f->sentinel_count; i++) {
		votes += f->sentinels[i].voted;
	}
	return votes;
}

/* Somebody else may be asking too: not at once, and not in step with them. A sentinel that only was at a higher epoch is another matter. */
static uint64_t
pause_ms(const struct failover *f)
{
	if (f->remote) {
		return f->retry_ms; /* whoever has the votes takes over meanwhile */
	}
	return f->attempts == 1 && f->seen_epoch >= f->epoch ? 0 : 50 + clock_mono_us() % 200;
}

void
fo_check_votes(struct failover *f)
{
	size_t votes = count_votes(f);

	if (votes >= f->need && f->leads && fo_can_tell(f)) {
		fo_step(f, FO_DONE); /* the answers of a slow sentinel are not waited for */
	} else if (f->pending > 0) {
		return;
	} else if (!fo_majority_answers(f)) {
		fo_step(f, FO_BAD);
	} else if (votes < f->need && f->attempts < MAX_ATTEMPTS) {
		fo_tick_in(f, pause_ms(f));
	} else {
		if (votes < f->need) {
			errmsg_set(&f->why, "%zu of %zu sentinels voted, and %zu are needed", votes,
			    f->voters, f->need);
		} else {
			errmsg_set(&f->why, "the sentinels voted but cannot be told of the result");
		}
		fo_step(f, FO_BAD);
	}
}

static void
on_vote(void *arg, const struct redisReply *reply, int error)
{
	struct fo_sentinel *s = arg;
	struct failover *f = s->f;
	struct vote vote;

	s->answers = error == 0 && !reply_is_error(reply);
	if (error == 0 && vote_read(reply, &vote)) {
		s->voted = vote_is_for(&vote, f->id, f->epoch);
		f->seen_epoch = MAX(f->seen_epoch, vote.epoch);
	}
	(void)fo_answered(f);
	fo_check_votes(f);
}

static void
ask_for_votes(struct failover *f)
{
	f->attempts++;
	for (size_t i = 0; i < f->sentinel_count; i++) {
		struct link *l = fo_sentinel_link(f, i);

		f->sentinels[i].voted = false;
		f->pending += l != NULL && vote_ask(l, &f->nodes[f->master].as.at, f->epoch, f->id,
					       ANSWER_MS, on_vote, &f->sentinels[i]) == 0;
	}
	if (f->pending == 0) {
		errmsg_set(&f->why, "no sentinel answers any more");
		fo_step(f, FO_BAD);
	}
}

void
fo_vote(void *obj)
{
	ask_for_votes(obj);
}

void
fo_vote_again(struct failover *f)
{
	if (f->remote && f->ops->is_still_dead != NULL && !f->ops->is_still_dead(f->owner)) {
		errmsg_set(&f->why, "the master is heard again");
		fo_step(f, FO_BAD);
		return;
	}
	if (f->remote && !f->barred && fo_sentinel_is_busy(f)) {
		errmsg_set(&f->why, "Sentinel runs a failover already");
		fo_step(f, FO_BAD);
		return;
	}
	f->epoch = MAX(f->epoch, f->seen_epoch) + 1;
	ask_for_votes(f);
}

void
fo_take_over(void *obj)
{
	struct failover *f = obj;

	f->dead = true;
	f->paused = false; /* with the one that was */
	f->to = NULL;      /* what counts now is who has every write */
	f->target = f->count;
	f->leads = !f->sentinel_only;
	f->attempts = 0;
	f->steered = false;
	f->why = ERRMSG_NONE;
	fo_restore(f);
	fo_count_voters(f);
	for (size_t i = 0; i < f->sentinel_count; i++) {
		f->sentinels[i].answers = false;
		f->sentinels[i].tellable = f->sentinels[i].introduced;
	}
	for (size_t i = 0; i < f->count; i++) {
		struct fo_node *n = &f->nodes[i];

		n->looked = n->drained = n->answered = n->asking = false;
	}
	if (!f->barred && fo_sentinel_is_busy(f)) {
		errmsg_set(&f->why, "Sentinel runs a failover already");
		fo_step(f, FO_BAD);
		return;
	}
	fo_ask_for_peers(f);
	ask_for_votes(f);
	if (f->state == FO_VOTING && !f->remote) {
		ev_timer_set(&f->ahead, AHEAD_MS / 1000., 0.);
		ev_timer_start(loop_ev(f->loop), &f->ahead);
	}
}
