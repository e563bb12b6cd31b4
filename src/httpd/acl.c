#include "httpd/acl.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>

#include "base/mem.h"
#include "http/base64.h"
#include "net/endpoint.h"

struct rule {
	const struct conf_acl *conf; /* borrowed */
	bool any_address;
	struct cidr network;
};

struct acl {
	size_t count;
	struct rule rules[];
};

/* ---- addresses ---- */

struct acl_address
acl_address_of(const char *peer)
{
	const char *colon = strrchr(peer, ':');
	struct acl_address a = {0};
	char host[ENDPOINT_TEXT_SIZE];
	size_t len = colon != NULL ? (size_t)(colon - peer) : 0;

	if (len > 1 && peer[0] == '[') {
		peer++;
		len -= 2;
	}
	if (len > 0 && len < sizeof(host)) {
		memcpy(host, peer, len);
		host[len] = '\0';
		a.known = cidr_parse(host, &a.at) == 0;
	}
	return a;
}

/* ---- rules ---- */

struct acl *
acl_new(const struct conf_acl *rules, size_t count)
{
	struct acl *acl;

	if (count == 0) {
		return NULL;
	}
	acl = xcalloc(1, sizeof(*acl) + count * sizeof(acl->rules[0]));
	acl->count = count;
	for (size_t i = 0; i < count; i++) {
		struct rule *r = &acl->rules[i];
		int rc;

		r->conf = &rules[i];
		r->any_address = rules[i].cidr == NULL;
		if (!r->any_address) {
			rc = cidr_parse(rules[i].cidr, &r->network);
			assert(rc == 0); /* the configuration has checked it */
		}
	}
	return acl;
}

void
acl_free(struct acl **acl)
{
	free(*acl);
	*acl = NULL;
}

/* In a time that says nothing about where they differ. */
static bool
is_secret(struct slice given, const char *secret)
{
	size_t len = secret != NULL ? strlen(secret) : 0;

	return given.len == len && (len == 0 || CRYPTO_memcmp(given.ptr, secret, len) == 0);
}

static bool
is_user(const struct rule *r, const struct acl_client *c)
{
	return r->conf->user != NULL && c->has_user && slice_eq(c->user, r->conf->user) &&
	       is_secret(c->password, r->conf->password);
}

static bool
is_for(const struct rule *r, const struct acl_client *c)
{
	return (r->any_address ||
		   (c->address->known && cidr_covers(&r->network, &c->address->at))) &&
	       (r->conf->user == NULL || is_user(r, c));
}

static bool
names(const struct conf_list *list, struct slice name, const struct command *row)
{
	for (size_t i = 0; i < list->count; i++) {
		const char *item = list->items[i];

		if (strcmp(item, "*") == 0 || slice_caseeq(name, item) ||
		    (row != NULL && command_is_named(row, item))) {
			return true;
		}
	}
	return false;
}

bool
acl_allows(const struct acl *acl, const struct acl_client *client, struct slice name,
    const struct command *row)
{
	bool allowed = true;

	for (size_t i = 0; acl != NULL && i < acl->count; i++) {
		const struct rule *r = &acl->rules[i];

		if (!is_for(r, client)) {
			continue;
		}
		if (names(&r->conf->enabled, name, row)) {
			allowed = true;
		}
		if (names(&r->conf->disabled, name, row)) {
			allowed = false;
		}
	}
	return allowed;
}

bool
acl_knows(const struct acl *acl, const struct acl_client *client)
{
	for (size_t i = 0; acl != NULL && i < acl->count; i++) {
		if (is_user(&acl->rules[i], client)) {
			return true;
		}
	}
	return false;
}

bool
acl_credentials(struct slice header, uint8_t *text, struct acl_client *client)
{
	static const char *const schemes[] = {"Basic ", "Bearer "};
	size_t scheme = 0;
	const uint8_t *colon;
	ssize_t len;

	for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
		size_t n = strlen(schemes[i]);

		if (header.len >= n && strncasecmp((const char *)header.ptr, schemes[i], n) == 0) {
			scheme = n;
		}
	}
	if (scheme == 0) {
		return false;
	}
	header.ptr += scheme;
	header.len -= scheme;
	if (header.len / 4 * 3 > ACL_CREDENTIALS_MAX) {
		return false;
	}
	len = base64_decode(header, text);
	colon = len > 0 ? memchr(text, ':', (size_t)len) : NULL;
	if (colon == NULL) {
		return false;
	}
	client->has_user = true;
	client->user = (struct slice){text, (size_t)(colon - text)};
	client->password = (struct slice){colon + 1, (size_t)(text + len - colon) - 1};
	return true;
}
