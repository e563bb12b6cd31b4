/* A server's own certificate, made by an authority of the test, in files in a folder of its own. */
#ifndef TESTS_UNIT_TLS_OWN_H
#define TESTS_UNIT_TLS_OWN_H

#include <stdbool.h>
#include <stdlib.h>
#include <string.h>

#include "net/tls.h"
#include "scratch.h"
#include "tls_peer.h"

#define DAY (24 * 3600L)

struct tls_own {
	char *dir, *cert, *key, *ca; /* owned: paths */
	struct tls_issuer *authority, *name;
	struct tls_server *server;
};

/* Reads the files again. With the authority: clients have to show a certificate of it. */
static inline int
tls_own_read(struct tls_own *own, bool with_ca)
{
	struct errmsg err = ERRMSG_NONE;
	struct tls_files files = {own->cert, own->key, with_ca ? own->ca : NULL};

	tls_server_free(&own->server);
	return tls_server_new(&files, &own->server, &err);
}

static inline int
tls_own_make(struct tls_own *own)
{
	own->dir = scratch_make();
	own->cert = strdup(scratch_path(own->dir, "cert.pem"));
	own->key = strdup(scratch_path(own->dir, "key.pem"));
	own->ca = strdup(scratch_path(own->dir, "ca.pem"));
	own->authority = tls_issuer_new("Authority", -DAY, 10 * DAY);
	own->name = tls_issued_by(own->authority, "here.example.org", -DAY, DAY);
	tls_issuer_write(own->name, own->cert, own->key, NULL);
	tls_issuer_write(own->authority, own->ca, NULL, NULL);
	return tls_own_read(own, false);
}

static inline void
tls_own_free(struct tls_own *own)
{
	tls_server_free(&own->server);
	tls_issuer_free(&own->name);
	tls_issuer_free(&own->authority);
	scratch_remove(&own->dir);
	free(own->cert);
	free(own->key);
	free(own->ca);
}

#endif
