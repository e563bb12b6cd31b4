#include "instance/redis_conf.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <sys/un.h>

#include "base/mem.h"
#include "conf/conf.h"
#include "instance/conf_file.h"
#include "instance/module_set.h"

/* Which directives the configuration had when the file was last written; Redis keeps comments. */
#define PASSED_MARK "# holdfast passes on:"

/* Ours: their lines are written anew at each start, or left out. */
static const char *const owned_names[] = {"bind", "port", "protected-mode", "dir", "daemonize",
    "supervised", "logfile", "pidfile", "masteruser", "masterauth", "replicaof", "slaveof",
    "requirepass", "aclfile", "replica-announce-ip", "replica-announce-port", "slave-announce-ip",
    "slave-announce-port"};

/* Written where servers speak TLS, and gone with it. */
static const char *const tls_names[] = {"tls-port", "tls-cert-file", "tls-key-file",
    "tls-ca-cert-file", "tls-replication", "tls-auth-clients"};

/* Better than Redis' own defaults for us; what the configuration or an operator says goes before. */
struct advised {
	const char *name;
	const char *value;
};

static bool
is_owned(struct slice name)
{
	for (size_t i = 0; i < ARRAY_LEN(owned_names); i++) {
		if (slice_caseeq(name, owned_names[i])) {
			return true;
		}
	}
	return false;
}

static bool
is_tls(const struct redis_spec *spec, struct slice name)
{
	for (size_t i = 0; spec->tls != NULL && i < ARRAY_LEN(tls_names); i++) {
		if (slice_caseeq(name, tls_names[i])) {
			return true;
		}
	}
	return false;
}

static bool
is_directive(const struct redis_spec *spec, struct slice name)
{
	for (size_t i = 0; i < spec->directive_count; i++) {
		if (slice_caseeq(name, spec->directives[i].name)) {
			return true;
		}
	}
	return false;
}

/* Is `name` among the words behind the mark? */
static bool
is_listed(struct slice passed, struct slice name)
{
	while (passed.len > 0) {
		const uint8_t *end = memchr(passed.ptr, ' ', passed.len);
		size_t len = end != NULL ? (size_t)(end - passed.ptr) : passed.len;

		if (len == name.len &&
		    strncasecmp((const char *)passed.ptr, (const char *)name.ptr, len) == 0) {
			return true;
		}
		len = MIN(len + 1, passed.len);
		passed.ptr += len;
		passed.len -= len;
	}
	return false;
}

static bool
is_mark(struct slice raw)
{
	size_t len = sizeof(PASSED_MARK) - 1;

	return raw.len >= len && memcmp(raw.ptr, PASSED_MARK, len) == 0;
}

/* The names behind the mark of the old file. */
static struct slice
find_passed(struct slice text)
{
	struct conf_line line;

	while (conf_file_next(&text, &line)) {
		if (is_mark(line.raw)) {
			size_t len = sizeof(PASSED_MARK) - 1;

			return (struct slice){line.raw.ptr + len, line.raw.len - len};
		}
	}
	return (struct slice){NULL, 0};
}

/* Rules of an ACL line that say how to log in. */
static bool
is_password_rule(struct slice word)
{
	return slice_eq(word, "nopass") || slice_eq(word, "resetpass") || slice_eq(word, "reset") ||
	       (word.len > 0 && strchr("><#!", word.ptr[0]) != NULL);
}

static int
add_slice_word(struct buf *out, struct slice word)
{
	char *text = xstrndup((const char *)word.ptr, word.len);
	int err = buf_add(out, " ", 1);

	if (err == 0) {
		err = conf_file_add_word(out, text);
	}
	free(text);
	return err;
}

/* The user `default` as an operator may have restricted it, with the password that the configuration says. */
static int
add_default_user(struct buf *out, const struct redis_spec *spec, const struct conf_line *line)
{
	int err = buf_add_str(out, "user default");

	if (line == NULL) {
		err |= buf_add_str(out, " on ~* &* +@all");
	}
	for (size_t i = 2; line != NULL && i < line->count && err == 0; i++) {
		if (!is_password_rule(line->words[i])) {
			err = add_slice_word(out, line->words[i]);
		}
	}
	if (err == 0 && spec->password == NULL) {
		err = buf_add_str(out, " nopass");
	} else if (err == 0) {
		char *rule = xasprintf(">%s", spec->password);

		err = buf_add(out, " ", 1) | conf_file_add_word(out, rule);
		explicit_bzero(rule, strlen(rule));
		free(rule);
	}
	return err != 0 ? err : buf_add(out, "\n", 1);
}

/* The lines of the old file that stay. */
static int
keep_lines(struct buf *out, struct slice text, const struct redis_spec *spec,
    struct advised *advised, size_t advised_count, bool *ret_has_default)
{
	struct slice passed = find_passed(text), rest = text;
	struct conf_line line;
	int err = 0;

	while (err == 0 && conf_file_next(&rest, &line)) {
		struct slice name = line.count > 0 ? line.words[0] : (struct slice){NULL, 0};

		if (is_mark(line.raw) ||
		    (line.count > 0 && (is_owned(name) || is_directive(spec, name) ||
					   is_listed(passed, name) || is_tls(spec, name)))) {
			continue;
		}
		if (spec->forgets_priority && line.count > 0 &&
		    (slice_caseeq(name, "replica-priority") ||
			slice_caseeq(name, "slave-priority"))) {
			continue;
		}
		/* CONFIG REWRITE changes their order, and keeps what a module had that is gone. */
		if (spec->modules != NULL && line.count > 0 &&
		    (slice_caseeq(name, "loadmodule") ||
			module_set_is_stranded(spec->modules, name))) {
			continue;
		}
		if (line.count > 1 && slice_caseeq(name, "user") &&
		    slice_eq(line.words[1], INSTANCE_USER)) {
			continue;
		}
		if (line.count > 1 && slice_caseeq(name, "user") &&
		    slice_eq(line.words[1], "default")) {
			*ret_has_default = true;
			/* A password that did not come from the configuration is an operator's and stays. */
			if (spec->password != NULL || is_listed(passed, SLICE_LIT("requirepass"))) {
				err = add_default_user(out, spec, &line);
				continue;
			}
		}
		for (size_t i = 0; i < advised_count; i++) {
			if (line.count > 0 && advised[i].name != NULL &&
			    slice_caseeq(name, advised[i].name)) {
				advised[i].name = NULL; /* somebody has set it */
				break;
			}
		}
		err = buf_add_slice(out, line.raw) | buf_add(out, "\n", 1);
	}
	return err;
}

static int
add_pair(struct buf *out, const char *name, const char *word)
{
	return buf_addf(out, "%s ", name) | conf_file_add_word(out, word) | buf_add(out, "\n", 1);
}

static int
add_owned(struct buf *out, const struct redis_spec *spec, const struct endpoint *master)
{
	int err = buf_add_str(out, "bind");

	for (size_t i = 0; i < spec->bind_count; i++) {
		err |= buf_add(out, " ", 1) | conf_file_add_word(out, spec->bind[i]);
	}
	err |= buf_addf(out,
	    "\nport %u\nprotected-mode no\ndaemonize no\nsupervised no\nlogfile \"\"\n",
	    spec->tls != NULL ? 0 : spec->port);
	err |= add_pair(out, "dir", spec->dir);
	err |= add_pair(out, "replica-announce-ip", spec->address);
	err |= buf_addf(out, "replica-announce-port %u\n",
	    spec->announced_port != 0 ? spec->announced_port : spec->port);
	err |= buf_addf(out, "user %s on >%s ~* &* +@all\n", INSTANCE_USER, spec->secret);
	err |= buf_addf(out, "masteruser %s\nmasterauth %s\n", INSTANCE_USER, spec->secret);
	if (master != NULL) {
		err |= buf_addf(out, "replicaof %s %u\n", master->host, master->port);
	}
	return err;
}

int
redis_conf_add_tls(const struct tls_files *tls, uint16_t port, struct buf *out)
{
	int err = buf_addf(out, "tls-port %u\n", port);

	err |= add_pair(out, "tls-cert-file", tls->cert);
	err |= add_pair(out, "tls-key-file", tls->key);
	err |= add_pair(out, "tls-ca-cert-file", tls->ca);
	return err | buf_add_str(out, "tls-replication yes\ntls-auth-clients yes\n");
}

/* What is passed on, behind the mark that lets it leave again. */
static int
add_directives(struct buf *out, const struct redis_spec *spec, const struct advised *advised,
    size_t advised_count)
{
	int err = buf_addf(out, PASSED_MARK "%s", spec->password != NULL ? " requirepass" : "");

	for (size_t i = 0; spec->tls != NULL && i < ARRAY_LEN(tls_names); i++) {
		err |= buf_addf(out, " %s", tls_names[i]);
	}
	for (size_t i = 0; i < advised_count; i++) {
		err |= advised[i].name != NULL ? buf_addf(out, " %s", advised[i].name) : 0;
	}
	for (size_t i = 0; i < spec->directive_count; i++) {
		err |= buf_addf(out, " %s", spec->directives[i].name);
	}
	err |= buf_add(out, "\n", 1);
	if (spec->tls != NULL) {
		err |= redis_conf_add_tls(spec->tls, spec->port, out);
	}
	if (spec->modules != NULL) {
		err |= module_set_lines(spec->modules, out); /* before directives of theirs */
	}
	for (size_t i = 0; i < advised_count; i++) {
		err |=
		    advised[i].name != NULL ? add_pair(out, advised[i].name, advised[i].value) : 0;
	}
	for (size_t i = 0; i < spec->directive_count; i++) {
		const char *value = spec->directives[i].value;

		err |= buf_addf(
		    out, "%s %s\n", spec->directives[i].name, value[0] != '\0' ? value : "\"\"");
	}
	return err;
}

char *
redis_conf_socket(const char *dir)
{
	char *path = xasprintf("%s/redis.sock", dir);

	if (strlen(path) >= sizeof(((struct sockaddr_un *)NULL)->sun_path)) {
		free(path);
		return NULL;
	}
	return path;
}

int
redis_conf_edit(struct slice text, const struct redis_spec *spec, const struct endpoint *master,
    struct buf *out, struct errmsg *err)
{
	/*
	 * A replica that needs a copy gets it at once; by default it waits 5 s for company. And from a file: after a copy without one the
	 * master sends nothing more until the replica's next acknowledgement, up to a second later (replication.c,
	 * repl_start_cmd_stream_on_ack), and a master that dies in that second takes with it what it has acknowledged since.
	 */
	char *socket = redis_conf_socket(spec->dir);
	struct advised advised[] = {{"repl-diskless-sync-delay", "0"}, {"repl-diskless-sync", "no"},
	    /* or one without persistence would begin with the file of a copy, as if that were its data */
	    {"rdb-del-sync-files", "yes"},
	    /* what the append-only file has is safe, though a snapshot failed, of a replica that becomes master, too */
	    {spec->appendonly ? "stop-writes-on-bgsave-error" : NULL, "no"},
	    /* a replica that cannot carry out a write of its master must not go on without it (since 7.0) */
	    {spec->modules != NULL && module_set_good(spec->modules) > 0 &&
			module_set_oldest(spec->modules) >= 7
		    ? "propagation-error-behavior"
		    : NULL,
		"panic-on-replicas"},
	    /* workers on this host reach it there: cheaper for both, and without TLS */
	    {socket != NULL ? "unixsocket" : NULL, socket},
	    {socket != NULL ? "unixsocketperm" : NULL, "700"}};
	bool has_default = false;
	int rc;

	for (size_t i = 0; i < ARRAY_LEN(advised); i++) {
		if (advised[i].name != NULL && is_directive(spec, slice_str(advised[i].name))) {
			advised[i].name = NULL;
		}
	}
	rc = keep_lines(out, text, spec, advised, ARRAY_LEN(advised), &has_default);
	if (rc == 0 && !has_default) {
		rc = add_default_user(out, spec, NULL);
	}
	if (rc == 0) {
		rc = add_owned(out, spec, master);
	}
	if (rc == 0) {
		rc = add_directives(out, spec, advised, ARRAY_LEN(advised));
	}
	free(socket);
	if (rc != 0) {
		errmsg_set(err, "%s: its redis.conf is too large", spec->name);
		return -ENOBUFS;
	}
	return 0;
}

int
redis_conf_write(const struct redis_spec *spec, const struct endpoint *master, struct errmsg *err)
{
	char *path = xasprintf("%s/redis.conf", spec->dir);
	struct buf old, new;
	int rc;

	buf_init(&old, 0);
	buf_init(&new, CONF_FILE_BYTES_MAX);
	if (mkdir(spec->dir, 0700) == -1 && errno != EEXIST) {
		rc = -errno;
		errmsg_set(err, "cannot make %s: %s", spec->dir, strerror(-rc));
		goto out;
	}
	rc = conf_file_read(path, &old, err);
	if (rc < 0 && rc != -ENOENT) {
		goto out;
	}
	rc = redis_conf_edit(buf_slice(&old), spec, master, &new, err);
	if (rc == 0) {
		rc = conf_file_replace(path, buf_slice(&new), err);
	}
out:
	buf_fini(&old);
	buf_fini(&new);
	free(path);
	return rc;
}

/* The first line of the file in `dir` that begins with one of two names and has `count` words. 0, -ENOENT, or an error. */
static int
find_line(const char *dir, const char *name, const char *other, size_t count,
    struct conf_line *ret_line, struct buf *text, struct errmsg *err)
{
	char *path = xasprintf("%s/redis.conf", dir);
	int rc = conf_file_read(path, text, err);
	struct slice rest = buf_slice(text);

	if (rc == 0) {
		rc = -ENOENT;
	}
	while (rc == -ENOENT && conf_file_next(&rest, ret_line)) {
		if (ret_line->count == count && (slice_caseeq(ret_line->words[0], name) ||
						    slice_caseeq(ret_line->words[0], other))) {
			rc = 0;
		}
	}
	free(path);
	return rc;
}

static bool
to_port(struct slice word, uint16_t *ret_port)
{
	uint64_t port;

	if (!slice_to_u64(word, &port) || port == 0 || port > UINT16_MAX) {
		return false;
	}
	*ret_port = (uint16_t)port;
	return true;
}

int
redis_conf_read_port(const char *dir, uint16_t *ret_port, struct errmsg *err)
{
	struct conf_line line;
	struct buf text;
	int rc;

	buf_init(&text, 0);
	rc = find_line(dir, "tls-port", "tls-port", 2, &line, &text, err);
	if (rc == -ENOENT) {
		buf_clear(&text);
		rc = find_line(dir, "port", "port", 2, &line, &text, err);
	}
	if (rc == 0 && !to_port(line.words[1], ret_port)) {
		rc = -ENOENT;
	}
	buf_fini(&text);
	return rc;
}

/* ---- from the configuration ---- */

struct owned {
	struct redis_directive *list;
	struct tls_files tls;
	char *dir;
	char maxmemory[24], databases[16], fence[24];
};

static void
add_directive(struct redis_spec *spec, struct owned *o, const char *name, const char *value)
{
	o->list = xreallocarray(o->list, spec->directive_count + 1, sizeof(*o->list));
	o->list[spec->directive_count++] = (struct redis_directive){name, value};
	spec->directives = o->list;
}

/* Several hosts. What the configuration says itself goes before. */
static void
add_for_hosts(struct redis_spec *spec, struct owned *o, const struct conf_redis *r,
    const char *name, const char *value)
{
	for (size_t k = 0; k < r->config.count; k++) {
		if (strcasecmp(r->config.items[k].name, name) == 0) {
			return;
		}
	}
	add_directive(spec, o, name, value);
}

struct redis_spec *
redis_spec_new(const struct conf *conf, size_t i, const char *address, const char *secret)
{
	struct redis_spec *spec = xcalloc(1, sizeof(*spec));
	struct owned *o = xcalloc(1, sizeof(*o));
	const struct conf_redis *r = &conf->redis[i];

	o->dir = xasprintf("%s/%s", conf->data_dir, r->name);
	(void)snprintf(
	    o->maxmemory, sizeof(o->maxmemory), "%llu", (unsigned long long)r->maxmemory);
	(void)snprintf(o->databases, sizeof(o->databases), "%u", conf->redis_databases);
	*spec = (struct redis_spec){
	    .name = r->name,
	    .dir = o->dir,
	    .bind = (const char *const *)r->bind.items,
	    .bind_count = r->bind.count,
	    .address = address,
	    .port = r->port,
	    .secret = secret,
	    .password = conf->redis_password != NULL && conf->redis_password[0] != '\0'
			    ? conf->redis_password
			    : NULL,
	    .appendonly = r->appendonly,
	    .owned = o,
	};
	if (conf_hosts_use_tls(conf)) {
		o->tls = conf_hosts_tls(conf);
		spec->tls = &o->tls;
	}
	add_directive(spec, o, "maxmemory", o->maxmemory);
	add_directive(spec, o, "maxmemory-policy", r->maxmemory_policy);
	add_directive(spec, o, "appendonly", r->appendonly ? "yes" : "no");
	add_directive(spec, o, "appendfsync", r->appendfsync);
	add_directive(spec, o, "databases", o->databases);
	if (conf_host_count(conf) > 1) {
		/* With a majority of the hosts it takes writes, with fewer it does not: whatever our own supervisor does. */
		(void)snprintf(o->fence, sizeof(o->fence), "%zu", conf_host_count(conf) / 2);
		add_for_hosts(spec, o, r, "min-replicas-to-write", o->fence);
		add_for_hosts(spec, o, r, "min-replicas-max-lag", REDIS_CONF_FENCE_LAG_S);
		/* What a cut-off master has taken is read out of it (diverged.h), and a host that was away for a while need not copy everything. */
		add_for_hosts(spec, o, r, "repl-backlog-size", "16mb");
	}
	for (size_t k = 0; k < r->config.count; k++) {
		add_directive(spec, o, r->config.items[k].name, r->config.items[k].value);
	}
	return spec;
}

void
redis_spec_without_aof(struct redis_spec *spec)
{
	struct owned *o = spec->owned;

	for (size_t i = 0; i < spec->directive_count; i++) {
		if (strcmp(o->list[i].name, "appendonly") == 0) {
			o->list[i].value = "no";
		}
	}
}

void
redis_spec_demote(struct redis_spec *spec)
{
	struct owned *o = spec->owned;

	spec->forgets_priority = true;
	for (size_t i = 0; i < spec->directive_count; i++) {
		if (strcasecmp(o->list[i].name, "replica-priority") == 0) {
			o->list[i].value = "0";
			return;
		}
	}
	add_directive(spec, o, "replica-priority", "0");
}

void
redis_spec_free(struct redis_spec **spec)
{
	struct owned *o;

	if (*spec == NULL) {
		return;
	}
	o = (*spec)->owned;
	free(o->list);
	free(o->dir);
	free(o);
	free(*spec);
	*spec = NULL;
}
