#include "net/endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>

#include "base/slice.h"

#define HOST_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"

struct endpoint
endpoint_tcp(const char *host, uint16_t port)
{
	struct endpoint ep = {.kind = ENDPOINT_TCP, .port = port};

	(void)snprintf(ep.host, sizeof(ep.host), "%s", host);
	return ep;
}

static int
parse_unix(const char *path, struct endpoint *ret_ep, struct errmsg *err)
{
	struct endpoint ep = {.kind = ENDPOINT_UNIX};
	struct sockaddr_un un;

	if (path[0] == '\0' || strlen(path) >= sizeof(un.sun_path)) {
		errmsg_set(err, "'unix:%s': the path of a unix socket has 1 to %zu bytes", path,
		    sizeof(un.sun_path) - 1);
		return -EINVAL;
	}
	(void)snprintf(ep.host, sizeof(ep.host), "%s", path);
	*ret_ep = ep;
	return 0;
}

/* A name or an IPv4 address in letters, digits, '.', '-' and '_'; or an IPv6 address. */
static bool
is_host(const char *host, bool must_be_v6)
{
	struct in6_addr v6;

	if (must_be_v6 || strchr(host, ':') != NULL) {
		return inet_pton(AF_INET6, host, &v6) == 1;
	}
	/* a host "unix" would be written as a path of its port */
	return host[0] != '\0' && host[strspn(host, HOST_CHARS)] == '\0' &&
	       strcmp(host, "unix") != 0;
}

int
endpoint_parse(const char *text, uint16_t default_port, struct endpoint *ret_ep, struct errmsg *err)
{
	struct endpoint ep = {.kind = ENDPOINT_TCP};
	const char *host = text, *host_end, *port = NULL;
	uint64_t number = default_port;

	if (strncmp(text, "unix:", 5) == 0) {
		return parse_unix(text + 5, ret_ep, err);
	}
	if (text[0] == '[') {
		host = text + 1;
		host_end = strchr(host, ']');
		if (host_end == NULL || (host_end[1] != '\0' && host_end[1] != ':')) {
			errmsg_set(err, "'%s' is no address: write [IPV6]:PORT", text);
			return -EINVAL;
		}
		port = host_end[1] == ':' ? host_end + 2 : NULL;
	} else {
		host_end = strrchr(text, ':');
		if (host_end != NULL && strchr(text, ':') == host_end) {
			port = host_end + 1;
		} else {
			host_end = text + strlen(text); /* no port, or a bare IPv6 address */
		}
	}
	if (port != NULL && !slice_to_u64(slice_str(port), &number)) {
		number = 0;
	}
	if (number == 0 || number > UINT16_MAX) {
		errmsg_set(err, "'%s' has no port of 1 to 65535: write HOST:PORT", text);
		return -EINVAL;
	}
	if ((size_t)(host_end - host) < sizeof(ep.host)) {
		memcpy(ep.host, host, (size_t)(host_end - host));
	}
	if (!is_host(ep.host, text[0] == '[')) {
		errmsg_set(
		    err, "'%s' is no address: write HOST:PORT, [IPV6]:PORT or unix:PATH", text);
		return -EINVAL;
	}
	ep.port = (uint16_t)number;
	*ret_ep = ep;
	return 0;
}

char *
endpoint_format(const struct endpoint *ep, char *text)
{
	if (ep->kind == ENDPOINT_UNIX) {
		(void)snprintf(text, ENDPOINT_TEXT_SIZE, "unix:%s", ep->host);
	} else if (strchr(ep->host, ':') != NULL) {
		(void)snprintf(text, ENDPOINT_TEXT_SIZE, "[%s]:%u", ep->host, ep->port);
	} else {
		(void)snprintf(text, ENDPOINT_TEXT_SIZE, "%s:%u", ep->host, ep->port);
	}
	return text;
}

bool
endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
	return a->kind == b->kind && a->port == b->port && strcmp(a->host, b->host) == 0;
}

bool
endpoint_is_loopback(const struct endpoint *ep)
{
	struct in6_addr v6;
	struct in_addr v4;

	if (ep->kind == ENDPOINT_UNIX || strcasecmp(ep->host, "localhost") == 0) {
		return true;
	}
	if (inet_pton(AF_INET6, ep->host, &v6) == 1) {
		return IN6_IS_ADDR_LOOPBACK(&v6);
	}
	return inet_pton(AF_INET, ep->host, &v4) == 1 && (ntohl(v4.s_addr) >> 24) == 127;
}

int
endpoint_resolve(const struct endpoint *ep, bool numeric_only, struct sockaddr_storage *ret_addr,
    socklen_t *ret_len, struct errmsg *err)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *found = NULL;
	char service[8];
	int rc;

	memset(ret_addr, 0, sizeof(*ret_addr));
	if (ep->kind == ENDPOINT_UNIX) {
		struct sockaddr_un *un = (struct sockaddr_un *)ret_addr;

		un->sun_family = AF_UNIX;
		(void)snprintf(un->sun_path, sizeof(un->sun_path), "%.*s",
		    (int)sizeof(un->sun_path) - 1, ep->host);
		*ret_len = sizeof(*un);
		return 0;
	}
	hints.ai_flags = AI_NUMERICSERV | (numeric_only ? AI_NUMERICHOST : 0);
	(void)snprintf(service, sizeof(service), "%u", ep->port);
	rc = getaddrinfo(ep->host, service, &hints, &found);
	if (rc != 0) {
		errmsg_set(err, "address of '%s' not found: %s", ep->host, gai_strerror(rc));
		return numeric_only ? -EINVAL : -EADDRNOTAVAIL;
	}
	memcpy(ret_addr, found->ai_addr, found->ai_addrlen);
	*ret_len = found->ai_addrlen;
	freeaddrinfo(found);
	return 0;
}
