#include "net/cidr.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <string.h>

#include "base/slice.h"

#define MAPPED_BITS 96 /* before the IPv4 address in its IPv6 form (RFC 4291, 2.5.5.2) */

static const uint8_t mapped[MAPPED_BITS / 8] = {[10] = 0xff, [11] = 0xff};

int
cidr_parse(const char *text, struct cidr *ret_cidr)
{
	const char *slash = strchr(text, '/');
	size_t len = slash != NULL ? (size_t)(slash - text) : strlen(text);
	struct cidr c = {.bits = 128};
	char host[INET6_ADDRSTRLEN];
	uint64_t bits = 128;
	bool v4;

	if (len >= sizeof(host)) {
		return -EINVAL;
	}
	memcpy(host, text, len);
	host[len] = '\0';
	v4 = inet_pton(AF_INET, host, c.bytes + sizeof(mapped)) == 1;
	if (v4) {
		memcpy(c.bytes, mapped, sizeof(mapped));
		bits = 32;
	} else if (inet_pton(AF_INET6, host, c.bytes) != 1) {
		return -EINVAL;
	}
	if (slash != NULL &&
	    (!slice_to_u64(slice_str(slash + 1), &bits) || bits > (v4 ? 32 : 128))) {
		return -EINVAL;
	}
	c.bits = (unsigned)bits + (v4 ? MAPPED_BITS : 0);
	*ret_cidr = c;
	return 0;
}

bool
cidr_covers(const struct cidr *c, const struct cidr *inner)
{
	unsigned whole = c->bits / 8, rest = c->bits % 8;

	return inner->bits >= c->bits && memcmp(inner->bytes, c->bytes, whole) == 0 &&
	       (rest == 0 || (inner->bytes[whole] ^ c->bytes[whole]) >> (8 - rest) == 0);
}

bool
cidr_has(const struct cidr *c, const struct sockaddr *address)
{
	struct cidr host = {.bits = 128};

	if (address->sa_family == AF_INET) {
		memcpy(host.bytes, mapped, sizeof(mapped));
		memcpy(host.bytes + sizeof(mapped),
		    &((const struct sockaddr_in *)address)->sin_addr, 4);
	} else if (address->sa_family == AF_INET6) {
		memcpy(host.bytes, &((const struct sockaddr_in6 *)address)->sin6_addr,
		    sizeof(host.bytes));
	} else {
		return false;
	}
	return cidr_covers(c, &host);
}
