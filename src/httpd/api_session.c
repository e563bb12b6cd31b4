/* Who am I, login, logout; and the description of the interface. */
#include <stdio.h>
#include <string.h>

#include "backend/worker.h"
#include "base/clock.h"
#include "base/log.h"
#include "conf/conf.h"
#include "httpd/api.h"
#include "httpd/exchange.h"
#include "httpd/session.h"
#include "net/conn.h"

#define RENEW_S (6 * 3600) /* a session that ends sooner gets a new cookie */

static void
answer(struct api *a, const struct conf_user *user)
{
	const struct httpd *h = a->x->httpd;
	enum api_role role = user != NULL ? identity_role_of(user) : a->who.role;
	const char *name = user != NULL ? user->name : a->who.user[0] != '\0' ? a->who.user : NULL;
	uint64_t now = clock_wall_ms() / 1000;
	json_t *doc = json_pack("{s:s?,s:s?,s:b,s:s,s:s,s:s,s:b}", "user", name, "role",
	    identity_role_name(role), "login", (int)a->who.login, "cluster", h->conf->holdfast_name,
	    "node", h->conf->holdfast_node, "version", PACKAGE_VERSION, "writable",
	    (int)worker_is_supervised(h->worker));

	(void)json_object_set_new(doc, "expires_s",
	    a->who.expires_s > now ? json_integer((json_int_t)(a->who.expires_s - now))
				   : json_null());
	api_done_json(a, 200, doc);
}

static const struct conf_user *
user_named(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->user_count; i++) {
		if (strcmp(conf->users[i].name, name) == 0) {
			return &conf->users[i];
		}
	}
	return NULL;
}

void
api_session_get(struct api *a)
{
	const struct conf_user *user = user_named(a->x->httpd->conf, a->who.user);

	if (a->who.has_cookie && user != NULL &&
	    a->who.expires_s < clock_wall_ms() / 1000 + RENEW_S) {
		identity_set_cookie(a->x->session, user, a->cookie, sizeof(a->cookie));
		a->who.expires_s = clock_wall_ms() / 1000 + IDENTITY_SESSION_S;
	}
	answer(a, NULL);
}

void
api_session_post(struct api *a)
{
	const json_t *name = json_object_get(a->body, "user"),
		     *password = json_object_get(a->body, "password");
	const struct conf_user *user;
	bool throttled;

	if (!json_is_string(name) || !json_is_string(password) || json_object_size(a->body) != 2) {
		api_fail(a, 400, "the body must be {\"user\":NAME,\"password\":WORD}");
		return;
	}
	if (!a->who.login) {
		api_fail(a, 400, "there is nobody to log in as: no [user-NAME] is configured");
		return;
	}
	user = identity_login(a->x->session, slice_str(json_string_value(name)),
	    (struct slice){
		(const uint8_t *)json_string_value(password), json_string_length(password)},
	    &throttled);
	if (user == NULL) {
		api_fail(a, throttled ? 429 : 401, "%s",
		    throttled ? "too many wrong passwords from your address: try again in a minute"
			      : "wrong user or password");
		return;
	}
	identity_set_cookie(a->x->session, user, a->cookie, sizeof(a->cookie));
	a->who.expires_s = clock_wall_ms() / 1000 + IDENTITY_SESSION_S;
	answer(a, user);
}

void
api_session_delete(struct api *a)
{
	identity_set_cookie(a->x->session, NULL, a->cookie, sizeof(a->cookie));
	a->who = (struct api_identity){.login = a->who.login};
	answer(a, NULL);
}

void
api_description(struct api *a)
{
	static const char text[] =
#include "httpd/openapi.inc"
	    ;

	if (buf_add_str(&a->out, text) < 0) {
		api_fail(a, 503, "out of memory");
	} else {
		api_done(a, 200);
	}
}
