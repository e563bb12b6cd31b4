#include "backend/arrival.h"

#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/list.h"
#include "base/log.h"
#include "base/mem.h"
#include "net/proxied.h"

#define ARRIVAL_MAGIC  0x41525256U
#define ARRIVALS_MAGIC 0x41525253U
#define GOODBYE_MS     1000
#define TLS_HANDSHAKE  22 /* first byte of whoever speaks TLS (RFC 8446, 5.1) */

struct arrivals {
	uint32_t magic;
	struct loop *loop; /* borrowed (outlives all) */
	const struct arrival_ops *ops;
	void *owner;                     /* borrowed (outlives the arrivals) */
	const struct tls_server *server; /* borrowed, see arrivals_set_tls */
	const char *hint;
	struct cidr *trusted; /* owned */
	size_t trusted_count;
	struct list waiting; /* struct arrival.link, owned; who came first is first */
	size_t count;
	bool crowded;
	ev_timer timer; /* looks at the first */
};

struct arrival {
	uint32_t magic;
	struct list link;
	struct arrivals *all; /* borrowed (ends all arrivals before it goes) */
	struct conn *conn;    /* owned until it has arrived */
	void *door;           /* the owner's */
	uint64_t began_ms;
	bool header; /* of the PROXY protocol: still to come */
	bool tls;    /* still to come */
};

static uint64_t
due_ms(const struct arrivals *a, const struct arrival *first)
{
	return first->began_ms + (a->crowded ? ARRIVAL_CROWDED_MS : ARRIVAL_MS);
}

static struct arrival *
first_of(const struct arrivals *a)
{
	return list_is_empty(&a->waiting) ? NULL
					  : CONTAINER_OF(a->waiting.next, struct arrival, link);
}

/* Sets the timer for the one that came first; it is left alone while it is only too early. */
static void
arm(struct arrivals *a)
{
	struct arrival *first = first_of(a);
	uint64_t now = clock_mono_ms(), due;

	ev_timer_stop(loop_ev(a->loop), &a->timer);
	if (first == NULL) {
		return;
	}
	due = due_ms(a, first);
	ev_now_update(loop_ev(a->loop));
	ev_timer_set(&a->timer, due > now ? (double)(due - now) / 1000. : 0., 0.);
	ev_timer_start(loop_ev(a->loop), &a->timer);
}

static void
set_crowded(struct arrivals *a, bool crowded)
{
	if (a->crowded == crowded) {
		return;
	}
	a->crowded = crowded;
	if (crowded) {
		log_peer(LOG_WARN,
		    "%d clients are in the middle of their handshake, others wait for them",
		    ARRIVAL_MAX);
		arm(a);
	}
	a->ops->crowded(a->owner, crowded);
}

static void
free_now(void *obj)
{
	struct arrival *x = obj;

	x->magic = 0;
	free(x);
}

/* It waits no longer. Its conn has gone its way. */
static void
leave(struct arrival *x)
{
	struct arrivals *a = x->all;

	list_del(&x->link);
	a->count--;
	loop_bury(a->loop, free_now, x);
	set_crowded(a, a->count >= ARRIVAL_MAX);
}

static void
turn_away(struct arrival *x)
{
	conn_close(&x->conn);
	leave(x);
}

static const char *
what_is_due(const struct arrival *x)
{
	return x->header ? "PROXY header" : "TLS handshake";
}

static void
on_timer(struct ev_loop *ev, ev_timer *timer, int revents)
{
	struct arrivals *a = OBJ_CAST((struct arrivals *)timer->data, ARRIVALS_MAGIC);
	struct arrival *first;
	uint64_t now = clock_mono_ms();

	while ((first = first_of(a)) != NULL && due_ms(a, first) <= now) {
		log_peer(LOG_INFO, "a client is closed that took too long for its %s peer=%s",
		    what_is_due(first), conn_peer(first->conn, (char[ENDPOINT_TEXT_SIZE]){0}));
		turn_away(first);
	}
	arm(a);
}

/* ---- the connection ---- */

/* Everything is done: the role has it from here. */
static void
arrive(struct arrival *x)
{
	struct arrivals *a = x->all;
	struct conn *c = x->conn;
	void *door = x->door;

	x->conn = NULL;
	leave(x);
	a->ops->arrived(a->owner, c, door);
}

/* The first bytes: TLS, or somebody who does not know that it is spoken here. Takes none of them. */
static void
begin_tls(struct arrival *x, struct slice in)
{
	struct arrivals *a = x->all;
	struct conn *c = x->conn;
	char peer[ENDPOINT_TEXT_SIZE];

	if (in.ptr[0] == TLS_HANDSHAKE && a->server != NULL && conn_start_tls(c, a->server) == 0) {
		return;
	}
	if (in.ptr[0] != TLS_HANDSHAKE) {
		log_peer(LOG_WARN,
		    "a client that speaks plain text where TLS is spoken is closed peer=%s",
		    conn_peer(c, peer));
		if (a->hint != NULL) {
			(void)!conn_write(c, a->hint, strlen(a->hint));
		}
	}
	conn_close_after_flush(&x->conn, GOODBYE_MS);
	leave(x);
}

/* How many bytes the header took; 0: it is not whole yet, or the client was turned away. */
static size_t
take_header(struct arrival *x, struct slice in)
{
	struct proxied announced;
	int n = proxied_parse(in, &announced);

	if (n < 0) {
		/* its bytes are not shown: they may be the AUTH of one who came to the wrong port */
		log_peer(LOG_WARN,
		    "a client is closed that does not begin with a PROXY header peer=%s",
		    conn_peer(x->conn, (char[ENDPOINT_TEXT_SIZE]){0}));
		turn_away(x);
		return 0;
	}
	if (n > 0) {
		x->header = false;
		if (announced.from[0] != '\0') {
			conn_set_peer(x->conn, announced.from);
		}
	}
	return (size_t)n;
}

static size_t
on_data(struct conn *c, void *owner, struct slice in)
{
	struct arrival *x = OBJ_CAST((struct arrival *)owner, ARRIVAL_MAGIC);
	size_t used = 0;

	if (x->header) {
		used = take_header(x, in);
		if (used == 0) {
			return 0;
		}
	}
	if (!x->tls) {
		arrive(x);
	} else if (used < in.len) {
		begin_tls(x, (struct slice){in.ptr + used, in.len - used});
	}
	return used;
}

static void
on_open(struct conn *c, void *owner)
{
	arrive(OBJ_CAST((struct arrival *)owner, ARRIVAL_MAGIC));
}

static void
on_close(struct conn *c, void *owner, int error)
{
	struct arrival *x = OBJ_CAST((struct arrival *)owner, ARRIVAL_MAGIC);
	const char *fault = conn_fault(c);

	if (error == -EPROTO) {
		log_peer(LOG_WARN, "a client is closed, its TLS handshake failed: %s peer=%s",
		    fault, conn_peer(c, (char[ENDPOINT_TEXT_SIZE]){0}));
	} else {
		log_peer(LOG_INFO, "a client went away before its %s was over: %s", what_is_due(x),
		    error == 0 ? "end of stream" : strerror(-error));
	}
	x->conn = NULL;
	leave(x);
}

static const struct conn_ops conn_ops = {
    .on_open = on_open, .on_data = on_data, .on_close = on_close};

/* A conn that has no owner for the moment it takes to hand it over. */
static const struct conn_ops no_ops = {.on_data = NULL};

/* ---- beginning and end ---- */

static bool
is_trusted(const struct arrivals *a, int fd)
{
	struct sockaddr_storage address = {.ss_family = AF_UNSPEC};
	socklen_t len = sizeof(address);

	if (getpeername(fd, (struct sockaddr *)&address, &len) == -1) {
		return false;
	}
	for (size_t i = 0; i < a->trusted_count; i++) {
		if (cidr_has(&a->trusted[i], (struct sockaddr *)&address)) {
			return true;
		}
	}
	return address.ss_family == AF_UNIX;
}

void
arrivals_take(struct arrivals *a, int fd, const struct endpoint *at, void *door)
{
	struct arrival *x;

	if (at->proxied && !is_trusted(a, fd)) {
		log_peer(LOG_WARN,
		    "a client is closed that is none of the proxies in proxied_from peer=%s",
		    endpoint_peer(fd, (char[ENDPOINT_TEXT_SIZE]){0}));
		(void)close(fd);
		return;
	}
	if (!at->tls && !at->proxied) {
		struct conn *c = conn_new(a->loop, fd, &no_ops, NULL);

		conn_expect_plain(c);
		a->ops->arrived(a->owner, c, door);
		return;
	}
	x = xcalloc(1, sizeof(*x));
	*x = (struct arrival){.magic = ARRIVAL_MAGIC,
	    .all = a,
	    .door = door,
	    .began_ms = clock_mono_ms(),
	    .header = at->proxied,
	    .tls = at->tls};
	x->conn = conn_new(a->loop, fd, &conn_ops, x);
	list_init(&x->link);
	list_push(&a->waiting, &x->link);
	if (a->count++ == 0) {
		arm(a);
	}
	set_crowded(a, a->count >= ARRIVAL_MAX);
}

void
arrivals_set_tls(struct arrivals *a, const struct tls_server *server, const char *hint)
{
	a->server = server;
	a->hint = hint;
}

void
arrivals_set_trusted(struct arrivals *a, const struct cidr *trusted, size_t count)
{
	free(a->trusted);
	a->trusted = xcalloc(count + 1, sizeof(*a->trusted));
	memcpy(a->trusted, trusted, count * sizeof(*trusted));
	a->trusted_count = count;
}

struct arrivals *
arrivals_new(struct loop *loop, const struct arrival_ops *ops, void *owner)
{
	struct arrivals *a = xcalloc(1, sizeof(*a));

	*a = (struct arrivals){.magic = ARRIVALS_MAGIC, .loop = loop, .ops = ops, .owner = owner};
	list_init(&a->waiting);
	ev_init(&a->timer, on_timer);
	a->timer.data = a;
	return a;
}

static void
free_all(void *obj)
{
	struct arrivals *a = obj;

	free(a->trusted);
	a->magic = 0;
	free(a);
}

void
arrivals_free(struct arrivals **ap)
{
	struct arrivals *a = *ap;
	struct arrival *x;

	*ap = NULL;
	if (a == NULL) {
		return;
	}
	a->crowded = false;
	while ((x = first_of(a)) != NULL) {
		turn_away(x);
	}
	ev_timer_stop(loop_ev(a->loop), &a->timer);
	loop_bury(a->loop, free_all, a);
}

void
arrivals_say_strange(const struct conn *c)
{
	log_peer(LOG_WARN, "a client that speaks TLS where plain text is spoken is closed peer=%s",
	    conn_peer(c, (char[ENDPOINT_TEXT_SIZE]){0}));
}
