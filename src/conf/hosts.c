/* Several hosts: which of the peers this one is, and what their sections must not contradict. */
#include <arpa/inet.h>
#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/conf_priv.h"

#define HOSTS_MAX  31
#define SECRET_MIN 32

bool
conf_peer_is_self(const struct conf *conf, size_t i)
{
	return conf->holdfast_node != NULL && strcmp(conf->peers[i].name, conf->holdfast_node) == 0;
}

static const struct conf_peer *
find_self(const struct conf *conf)
{
	for (size_t i = 0; i < conf->peer_count; i++) {
		if (conf_peer_is_self(conf, i)) {
			return &conf->peers[i];
		}
	}
	return NULL;
}

size_t
conf_host_count(const struct conf *conf)
{
	return conf->peer_count + (find_self(conf) == NULL ? 1 : 0);
}

const struct conf_peer *
conf_peer_find(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->peer_count && name != NULL; i++) {
		if (strcmp(conf->peers[i].name, name) == 0) {
			return &conf->peers[i];
		}
	}
	return NULL;
}

uint16_t
conf_redis_port_of(const struct conf *conf, const char *host, size_t i)
{
	const struct conf_peer *p = conf_peer_find(conf, host);

	return p != NULL && p->redis_port != 0 ? p->redis_port : conf->redis[i].port;
}

uint16_t
conf_sentinel_port_of(const struct conf *conf, const char *host)
{
	const struct conf_peer *p = conf_peer_find(conf, host);

	return p != NULL && p->sentinel_port != 0 ? p->sentinel_port : conf->sentinel_port;
}

bool
conf_is_durable(const struct conf *conf)
{
	return conf->proxy_durability > 0 ||
	       (conf->proxy_durable_listen.count > 0 && conf->proxy_durable_replicas > 0);
}

bool
conf_hosts_use_tls(const struct conf *conf)
{
	return conf->peer_count > 0 && conf->redis_tls_ca != NULL;
}

struct tls_files
conf_hosts_tls(const struct conf *conf)
{
	return (struct tls_files){
	    .cert = conf->redis_tls_cert, .key = conf->redis_tls_key, .ca = conf->redis_tls_ca};
}

bool
conf_is_numeric(const char *address)
{
	uint8_t bytes[16];

	return address != NULL && (inet_pton(AF_INET, address, bytes) == 1 ||
				      inet_pton(AF_INET6, address, bytes) == 1);
}

void
conf_decide_address(struct conf *conf, const struct conf_settings *s)
{
	const struct conf_peer *self = find_self(conf);

	if (self != NULL && self->address != NULL &&
	    strcmp(conf_where(s, "holdfast", "address", 0), "default") == 0) {
		free(conf->holdfast_address);
		conf->holdfast_address = xstrdup(self->address);
	}
}

static void
verify_secret(const struct conf *conf, const struct conf_settings *s)
{
	const char *secret = conf->holdfast_secret;
	bool good = secret != NULL && strlen(secret) >= SECRET_MIN;

	for (const char *c = secret; good && *c != '\0'; c++) {
		good = isalnum((unsigned char)*c) != 0;
	}
	if (secret == NULL && conf->peer_count > 0) {
		conf_faults_add(s->faults,
		    "holdfast.secret is missing: hosts that are one cluster need a secret that all "
		    "of them know; make one with `openssl rand -hex 32 >FILE`, copy that file to "
		    "each host and set holdfast.secret = @FILE");
	} else if (secret != NULL && !good) {
		conf_faults_add(s->faults,
		    "%s: holdfast.secret takes 32 to 128 letters and digits: `openssl rand -hex "
		    "32` "
		    "makes one",
		    conf_where(s, "holdfast", "secret", 0));
	}
}

static void
verify_addresses(const struct conf *conf, const struct conf_settings *s)
{
	const struct conf_peer *self = find_self(conf);

	for (size_t i = 0; i < conf->peer_count; i++) {
		const struct conf_peer *p = &conf->peers[i];

		if (p->address == NULL) {
			conf_faults_add(s->faults,
			    "peer-%s.address is missing: the address or name of that host",
			    p->name);
			continue;
		}
		if (!conf_is_host_address(p->address)) {
			conf_faults_add(s->faults,
			    "peer-%s.address %s is no address of a host: write where the others "
			    "reach it; "
			    "redis.bind and sentinel.bind say where it listens",
			    p->name, p->address);
		}
		for (size_t k = 0; k < i; k++) {
			if (conf->peers[k].address != NULL &&
			    strcmp(conf->peers[k].address, p->address) == 0) {
				conf_faults_add(s->faults,
				    "peer-%s and peer-%s have the same address %s: each host needs "
				    "its own",
				    conf->peers[k].name, p->name, p->address);
			}
		}
		if (p != self && conf->holdfast_address != NULL &&
		    strcmp(conf->holdfast_address, p->address) == 0) {
			conf_faults_add(s->faults,
			    "peer-%s.address %s is this host's own: set holdfast.node = %s here, "
			    "or "
			    "change one of the two",
			    p->name, p->address, p->name);
		}
	}
	if (self != NULL && self->address != NULL && conf->holdfast_address != NULL &&
	    strcmp(self->address, conf->holdfast_address) != 0) {
		conf_faults_add(s->faults,
		    "%s: holdfast.address %s is not what peer-%s.address says, %s: take it out",
		    conf_where(s, "holdfast", "address", 0), conf->holdfast_address, self->name,
		    self->address);
	}
	if (self == NULL && strcmp(conf_where(s, "holdfast", "address", 0), "default") == 0) {
		conf_faults_add(s->faults,
		    "none of the peers is this host, '%s': name it with holdfast.node, or set "
		    "holdfast.address to where the others reach it",
		    conf->holdfast_node);
	}
}

void
conf_verify_hosts(const struct conf *conf, const struct conf_settings *s)
{
	verify_secret(conf, s);
	if (conf->peer_count == 0) {
		return;
	}
	verify_addresses(conf, s);
	if (conf_host_count(conf) > HOSTS_MAX) {
		conf_faults_add(s->faults, "too many hosts: at most %d", HOSTS_MAX);
	}
	if (!conf_is_numeric(conf->holdfast_address) &&
	    (strcmp(conf_where(s, "redis", "bind", 0), "default") == 0 ||
		strcmp(conf_where(s, "sentinel", "bind", 0), "default") == 0)) {
		conf_faults_add(s->faults,
		    "this host's address is a name, %s: say in redis.bind and sentinel.bind which "
		    "addresses are listened on, or * for all",
		    conf->holdfast_address != NULL ? conf->holdfast_address : "");
	}
	if (conf->redis_instances != 1) {
		conf_faults_add(s->faults,
		    "%s: redis.instances must be 1 when peers are named: each host has one",
		    conf_where(s, "redis", "instances", 0));
	}
	if (conf->sentinel_instances != 1) {
		conf_faults_add(s->faults,
		    "%s: sentinel.instances must be 1 when peers are named: each host has one "
		    "vote",
		    conf_where(s, "sentinel", "instances", 0));
	}
}
