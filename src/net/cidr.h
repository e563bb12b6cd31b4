/* Networks, as in 10.0.0.0/8. Plain data. IPv4 addresses are the same in their IPv6 form (::ffff:10.0.0.1). */
#ifndef NET_CIDR_H
#define NET_CIDR_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/socket.h>

#include "base/defs.h"

struct cidr {
	uint8_t bytes[16]; /* IPv6 form */
	unsigned bits;     /* of it that count */
};

/* "ADDRESS/BITS", or "ADDRESS" for that one. 0 or -EINVAL. */
int cidr_parse(const char *text, struct cidr *ret_cidr) ATTR_WARN_UNUSED;
/* Is all of `inner`, which may be a single address, in it? */
bool cidr_covers(const struct cidr *c, const struct cidr *inner);
/* False for what is no internet address. */
bool cidr_has(const struct cidr *c, const struct sockaddr *address);

#endif
