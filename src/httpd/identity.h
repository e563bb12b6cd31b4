/*
 * Who asks for the operator's page, its interface and its figures, and what he may do: the sections [user-NAME].
 *
 * A user shows himself by HTTP Basic, or by a cookie that a login gave him. The cookie is a statement of ours with a signature
 * (HMAC-SHA256) under a key that is derived from the cluster's secret: every worker can read it, none keeps a table of sessions, and it
 * outlives all of them. It names user, role and end, and is bound to the password: a changed password or role ends it.
 *
 * Without any such section whoever is on this host may do everything: a peer on loopback at a listener on loopback, or at a unix
 * socket, that no proxy forwards for somebody else (Forwarded, X-Forwarded-For).
 */
#ifndef HTTPD_IDENTITY_H
#define HTTPD_IDENTITY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "http/parser.h"

struct httpd;
struct session;
struct conf_user;

enum api_role { API_NOBODY, API_VIEWER, API_OPERATOR };

#define IDENTITY_SESSION_S (12 * 3600) /* how long a login lasts */

/* Plain data. */
struct api_identity {
	enum api_role role;
	char user[40];      /* "" nobody has logged in */
	char by[80];        /* for the history: the user, or from where */
	bool login;         /* there are users: one may log in */
	bool has_cookie;    /* known by his cookie */
	uint64_t expires_s; /* with it: when it ends, in seconds since 1970 */
	bool throttled;     /* too many wrong passwords from there */
	bool wrong;         /* credentials that are nobody's */
};

void identity_of(struct session *s, const struct http_request *req, struct api_identity *ret);
/* The user of that name and password, or NULL; counts what fails against the client's address. */
const struct conf_user *identity_login(
    struct session *s, struct slice user, struct slice password, bool *ret_throttled);
/* The value of Set-Cookie for that user, or (NULL) one that takes it back. */
void identity_set_cookie(struct session *s, const struct conf_user *user, char *text, size_t size);
/* "viewer", "operator", or NULL. */
const char *identity_role_name(enum api_role role);
enum api_role identity_role_of(const struct conf_user *user);

#endif
