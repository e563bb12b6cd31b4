/*
 * What a client keeps of its last connection to each address, so that the next one there goes on from it (RFC 8446, 2.2): nobody shows a
 * certificate again, which is most of what a handshake costs a server. When another server becomes master, all workers connect to it at the
 * same moment, each several times, and its replicas wait in the same queue.
 *
 * It proves what the certificates had proved: only the process that was spoken to before has the key. A renewed certificate forgets all, and a
 * server that cannot go on from it is met anew: most say so in their answer, one that ends the connection instead is not asked again.
 */
#include <string.h>
#include <sys/socket.h>

#include <openssl/ssl.h>

#include "base/defs.h"
#include "net/tls_priv.h"

#define KEPT_MAX 64

static struct kept {
	struct sockaddr_storage at;
	SSL_SESSION *session; /* owned, never used itself; NULL: free */
} kept[KEPT_MAX];
static size_t next_kept;

/* All of it is zero behind the address. False: it has none, on a unix socket. */
static bool
read_peer(int fd, struct sockaddr_storage *ret_at)
{
	socklen_t len = sizeof(*ret_at);

	memset(ret_at, 0, sizeof(*ret_at));
	return getpeername(fd, (struct sockaddr *)ret_at, &len) == 0 &&
	       (ret_at->ss_family == AF_INET || ret_at->ss_family == AF_INET6);
}

static struct kept *
find(const struct sockaddr_storage *at)
{
	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		if (kept[i].session != NULL && memcmp(&kept[i].at, at, sizeof(*at)) == 0) {
			return &kept[i];
		}
	}
	return NULL;
}

/* A copy is kept: the library's own is spoilt by a connection that ends without its last words. */
static int
on_session(SSL *ssl, SSL_SESSION *session)
{
	struct sockaddr_storage at;
	struct kept *k;

	if (!read_peer(tls_fd_of(ssl), &at)) {
		return 0;
	}
	k = find(&at);
	if (k == NULL) {
		k = &kept[next_kept];
		next_kept = (next_kept + 1) % ARRAY_LEN(kept);
	}
	SSL_SESSION_free(k->session);
	*k = (struct kept){.at = at, .session = SSL_SESSION_dup(session)};
	return 0;
}

void
tls_sessions_keep(SSL_CTX *ctx)
{
	(void)SSL_CTX_set_session_cache_mode(
	    ctx, SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL_STORE);
	SSL_CTX_sess_set_new_cb(ctx, on_session);
}

const void *
tls_sessions_use(SSL *ssl, int fd)
{
	struct sockaddr_storage at;
	const struct kept *k = read_peer(fd, &at) ? find(&at) : NULL;
	SSL_SESSION *copy = k != NULL ? SSL_SESSION_dup(k->session) : NULL; /* it is used up */
	bool used = copy != NULL && SSL_set_session(ssl, copy) == 1;

	SSL_SESSION_free(copy);
	return used ? k->session : NULL;
}

static void
forget(struct kept *k)
{
	SSL_SESSION_free(k->session);
	k->session = NULL;
}

void
tls_sessions_drop(const void *offered)
{
	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		if (kept[i].session == offered) {
			forget(&kept[i]);
		}
	}
}

void
tls_sessions_forget(void)
{
	for (size_t i = 0; i < ARRAY_LEN(kept); i++) {
		forget(&kept[i]);
	}
}
