/*
 * What the files of this room share: the rows of the option table, values as text and as fields,
 * and the list of settings that the sources leave behind.
 *
 *   file, environment, -s ──gather──► settings (text, and where it stood) ──build──► struct conf
 *
 * A setting never points into a source: it owns its texts.
 */
#ifndef CONF_CONF_PRIV_H
#define CONF_CONF_PRIV_H

#include "conf/conf.h"

enum conf_type {
	CONF_STR,
	CONF_NAME,
	CONF_HOST,
	CONF_PATH,
	CONF_CIDR,
	CONF_ENUM,
	CONF_BOOL,
	CONF_PORT,
	CONF_COUNT,
	CONF_MS,
	CONF_S,
	CONF_BYTES,
	CONF_HOSTS,
	CONF_NAMES,
	CONF_CIDRS,
	CONF_ENDPOINTS,
	CONF_COMMANDS,
	CONF_WORDS,
	CONF_PATHS,
	CONF_MODULES,
};

enum { CONF_RELOAD = 1, CONF_SECRET = 2, CONF_REQUIRED = 4 };

/* Which structs have a field of the option. */
enum conf_scope {
	SCOPE_GLOBAL,
	SCOPE_REDIS,
	SCOPE_MODULE,
	SCOPE_ACL,
	SCOPE_PEER,
	SCOPE_SITE,
	SCOPE_USER
};

#define CONF_NO_OFFSET ((size_t)-1)

struct conf_opt {
	const char *section, *key;
	enum conf_type type;
	const char *def; /* default, as text */
	uint64_t min, max;
	const char *words;
	unsigned flags;
	enum conf_target target;
	const char *help, *more;
	enum conf_scope scope;
	size_t offset; /* in struct conf, or CONF_NO_OFFSET */
	size_t
	    item_offset; /* in struct conf_redis, conf_module, … by the scope, or CONF_NO_OFFSET */
};

struct conf_section {
	const char *name, *words;
	enum conf_scope
	    scope; /* SCOPE_GLOBAL: [name]; SCOPE_REDIS: also [name-N]; else only [name-NAME] */
};

extern const struct conf_opt conf_opts[];
extern const size_t conf_opt_count;
extern const struct conf_section conf_sections[];
extern const size_t conf_section_count;

/* table.c */
const struct conf_opt *conf_opt_find(const char *section, const char *key);
const struct conf_section *conf_section_find(const char *name);
/* The key of `section` that is nearest to `key`. */
const char *conf_nearest_key(const char *section, const char *key);
/* A section that does have exactly that key, or NULL. */
const char *conf_section_with_key(const char *key);
/* The nearest of all section names; those of which there are many as "acl-NAME". */
const char *conf_nearest_section(const char *name);

/* setting.c: what the value of a line of a file in folder `dir` stands for: @FILE, $NAME, quotes; a new string, or NULL with the reason. */
char *conf_resolve(const char *text, const char *dir, char *const *env, struct errmsg *err);

/* directives.c: what may stand behind redis.config. */
bool conf_directive_repeats(const char *name);
/* 0, or -EINVAL with why it is refused and what to use instead. */
int conf_directive_check(const char *name, const char *value, struct errmsg *err) ATTR_WARN_UNUSED;
void conf_directives_add(struct conf_directives *d, const char *name, const char *value);
bool conf_directives_has(const struct conf_directives *d, const char *name);
void conf_directives_sort(struct conf_directives *d);
void conf_directives_fini(struct conf_directives *d);

/*
 * value.c: `field` points to the option's C type. Parsing replaces what is there; a fault changes
 * nothing. `shown` stands for the whole value in the fault: the value in quotes, or other words
 * where it is nobody's business.
 */
int conf_value_parse(const struct conf_opt *opt, const char *text, const char *shown, void *field,
    struct errmsg *err) ATTR_WARN_UNUSED;
/* As conf_value_parse reads it; a new string. */
char *conf_value_format(const struct conf_opt *opt, const void *field);
void conf_value_copy(const struct conf_opt *opt, void *to, const void *from);
void conf_value_free(const struct conf_opt *opt, void *field);

/*
 * readfile.c: the whole of a regular file into `bytes`, which has room for max + 1. 0, or a negative errno with the
 * path and the reason: -EFBIG when it has more than max.
 */
int conf_read_file(const char *path, void *bytes, size_t max, size_t *ret_len,
    struct errmsg *err) ATTR_WARN_UNUSED;

/* gather.c, environ.c */
enum conf_source { SOURCE_FILE, SOURCE_TEXT, SOURCE_CONTAINER, SOURCE_ENV, SOURCE_SET };

struct conf_setting {
	const struct conf_opt *opt; /* NULL: a directive, or the bare head of a section */
	char *directive;            /* owned: NAME of redis.config.NAME, or NULL */
	char *item;                 /* owned: NAME of [acl-NAME] …, or NULL */
	unsigned redis;             /* N of [redis-N], or 0 */
	enum conf_scope scope;      /* of the section it stands in */
	enum conf_source source;
	char *value;  /* owned; NULL for the head of a section */
	bool refused; /* its option did not take the value */
	bool hidden;  /* the value came out of another file or variable: never quoted in a fault */
	char *where;  /* owned: "FILE:LINE", the variable, "-s SECTION.KEY" */
};

struct conf_settings {
	struct conf_setting *items;
	size_t count;
	char *const *env;           /* borrowed, for $NAME */
	struct conf_faults *faults; /* borrowed */
	char *data_dir, *file;      /* owned: what conf_to_ini noted */
};

void conf_gather_file(struct conf_settings *s, const char *path);
void conf_gather_text(
    struct conf_settings *s, struct slice text, const char *name, enum conf_source source);
void conf_gather_env(struct conf_settings *s);
void conf_gather_sets(struct conf_settings *s, const char *const *sets, size_t count);
void conf_settings_fini(struct conf_settings *s);
/* A variable of `env`, or NULL; an empty one counts as not set. */
const char *conf_env_get(char *const *env, const char *name);

/* setting.c: one SECTION, KEY and VALUE from anywhere, checked against the table. */
struct conf_origin {
	enum conf_source source;
	const char *where; /* borrowed, as all here */
	const char *dir;   /* that @FILE is relative to; NULL: the working folder */
	bool names_file;   /* SOURCE_ENV: the value is the name of a file that holds it */
};
/* VALUE as written: quotes, $NAME and @FILE are understood, save from the environment. */
void conf_setting_add(struct conf_settings *s, const struct conf_origin *from, const char *section,
    const char *key, const char *value);
/* What is between the quotes, or the text itself without any; NULL when they do not end, or are
 * followed by more. */
char *conf_unquote(const char *text);
/* The head of a section. False, with a fault, when there is no such section. */
bool conf_setting_head(
    struct conf_settings *s, const struct conf_origin *from, const char *section);

/* conf.c: conf_data_dir, for root or another user. */
int conf_data_dir_for(bool root, const char *dir, char *const *env, char **ret_dir,
    struct errmsg *err) ATTR_WARN_UNUSED;

/* verify.c: what no single value shows. */
void conf_verify(const struct conf *conf, const struct conf_settings *s);
/* verify_tls.c: the files of listeners with TLS are read, proxy_tls and http_tls set. */
void conf_read_tls(struct conf *conf, const struct conf_settings *s);

/* hosts.c: the address that [peer-NODE] gives this host, and what no single value of several hosts shows. */
bool conf_is_numeric(const char *address);
void conf_decide_address(struct conf *conf, const struct conf_settings *s);
void conf_verify_hosts(const struct conf *conf, const struct conf_settings *s);

/* build.c: the conf that the settings make, always a whole one; it counts only when no fault was
 * added. */
struct conf *conf_build(struct conf_settings *s);
/* Where an option was set last, or "default". */
const char *conf_where(
    const struct conf_settings *s, const char *section, const char *key, unsigned redis);

static inline void *
conf_field(void *base, size_t offset)
{
	return (char *)base + offset;
}
static inline const void *
conf_cfield(const void *base, size_t offset)
{
	return (const char *)base + offset;
}

/* verify_site.c */
void conf_verify_sites(const struct conf *conf, const struct conf_settings *s);
/* verify_announce.c */
void conf_verify_announced(const struct conf *conf, const struct conf_settings *s);

/* ---- access rules (verify_acl.c) ---- */

void conf_verify_acls(const struct conf *conf, const struct conf_settings *s);
/*
 * May somebody without a password, from an address that no rule names, use the commands that no rule names? Then a password
 * that some rule asks for protects nothing but what it is about. True, too, when none asks for one.
 */
bool conf_acls_let_strangers(const struct conf *conf);

#endif
