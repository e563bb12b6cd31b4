/*
 * From settings to a conf: defaults, then every setting in the order of the sources, then what is
 * decided from the whole ("auto"), then the instances, which take [redis] over and then their own
 * section.
 */
#include "conf/conf_priv.h"

#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"

#define MAX_PORT 65535

const char *
conf_where(const struct conf_settings *s, const char *section, const char *key, unsigned redis)
{
	const char *where = "default";

	for (size_t i = 0; i < s->count; i++) {
		const struct conf_setting *it = &s->items[i];

		if (it->opt != NULL && !it->refused && (it->redis == redis || it->redis == 0) &&
		    strcmp(it->opt->section, section) == 0 && strcmp(it->opt->key, key) == 0) {
			where = it->where;
			if (redis != 0 && it->redis == redis) {
				break; /* its own section wins wherever it stands */
			}
		}
	}
	return where;
}

/* Every field of the scope in `base` takes its default. */
static void
set_defaults(enum conf_scope scope, bool item, void *base)
{
	struct errmsg err = ERRMSG_NONE;

	for (size_t i = 0; i < conf_opt_count; i++) {
		const struct conf_opt *opt = &conf_opts[i];
		size_t offset = item ? opt->item_offset : opt->offset;

		if (offset != CONF_NO_OFFSET && (!item || opt->scope == scope) &&
		    strcmp(opt->def, "") != 0) {
			int rc = conf_value_parse(
			    opt, opt->def, opt->def, conf_field(base, offset), &err);

			assert(rc == 0); /* a default of the table that its own row refuses */
		}
	}
}

/* "redis-2.port", as it is written in faults. */
static char *
setting_name(const struct conf_setting *it)
{
	const char *section = it->opt != NULL ? it->opt->section : "redis";
	const char *key = it->opt != NULL ? it->opt->key : it->directive;
	const char *config = it->opt != NULL ? "" : "config.";

	if (it->item != NULL) {
		return xasprintf("%s-%s.%s", section, it->item, key);
	}
	return it->redis != 0 ? xasprintf("%s-%u.%s%s", section, it->redis, config, key)
			      : xasprintf("%s.%s%s", section, config, key);
}

static void
apply(struct conf_settings *s, struct conf_setting *it, void *field)
{
	struct errmsg err = ERRMSG_NONE;
	bool secret = it->hidden || (it->opt->flags & CONF_SECRET) != 0;
	const char *shown = secret ? "its value" : LOG_QUOTE(slice_str(it->value));
	char *name;

	if (conf_value_parse(it->opt, it->value, shown, field, &err) < 0) {
		name = setting_name(it);
		conf_faults_add(s->faults, "%s: %s %s", it->where, name, err.text);
		free(name);
		it->refused = true;
	}
}

/* The item `name` of an array of structs that begin with their name; a new one takes its defaults.
 */
static void *
named_item(struct conf_settings *s, const struct conf_setting *it, void **items, size_t *count,
    size_t size)
{
	void *item;

	for (size_t i = 0; i < *count; i++) {
		item = (char *)*items + i * size;
		if (strcmp(*(char **)item, it->item) == 0) {
			return item;
		}
	}
	if (*count == CONF_NAMED_MAX) {
		conf_faults_add(s->faults, "%s: too many sections of this kind: at most %d",
		    it->where, CONF_NAMED_MAX);
		return NULL;
	}
	*items = xreallocarray(*items, *count + 1, size);
	item = (char *)*items + (*count)++ * size;
	memset(item, 0, size);
	*(char **)item = xstrdup(it->item);
	set_defaults(it->scope, true, item);
	return item;
}

static void *
item_of(struct conf_settings *s, struct conf *conf, const struct conf_setting *it)
{
	void *items, *item;

	switch (it->scope) {
	case SCOPE_MODULE:
		items = conf->modules;
		item = named_item(s, it, &items, &conf->module_count, sizeof(*conf->modules));
		conf->modules = items;
		return item;
	case SCOPE_ACL:
		items = conf->acls;
		item = named_item(s, it, &items, &conf->acl_count, sizeof(*conf->acls));
		conf->acls = items;
		return item;
	case SCOPE_SITE:
		items = conf->sites;
		item = named_item(s, it, &items, &conf->site_count, sizeof(*conf->sites));
		conf->sites = items;
		return item;
	case SCOPE_USER:
		items = conf->users;
		item = named_item(s, it, &items, &conf->user_count, sizeof(*conf->users));
		conf->users = items;
		return item;
	default:
		items = conf->peers;
		item = named_item(s, it, &items, &conf->peer_count, sizeof(*conf->peers));
		conf->peers = items;
		return item;
	}
}

/* What is wrong with a section is said once for each: at its head in a file, else with its options.
 */
static bool
stands_for_section(const struct conf_setting *it)
{
	return it->value == NULL ? it->source == SOURCE_FILE : it->source > SOURCE_TEXT;
}

static void
apply_named(struct conf_settings *s, struct conf *conf, struct conf_setting *it)
{
	void *item = item_of(s, conf, it);

	if (item != NULL && it->opt != NULL) {
		apply(s, it, conf_field(item, it->opt->item_offset));
	}
}

/* Adds the directives of [redis] (0) or [redis-N] that no later source says again. */
static void
collect_directives(struct conf_settings *s, unsigned redis, struct conf_directives *list)
{
	for (size_t i = 0; i < s->count; i++) {
		const struct conf_setting *it = &s->items[i];
		bool stands = it->directive != NULL && it->redis == redis;

		for (size_t j = 0; stands && j < s->count; j++) {
			const struct conf_setting *other = &s->items[j];

			if (other->directive == NULL || other->redis != redis ||
			    strcmp(other->directive, it->directive) != 0) {
				continue;
			}
			stands = other->source <= it->source &&
				 (j <= i || other->source != it->source ||
				     conf_directive_repeats(it->directive));
		}
		if (!stands) {
			continue;
		}
		if (list->count == CONF_CONFIG_MAX) {
			conf_faults_add(s->faults, "%s: too many directives config.*: at most %d",
			    it->where, CONF_CONFIG_MAX);
			break;
		}
		conf_directives_add(list, it->directive, it->value);
	}
	conf_directives_sort(list);
}

/* Where servers listen, unless that was said. */
static void
decide_bind(struct conf_list *bind, const char *address)
{
	if (bind->count == 0) {
		bind->items = xcalloc(1, sizeof(*bind->items));
		bind->items[bind->count++] = xstrdup(address);
	}
}

static void
decide_autos(struct conf_settings *s, struct conf *conf)
{
	const char *bind;
	char host[64 + 1] = "";

	if (conf->holdfast_node == NULL) {
		(void)gethostname(host, sizeof(host) - 1);
		for (char *c = host; *c != '\0'; c++) {
			bool good = (*c >= 'a' && *c <= 'z') || (*c >= 'A' && *c <= 'Z') ||
				    (*c >= '0' && *c <= '9') || strchr("._-", *c) != NULL;

			*c = good ? *c : '-';
		}
		conf->holdfast_node = xstrdup(host[0] != '\0' ? host : "localhost");
	}
	conf_decide_address(conf, s);
	bind = conf->peer_count > 0 && conf_is_numeric(conf->holdfast_address)
		   ? conf->holdfast_address
		   : "127.0.0.1";
	decide_bind(&conf->redis_bind, bind);
	decide_bind(&conf->sentinel_bind, bind);
	if (conf->redis_instances == 0) {
		conf->redis_instances = conf->peer_count > 0 ? 1 : 3;
	}
	if (conf->sentinel_instances == 0) {
		conf->sentinel_instances = conf->peer_count > 0 ? 1 : 3;
	}
	if (conf->sentinel_quorum == 0) {
		conf->sentinel_quorum =
		    conf->sentinel_instances * (unsigned)conf_host_count(conf) / 2 + 1;
	}
}

static void
build_instance(
    struct conf_settings *s, const struct conf *conf, struct conf_redis *redis, unsigned number)
{
	unsigned port = conf->redis_port + number - 1;

	redis->number = number;
	redis->name = xasprintf("redis-%u", number);
	for (size_t i = 0; i < conf_opt_count; i++) {
		if (conf_opts[i].scope == SCOPE_REDIS) {
			conf_value_copy(&conf_opts[i], conf_field(redis, conf_opts[i].item_offset),
			    conf_cfield(conf, conf_opts[i].offset));
		}
	}
	redis->port = port <= MAX_PORT ? (uint16_t)port : 0;
	for (size_t i = 0; i < s->count; i++) {
		struct conf_setting *it = &s->items[i];

		if (it->redis == number && it->opt != NULL) {
			apply(s, it, conf_field(redis, it->opt->item_offset));
		}
	}
	if (redis->port == 0) {
		conf_faults_add(s->faults,
		    "%s: redis.port %u leaves no port for %s: choose a lower one",
		    conf_where(s, "redis", "port", number), conf->redis_port, redis->name);
	}
	collect_directives(s, number, &redis->config);
	for (size_t i = 0, own = redis->config.count; i < conf->redis_config.count; i++) {
		const struct conf_directive *base = &conf->redis_config.items[i];
		struct conf_directives mine = {redis->config.items, own};

		if (!conf_directives_has(&mine, base->name)) {
			conf_directives_add(&redis->config, base->name, base->value);
		}
	}
	conf_directives_sort(&redis->config);
}

struct conf *
conf_build(struct conf_settings *s)
{
	struct conf *conf = xcalloc(1, sizeof(*conf));

	set_defaults(SCOPE_GLOBAL, false, conf);
	for (size_t i = 0; i < s->count; i++) {
		struct conf_setting *it = &s->items[i];

		if (it->scope > SCOPE_REDIS) {
			apply_named(s, conf, it);
		} else if (it->opt != NULL && it->redis == 0) {
			apply(s, it, conf_field(conf, it->opt->offset));
		}
	}
	decide_autos(s, conf);
	for (size_t i = 0; i < s->count; i++) {
		if (s->items[i].redis > conf->redis_instances && stands_for_section(&s->items[i])) {
			conf_faults_add(s->faults,
			    "%s: [redis-%u] is about no instance: redis.instances is %u",
			    s->items[i].where, s->items[i].redis, conf->redis_instances);
		}
	}
	collect_directives(s, 0, &conf->redis_config);
	conf->redis = xcalloc(conf->redis_instances, sizeof(*conf->redis));
	for (unsigned n = 1; n <= conf->redis_instances; n++) {
		build_instance(s, conf, &conf->redis[n - 1], n);
	}
	return conf;
}
