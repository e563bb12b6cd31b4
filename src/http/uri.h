/*
 * Request targets: split first, decode after, so that an encoded %2f, %2e or %3f is always part of
 * an argument and never a separator. Works on borrowed bytes; a decoded piece may hold any byte,
 * NUL included.
 */
#ifndef HTTP_URI_H
#define HTTP_URI_H

#include <stdbool.h>
#include <sys/types.h>

#include "base/buf.h"
#include "base/defs.h"
#include "base/slice.h"

/* Plain data. */
struct uri {
	struct slice path;  /* without the leading '/' */
	struct slice query; /* without the '?' */
};

/* Of "/path?query", with or without the leading '/'. A '#' has no meaning here. */
struct uri uri_split(struct slice target);

/*
 * Takes the next '/'-separated segment off the front of *path. False when nothing is left: a '/' at
 * the very end adds no empty segment (as Webdis reads it), one in the middle does.
 */
bool uri_next_segment(struct slice *path, struct slice *ret_segment);

/* Length after decoding, or -EINVAL for a '%' without two hex digits behind it. */
ssize_t uri_decoded_len(struct slice encoded) ATTR_WARN_UNUSED;
/* Decodes (%xx, and '+' to a space) to the end of `out`. 0, -EINVAL, or buf.h's errors. */
int uri_decode(struct slice encoded, struct buf *out) ATTR_WARN_UNUSED;
/* The same into memory of at least uri_decoded_len bytes, which was asked before. */
void uri_decode_raw(struct slice encoded, uint8_t *into);

/* Takes the next name=value off the front of *query, both still encoded; false when none is left.
 */
bool uri_next_param(struct slice *query, struct slice *ret_name, struct slice *ret_value);

/* Splits "host", "host:port", "[v6]:port"; the host comes without brackets, the port may be empty.
 * False when it is none of these. */
bool uri_split_authority(struct slice authority, struct slice *ret_host, struct slice *ret_port);
/* Is it an IPv4 or IPv6 address in digits? */
bool uri_host_is_address(struct slice host);

/* Is this host, as uri_split_authority gives it, the one of that name? "localhost." is "localhost", in any case. */
bool uri_host_is(struct slice host, const char *name);

#endif
