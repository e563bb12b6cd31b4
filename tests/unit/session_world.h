/*
 * One client's session, its proxy, and two servers A and B of ours behind it, in one loop. A is the master at first. What
 * they are asked is written down, and they misbehave where a test says so.
 */
#ifndef TESTS_SESSION_WORLD_H
#define TESTS_SESSION_WORLD_H

#include <stdbool.h>
#include <stddef.h>

#include "backend/backend.h"
#include "fake_server.h"
#include "proxy/proxy_priv.h"

struct server {
	struct fake *fake;
	bool no_master; /* ROLE says so */
	bool mute, readonly;
	bool half;         /* each answer is cut in the middle */
	const char *reply; /* to all that is asked, in place of a proper answer; NULL: none */
	const char *run_id;
	bool holds_wait;             /* WAIT is not answered … */
	struct fake_client *waiting; /* … but here, by the test */
	char seen[2048];             /* "1 GET a;": with the number of the connection */
	int next;
};

extern struct loop *loop;
extern struct backend *backend;
extern struct server a, b;
extern struct proxy proxy;
extern int client;
/* What the client has heard since the last expect(), and whether it was hung up on. */
extern char got[65536];
extern bool hung_up;

int world_setup(void **state);
int world_teardown(void **state);
void name_master(const struct server *s);
struct session *session(void);

void say(const char *text);
void hear(void);
/* Waits until so much was heard, or the end, and compares. */
void expect(const char *want);
/* For fake_run_until. */
bool is_hung_up(void *arg);
bool b_has_seen(void *arg);
void until_seen(const char *text);
/* A is killed and started again behind the same address: it may have lost what it had. */
void restart_in_place(void);

#endif
