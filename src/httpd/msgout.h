/*
 * A RESP reply as MessagePack, element by element as it comes (resp/reader.h calls it): the same shapes as
 * in JSON (walk.h). A string that is valid UTF-8 is a `str`, any other a `bin`, so nothing is lost and no
 * decoder stumbles.
 */
#ifndef HTTPD_MSGOUT_H
#define HTTPD_MSGOUT_H

#include <msgpack/pack.h>

#include "base/buf.h"
#include "httpd/walk.h"

/* Embedded; large, so not wiped as a whole. */
struct msgout {
	struct buf *out; /* borrowed; nothing may be consumed from it meanwhile */
	int err;       /* the first of buf.h's errors, or -EBADMSG; nothing more is written then */
	bool collects; /* the present string goes to `scratch` first: short, or of unknown length */
	bool is_info;  /* … and is INFO's text */
	bool skips;    /* it is not written */
	size_t string_at;   /* where its header is, counted from the front of `out` */
	struct buf scratch; /* owned */
	struct msgpack_packer packer;
	struct walk walk;
};

void msgout_init(struct msgout *m, struct buf *out, const struct shape *shape);
void msgout_fini(struct msgout *m);
/* {command: …: the reply follows. */
void msgout_begin(struct msgout *m, struct slice command);
/* For resp_reader_feed, with the msgout as `arg`. */
extern const struct resp_reader_ops msgout_ops;

#endif
