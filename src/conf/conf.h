/*
 * The configuration: where it comes from, what is wrong with it, what it is, and what changed.
 *
 *   defaults < file < environment < -s   ──conf_load──►  struct conf  ──conf_to_ini──►  text for a
 * worker │                ▲                              │ struct conf_faults
 * └─────────conf_from_ini────────┘
 *
 * struct conf is plain data that is complete after loading: nothing in it still says "auto".
 * Options are described once, in options.def; the field of an option is SECTION_key. Whoever loads
 * a conf owns it, and nobody changes it afterwards: a reload makes a new one, and conf_diff says
 * what differs.
 *
 * Nothing here logs, and no secret goes into a fault or into a list of changes. conf_to_ini is the
 * one function whose text contains secrets: it is for the channel to a worker and for nothing else.
 */
#ifndef CONF_CONF_H
#define CONF_CONF_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/defs.h"
#include "base/errmsg.h"
#include "net/tls.h"

/* Limits. CONF_TEXT_MAX bounds conf_to_ini, which must pass the channel in one message. */
#define CONF_FILE_MAX   ((size_t)64 * 1024) /* bytes of a configuration file */
#define CONF_LINE_MAX   4096                /* bytes of a line, and of a value from anywhere */
#define CONF_TEXT_MAX   ((size_t)96 * 1024)
#define CONF_NAMED_MAX  64  /* sections acl-*, and peer-*, and module-*, and user-* */
#define CONF_CONFIG_MAX 128 /* redis.config.* of one section */
#define CONF_FAULTS_MAX 100

#define CONF_EXIT_CONFIG 78 /* exit code for a configuration that is refused */

/* Words separated by commas or blanks. */
struct conf_list {
	char **items; /* owned, as each item; NULL when empty */
	size_t count;
};

/* One redis.config.NAME = VALUE. Lists are sorted by name; a repeated name keeps its order. */
struct conf_directive {
	char *name;  /* owned, lower case */
	char *value; /* owned: what follows the name in redis.conf, for "" write two quotes */
};

struct conf_directives {
	struct conf_directive *items; /* owned */
	size_t count;
};

/* C types of the options; texts and paths that are not set are NULL. */
#define CONF_CTYPE_CONF_STR       char *
#define CONF_CTYPE_CONF_NAME      char * /* letters, digits, . _ - */
#define CONF_CTYPE_CONF_HOST      char * /* address or host name */
#define CONF_CTYPE_CONF_PATH      char *
#define CONF_CTYPE_CONF_CIDR      char *
#define CONF_CTYPE_CONF_ENUM      char * /* one of the option's words */
#define CONF_CTYPE_CONF_BOOL      bool
#define CONF_CTYPE_CONF_PORT      uint16_t
#define CONF_CTYPE_CONF_COUNT     unsigned
#define CONF_CTYPE_CONF_MS        uint64_t
#define CONF_CTYPE_CONF_S         uint64_t
#define CONF_CTYPE_CONF_BYTES     uint64_t
#define CONF_CTYPE_CONF_HOSTS     struct conf_list /* addresses */
#define CONF_CTYPE_CONF_NAMES     struct conf_list /* host names */
#define CONF_CTYPE_CONF_CIDRS     struct conf_list /* networks */
#define CONF_CTYPE_CONF_ENDPOINTS struct conf_list /* as endpoint_format writes them */
#define CONF_CTYPE_CONF_COMMANDS  struct conf_list /* upper case */
#define CONF_CTYPE_CONF_WORDS     struct conf_list /* of the option's words */
#define CONF_CTYPE_CONF_PATHS     struct conf_list /* absolute paths */
#define CONF_CTYPE_CONF_MODULES   struct conf_list /* by commas only: an item may have arguments */

/* One redis instance with all that [redis] and [redis-N] say about it: port, bind, server, … and
 * directives. */
struct conf_redis {
	char *name;      /* owned: "redis-1" */
	unsigned number; /* from 1 */
	struct conf_directives config;
#define OPT_REDIS(section, key, type, ...) CONF_CTYPE_##type key;
#include "conf/options.def"
};

struct conf_module {
	char *name; /* owned: NAME of [module-NAME], as below */
#define OPT_MODULE(section, key, type, ...) CONF_CTYPE_##type key;
#include "conf/options.def"
};

struct conf_acl {
	char *name;
#define OPT_ACL(section, key, type, ...) CONF_CTYPE_##type key;
#include "conf/options.def"
};

struct conf_peer {
	char *name;
#define OPT_PEER(section, key, type, ...) CONF_CTYPE_##type key;
#include "conf/options.def"
};

struct conf_site {
	char *name;
#define OPT_SITE(section, key, type, ...) CONF_CTYPE_##type key;
#include "conf/options.def"
};

struct conf_user {
	char *name;
#define OPT_USER(section, key, type, ...) CONF_CTYPE_##type key;
#include "conf/options.def"
};

struct conf {
	char *data_dir;       /* owned, absolute */
	char *file;           /* owned: the configuration file, or NULL */
	bool file_has_secret; /* a secret stands in the file itself, not behind @FILE or $NAME */

	/* holdfast_name, redis_port, proxy_listen, …: every option of options.def by its name. */
#define OPT(section, key, type, ...)       CONF_CTYPE_##type section##_##key;
#define OPT_REDIS(section, key, type, ...) CONF_CTYPE_##type section##_##key;
#include "conf/options.def"

	/* What the files behind tls_cert, tls_key and tls_ca hold; empty where no listener has TLS, and in a worker. */
	struct tls_facts redis_tls, proxy_tls, http_tls;

	struct conf_directives redis_config; /* redis.config.*, for every instance */
	struct conf_redis *redis;            /* owned: redis_instances of them, in order */
	struct conf_module *modules; /* owned, in the order of their first appearance, as below */
	size_t module_count;
	struct conf_acl *acls;
	size_t acl_count;
	struct conf_peer *peers;
	size_t peer_count;
	struct conf_site *sites;
	size_t site_count;
	struct conf_user *users;
	size_t user_count;
};

/* ---- several hosts ---- */

/* How many hosts the cluster has, this one included: 1 when no peers are named. */
size_t conf_host_count(const struct conf *conf);
/* A host can be reached there: an address, but not 0.0.0.0 or ::, or a name of the DNS. */
bool conf_is_host_address(const char *text);
/* The section of that name; NULL: there is none, or `name` is NULL. */
const struct conf_peer *conf_peer_find(const struct conf *conf, const char *name);
/* Is the section of peer `i` (below peer_count) about this very host? */
bool conf_peer_is_self(const struct conf *conf, size_t i);

/* Where redis `i` (from 0) and the sentinel of the host of that name are reached, which need not be where they listen. */
uint16_t conf_redis_port_of(const struct conf *conf, const char *host, size_t i);
uint16_t conf_sentinel_port_of(const struct conf *conf, const char *host);
/* Do the servers and sentinels of all hosts speak TLS, and nothing else? */
bool conf_hosts_use_tls(const struct conf *conf);
/* Is any write acknowledged only when a replica has it, by any door? */
bool conf_is_durable(const struct conf *conf);
/* As whom they are reached, and whom to trust; borrowed from the conf. */
struct tls_files conf_hosts_tls(const struct conf *conf);

/* ---- loading ---- */

/* All that is wrong, each a whole sentence "FILE:LINE: what, and what to do". Embedded object. */
struct conf_faults {
	char **items; /* owned, as each */
	size_t count;
	size_t dropped; /* beyond CONF_FAULTS_MAX */
};

void conf_faults_init(struct conf_faults *f);
void conf_faults_fini(struct conf_faults *f);
/* The same sentence twice is kept once. */
void conf_faults_add(struct conf_faults *f, const char *fmt, ...) ATTR_PRINTF(2, 3);

struct conf_sources {
	const char *file; /* NULL: none */
	char *const *env; /* environ, or NULL for none; also for the values $NAME */
	const char *const
	    *sets; /* arguments of -s, SECTION.KEY=VALUE; a later one overrides an earlier one */
	size_t set_count;
	const char *data_dir; /* of -d; NULL: conf_data_dir decides */
};

/*
 * Reads all sources and checks all of it. 0 with the conf in *ret_conf; or -EINVAL with everything
 * that is wrong in `faults` and *ret_conf untouched.
 */
int conf_load(const struct conf_sources *src, struct conf **ret_conf,
    struct conf_faults *faults) ATTR_WARN_UNUSED;
/* For those who look further in spite of faults: *ret_conf is always set, and what was refused has
 * its default. */
int conf_load_anyway(
    const struct conf_sources *src, struct conf **ret_conf, struct conf_faults *faults);
void conf_free(struct conf **conf);

/*
 * The data folder, absolute and with no slash at the end: `dir` (of -d) if given, else
 * $HOLDFAST_DIR, else /var/lib/holdfast for root, else $XDG_STATE_HOME/holdfast, else
 * ~/.local/state/holdfast. Makes nothing. 0 with a new string, or -EINVAL with the reason (no home
 * to be found, or too long).
 */
int conf_data_dir(
    const char *dir, char *const *env, char **ret_dir, struct errmsg *err) ATTR_WARN_UNUSED;

/*
 * The whole effective configuration as INI text, secrets included. 0, -ENOBUFS (over the buffer's
 * limit). conf_from_ini reads exactly that text and nothing else: no environment, no files. -EINVAL
 * with the first fault.
 */
int conf_to_ini(const struct conf *conf, struct buf *out) ATTR_WARN_UNUSED;
int conf_from_ini(struct slice text, struct conf **ret_conf, struct errmsg *err) ATTR_WARN_UNUSED;

/* The value as it may stand in a file: in double quotes where it needs them. 0 or -ENOBUFS. */
int conf_value_quote(const char *value, struct buf *out) ATTR_WARN_UNUSED;

/* ---- access rules ---- */

/* What of a rule matters to somebody without a password; borrowed. */
struct conf_acl_gist {
	bool has_user, enables_all, disables_all;
	const char *cidr; /* NULL: any address */
};
/*
 * After this rule, may a client without a password, from an address that no rule names, use the commands that no rule names?
 * `before`: could it until then; without any rule it may.
 */
bool conf_acl_lets_strangers(bool before, const struct conf_acl_gist *rule);

/* ---- another host ---- */

/* A host that is to be one of the cluster. Borrowed texts. */
struct conf_newcomer {
	const char *name, *address;
	bool own_tls; /* redis.tls_* are left out: it has files of its own */
};

/*
 * The configuration file of `conf` as that host has it: the same, but for what is about this host only (holdfast.node, holdfast.address; its own
 * address in listeners becomes the other's), values behind @FILE and $NAME written out, and with sections [peer-NAME] for both. It holds
 * secrets. 0; -EINVAL or what reading said, with the reason; -ENOBUFS.
 */
int conf_for_newcomer(const struct conf *conf, char *const *env,
    const struct conf_newcomer *newcomer, struct buf *out, struct errmsg *err) ATTR_WARN_UNUSED;

/* ---- reload ---- */

enum conf_target {
	CONF_SUPERVISOR,
	CONF_REDIS,
	CONF_SENTINEL,
	CONF_PROXY,
	CONF_HTTP,
	CONF_TARGETS
};

struct conf_change {
	char *option; /* owned: "proxy.hold_ms", "redis-2.port", "acl-ops.cidr",
			 "redis.config.maxclients" */
	char *from;   /* owned: the text of the value before and after, or "(hidden)" for secrets */
	char *to;
	bool alive;              /* may be applied without a restart */
	enum conf_target target; /* whose restart it needs otherwise, or who has to be told */
	unsigned redis;          /* the only redis instance (from 1) that it is about, or 0 */
	/*
	 * Of redis, alive: what CONFIG SET takes, in the server's words. The value may be a secret,
	 * and is NULL when there is none to set: the directive is gone, so that its default counts.
	 */
	char *directive; /* owned */
	char *value;     /* owned */
};

struct conf_changes {
	struct conf_change *items; /* owned */
	size_t count;
};

/*
 * What differs, in the order of options.def, and certificates that were renewed. A directive redis.config.* that is there counts as
 * alive: whether the server takes it with CONFIG SET is the server's to say.
 */
void conf_diff(
    const struct conf *old_conf, const struct conf *new_conf, struct conf_changes *ret_changes);
void conf_changes_fini(struct conf_changes *changes);
/* "supervisor", "redis", … */
const char *conf_target_name(enum conf_target target);

/* ---- modules ---- */

/* One item of redis.modules, with what its section [module-NAME] adds. */
struct conf_module_item {
	bool optional;   /* "?" before it */
	char name[64];   /* as in [module-NAME]; of a path its file name without .so */
	char path[1024]; /* absolute; "" when the file is to be looked for */
	char args[1024]; /* what follows the path in redis.conf, in its quoting; "" */
	bool by_path;    /* the item is a path: it is no name of the catalogue */
};

/*
 * Item `i` (below conf->redis_modules.count). 0; or -EINVAL: it is neither a name nor an absolute path, or its arguments stand in two
 * places. conf_load has refused such items already.
 */
int conf_module_get(const struct conf *conf, size_t i, struct conf_module_item *ret_item,
    struct errmsg *err) ATTR_WARN_UNUSED;

/* ---- programs ---- */

/*
 * The program of redis.server or sentinel.server: `configured` when not NULL (a path, or a name
 * looked up on PATH), else the first of the usual names on PATH. 0 with its absolute path in a new
 * string, or -ENOENT / -EACCES with what was looked for and how to get it.
 */
int conf_find_server(const char *configured, char **ret_path, struct errmsg *err) ATTR_WARN_UNUSED;
/*
 * *ret_flag is true when the program found is a server that must be started with `--sentinel`;
 * `server` is what conf_find_server found, the last resort.
 */
int conf_find_sentinel(const char *configured, const char *server, char **ret_path, bool *ret_flag,
    struct errmsg *err) ATTR_WARN_UNUSED;

/* ---- documents ---- */

/* kind: "ini" (the commented sample), "man" (holdfast.conf.5) or "md". 0, -EINVAL (no such kind),
 * -ENOBUFS. */
int conf_print_options(const char *kind, struct buf *out) ATTR_WARN_UNUSED;

#endif
