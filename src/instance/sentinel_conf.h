/*
 * The sentinel.conf of an instance: written once by us, Sentinel's own from then on.
 *
 * It holds what Sentinel must not forget: its id, the master with its epoch, its votes, the
 * replicas and the other sentinels. So it is never built again. While the sentinel is down single
 * lines are edited for changed settings; while it runs the same settings go through SENTINEL SET.
 * A file that was lost is written anew with the master of the day, never with a default one.
 */
#ifndef INSTANCE_SENTINEL_CONF_H
#define INSTANCE_SENTINEL_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/defs.h"
#include "base/errmsg.h"
#include "base/slice.h"
#include "net/endpoint.h"
#include "topo/topo.h"

#define SENTINEL_ID_SIZE   41 /* 40 hexadecimal digits */
#define SENTINEL_MAX_KNOWN 64

struct conf;
struct tls_files;

/* Settings. All pointers are borrowed. */
struct sentinel_spec {
	const char *name;        /* sentinel-1: for messages; owned by sentinel_spec_new, as dir */
	const char *dir;         /* absolute; holds sentinel.conf */
	const char *const *bind; /* addresses */
	size_t bind_count;
	const char *address; /* numeric: where clients and other sentinels reach it */
	uint16_t port;
	uint16_t announced_port; /* with the address; 0: port */
	const char *master_name;
	unsigned quorum;
	uint64_t down_after_ms, failover_timeout_ms;
	unsigned parallel_syncs;
	const char *user, *secret; /* with which it enters the redis instances */
	/*
	 * Several hosts: it takes orders only from that user with that secret, and enters the other sentinels so; everybody else may ask who
	 * is master.
	 */
	bool guarded;
	/* Several hosts: who there is; lines about others are not kept. NULL: all are. `known` redis and sentinels alike. */
	const struct endpoint *known;
	size_t known_count;
	const struct tls_files *
	    tls; /* listens for TLS only, and so reaches all others; NULL: none; owned by sentinel_spec_new */
};

/* The spec of sentinel `i` (from 0). The conf and the two strings must outlive it. */
struct sentinel_spec *sentinel_spec_new(
    const struct conf *conf, size_t i, const char *address, const char *secret);
void sentinel_spec_free(struct sentinel_spec **spec);

/* What a file remembers. Plain data. */
struct sentinel_memory {
	char master_name[256];
	struct topo_master master; /* epoch: config-epoch */
	unsigned quorum;
	uint64_t current_epoch, leader_epoch;
	char id[SENTINEL_ID_SIZE]; /* "" when it has none */
	struct endpoint replicas[SENTINEL_MAX_KNOWN];
	size_t replica_count;
	struct {
		struct endpoint at;
		char id[SENTINEL_ID_SIZE];
	} sentinels[SENTINEL_MAX_KNOWN];
	size_t sentinel_count;
};

/*
 * Reads DIR/sentinel.conf. Lines it does not know are skipped, lists longer than SENTINEL_MAX_KNOWN
 * cut. 0, -ENOENT (no file), -EINVAL (monitors no master, or no numeric address: damaged), or what
 * reading said.
 */
int sentinel_conf_read(const char *dir, const char *master_name, struct sentinel_memory *ret_memory,
    struct errmsg *err) ATTR_WARN_UNUSED;
/* The pure part. */
int sentinel_conf_parse(struct slice text, const char *master_name,
    struct sentinel_memory *ret_memory, struct errmsg *err) ATTR_WARN_UNUSED;

/*
 * Writes a file where there is none (-EEXIST: there is one) that remembers all of `memory`: the present master and
 * epoch, its own id (must be set: sentinel_conf_new_id), and the replicas and other sentinels if they are known, so that it need
 * not wait to hear of them. The id of a lost file, if known, saves the other sentinels a phantom.
 */
int sentinel_conf_create(const struct sentinel_spec *spec, const struct sentinel_memory *memory,
    struct errmsg *err) ATTR_WARN_UNUSED;
/* 40 random hexadecimal digits. */
void sentinel_conf_new_id(char ret_id[SENTINEL_ID_SIZE]);

/* An instance's address that changed in the configuration. */
struct sentinel_move {
	struct endpoint from, to;
};

/*
 * Edits the settings' lines of an existing file while its sentinel is down; what Sentinel remembers
 * stays, addresses in `moves` apart. 0, -ENOENT, -EINVAL (damaged), or what writing said.
 */
int sentinel_conf_adjust(const struct sentinel_spec *spec, const struct sentinel_move *moves,
    size_t move_count, struct errmsg *err) ATTR_WARN_UNUSED;
/* The pure part. */
int sentinel_conf_edit(struct slice text, const struct sentinel_spec *spec,
    const struct sentinel_move *moves, size_t move_count, struct buf *out,
    struct errmsg *err) ATTR_WARN_UNUSED;
/* Sets a damaged file aside as sentinel.conf.damaged. */
int sentinel_conf_set_aside(const char *dir, struct errmsg *err) ATTR_WARN_UNUSED;

#endif
