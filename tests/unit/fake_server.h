/*
 * A server for tests, in the same loop as what it tests: it listens on a free port of 127.0.0.1,
 * parses requests, and says whatever the test wants, right or wrong.
 */
#ifndef TESTS_FAKE_SERVER_H
#define TESTS_FAKE_SERVER_H

#include <stddef.h>

#include "base/defs.h"
#include "net/endpoint.h"
#include "net/loop.h"

struct fake;
struct fake_client;
struct redisReply;

/* A whole request: an array of strings. */
typedef void fake_request_fn(void *arg, struct fake_client *c, const struct redisReply *request);

struct fake *fake_new(struct loop *loop, fake_request_fn *fn, void *arg);
void fake_free(struct fake **f);
const struct endpoint *fake_at(const struct fake *f);
/* Clients that are connected now, and since the start. */
size_t fake_clients(const struct fake *f);
size_t fake_accepted(const struct fake *f);
/* Closes all connections; the port goes on listening. */
void fake_drop_all(struct fake *f);
void fake_drop(struct fake_client *c);
/* Bytes as they are. */
void fake_say(struct fake_client *c, const char *fmt, ...) ATTR_PRINTF(2, 3);
void fake_say_all(struct fake *f, const char *text);
/* To clients whose mark is not 0. */
void fake_say_marked(struct fake *f, const char *text);
/* A slot for the test to remember something of a client. */
int *fake_mark(struct fake_client *c);

/* Runs the loop until `done` says so; fails the test after 10 s. */
void fake_run_until(struct loop *loop, bool (*done)(void *arg), void *arg);

#endif
