/*
 * holdfast check --webdis FILE: a configuration of Webdis as the INI file that does the same. What has no counterpart
 * here, or is different for a reason, is said beside it.
 */
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include <jansson.h>

#include "backend/command.h"
#include "base/buf.h"
#include "base/mem.h"
#include "cli/check.h"
#include "cli/cli.h"
#include "conf/conf.h"
#include "net/endpoint.h"

#define WEBDIS_PORT "7379"

struct writer {
	struct buf out, acls;
	const json_t *doc; /* borrowed */
	bool failed;
	bool open;     /* a stranger may use what no rule names */
	bool password; /* some rule asks for one */
};

/* A note for the reader, before what it is about. */
static void ATTR_PRINTF(2, 3) note(struct buf *out, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (buf_add_str(out, "; ") < 0 || buf_vaddf(out, fmt, ap) < 0 ||
	    buf_add_str(out, "\n") < 0) {
		abort();
	}
	va_end(ap);
}

/* Webdis reads "$NAME" from the environment when no letter of it is small; all other text is what it is. */
static bool
is_variable(const char *value)
{
	size_t i = 1;

	while (value[0] == '$' && value[i] != '\0' && !(value[i] >= 'a' && value[i] <= 'z')) {
		i++;
	}
	return i > 1 && value[i] == '\0';
}

static void
put_text(struct buf *out, const char *key, const char *value)
{
	if (buf_addf(out, "%s = ", key) < 0 || conf_value_quote(value, out) < 0 ||
	    buf_add_str(out, "\n") < 0) {
		abort();
	}
}

/* A variable is read from the environment here as there, so it stays as it is. */
static void
put(struct buf *out, const char *key, const char *value)
{
	if (!is_variable(value)) {
		put_text(out, key, value);
	} else if (buf_addf(out, "%s = %s\n", key, value) < 0) {
		abort();
	}
}

/* What cannot stay a variable: of the environment as it is now. NULL: `value` is; or after a fault. */
static const char *
resolved(struct writer *w, const char *key, const char *value)
{
	const char *text = value != NULL && is_variable(value) ? getenv(value + 1) : value;

	if (value != NULL && text == NULL) {
		cli_error("%s: the variable %s is not set", key, value + 1);
		w->failed = true;
	}
	return text;
}

/* A value that is put together with others: of the environment as it is now. NULL after a fault. */
static char *
text_of(struct writer *w, const char *key, const char *otherwise)
{
	const json_t *v = json_object_get(w->doc, key);
	const char *text = json_string_value(v);

	if (v == NULL || json_is_null(v)) {
		return xstrdup(otherwise);
	}
	if (json_is_integer(v)) {
		return xasprintf("%" JSON_INTEGER_FORMAT, json_integer_value(v));
	}
	if (text != NULL && is_variable(text)) {
		text = getenv(text + 1);
	}
	if (text == NULL) {
		cli_error(
		    "%s: neither a text, a number, nor the name of a variable that is set", key);
		w->failed = true;
	}
	return xstrdup(text);
}

/* ---- one function for each key ---- */

static void
to_password(struct writer *w, const json_t *v)
{
	const char *user = json_string_value(json_array_get(v, 0));
	const char *password =
	    json_is_array(v) ? json_string_value(json_array_get(v, 1)) : json_string_value(v);

	if (json_is_null(v) || password == NULL) {
		return;
	}
	if (user != NULL && strcmp(user, "default") != 0) {
		note(&w->out,
		    "redis_auth: the user %s is no more needed: the front end comes as the user "
		    "default",
		    user);
	}
	if (buf_add_str(&w->out, "[redis]\n") < 0) {
		abort();
	}
	put(&w->out, "password", password);
}

static void
to_level(struct writer *w, const json_t *v)
{
	static const char *const levels[] = {"error", "warn", "notice", "info", "debug"};
	json_int_t n = json_integer_value(v);

	if (!json_is_integer(v)) {
		return; /* Webdis does not take it either */
	}
	if (buf_add_str(&w->out, "[holdfast]\n") < 0) {
		abort();
	}
	put(&w->out, "log_level", levels[n < 0 ? 0 : MIN((size_t)n, ARRAY_LEN(levels) - 1)]);
}

static void
to_nothing(struct writer *w, const json_t *v)
{
	(void)w;
	(void)v;
}

static void
put_commands(struct writer *w, const char *key, const json_t *list)
{
	struct buf text;
	size_t i;
	json_t *item;

	if (!json_is_array(list) || json_array_size(list) == 0) {
		return;
	}
	buf_init(&text, 0);
	json_array_foreach(list, i, item)
	{
		const char *name = resolved(w, "acl", json_string_value(item));
		struct slice argv = slice_str(name != NULL ? name : "");
		const struct command *row = command_find(&argv, 1);

		if (row != NULL && (row->flags & CMD_REFUSED) != 0 && strcmp(key, "enabled") == 0) {
			note(&w->acls,
			    "%s is refused here whatever a rule says, unless [proxy] has: allow = "
			    "%s",
			    name, row->name);
		}
		if (name == NULL || buf_addf(&text, "%s%s", i > 0 ? ", " : "", name) < 0) {
			cli_error("acl: %s is a list of commands", key);
			w->failed = true;
		}
	}
	if (buf_add(&text, "", 1) < 0) {
		abort();
	}
	put(&w->acls, key, (const char *)buf_slice(&text).ptr);
	buf_fini(&text);
}

static bool
has_all(const json_t *list)
{
	size_t i;
	json_t *item;

	json_array_foreach(list, i, item)
	{
		if (json_is_string(item) && strcmp(json_string_value(item), "*") == 0) {
			return true;
		}
	}
	return false;
}

static void
to_acls(struct writer *w, const json_t *v)
{
	size_t i;
	json_t *rule;

	json_array_foreach(v, i, rule)
	{
		const char *basic = resolved(w, "acl: http_basic_auth",
		    json_string_value(json_object_get(rule, "http_basic_auth")));
		const char *cidr =
		    resolved(w, "acl: ip", json_string_value(json_object_get(rule, "ip")));
		const char *colon = basic != NULL ? strchr(basic, ':') : NULL;

		if (buf_addf(&w->acls, "\n[acl-%zu]\n", i + 1) < 0) {
			abort();
		}
		if (cidr != NULL) {
			put_text(&w->acls, "cidr", cidr);
		}
		if (colon != NULL) {
			char *user = xstrndup(basic, (size_t)(colon - basic));

			put_text(&w->acls, "user", user);
			put_text(&w->acls, "password", colon + 1);
			free(user);
		} else if (basic != NULL) {
			cli_error("acl: http_basic_auth is \"user:password\"");
			w->failed = true;
		}
		put_commands(w, "enabled", json_object_get(rule, "enabled"));
		put_commands(w, "disabled", json_object_get(rule, "disabled"));
		w->password = w->password || colon != NULL;
		w->open = conf_acl_lets_strangers(
		    w->open, &(struct conf_acl_gist){.has_user = colon != NULL,
				 .cidr = cidr,
				 .enables_all = has_all(json_object_get(rule, "enabled")),
				 .disables_all = has_all(json_object_get(rule, "disabled"))});
	}
}

#define HAS_NONE "Holdfast has no such setting"

static const struct row {
	const char *key;
	void (*take)(struct writer *w, const json_t *v);
	const char *words; /* said when there is such a key, or NULL */
} rows[] = {
    {"redis_host", to_nothing,
	"Holdfast runs the servers itself, and leads to their master; to serve from another "
	"cluster: holdfast http --sentinel"},
    {"redis_port", to_nothing, NULL},
    {"redis_auth", to_password, NULL},
    {"verbosity", to_level, NULL},
    {"acl", to_acls, NULL},
    {"http_host", to_nothing, NULL},
    {"http_port", to_nothing, NULL},
    {"websockets", to_nothing, NULL},
    {"database", to_nothing, NULL},
    {"default_root", to_nothing, NULL},
    {"http_max_request_size", to_nothing, NULL},
    {"threads", to_nothing, "one worker does what several threads did; [http] workers makes more"},
    {"pool_size", to_nothing, "requests share connections here, none waits for a free one"},
    {"daemonize", to_nothing, "holdfast run stays in the foreground: a service manager starts it"},
    {"pidfile", to_nothing, "holdfast status has the pids"},
    {"logfile", to_nothing, "the log is DIR/log/http-1.log"},
    {"log_fsync", to_nothing, HAS_NONE},
    {"user", to_nothing, "start it as that user"},
    {"group", to_nothing, "start it as that group"},
    {"hiredis", to_nothing, HAS_NONE},
    {"ssl", to_nothing,
	"the servers are on this host, the way to them is not encrypted; to others by TLS: "
	"redis.tls_ca, "
	"redis.tls_cert and redis.tls_key"},
};

static void
put_http(struct writer *w)
{
	const json_t *ws = json_object_get(w->doc, "websockets");
	const char *ws_text = resolved(w, "websockets", json_string_value(ws));
	const char *root = json_string_value(json_object_get(w->doc, "default_root"));
	char *host = text_of(w, "http_host", "0.0.0.0"),
	     *port = text_of(w, "http_port", WEBDIS_PORT);
	char *database = text_of(w, "database", "0");
	char *size = text_of(w, "http_max_request_size", "");
	bool v6 = host != NULL && strchr(host, ':') != NULL;
	char *listen = host != NULL && port != NULL
			   ? xasprintf(v6 ? "[%s]:%s" : "%s:%s", host, port)
			   : xstrdup("");
	struct endpoint ep = endpoint_tcp(host != NULL ? host : "", 1);

	if (buf_add_str(&w->out, "[http]\n") < 0) {
		abort();
	}
	put(&w->out, "listen", listen);
	if (!endpoint_is_loopback(&ep) && (w->open || !w->password)) {
		note(&w->out,
		    "everyone who reaches this address may read and write, as with Webdis");
		put(&w->out, "allow_open", "yes");
	}
	put(&w->out, "websockets",
	    json_is_true(ws) || (ws_text != NULL && strcasecmp(ws_text, "true") == 0) ? "yes"
										      : "no");
	if (database != NULL && strcmp(database, "0") != 0) {
		put(&w->out, "database", database);
	}
	if (root != NULL) {
		put(&w->out, "default_root", root);
	}
	if (size != NULL && size[0] != '\0') {
		put(&w->out, "max_request_bytes", size);
	}
	note(&w->out, "Webdis lets the pages of every web site read and write here. If that is "
		      "meant: cors_origin = *");
	note(&w->out, "Webdis takes every name in Host. Names that clients use besides addresses "
		      "go here: hosts = NAME");
	free(host);
	free(port);
	free(database);
	free(size);
	free(listen);
}

static const struct row *
row_of(const char *key)
{
	for (size_t i = 0; i < ARRAY_LEN(rows); i++) {
		if (strcmp(rows[i].key, key) == 0) {
			return &rows[i];
		}
	}
	return NULL;
}

static void
convert(struct writer *w)
{
	const char *key;
	json_t *value;

	json_object_foreach((json_t *)(uintptr_t)w->doc, key, value)
	{
		const struct row *row = row_of(key);

		if (row == NULL) {
			note(&w->out, "%s: not known", key);
			continue;
		}
		if (row->words != NULL) {
			note(&w->out, "%s: %s", key, row->words);
		}
		row->take(w, value);
	}
	if (buf_add(&w->acls, "", 1) < 0) { /* it is printed as text */
		abort();
	}
	put_http(w);
}

int
check_webdis(const char *path)
{
	json_error_t err;
	json_t *doc = json_load_file(path, 0, &err);
	struct writer w = {.doc = doc, .open = true};
	int code = CLI_BAD_CONFIG;

	if (!json_is_object(doc)) {
		cli_error("%s:%d: %s", path, err.line, doc == NULL ? err.text : "no JSON object");
		json_decref(doc);
		return code;
	}
	buf_init(&w.out, 0);
	buf_init(&w.acls, 0);
	convert(&w);
	if (!w.failed) {
		(void)printf("; made from %s by holdfast check --webdis\n%.*s%s", path,
		    (int)buf_len(&w.out), (const char *)buf_slice(&w.out).ptr,
		    (const char *)buf_slice(&w.acls).ptr);
		code = CLI_OK;
	}
	buf_fini(&w.out);
	buf_fini(&w.acls);
	json_decref(doc);
	return code;
}
