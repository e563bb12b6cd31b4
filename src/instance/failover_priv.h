/*
 * What the files of the failover share: failover.c is the machine, failover_ends.c how it ends, failover_look.c the
 * picture of the situation and the choice, failover_vote.c the won epoch, failover_steps.c what else
 * is said to servers and sentinels, failover_drain.c the last writes of a dead master, failover_freeze.c one on another host.
 *
 * A step asks several peers and counts the open answers (`pending`); the last answer feeds DONE or
 * BAD to the machine. Entering a state forgets what the state before still waited for.
 */
#ifndef INSTANCE_FAILOVER_PRIV_H
#define INSTANCE_FAILOVER_PRIV_H

#include <stddef.h>
#include <stdint.h>

#include "instance/failover.h"
#include "instance/hello.h"
#include "topo/watcher.h"

struct redisReply;

enum failover_state {
	FO_LOOKING, /* at servers and sentinels */
	FO_VOTING,  /* led: the sentinels vote */
	FO_FREEZING, /* takeover, remote: nobody follows the old master any more, and what each has is known */
	FO_DRAINING,  /* takeover, led: the replicas read what the dead master had sent */
	FO_STEERING,  /* sentinel: it learns of the priorities */
	FO_PAUSING,   /* writes pause, the target catches up */
	FO_PROMOTING, /* led */
	FO_ASKING,    /* sentinel: it promotes */
	FO_TELLING,   /* there is a new master: all learn of it */
	FO_ENDED,
	FO_STATE_COUNT,
};

enum failover_event {
	FO_DONE,  /* the step is done */
	FO_BAD,   /* it cannot be done */
	FO_LATE,  /* it is not done in time */
	FO_MOVED, /* a majority of the sentinels names another master than the old one */
	FO_DIED,  /* the master is dead */
	FO_EVENT_COUNT,
};

/* A redis instance. */
struct fo_node {
	struct failover *f; /* borrowed */
	struct failover_node as;
	bool answered; /* the rest is what INFO said */
	bool is_master, link_up, syncing;
	struct endpoint follows;
	char replid[41];
	uint64_t offset;
	bool tells_read; /* it says how much it has read, which may be more than it has applied */
	uint64_t read_offset;
	bool looked; /* takeover: it was looked at before, and `offset` and `read_offset` were … */
	uint64_t offset_before, read_before;
	bool drained; /* … the same, or its link has ended: nothing of the dead master is to come */
	bool dropped; /* takeover: it could not be promoted */
	unsigned priority,
	    priority_said;        /* barred: what it says to Sentinel; `priority` is what counts */
	bool asking;              /* a question to it is open */
	bool done;                /* has been told whom to follow */
	bool steered;             /* its priority is 0 because of us */
	unsigned priority_before; /* steered: what it is to be again; INFO shows 0 meanwhile */
};

/* A sentinel. */
struct fo_sentinel {
	struct failover *f; /* borrowed */
	struct endpoint at;
	bool answers;               /* now; what it said before is worth nothing */
	char peer[HELLO_PEER_SIZE]; /* another sentinel that it knows; "": none */
	bool introduced;            /* takeover: it has taken a hello in that name before */
	bool tellable;              /* it takes a hello */
	bool voted;
};

struct failover {
	uint32_t magic;
	unsigned state;
	struct loop *loop;              /* borrowed (outlives all) */
	struct watcher *watcher;        /* borrowed (outlives the failover) */
	const struct failover_ops *ops; /* borrowed (static) */
	void *owner;                    /* borrowed */
	const char *name;               /* borrowed: Sentinel's master name */
	const char *to;                 /* borrowed: the wanted node, or NULL */
	struct watcher_observer observer;
	struct fo_node *nodes; /* owned */
	size_t count, master;
	size_t target;                 /* `count`: not chosen */
	struct fo_sentinel *sentinels; /* owned */
	size_t sentinel_count;
	size_t voters, need; /* sentinels that have a vote, and how many of them it takes */
	ev_timer deadline;   /* of the state */
	ev_timer tick;       /* of the step: asks again */
	ev_timer begin;      /* the first step, once failover_start has returned */
	ev_timer ahead;      /* takeover: replicas are looked at while the sentinels vote */
	unsigned pending;    /* open answers of the step */
	uint64_t pause_ms, end_ms, tell_ms;
	uint64_t down_after_ms;
	uint64_t told_since_ms, hello_ms; /* telling began; the last hello */
	uint64_t drain_since_ms;
	char id[41];            /* with which we ask for votes */
	uint64_t known_epoch;   /* of the present master, before the first answer of a sentinel */
	uint64_t claimed_epoch; /* 0: none */
	uint64_t epoch;         /* of the new configuration */
	uint64_t seen_epoch;    /* the highest in an answer to a request for votes */
	unsigned attempts;
	uint64_t final_offset; /* of the old master, with writes paused */
	bool sentinel_only, leads, dry, barred, all;
	bool steered;        /* `asked` was chosen, and knows the priorities */
	bool remote, frozen; /* takeover: of another host; all were told to follow nobody */
	uint64_t retry_ms;
	bool dead;            /* the old master: this is a takeover */
	uint64_t seen_offset; /* takeover: the old master's when it was last seen */
	bool paused;          /* the old master was told to, and not yet to go on */
	uint64_t patient_ms;  /* clock: until then the owner may get prepared for the pause */
	bool promoted_told;   /* the owner was */
	bool old_is_replica;  /* the old master follows the new one */
	size_t asked;         /* the sentinel that was asked to fail over */
	struct errmsg why;
};

#define FAILOVER_MAGIC 0x464f5652U

void fo_step(struct failover *f, enum failover_event event);
/* One open answer has come. True when it was the last. */
bool fo_answered(struct failover *f);
/* Asks again in so many ms: fo_on_tick. */
void fo_tick_in(struct failover *f, uint64_t ms);
/* The command link of sentinel `i`, or NULL when it is not up (any more). */
struct link *fo_sentinel_link(const struct failover *f, size_t i);
struct link *fo_node_link(const struct failover *f, size_t i);

/* failover_ends.c: the actions of the table that lead to FO_ENDED */
/* Nothing has changed, or it is not changed back on purpose: see failover_freeze.c. */
void fo_fail(void *obj);
/* Of all that had the dead master's data. */
void fo_fail_nobody(void *obj);
void fo_fail_moved(void *obj);
void fo_fail_pause(void *obj);
void fo_fail_taken_back(void *obj);
void fo_fail_asked(void *obj);
void fo_succeed(void *obj);
void fo_half_done(void *obj);
/* Only looked: who it would be, and what is with the others. */
void fo_show_plan(void *obj);
/* Waits for no answer any more. What replicas are asked while the sentinels vote is for the next state, too: not `of_nodes` then. */
void fo_forget_answers(struct failover *f, bool of_nodes);
/* No callback after this; it is freed. */
void fo_close_down(struct failover *f);

/* failover_look.c */
void fo_look(void *obj);
/* Do enough sentinels answer for a decision? False with f->why. A minority decides nothing. */
bool fo_majority_answers(struct failover *f);
/* Fills `n` in from INFO; false when it is none. */
bool fo_read_info(struct fo_node *n, const struct redisReply *info);
/*
 * Chooses the target among f->nodes, and whether we can lead. 0, or -EAGAIN with f->why: what is
 * missing. Pure: looks at nothing but `f`.
 */
int fo_choose(struct failover *f);
/* Why node `i` cannot take over, perhaps in `text`; NULL: it can. */
const char *fo_unfitness(const struct failover *f, size_t i, char *text, size_t size);
/* Does a sentinel say that it carries out a failover? */
bool fo_sentinel_is_busy(const struct failover *f);
/* How many sentinels have a vote, how many it takes, and the next epoch: from what they said last. */
void fo_count_voters(struct failover *f);
/* Asks all sentinels for an acquaintance in whose name they can be told. The answers end the step `looked`, or count votes. */
void fo_ask_for_peers(struct failover *f);
/* A sentinel has named its acquaintances while all are told: it is, too. */
void fo_tell_late(struct failover *f, size_t i);
/* Do enough sentinels take a hello? */
bool fo_can_tell(const struct failover *f);

/* failover_vote.c */
void fo_vote(void *obj);
/* The master is dead: votes are asked for at once, whatever was under way. */
void fo_take_over(void *obj);
/* Looks whether the vote is over; after each answer of a sentinel. */
void fo_check_votes(struct failover *f);
void fo_vote_again(struct failover *f);

/* failover_freeze.c */
void fo_freeze(void *obj);

/* failover_drain.c */
void fo_drain(void *obj);
/* The same while the sentinels vote, as far as it gets. */
void fo_drain_ahead(struct failover *f);
void fo_drain_again(struct failover *f);

/* failover_steps.c: the actions of the table */
void fo_steer(void *obj);
void fo_pause(void *obj);
void fo_promote(void *obj);
void fo_ask_sentinel(void *obj);
/* The target could not be promoted: the next best one. */
void fo_promote_other(void *obj);
void fo_tell(void *obj);
/* The old master died once its successor was decided: nobody waits for it. */
void fo_note_dead(void *obj);
void fo_on_tick(struct failover *f);
/* Writes may go on: the old master is unpaused, the workers let go. */
void fo_unpause(struct failover *f);
/* The target is no master after all: tells it to follow the old one. */
void fo_take_back(struct failover *f);
/* Priorities as they were. */
void fo_restore(struct failover *f);
/* Tells the owner of the promotion, once. */
void fo_tell_owner(struct failover *f);
/* Feeds DONE when all is as it should be. */
void fo_check_end(struct failover *f);
bool fo_majority_agrees(const struct failover *f, struct topo_master *ret_master);
void fo_rewrite(struct failover *f);

#endif
