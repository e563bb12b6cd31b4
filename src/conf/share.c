/*
 * The configuration file of one host, for another one of the same cluster. Lines stay as they are, comments included, where nothing in them is
 * about this host.
 */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/conf_priv.h"

#define SECTION_MAX 64

struct sharer {
	const struct conf *conf; /* borrowed, as all */
	const struct conf_newcomer *newcomer;
	char *const *env;
	const char *dir; /* of the file */
	char section[SECTION_MAX];
	struct buf *out;
};

static bool
is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool
is_in(const char *section, const char *key, const char *wanted_section, const char *wanted_key)
{
	return strcmp(section, wanted_section) == 0 && strcmp(key, wanted_key) == 0;
}

/* Of this host only, or with files of which the other has its own. */
static bool
is_left_out(const struct sharer *s, const char *key)
{
	return is_in(s->section, key, "holdfast", "node") ||
	       is_in(s->section, key, "holdfast", "address") ||
	       (s->newcomer->own_tls && strcmp(s->section, "redis") == 0 &&
		   strncmp(key, "tls_", 4) == 0);
}

static bool
has_addresses(const char *key)
{
	static const char *const keys[] = {"bind", "listen", "read_listen", "durable_listen"};

	for (size_t i = 0; i < ARRAY_LEN(keys); i++) {
		if (strcmp(key, keys[i]) == 0) {
			return true;
		}
	}
	return false;
}

/* Is what begins at `at` in `text` the whole address, and not a part of another? */
static bool
stands_alone(const char *text, const char *at, size_t len)
{
	bool begins = at == text || strchr(", \t:[\"", at[-1]) != NULL;

	return begins && (at[len] == '\0' || strchr(", \t:]\"", at[len]) != NULL);
}

/* The value with our address become the other's. */
static int
add_addresses(const struct sharer *s, const char *value)
{
	const char *own = s->conf->holdfast_address, *rest = value, *at;
	size_t len = own != NULL ? strlen(own) : 0;
	int rc = 0;

	while (len > 0 && rc == 0 && (at = strstr(rest, own)) != NULL) {
		bool whole = stands_alone(value, at, len);

		rc = buf_add(s->out, rest, (size_t)(at - rest));
		rc = rc < 0 ? rc : buf_add_str(s->out, whole ? s->newcomer->address : own);
		rest = at + len;
	}
	return rc < 0 ? rc : buf_add_str(s->out, rest);
}

/* `value` without a comment behind it. */
static int
add_value(const struct sharer *s, const char *key, char *value, struct errmsg *err)
{
	char *comment = strstr(value, " ;"), *text;
	int rc;

	if (value[0] != '@' && value[0] != '$') {
		return has_addresses(key) ? add_addresses(s, value) : buf_add_str(s->out, value);
	}
	while (comment != NULL && comment > value && is_blank(comment[-1])) {
		comment--;
	}
	if (comment != NULL) {
		*comment = '\0';
	}
	text = conf_resolve(value, s->dir, s->env, err);
	if (text == NULL) {
		errmsg_prefix(err, "%s.%s", s->section, key);
		return -EINVAL;
	}
	rc = conf_value_quote(text, s->out);
	explicit_bzero(text, strlen(text));
	free(text);
	return rc;
}

/* One line, without blanks around it, which may be changed. */
static int
add_line(struct sharer *s, char *line, struct errmsg *err)
{
	char *equals = strchr(line, '='), *end, key[SECTION_MAX];
	int rc;

	if (line[0] == '[') {
		(void)snprintf(
		    s->section, sizeof(s->section), "%.*s", (int)strcspn(line + 1, "]"), line + 1);
	}
	if (line[0] == '[' || line[0] == ';' || line[0] == '#' || equals == NULL) {
		rc = buf_add_str(s->out, line);
	} else {
		for (end = equals; end > line && is_blank(end[-1]); end--) {
			continue;
		}
		(void)snprintf(key, sizeof(key), "%.*s", (int)(end - line), line);
		if (is_left_out(s, key)) {
			return 0;
		}
		equals++;
		equals += strspn(equals, " \t");
		rc = buf_addf(s->out, "%s = ", key);
		rc = rc < 0 ? rc : add_value(s, key, equals, err);
	}
	return rc < 0 ? rc : buf_add(s->out, "\n", 1);
}

static int
add_peers(const struct sharer *s)
{
	const struct conf *conf = s->conf;
	int rc = 0;

	if (conf_peer_find(conf, conf->holdfast_node) == NULL) {
		rc = buf_addf(s->out, "\n[peer-%s]\naddress = %s\n", conf->holdfast_node,
		    conf->holdfast_address);
	}
	if (rc == 0 && conf_peer_find(conf, s->newcomer->name) == NULL) {
		rc = buf_addf(
		    s->out, "\n[peer-%s]\naddress = %s\n", s->newcomer->name, s->newcomer->address);
	}
	return rc;
}

int
conf_for_newcomer(const struct conf *conf, char *const *env, const struct conf_newcomer *newcomer,
    struct buf *out, struct errmsg *err)
{
	char *dir = xstrdup(conf->file), *text = xcalloc(1, CONF_FILE_MAX + 2), *rest = text;
	char *slash = strrchr(dir, '/');
	struct sharer s = {.conf = conf,
	    .newcomer = newcomer,
	    .env = env,
	    .dir = slash != NULL ? dir : ".",
	    .out = out};
	size_t len = 0;
	int rc = conf_read_file(conf->file, text, CONF_FILE_MAX, &len, err);

	if (slash != NULL) {
		*slash = '\0';
	}
	while (rc == 0 && *rest != '\0') {
		char *line = rest + strspn(rest, " \t\r"), *end;
		size_t n = strcspn(rest, "\n");

		end = rest + n;
		rest = *end == '\n' ? end + 1 : end;
		*end = '\0';
		while (end > line && isspace((unsigned char)end[-1])) {
			*--end = '\0';
		}
		rc = add_line(&s, line, err);
	}
	if (rc == 0) {
		rc = add_peers(&s);
	}
	if (rc == -ENOBUFS) {
		errmsg_set(err, "%s is too large", conf->file);
	}
	explicit_bzero(text, CONF_FILE_MAX + 2);
	free(text);
	free(dir);
	return rc;
}
