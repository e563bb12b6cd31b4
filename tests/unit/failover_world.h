/*
 * Three redis servers and three sentinels for tests of the failover: they answer as the real ones
 * would, remember what they were told in one journal, and misbehave where a test says so.
 */
#ifndef TESTS_FAILOVER_WORLD_H
#define TESTS_FAILOVER_WORLD_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "fake_server.h"
#include "instance/failover.h"
#include "topo/watcher.h"

#define WORLD_NODES     3
#define WORLD_SENTINELS 3

struct world;

struct world_node {
	struct world *w;
	struct fake *server;
	struct link *link;
	bool is_master, link_up;
	size_t follows; /* index */
	unsigned offset, priority;
	bool hidden;        /* a replica: replica-announced no */
	const char *replid; /* NULL: abc */
	unsigned steps;     /* a replica: how often it must be asked until it has caught up */
	bool lags;          /* a replica: it was not in sync when the master died */
	unsigned
	    drips; /* a replica of a dead master: in so many looks it has read more each time, its link up */
	bool old; /* before Redis 7: does not tell what it has read */
	/* Misbehaviour. */
	const char *pause_answer, *promote_answer, *follow_answer, *config_answer;
	bool promote_silent, silent;
};

struct world_sentinel {
	struct world *w;
	struct fake *server; /* a test may free it: the sentinel is gone */
	uint16_t port;
	size_t names;
	unsigned epoch, leader_epoch; /* of the master that it names; of its last vote, */
	char leader[41];              /* which was for */
	unsigned polls;               /* how often the watcher has asked it, which is every 20 ms */
	bool failover;
	/* Misbehaviour. */
	bool silent;        /* hangs: its connections stand */
	bool hangs_at_vote; /* from the first request for a vote on */
	bool alone;         /* knows no peer */
	bool shy;           /* leaves it open whom it knows */
	bool deaf;          /* takes no hello about another master */
	bool no_publish;    /* has no PUBLISH */
	bool no_votes;      /* votes for somebody else */
	unsigned voted_at;  /* has voted for somebody else at this epoch */
	bool blind;         /* does not see priorities */
	bool promotes;      /* carries a SENTINEL FAILOVER out */
	const char *failover_answer;
};

struct world {
	struct loop *loop;
	struct topo *topo;
	struct watcher *watcher;
	struct world_node nodes[WORLD_NODES];
	struct world_sentinel sentinels[WORLD_SENTINELS];
	struct failover_spec spec;
	struct failover *failover;
	struct errmsg err;
	char journal
	    [8192]; /* "redis-1 CLIENT PAUSE\n"… in order, from servers, sentinels and callbacks */
	bool done, cancel_on_hold, cancel_on_promoted;
	bool heard_again; /* the master of another host is not dead after all */
	int error;
	char text[1024];
	bool has_master;
	struct topo_master master;
	const char *awaited; /* a line of the journal, or a state */
	unsigned awaited_polls;
};

/* cmocka's setup and teardown: all in order, redis-1 is master, the watcher knows it. */
int world_setup(void **state);
int world_teardown(void **state);
/* Starts the failover; fails the test when it does not start. */
void world_start(struct world *w);
/* One more at the same time, of somebody else. */
struct failover *world_start_another(struct world *w, const struct failover_ops *with, void *owner);
/* Starts it and runs until its end. */
void world_run(struct world *w);
void world_until_done(struct world *w);
/* Runs until the journal has this line. */
void world_until(struct world *w, const char *line);
/* The master is gone: its link with it. Its replicas notice, unless `links_stay`. */
void world_kill_master(struct world *w, bool links_stay);
/* Runs until the watcher has asked the first sentinel so often again. */
void world_until_polls(struct world *w, unsigned polls);
/* Runs until the failover is in this state, and then for two or three polls of the watcher. */
void world_until_state(struct world *w, const char *state);
/* How often a line that begins so is in the journal. */
size_t world_count(const struct world *w, const char *line);
/* Fails the test unless both lines are there, the first one before. */
void world_assert_order(const struct world *w, const char *before, const char *after);
/* All sentinels name this node at this epoch, and say so. */
void world_all_name(struct world *w, size_t node, unsigned epoch);
void world_say_event(struct world *w, size_t sentinel, const char *channel);

#endif
