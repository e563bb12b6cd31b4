/* What no single value shows: options that contradict each other. Every fault names the place of
 * one that was set. */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/conf_priv.h"
#include "net/endpoint.h"

/* Somewhere that something would listen. */
struct place {
	char what[64];     /* "redis-2", "proxy.listen" */
	const char *where; /* borrowed */
	struct endpoint ep;
};

struct places {
	struct place *items;
	size_t count;
};

static bool
is_default(const char *where)
{
	return strcmp(where, "default") == 0;
}

/* "-::1" of redis.conf is the address ::1. */
static const char *
bare(const char *host)
{
	return host[0] == '-' ? host + 1 : host;
}

static bool
is_any(const char *host)
{
	return strcmp(host, "*") == 0 || strcmp(host, "0.0.0.0") == 0 || strcmp(host, "::") == 0;
}

static bool
hosts_overlap(const char *a, const char *b)
{
	bool a6 = strchr(a, ':') != NULL, b6 = strchr(b, ':') != NULL;

	if (strcmp(a, b) == 0 || strcmp(a, "*") == 0 || strcmp(b, "*") == 0) {
		return true;
	}
	if (a6 == b6 && (is_any(a) || is_any(b))) {
		return true;
	}
	return (strcmp(a, "localhost") == 0 && strcmp(b, "127.0.0.1") == 0) ||
	       (strcmp(b, "localhost") == 0 && strcmp(a, "127.0.0.1") == 0);
}

static bool
places_overlap(const struct place *a, const struct place *b)
{
	if (a->ep.kind != b->ep.kind) {
		return false;
	}
	if (a->ep.kind == ENDPOINT_UNIX) {
		return strcmp(a->ep.host, b->ep.host) == 0;
	}
	return a->ep.port == b->ep.port && hosts_overlap(a->ep.host, b->ep.host);
}

static struct place *
places_new(struct places *p)
{
	p->items = xreallocarray(p->items, p->count + 1, sizeof(*p->items));
	p->items[p->count] = (struct place){0};
	return &p->items[p->count++];
}

static void
add_hosts(struct places *p, const char *what, const char *where, const struct conf_list *hosts,
    uint16_t port)
{
	for (size_t i = 0; i < hosts->count && port != 0; i++) {
		struct place *place = places_new(p);

		(void)snprintf(place->what, sizeof(place->what), "%s", what);
		place->where = where;
		place->ep = endpoint_tcp(bare(hosts->items[i]), port);
	}
}

static void
add_endpoints(struct places *p, const char *what, const char *where, const struct conf_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		struct place *place = places_new(p);
		struct errmsg err = ERRMSG_NONE;

		(void)snprintf(place->what, sizeof(place->what), "%s", what);
		place->where = where;
		if (endpoint_parse(list->items[i], 0, &place->ep, &err) < 0) {
			p->count--;
		}
	}
}

static void
verify_overlaps(const struct conf *conf, const struct conf_settings *s)
{
	const char *sentinel_where = conf_where(s, "sentinel", "port", 0);
	struct places p = {0};

	for (unsigned n = 0; n < conf->redis_instances; n++) {
		add_hosts(&p, conf->redis[n].name, conf_where(s, "redis", "port", n + 1),
		    &conf->redis[n].bind, conf->redis[n].port);
	}
	for (unsigned n = 0; n < conf->sentinel_instances; n++) {
		unsigned port = conf->sentinel_port + n;
		char what[32];

		(void)snprintf(what, sizeof(what), "sentinel-%u", n + 1);
		if (port > 65535) {
			conf_faults_add(s->faults,
			    "%s: sentinel.port %u leaves no port for %s: choose a lower one",
			    sentinel_where, conf->sentinel_port, what);
			break;
		}
		add_hosts(&p, what, sentinel_where, &conf->sentinel_bind, (uint16_t)port);
	}
	add_endpoints(&p, "proxy.listen", conf_where(s, "proxy", "listen", 0), &conf->proxy_listen);
	add_endpoints(&p, "proxy.read_listen", conf_where(s, "proxy", "read_listen", 0),
	    &conf->proxy_read_listen);
	add_endpoints(&p, "proxy.durable_listen", conf_where(s, "proxy", "durable_listen", 0),
	    &conf->proxy_durable_listen);
	add_endpoints(&p, "http.listen", conf_where(s, "http", "listen", 0), &conf->http_listen);
	for (size_t i = 0; i < p.count; i++) {
		for (size_t j = i + 1; j < p.count; j++) {
			const struct place *a = &p.items[i], *b = &p.items[j];

			if (places_overlap(a, b)) {
				conf_faults_add(s->faults,
				    "%s: %s and %s would both listen on %s: move one of the two",
				    is_default(b->where) ? a->where : b->where, a->what, b->what,
				    ENDPOINT_TEXT(&b->ep));
			}
		}
	}
	free(p.items);
}

/* The first of the addresses that others than this host reach; NULL when all are loopback. */
static const char *
open_host(const struct conf_list *hosts)
{
	for (size_t i = 0; i < hosts->count; i++) {
		struct endpoint ep = endpoint_tcp(bare(hosts->items[i]), 1);

		if (!endpoint_is_loopback(&ep)) {
			return hosts->items[i];
		}
	}
	return NULL;
}

/* The same; `certified`: over TLS only those come who have a certificate. */
static const char *
open_endpoint(const struct conf_list *list, bool certified)
{
	for (size_t i = 0; i < list->count; i++) {
		struct endpoint ep;
		struct errmsg err = ERRMSG_NONE;

		if (endpoint_parse(list->items[i], 0, &ep, &err) == 0 &&
		    !endpoint_is_loopback(&ep) && !(ep.tls && certified)) {
			return list->items[i];
		}
	}
	return NULL;
}

static void
verify_proxy_open(const struct conf *conf, const struct conf_settings *s, const char *key,
    const struct conf_list *addresses)
{
	const char *open = open_endpoint(addresses, conf->proxy_tls_ca != NULL);

	if (open != NULL && conf->redis_password == NULL && !conf->proxy_allow_open) {
		conf_faults_add(s->faults,
		    "%s: proxy.%s %s lets other hosts in without a password: set "
		    "redis.password, or "
		    "proxy.allow_open = yes if that is meant",
		    conf_where(s, "proxy", key, 0), key, open);
	}
}

/* Nothing that leaves loopback goes without authentication unless that was said in so many words.
 */
static void
verify_open(const struct conf *conf, const struct conf_settings *s)
{
	const char *open;

	for (unsigned n = 0;
	     n < conf->redis_instances && conf->redis_password == NULL && !conf->redis_allow_open &&
	     !conf_hosts_use_tls(conf); /* nobody comes in without a certificate */
	     n++) {
		open = open_host(&conf->redis[n].bind);
		if (open != NULL) {
			conf_faults_add(s->faults,
			    "%s: redis.bind %s lets other hosts in without a password: set "
			    "redis.password, or "
			    "redis.allow_open = yes if that is meant",
			    conf_where(s, "redis", "bind", n + 1), open);
		}
	}
	open = open_host(&conf->sentinel_bind);
	if (open != NULL && !conf->sentinel_allow_open && conf->peer_count == 0) {
		conf_faults_add(s->faults,
		    "%s: sentinel.bind %s lets other hosts reconfigure the sentinels without a "
		    "password: set "
		    "sentinel.allow_open = yes if the network is closed to strangers",
		    conf_where(s, "sentinel", "bind", 0), open);
	}
	verify_proxy_open(conf, s, "listen", &conf->proxy_listen);
	verify_proxy_open(conf, s, "durable_listen", &conf->proxy_durable_listen);
	verify_proxy_open(conf, s, "read_listen", &conf->proxy_read_listen);
	open = open_endpoint(&conf->http_listen, conf->http_tls_ca != NULL);
	if (open != NULL && conf_acls_let_strangers(conf) && !conf->http_allow_open) {
		conf_faults_add(s->faults,
		    "%s: http.listen %s lets other hosts in, and the access rules keep nobody out "
		    "who has no password: begin them with a rule for everyone, [acl-all] with "
		    "disabled = *, and enable what a user with a password may, or set "
		    "http.allow_open = yes if that is meant",
		    conf_where(s, "http", "listen", 0), open);
	}
}

static void
verify_users(const struct conf *conf, const struct conf_settings *s)
{
	for (size_t i = 0; i < conf->user_count; i++) {
		if (conf->users[i].password == NULL) {
			conf_faults_add(s->faults,
			    "user-%s: has no password: set one, such as password = @FILE with a "
			    "file of "
			    "mode 0600 that holds it",
			    conf->users[i].name);
		}
	}
}

static bool
hosts_include(const struct conf_list *hosts, const char *address)
{
	for (size_t i = 0; i < hosts->count; i++) {
		if (hosts_overlap(bare(hosts->items[i]), address)) {
			return true;
		}
	}
	return false;
}

/* Sentinel hands out holdfast.address: a server that does not listen there is down for everyone, unless somebody in between leads on from another port. */
static void
verify_address(const struct conf *conf, const struct conf_settings *s)
{
	const char *address = conf->holdfast_address, *where;

	if (!conf_is_numeric(address)) {
		return;
	}
	for (unsigned n = 0; n < conf->redis_instances; n++) {
		where = conf_where(s, "redis", "bind", n + 1);
		if (conf_redis_port_of(conf, conf->holdfast_node, n) == conf->redis[n].port &&
		    !hosts_include(&conf->redis[n].bind, address)) {
			conf_faults_add(s->faults,
			    "%s: %s does not listen on holdfast.address %s, where all others look "
			    "for it: add that to "
			    "redis.bind, or change holdfast.address",
			    is_default(where) ? conf_where(s, "holdfast", "address", 0) : where,
			    conf->redis[n].name, address);
		}
	}
	where = conf_where(s, "sentinel", "bind", 0);
	if (conf_sentinel_port_of(conf, conf->holdfast_node) == conf->sentinel_port &&
	    !hosts_include(&conf->sentinel_bind, address)) {
		conf_faults_add(s->faults,
		    "%s: sentinel.bind does not include holdfast.address %s, where all others look "
		    "for the sentinels: add "
		    "that, or change holdfast.address",
		    is_default(where) ? conf_where(s, "holdfast", "address", 0) : where, address);
	}
}

static void
verify_numbers(const struct conf *conf, const struct conf_settings *s)
{
	unsigned sentinels = conf->sentinel_instances * (unsigned)conf_host_count(conf);
	const char *where;

	if (conf->sentinel_quorum > sentinels) {
		where = conf_where(s, "sentinel", "quorum", 0);
		conf_faults_add(s->faults,
		    "%s: sentinel.quorum %u can never be reached by %u sentinels: at most %u, or "
		    "majority",
		    is_default(where) ? conf_where(s, "sentinel", "instances", 0) : where,
		    conf->sentinel_quorum, sentinels, sentinels);
	}
	/* With peers the number of hosts decides, which may be even while a cluster grows. */
	if (conf->peer_count == 0 && sentinels % 2 == 0) {
		conf_faults_add(s->faults,
		    "%s: sentinel.instances %u survives no more deaths than %u would: choose an "
		    "odd number",
		    conf_where(s, "sentinel", "instances", 0), sentinels, sentinels - 1);
	}
	if (conf->http_database >= conf->redis_databases) {
		where = conf_where(s, "http", "database", 0);
		conf_faults_add(s->faults,
		    "%s: http.database %u does not exist: redis.databases is %u, counted from 0",
		    is_default(where) ? conf_where(s, "redis", "databases", 0) : where,
		    conf->http_database, conf->redis_databases);
	}
}

static void
verify_modules(const struct conf *conf, const struct conf_settings *s)
{
	const char *where = conf_where(s, "redis", "modules", 0);

	for (size_t i = 0; i < conf->redis_modules.count; i++) {
		struct conf_module_item item, other;
		struct errmsg err = ERRMSG_NONE;

		if (conf_module_get(conf, i, &item, &err) < 0) {
			conf_faults_add(s->faults, "%s: redis.modules: %s", where, err.text);
			continue;
		}
		for (size_t k = 0; k < i; k++) {
			if (conf_module_get(conf, k, &other, NULL) == 0 &&
			    strcmp(item.name, other.name) == 0) {
				conf_faults_add(s->faults,
				    "%s: redis.modules names %s twice: take one out", where,
				    item.name);
			}
		}
	}
}

/* A worker gets all of it in one message. */
static void
verify_size(const struct conf *conf, const struct conf_settings *s)
{
	struct buf text;

	buf_init(&text, CONF_TEXT_MAX);
	if (conf_to_ini(conf, &text) < 0) {
		conf_faults_add(s->faults,
		    "the configuration as a whole is too large: at most %zu KiB, values from files "
		    "and the "
		    "environment included",
		    CONF_TEXT_MAX / 1024);
	}
	buf_fini(&text);
}

void
conf_verify(const struct conf *conf, const struct conf_settings *s)
{
	verify_overlaps(conf, s);
	verify_open(conf, s);
	conf_verify_acls(conf, s);
	conf_verify_sites(conf, s);
	conf_verify_announced(conf, s);
	verify_users(conf, s);
	verify_address(conf, s);
	verify_numbers(conf, s);
	verify_modules(conf, s);
	conf_verify_hosts(conf, s);
	verify_size(conf, s);
}
