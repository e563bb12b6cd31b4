/* A connection, for the files that make it up: conn.c, once it stands; conn_handshake.c, until it does. */
#ifndef NET_CONN_PRIV_H
#define NET_CONN_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "net/conn.h"
#include "net/loop.h"
#include "net/tls.h"

#define CONN_MAGIC 0x434f4e4eU

/* What an idle client does not need: there may be many of them. */
struct conn_rare {
	ev_timer deadline;
	struct loop_orphan orphan; /* once `closing`: nobody else knows it any more */
	char *announced;           /* owned; conn_set_peer's, or NULL */
};

struct conn {
	uint32_t magic;
	int fd;            /* owned; -1 once closed */
	struct loop *loop; /* borrowed (outlives all) */
	ev_io io;
	struct loop_hook flush; /* writes `out`, or shows unconsumed bytes again */
	struct conn_rare *rare; /* owned; NULL: nothing of that is there */
	struct tls *tls;        /* owned; NULL: the bytes go as they are */
	struct buf in, out;
	size_t in_max, out_high;
	uint64_t sent_total;
	const struct conn_ops *ops; /* borrowed (static) */
	void *owner;                /* borrowed (closes the conn before it goes) */
	bool connecting : 1;
	bool wants_tls : 1;    /* once connected */
	bool tls_begins : 1;   /* at the end of this turn */
	bool shaking : 1;      /* hands: TLS does not stand yet */
	bool read_again : 1;   /* bytes wait in `tls`, of which the socket tells nothing */
	bool expect_plain : 1; /* until something was read */
	bool paused : 1;
	bool eof : 1;        /* the peer sends no more */
	bool was_full : 1;   /* on_room is owed */
	bool show_again : 1; /* unconsumed bytes wait for the owner after a pause */
	bool in_on_data : 1; /* what is unconsumed will be known when on_data returns */
	bool blocked : 1;    /* the socket is full: EV_WRITE leads to the next flush */
	bool closing : 1;    /* close once `out` is empty */
	bool lingering : 1;  /* `out` is sent, the peer was told: waits for it to close */
};

/* Nothing can be sent yet. */
static inline bool
conn_is_beginning(const struct conn *c)
{
	return c->connecting || c->tls_begins || c->shaking;
}

/* ---- conn.c ---- */
struct conn *conn_make(
    struct loop *loop, int fd, bool connecting, const struct conn_ops *ops, void *owner);
/* What the socket is watched for follows from the conn's state. */
void conn_update_watch(struct conn *c);
void conn_stop_deadline(struct conn *c);
/* It ended by itself: closes it and tells the owner. */
void conn_end(struct conn *c, int error);
/* As conn_end, but what the peer was told last (an alert) must not be taken along by a reset. */
void conn_end_told(struct conn *c, int error);

/* ---- conn_handshake.c ---- */
/* The socket is writable for the first time: connect(2) is done, or has failed. */
void conn_on_connected(struct conn *c);
/* As far as TLS gets now; on_open, or the end, follows from within. */
void conn_shake_hands(struct conn *c);
/* True when the first byte begins TLS where it is not spoken: the peer was told so, the conn has ended. */
bool conn_is_strange(struct conn *c, uint8_t first);

#endif
