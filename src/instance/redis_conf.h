/*
 * The redis.conf of an instance: written by us, kept by Redis.
 *
 * Redis rewrites its file (CONFIG REWRITE), so it is edited and never made anew from a template:
 * the lines of directives that belong to us are replaced, the rest stays as it is, comments, ACL
 * users and what an operator has set by hand included. Directives that come from the configuration
 * (redis.config.*, maxmemory, …) are remembered in a comment of the file, so that one that has
 * left the configuration leaves the file too. The same with modules: one loadmodule line each, whatever a rewrite made of them, and no
 * directive of a module that is not loaded. The user `default` keeps what an operator gave it; its
 * password is the configuration's, if that names one. The new file replaces the old one in one step, mode
 * 0600; an unchanged file is not touched. Our secret stands in it, as masterauth has to anyway.
 *
 * Nothing here starts or asks a server.
 */
#ifndef INSTANCE_REDIS_CONF_H
#define INSTANCE_REDIS_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/defs.h"
#include "base/errmsg.h"
#include "net/endpoint.h"

/* The supervisor's own user on every redis instance. */
#define INSTANCE_USER "holdfast"

/* A replica acknowledges once a second; one that is late by so many is not there (redis.conf, min-replicas-max-lag). */
#define REDIS_CONF_FENCE_LAG_S "3"

struct conf;
struct module_set;
struct tls_files;

struct redis_directive {
	const char *name;  /* lower case */
	const char *value; /* what follows the name, in redis.conf's own quoting; "" means "" */
};

/* What the file has to say, role apart. All pointers are borrowed. */
struct redis_spec {
	const char *name;        /* redis-1: for messages */
	const char *dir;         /* absolute; holds redis.conf and the data */
	const char *const *bind; /* addresses */
	size_t bind_count;
	const char *address; /* numeric: where the supervisor, Sentinel and replicas reach it */
	uint16_t port;
	uint16_t announced_port;                  /* with the address; 0: port */
	const char *secret;                       /* of INSTANCE_USER */
	const char *password;                     /* of the user default; NULL: none needed */
	const struct redis_directive *directives; /* from the configuration; a name may repeat */
	size_t directive_count;
	bool appendonly; /* it writes an append-only file, if not from its start */
	const struct tls_files *
	    tls; /* listens for TLS only, and so reaches its master; NULL: none; owned by redis_spec_new */
	const struct module_set
	    *modules; /* what it loads; NULL: not known, then what the file says stays */
	bool
	    forgets_priority; /* the replica-priority in the file was set by us for a time: it goes */
	void *owned;          /* by redis_spec_new; not for others */
};

/*
 * The spec of instance `i` (from 0) of a configuration: DIR/redis-N, its overrides and directives.
 * The conf and the two strings must outlive it.
 */
struct redis_spec *redis_spec_new(
    const struct conf *conf, size_t i, const char *address, const char *secret);
void redis_spec_free(struct redis_spec **spec);
/* Without the append-only file this time, whatever the configuration says. */
void redis_spec_without_aof(struct redis_spec *spec);
/* With priority 0, so that nobody promotes it until that is changed. */
void redis_spec_demote(struct redis_spec *spec);

/*
 * Makes spec->dir/redis.conf say what the instance has to be at its next start: a replica of
 * `master`, or a master (NULL). Makes the folder if it is missing. 0 or a negative errno with the
 * reason; then the old file is as it was.
 */
int redis_conf_write(const struct redis_spec *spec, const struct endpoint *master,
    struct errmsg *err) ATTR_WARN_UNUSED;
/* Where the instance with that folder also listens, for workers of this host; NULL: the path is too long for that. Owned by the caller. */
char *redis_conf_socket(const char *dir);
/* The pure part: `text` (may be empty) with these changes. 0, -EINVAL, -ENOBUFS. */
int redis_conf_edit(struct slice text, const struct redis_spec *spec, const struct endpoint *master,
    struct buf *out, struct errmsg *err) ATTR_WARN_UNUSED;
/* The port that the file gives the instance. 0, -ENOENT (no file, or it says none), or an error. */
int redis_conf_read_port(const char *dir, uint16_t *ret_port, struct errmsg *err) ATTR_WARN_UNUSED;
/*
 * The lines by which a redis or a sentinel listens for TLS only at `port`, takes those only who have a certificate, and so reaches others; its
 * `port` must be 0 besides. 0 or -ENOBUFS.
 */
int redis_conf_add_tls(
    const struct tls_files *tls, uint16_t port, struct buf *out) ATTR_WARN_UNUSED;

#endif
