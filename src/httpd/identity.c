#include "httpd/identity.h"

#include <arpa/inet.h>
#include <assert.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#include "backend/worker.h"
#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "httpd/acl.h"
#include "httpd/httpd_priv.h"
#include "httpd/session.h"
#include "net/conn.h"

#define MAC_BYTES    32
#define MAC_HEX      (2 * MAC_BYTES)
#define FAILURES_MAX 10    /* wrong passwords from one address … */
#define FAILURES_MS  60000 /* … in this time; then it waits */

/* ---- keys and signatures ---- */

/* Of the cluster where a supervisor gave us its secret, else of this process. */
static void
find_key(const struct httpd *h, uint8_t key[MAC_BYTES])
{
	static const char words[] = "holdfast http session";
	static uint8_t own[MAC_BYTES];
	static bool has_own;
	const char *secret = worker_is_supervised(h->worker) ? worker_secret(h->worker) : NULL;
	unsigned len = MAC_BYTES;

	if (secret == NULL) {
		if (!has_own) {
			has_own = RAND_bytes(own, sizeof(own)) == 1;
			assert(has_own);
		}
		memcpy(key, own, MAC_BYTES);
		return;
	}
	if (HMAC(EVP_sha256(), secret, (int)strlen(secret), (const uint8_t *)words,
		sizeof(words) - 1, key, &len) == NULL) {
		assert(!"HMAC-SHA256 is always there");
	}
}

static void
to_hex(const uint8_t *bytes, size_t count, char *text)
{
	for (size_t i = 0; i < count; i++) {
		(void)snprintf(text + 2 * i, 3, "%02x", bytes[i]);
	}
}

/* Of what the cookie says, and of what it does not say: password and role as they are now. */
static void
sign(const struct httpd *h, const struct conf_user *user, const char *claim, char hex[MAC_HEX + 1])
{
	uint8_t key[MAC_BYTES], mac[MAC_BYTES];
	unsigned len = sizeof(mac);
	char text[IDENTITY_COOKIE_MAX + 600];
	int n = snprintf(text, sizeof(text), "%s\n%s\n%s", claim, user->role, user->password);

	assert(n > 0 && (size_t)n < sizeof(text));
	find_key(h, key);
	if (HMAC(EVP_sha256(), key, sizeof(key), (const uint8_t *)text, (size_t)n, mac, &len) ==
	    NULL) {
		assert(!"HMAC-SHA256 is always there");
	}
	explicit_bzero(text, sizeof(text));
	explicit_bzero(key, sizeof(key));
	to_hex(mac, sizeof(mac), hex);
}

/* Cookies know no ports: two clusters on a host have two names. */
static void
cookie_name(const struct session *s, char name[32])
{
	uint8_t key[MAC_BYTES], digest[MAC_BYTES];
	unsigned len = sizeof(digest);
	char hex[9];

	find_key(s->httpd, key);
	if (EVP_Digest(key, sizeof(key), digest, &len, EVP_sha256(), NULL) != 1) {
		assert(!"SHA-256 is always there");
	}
	explicit_bzero(key, sizeof(key));
	to_hex(digest, 4, hex);
	(void)snprintf(name, 32, "holdfast-%s", hex);
}

/* ---- users ---- */

enum api_role
identity_role_of(const struct conf_user *user)
{
	return strcmp(user->role, "operator") == 0 ? API_OPERATOR : API_VIEWER;
}

const char *
identity_role_name(enum api_role role)
{
	return role == API_OPERATOR ? "operator" : role == API_VIEWER ? "viewer" : NULL;
}

static const struct conf_user *
find_user(const struct httpd *h, struct slice name)
{
	for (size_t i = 0; i < h->conf->user_count; i++) {
		if (slice_eq(name, h->conf->users[i].name)) {
			return &h->conf->users[i];
		}
	}
	return NULL;
}

/* In a time that does not tell whether there is such a user, or where the passwords differ. */
static const struct conf_user *
check_password(const struct httpd *h, struct slice name, struct slice password)
{
	const struct conf_user *user = find_user(h, name);
	const char *secret = user != NULL ? user->password : "no such user";
	uint8_t given[MAC_BYTES], wanted[MAC_BYTES];
	unsigned len = MAC_BYTES;

	if (EVP_Digest(password.ptr, password.len, given, &len, EVP_sha256(), NULL) != 1 ||
	    EVP_Digest(secret, strlen(secret), wanted, &len, EVP_sha256(), NULL) != 1) {
		return NULL;
	}
	return CRYPTO_memcmp(given, wanted, MAC_BYTES) == 0 ? user : NULL;
}

/* ---- those who guess ---- */

static struct acl_address
address_of(const struct session *s)
{
	char text[ENDPOINT_TEXT_SIZE];

	return acl_address_of(conn_peer(s->conn, text));
}

/* What is counted against that address, or NULL. */
static struct failures *
find_failures(struct httpd *h, const struct acl_address *at)
{
	for (size_t i = 0; i < ARRAY_LEN(h->failures); i++) {
		struct failures *f = &h->failures[i];

		if (f->count > 0 && f->known == at->known &&
		    clock_mono_ms() - f->since_ms < FAILURES_MS &&
		    memcmp(f->bytes, at->at.bytes, sizeof(f->bytes)) == 0) {
			return f;
		}
	}
	return NULL;
}

static void
count_failure(struct httpd *h, const struct acl_address *at)
{
	struct failures *f = find_failures(h, at);

	if (f == NULL) {
		f = &h->failures[0];
		for (size_t i = 1; i < ARRAY_LEN(h->failures); i++) {
			if (h->failures[i].since_ms < f->since_ms) {
				f = &h->failures[i];
			}
		}
		*f = (struct failures){.known = at->known, .since_ms = clock_mono_ms()};
		memcpy(f->bytes, at->at.bytes, sizeof(f->bytes));
	}
	f->count++;
}

const struct conf_user *
identity_login(struct session *s, struct slice name, struct slice password, bool *ret_throttled)
{
	struct acl_address at = address_of(s);
	const struct failures *f = find_failures(s->httpd, &at);
	const struct conf_user *user;
	char peer[ENDPOINT_TEXT_SIZE];

	*ret_throttled = f != NULL && f->count >= FAILURES_MAX;
	if (*ret_throttled) {
		return NULL;
	}
	user = check_password(s->httpd, name, password);
	if (user == NULL) {
		count_failure(s->httpd, &at);
		log_peer(LOG_WARN, "wrong user or password for the operator's interface client=%s",
		    conn_peer(s->conn, peer));
	}
	return user;
}

/* ---- cookies ---- */

void
identity_set_cookie(struct session *s, const struct conf_user *user, char *text, size_t size)
{
	char name[32], claim[128], mac[MAC_HEX + 1], nonce[17];
	const char *secure = conn_is_tls(s->conn) ? "; Secure" : "";
	uint8_t random[8];
	int n;

	cookie_name(s, name);
	if (user == NULL) {
		(void)snprintf(text, size, "%s=; Path=/; Max-Age=0; HttpOnly; SameSite=Strict%s",
		    name, secure);
		return;
	}
	if (RAND_bytes(random, sizeof(random)) != 1) {
		memset(random, 0, sizeof(random)); /* the signature does not depend on it */
	}
	to_hex(random, sizeof(random), nonce);
	n = snprintf(claim, sizeof(claim), "%s.%llu.%s", user->name,
	    (unsigned long long)(clock_wall_ms() / 1000 + IDENTITY_SESSION_S), nonce);
	assert(n > 0 && (size_t)n < sizeof(claim));
	sign(s->httpd, user, claim, mac);
	(void)snprintf(text, size, "%s=%s.%s; Path=/; Max-Age=%d; HttpOnly; SameSite=Strict%s",
	    name, claim, mac, IDENTITY_SESSION_S, secure);
}

/* The value of our cookie among those of the request; empty: it is not there. */
static struct slice
find_cookie(const struct session *s, const struct http_request *req)
{
	char name[32];
	size_t len;

	cookie_name(s, name);
	len = strlen(name);
	for (size_t i = 0; i < req->header_count; i++) {
		struct slice rest = req->headers[i].value, one;

		if (!slice_caseeq(req->headers[i].name, "cookie")) {
			continue;
		}
		while (http_next_item(&rest, ';', &one)) {
			if (one.len > len && memcmp(one.ptr, name, len) == 0 &&
			    one.ptr[len] == '=') {
				return (struct slice){one.ptr + len + 1, one.len - len - 1};
			}
		}
	}
	return (struct slice){0};
}

/* "NAME.END.NONCE.SIGNATURE" */
static const struct conf_user *
read_cookie(struct session *s, struct slice value, uint64_t *ret_expires_s)
{
	char claim[IDENTITY_COOKIE_MAX], mac[MAC_HEX + 1];
	const struct conf_user *user;
	struct slice name, end;
	const uint8_t *dot;
	uint64_t expires;

	if (value.len <= MAC_HEX + 1 || value.len >= sizeof(claim) ||
	    value.ptr[value.len - MAC_HEX - 1] != '.') {
		return NULL;
	}
	memcpy(claim, value.ptr, value.len - MAC_HEX - 1);
	claim[value.len - MAC_HEX - 1] = '\0';
	dot = memchr(value.ptr, '.', value.len);
	name = (struct slice){value.ptr, (size_t)(dot - value.ptr)};
	end = (struct slice){dot + 1, value.len - name.len - 1};
	dot = memchr(end.ptr, '.', end.len);
	end.len = dot != NULL ? (size_t)(dot - end.ptr) : 0;
	user = find_user(s->httpd, name);
	if (user == NULL || !slice_to_u64(end, &expires) || expires <= clock_wall_ms() / 1000) {
		return NULL;
	}
	sign(s->httpd, user, claim, mac);
	if (CRYPTO_memcmp(mac, value.ptr + value.len - MAC_HEX, MAC_HEX) != 0) {
		return NULL;
	}
	*ret_expires_s = expires;
	return user;
}

/* ---- who ---- */

static bool
is_loopback(const struct sockaddr_storage *a)
{
	if (a->ss_family == AF_UNIX) {
		return true;
	}
	if (a->ss_family == AF_INET) {
		return ntohl(((const struct sockaddr_in *)(const void *)a)->sin_addr.s_addr) >>
			   24 ==
		       127;
	}
	if (a->ss_family == AF_INET6) {
		const struct in6_addr *in6 =
		    &((const struct sockaddr_in6 *)(const void *)a)->sin6_addr;

		return IN6_IS_ADDR_LOOPBACK(in6) ||
		       (IN6_IS_ADDR_V4MAPPED(in6) && in6->s6_addr[12] == 127);
	}
	return false;
}

/* Peer and listener, as the kernel says and, behind a proxy, as it has announced. */
static bool
is_on_this_host(struct session *s, const struct http_request *req)
{
	struct sockaddr_storage ours = {0}, theirs = {0};
	socklen_t ours_len = sizeof(ours), theirs_len = sizeof(theirs);
	char peer[ENDPOINT_TEXT_SIZE];
	struct endpoint at;

	if (http_header_find(req, "forwarded") != NULL ||
	    http_header_find(req, "x-forwarded-for") != NULL) {
		return false;
	}
	if (getsockname(conn_fd(s->conn), (struct sockaddr *)&ours, &ours_len) == -1 ||
	    getpeername(conn_fd(s->conn), (struct sockaddr *)&theirs, &theirs_len) == -1 ||
	    !is_loopback(&ours) || !is_loopback(&theirs)) {
		return false;
	}
	(void)conn_peer(s->conn, peer);
	return strcmp(peer, "unix") == 0 ||
	       (endpoint_parse(peer, 0, &at, NULL) == 0 && endpoint_is_loopback(&at));
}

static void
set_user(struct api_identity *who, const struct conf_user *user)
{
	who->role = identity_role_of(user);
	(void)snprintf(who->user, sizeof(who->user), "%s", user->name);
	(void)snprintf(who->by, sizeof(who->by), "%s", user->name);
}

void
identity_of(struct session *s, const struct http_request *req, struct api_identity *ret)
{
	const struct http_header *header = http_header_find(req, "authorization");
	uint8_t text[ACL_CREDENTIALS_MAX];
	struct acl_client client = {0};
	const struct conf_user *user = NULL;

	*ret = (struct api_identity){.role = API_NOBODY, .login = s->httpd->conf->user_count > 0};
	if (!ret->login) {
		char peer[ENDPOINT_TEXT_SIZE];

		ret->role = is_on_this_host(s, req) ? API_OPERATOR : API_NOBODY;
		(void)conn_peer(s->conn, peer);
		if (strrchr(peer, ':') != NULL) {
			*strrchr(peer, ':') = '\0'; /* another port is no other person */
		}
		(void)snprintf(ret->by, sizeof(ret->by), "someone at %.64s", peer);
		return;
	}
	if (header != NULL && acl_credentials(header->value, text, &client)) {
		user = identity_login(s, client.user, client.password, &ret->throttled);
		ret->wrong = user == NULL;
	} else {
		struct slice cookie = find_cookie(s, req);

		if (cookie.len > 0) {
			user = read_cookie(s, cookie, &ret->expires_s);
			ret->has_cookie = user != NULL;
		}
	}
	explicit_bzero(text, sizeof(text));
	if (user != NULL) {
		set_user(ret, user);
	}
}
