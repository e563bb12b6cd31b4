#include "net/endpoint.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netdb.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <stdio.h>
#include <string.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/slice.h"

#define TLS_PREFIX     "tls:"
#define PROXIED_PREFIX "proxied:"
#define HOST_CHARS     "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789.-_"

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

/* "HOST:PORT", "HOST", "[IPV6]:PORT", "[IPV6]" or a bare IPv6 address: where the host is, and the port or NULL. */
static bool
split(const char *text, struct slice *ret_host, const char **ret_port)
{
	const char *host = text, *end, *port = NULL;

	if (text[0] == '[') {
		host = text + 1;
		end = strchr(host, ']');
		if (end == NULL || (end[1] != '\0' && end[1] != ':')) {
			return false;
		}
		port = end[1] == ':' ? end + 2 : NULL;
	} else {
		end = strrchr(text, ':');
		if (end != NULL && strchr(text, ':') == end) {
			port = end + 1;
		} else {
			end = text + strlen(text); /* no port, or a bare IPv6 address */
		}
	}
	*ret_host = (struct slice){(const uint8_t *)host, (size_t)(end - host)};
	*ret_port = port;
	return true;
}

/* "tls:6379" is a host of that name: behind a prefix stands an address with a port of its own. */
static bool
skip_prefix(const char **text, const char *prefix)
{
	size_t len = strlen(prefix);

	if (strncmp(*text, prefix, len) != 0 || strchr(*text + len, ':') == NULL) {
		return false;
	}
	*text += len;
	return true;
}

int
endpoint_parse(const char *text, uint16_t default_port, struct endpoint *ret_ep, struct errmsg *err)
{
	struct endpoint ep = {.kind = ENDPOINT_TCP};
	const char *place = text, *port = NULL;
	uint64_t number = default_port;
	struct slice host;

	ep.proxied = skip_prefix(&place, PROXIED_PREFIX);
	if (strncmp(place, "unix:", 5) == 0) {
		int rc = parse_unix(place + 5, ret_ep, err);

		if (rc == 0) {
			ret_ep->proxied = ep.proxied;
		}
		return rc;
	}
	ep.tls = skip_prefix(&place, TLS_PREFIX);
	if (strncmp(place, "unix:", 5) == 0 || !split(place, &host, &port)) {
		errmsg_set(err, "'%s' is no address: write %s", text,
		    place[0] == '[' ? "[IPV6]:PORT" : "tls:HOST:PORT; a unix socket has no TLS");
		return -EINVAL;
	}
	if (port != NULL && !slice_to_u64(slice_str(port), &number)) {
		number = 0;
	}
	if (number == 0 || number > UINT16_MAX) {
		errmsg_set(err, "'%s' has no port of 1 to 65535: write HOST:PORT", text);
		return -EINVAL;
	}
	if (host.len < sizeof(ep.host)) {
		memcpy(ep.host, host.ptr, host.len);
	}
	if (!is_host(ep.host, place[0] == '[')) {
		errmsg_set(err,
		    "'%s' is no address: write HOST:PORT, [IPV6]:PORT, tls:HOST:PORT or unix:PATH",
		    text);
		return -EINVAL;
	}
	ep.port = (uint16_t)number;
	*ret_ep = ep;
	return 0;
}

char *
endpoint_format(const struct endpoint *ep, char *text)
{
	const char *proxied = ep->proxied ? PROXIED_PREFIX : "", *tls = ep->tls ? TLS_PREFIX : "";

	if (ep->kind == ENDPOINT_UNIX) {
		(void)snprintf(text, ENDPOINT_TEXT_SIZE, "%sunix:%s", proxied, ep->host);
	} else if (strchr(ep->host, ':') != NULL) {
		(void)snprintf(
		    text, ENDPOINT_TEXT_SIZE, "%s%s[%s]:%u", proxied, tls, ep->host, ep->port);
	} else {
		(void)snprintf(
		    text, ENDPOINT_TEXT_SIZE, "%s%s%s:%u", proxied, tls, ep->host, ep->port);
	}
	return text;
}

bool
endpoint_equal(const struct endpoint *a, const struct endpoint *b)
{
	return a->kind == b->kind && a->port == b->port && a->tls == b->tls &&
	       a->proxied == b->proxied && strcmp(a->host, b->host) == 0;
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

int
endpoint_connect(const struct endpoint *ep, int *ret_fd, struct errmsg *err)
{
	struct sockaddr_storage addr;
	socklen_t len;
	int fd, on = 1, rc = endpoint_resolve(ep, true, &addr, &len, err);

	if (rc < 0) {
		return rc;
	}
	fd = socket(addr.ss_family, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	if (fd == -1) {
		rc = -errno;
		errmsg_set(err, "cannot open a socket: %m");
		return rc;
	}
	(void)setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof(on));
	if (connect(fd, (struct sockaddr *)&addr, len) == -1 && errno != EINPROGRESS) {
		/* unix sockets and loopback refuse at once */
		rc = -errno;
		errmsg_set(err, "cannot connect to %s: %s", ENDPOINT_TEXT(ep), strerror(-rc));
		(void)close(fd);
		return rc;
	}
	*ret_fd = fd;
	return 0;
}

char *
endpoint_peer(int fd, char *text)
{
	struct sockaddr_storage addr = {.ss_family = AF_UNSPEC};
	socklen_t len = sizeof(addr);
	char host[128], port[8];

	if (getpeername(fd, (struct sockaddr *)&addr, &len) == -1) {
		(void)snprintf(text, ENDPOINT_TEXT_SIZE, "gone");
	} else if (addr.ss_family == AF_UNIX) {
		(void)snprintf(text, ENDPOINT_TEXT_SIZE, "unix");
	} else if (getnameinfo((struct sockaddr *)&addr, len, host, sizeof(host), port,
		       sizeof(port), NI_NUMERICHOST | NI_NUMERICSERV) != 0) {
		(void)snprintf(text, ENDPOINT_TEXT_SIZE, "unknown");
	} else {
		(void)snprintf(text, ENDPOINT_TEXT_SIZE,
		    addr.ss_family == AF_INET6 ? "[%s]:%s" : "%s:%s", host, port);
	}
	return text;
}
