/*
 * What a worker process is made of, be it proxy or HTTP: the loop, the topology with its sentinel
 * watcher, the way to the master, the listening sockets, the channel to the supervisor, signals.
 *
 *   holdfast ROLE --worker NAME             sockets, config and secret come over the channel
 *   holdfast ROLE --sentinel HOST:PORT …    alone: binds itself, options as -s SECTION.KEY=VALUE
 *
 * The command line itself is read in cli/worker.c.
 *
 * A role (proxy, httpd) gives its operations and keeps its own state; it never sees the channel.
 * What clients do before they are any (TLS) is done here (arrival.h); the certificate is read again with each `go`.
 *
 * When the supervisor dies the worker goes on serving. SIGTERM: no more is accepted, what was asked
 * is answered, exit 0.
 */
#ifndef BACKEND_WORKER_H
#define BACKEND_WORKER_H

#include <stdbool.h>
#include <stdint.h>

#include "backend/backend.h"
#include "base/buf.h"
#include "base/defs.h"
#include "base/errmsg.h"
#include "net/conn.h"
#include "net/endpoint.h"
#include "net/loop.h"
#include "net/tls.h"
#include "topo/topo.h"

struct conf;
struct conf_list;
struct others;
struct share;
struct worker;

/* One door of a role: the option that names its addresses, in supervisor and stand-alone form
 * alike. */
struct worker_door {
	const char *option; /* "proxy.listen", as in `listen`; NULL ends the list */
	const struct conf_list *(*addresses)(const struct conf *conf);
};

struct worker_ops {
	const char *role; /* "proxy" or "http": the log's name of one that runs alone */
	const struct worker_door *doors; /* static */
	/* Certificate and key for those of its addresses that begin with `tls:`, borrowed from the conf. */
	struct tls_files (*tls)(const struct conf *conf);
	/* Networks of the proxies that may announce clients at addresses that begin with `proxied:`. */
	const struct conf_list *(*trusted)(const struct conf *conf);
	/* Who may connect to those of its addresses that are unix sockets: octal, as in "660". */
	const char *(*unix_mode)(const struct conf *conf);
	/* What a client is told that speaks plain text to an address with `tls:`; static. */
	const char *plain_hint;
	/* All is known, begin: *ret_state is passed to all below. 0 or negative errno with `err`.
	 */
	int (*start)(struct worker *w, void **ret_state, struct errmsg *err);
	/*
	 * A client on `door` (index into doors), who came in at `at` (borrowed for the life of the worker); the conn is the
	 * callee's, with conn_hand_over.
	 */
	void (*accept)(void *state, struct conn *c, unsigned door, const struct endpoint *at);
	/* The config changed: worker_conf has the new one. May be NULL. */
	void (*apply)(void *state);
	/*
	 * What was counted, as one JSON object; false: nothing new, unless all is to be said anew. Asked about once
	 * a second while a supervisor listens. May be NULL.
	 */
	bool (*report)(void *state, bool anew, struct buf *out);
	/* Another worker asks (others.h). May be NULL. */
	void (*asked)(void *state, const char *const *words, size_t count, struct buf *out);
	/* Take nothing new, answer what was asked, then call worker_drained. */
	void (*drain)(void *state);
	/* The process ends: free all, release lanes. */
	void (*stop)(void *state);
};

/* How a worker is started: by its supervisor (name), or alone (conf and sentinels). */
struct worker_args {
	const char *name;             /* borrowed: --worker; NULL: alone */
	struct conf *conf;            /* alone: taken over; else NULL */
	const char *const *sentinels; /* alone: HOST:PORT each, borrowed */
	size_t sentinel_count;
};

/* Runs until told to stop; returns the exit code. Says its errors itself. */
int worker_main(const struct worker_args *args, const struct worker_ops *ops);

struct loop *worker_loop(const struct worker *w);
struct backend *worker_backend(const struct worker *w);
struct topo *worker_topo(const struct worker *w);
/* The servers of this host; borrowed, and filled once the supervisor has told. */
const struct backend_near *worker_near(const struct worker *w, size_t *ret_count);
/* To ask the other workers of this role. */
struct others *worker_others(const struct worker *w);
/* What all workers of this role have in common, and which part of it is ours; NULL: there is nothing. */
struct share *worker_share(const struct worker *w);
unsigned worker_slot(const struct worker *w);
/* Our own user on the servers, borrowed until the next apply; NULL: none. */
const char *worker_user(const struct worker *w);
const char *worker_secret(const struct worker *w);
/* Borrowed until the next apply. */
const struct conf *worker_conf(const struct worker *w);
const char *worker_name(const struct worker *w);
/* True when a supervisor started it. */
bool worker_is_supervised(const struct worker *w);
/* Nothing is left to do after drain. */
void worker_drained(struct worker *w);
/* Stop and go on accepting on all doors (too many clients). */
void worker_pause_doors(struct worker *w, bool paused);

#endif
