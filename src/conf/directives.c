/* Which directives of redis.conf pass through, and which ones are Holdfast's own business. */
#include "conf/conf_priv.h"

#include <ctype.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"

static const struct {
	const char *name, *instead;
} owned[] = {
    {"aclfile", "users are kept by the supervisor; set redis.password for the user default"},
    {"appenddirname", "the layout of the data folder is fixed"},
    {"appendfilename", "the layout of the data folder is fixed"},
    {"appendfsync", "set redis.appendfsync"},
    {"appendonly", "set redis.appendonly"},
    {"bind", "set redis.bind"},
    {"cluster-enabled", "Sentinel and Redis Cluster exclude each other"},
    {"daemonize", "the supervisor runs the server in the foreground"},
    {"databases", "set redis.databases"},
    {"dbfilename", "the layout of the data folder is fixed"},
    {"dir", "choose the data folder with -d or HOLDFAST_DIR"},
    {"include", "write each of its directives as config.DIRECTIVE"},
    {"loadmodule", "set redis.modules"},
    {"logfile", "the supervisor keeps the output in DIR/log"},
    {"masterauth", "the supervisor's own user connects the replicas"},
    {"masteruser", "the supervisor's own user connects the replicas"},
    {"maxmemory", "set redis.maxmemory"},
    {"maxmemory-policy", "set redis.maxmemory_policy"},
    {"pidfile", "the supervisor knows its children"},
    {"port", "set redis.port, or port in [redis-N]"},
    {"protected-mode", "set redis.password, or redis.allow_open"},
    {"replica-announce-ip", "set holdfast.address"},
    {"replica-announce-port", "set redis.port"},
    {"replica-read-only", "a replica must never take a write"},
    {"replicaof", "Sentinel decides who is master; see `holdfast failover`"},
    {"requirepass", "set redis.password"},
    {"sentinel", "set the options of [sentinel]"},
    {"slave-announce-ip", "set holdfast.address"},
    {"slave-announce-port", "set redis.port"},
    {"slave-read-only", "a replica must never take a write"},
    {"slaveof", "Sentinel decides who is master; see `holdfast failover`"},
    {"supervised", "the supervisor knows its children"},
    {"unixsocket", "clients reach the master through proxy.listen, which takes unix:PATH"},
    {"unixsocketperm", "set proxy.unix_mode"},
    {"user", "users are kept by the supervisor; set redis.password for the user default"},
};

/* Without these the supervisor, Sentinel, the proxy or replication no longer work. */
static const char *const needed[] = {"ACL", "AUTH", "CLIENT", "COMMAND", "CONFIG", "EXEC",
    "FAILOVER", "HELLO", "INFO", "MODULE", "MULTI", "PING", "PSYNC", "PUBLISH", "REPLCONF",
    "REPLICAOF", "ROLE", "SCRIPT", "SHUTDOWN", "SLAVEOF", "SUBSCRIBE", "SYNC", "WAIT"};

bool
conf_directive_repeats(const char *name)
{
	return strcmp(name, "save") == 0 || strcmp(name, "client-output-buffer-limit") == 0 ||
	       strcmp(name, "rename-command") == 0;
}

int
conf_directive_check(const char *name, const char *value, struct errmsg *err)
{
	size_t len = strlen(name);

	if (len == 0 || len > 64 ||
	    strspn(name, "abcdefghijklmnopqrstuvwxyz0123456789-._") != len) {
		errmsg_set(err, "is no directive of redis.conf: write config.DIRECTIVE, as in "
				"config.maxclients");
		return -EINVAL;
	}
	for (size_t i = 0; i < ARRAY_LEN(owned); i++) {
		if (strcmp(owned[i].name, name) == 0) {
			errmsg_set(err, "cannot be passed through: %s", owned[i].instead);
			return -EINVAL;
		}
	}
	if (strcmp(name, "rename-command") == 0) {
		for (size_t i = 0; i < ARRAY_LEN(needed); i++) {
			size_t n = strlen(needed[i]);

			if (strncasecmp(value, needed[i], n) == 0 &&
			    !isalnum((unsigned char)value[n])) {
				errmsg_set(err,
				    "would take %s away, which Holdfast itself needs: leave it out",
				    needed[i]);
				return -EINVAL;
			}
		}
	}
	return 0;
}

void
conf_directives_add(struct conf_directives *d, const char *name, const char *value)
{
	d->items = xreallocarray(d->items, d->count + 1, sizeof(*d->items));
	d->items[d->count++] = (struct conf_directive){xstrdup(name), xstrdup(value)};
}

bool
conf_directives_has(const struct conf_directives *d, const char *name)
{
	for (size_t i = 0; i < d->count; i++) {
		if (strcmp(d->items[i].name, name) == 0) {
			return true;
		}
	}
	return false;
}

/* Insertion sort: lists are short, and equal names have to keep their order. */
void
conf_directives_sort(struct conf_directives *d)
{
	for (size_t i = 1; i < d->count; i++) {
		struct conf_directive item = d->items[i];
		size_t at = i;

		for (; at > 0 && strcmp(d->items[at - 1].name, item.name) > 0; at--) {
			d->items[at] = d->items[at - 1];
		}
		d->items[at] = item;
	}
}

void
conf_directives_fini(struct conf_directives *d)
{
	for (size_t i = 0; i < d->count; i++) {
		free(d->items[i].name);
		free(d->items[i].value);
	}
	free(d->items);
	*d = (struct conf_directives){0};
}
