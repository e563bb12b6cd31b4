/*
 * The PROXY protocol, versions 1 and 2: what a proxy in front of us says of its client before the client's own bytes
 * (haproxy's proxy-protocol.txt). Pure parsing; who may say so is decided elsewhere.
 */
#ifndef NET_PROXIED_H
#define NET_PROXIED_H

#include "base/slice.h"
#include "net/endpoint.h"

#define PROXIED_MAX_BYTES                                                                          \
	((size_t)4096) /* of a header; the rest of a longer one would be extensions that nobody reads */

struct proxied {
	/* "ADDRESS:PORT" of the client, or "unix"; "" when the connection's own counts (LOCAL, UNKNOWN). */
	char from[ENDPOINT_TEXT_SIZE];
};

/*
 * How many bytes the header at the front of `in` has, with *ret filled; 0: more must come, as far as can be seen; -EPROTO:
 * there is none, or it is malformed.
 */
int proxied_parse(struct slice in, struct proxied *ret);

#endif
