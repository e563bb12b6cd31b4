/*
 * Where reads may go instead of the master: proxy.read_listen.
 *
 *   topo → master ─ROLE─→ its offset at that moment, its replicas
 *                             └→ each replica ─ROLE─→ its offset: current as of the last moment when the master's
 *                                                     was not above that
 *   place 0 … n: a backend each, led to a replica that is near enough; without any to the master
 *
 * There are as many places as replicas were ever seen (at most READERS_PLACES); a client stays with its place, so that
 * it reads from one server and sees time go one way, until that server falls behind or goes; then the place leads to
 * another, and what is unanswered there is asked again (backend.h). While a replica of this host serves, no place leads to
 * another host's. Everything sent over a place must be LANE_READ.
 */
#ifndef BACKEND_READERS_H
#define BACKEND_READERS_H

#include <stddef.h>
#include <stdint.h>

#include "backend/backend.h"
#include "topo/topo.h"

#define READERS_PLACES 8

struct readers;

/*
 * `conf` is for each place's backend; its metrics are shared. max_lag_ms: a replica serves only while it is proved to be
 * no further behind; 0: any that follows. `topo` outlives it.
 */
struct readers *readers_new(struct loop *loop, struct topo *topo, const struct backend_conf *conf);
/* All lanes of its backends must be released. */
void readers_free(struct readers **r);
void readers_configure(struct readers *r, const struct backend_conf *conf, uint64_t max_lag_ms);
/* As backend_set_secret. */
void readers_set_secret(struct readers *r, const char *user, const char *password);
/* The place for the next client, in turn. Borrowed. */
struct backend *readers_next(struct readers *r);
size_t readers_count(const struct readers *r);
struct backend *readers_at(const struct readers *r, size_t i);
/* Replicas that may serve now. */
size_t readers_fit(const struct readers *r);

#endif
