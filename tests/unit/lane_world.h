/*
 * Lanes and two servers of ours behind them, A and B, in one loop; clients that write down what they are told. No server is
 * master until a test says so.
 */
#ifndef TESTS_LANE_WORLD_H
#define TESTS_LANE_WORLD_H

#include <stdbool.h>
#include <stddef.h>

#include "backend/backend.h"
#include "backend/lane.h"
#include "fake_server.h"

#define HOLD_MS 300

struct server {
	struct fake *fake;
	bool is_master, loading, readonly;
	bool mute;                /* takes requests and does not answer */
	struct fake_client *last; /* whom it did not answer last */
	const char *big;          /* the answer to BIG */
	const char *run_id;
	char seen[1024]; /* "GET a;SET b;" */
	unsigned count;
};

struct client {
	struct requester r;
	char got[4096]; /* each reply ends with ';', its CRLF is cut */
	char large[64]; /* what on_large was told */
	unsigned replies, rooms, lost, dropped, unsent;
	size_t bytes;
	bool cut, slow_at_big;
};

extern struct loop *loop;
extern struct backend *backend;
extern struct server a, b;
extern const struct requester_ops large_ops; /* as a client's, with on_large */
extern const struct lane_key nobody;

int world_setup(void **state);
int world_teardown(void **state);
void client_init(struct client *c);
void name_master(const struct server *s);

void send_words(
    struct client *c, struct lane *lane, const char *name, const char *arg, unsigned flags);
#define GET(c, lane, key) send_words(c, lane, "GET", key, LANE_READ)
#define SET(c, lane, key) send_words(c, lane, "SET", key, 0)

/* For fake_run_until. */
bool has_replies(void *arg);
bool has_bytes(void *arg);
bool is_routing(void *arg);
bool is_holding(void *arg);
void until_replies(struct client *c);
void until_a_has_seen(unsigned n);

#endif
