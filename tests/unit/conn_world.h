/*
 * A conn over a real socket pair and a real loop. The test holds the peer's end and steps through turns; nothing waits
 * for time but the tests of deadlines.
 */
#ifndef TESTS_UNIT_CONN_WORLD_H
#define TESTS_UNIT_CONN_WORLD_H

#include <stdbool.h>
#include <stddef.h>

#include "net/conn.h"
#include "net/loop.h"

/* The owner of a conn: what it was told, and what it is to do. */
struct owner {
	struct conn *conn;
	char seen[4096]; /* each on_data: "[bytes]" */
	unsigned opens, rooms, eofs, closes;
	int error;   /* of on_close */
	size_t take; /* consumes at most that many bytes of each on_data */
	bool close_on_data, close_on_eof, close_on_open, close_on_room;
	bool pause_on_data, resume_on_data;
	bool finish_on_data; /* conn_close_after_flush */
	const char *answer;  /* written on data and on eof */
	size_t fill_on_room; /* bytes written by on_room */
};

extern struct loop *loop;
extern struct owner owner;
extern int peer;
extern const struct conn_ops owner_ops, owner_ops_with_eof;

int conn_world_setup(void **state);
int conn_world_teardown(void **state);
/* The owner's conn begins, at one end of a pair of such sockets. */
void start_kind(int kind, const struct conn_ops *with);
void start(void); /* a stream, owner_ops */

/* What is there now is handled, hooks and burials included. */
void turn(void);
void peer_says(const char *text);
/* What the peer can read now, as text; NULL: end of stream; "reset" after one. */
const char *peer_hears(void);
bool peer_hears_the_end(void);

#endif
