#include "conf/conf_priv.h"

#include <stdio.h>
#include <string.h>

#include "base/nearest.h"

#define ROW(                                                                                       \
    section, key, type, def, min, max, words, flags, target, help, more, scope, offset, item)      \
	{#section, #key, type, def, min, max, words, flags, target, help, more, scope, offset,     \
	    item},

const struct conf_opt conf_opts[] = {
#define OPT(section, key, type, def, min, max, words, flags, target, help, more)                   \
	ROW(section, key, type, def, min, max, words, flags, target, help, more, SCOPE_GLOBAL,     \
	    offsetof(struct conf, section##_##key), CONF_NO_OFFSET)
#define OPT_REDIS(section, key, type, def, min, max, words, flags, target, help, more)             \
	ROW(section, key, type, def, min, max, words, flags, target, help, more, SCOPE_REDIS,      \
	    offsetof(struct conf, section##_##key), offsetof(struct conf_redis, key))
#define OPT_MODULE(section, key, type, def, min, max, words, flags, target, help, more)            \
	ROW(section, key, type, def, min, max, words, flags, target, help, more, SCOPE_MODULE,     \
	    CONF_NO_OFFSET, offsetof(struct conf_module, key))
#define OPT_ACL(section, key, type, def, min, max, words, flags, target, help, more)               \
	ROW(section, key, type, def, min, max, words, flags, target, help, more, SCOPE_ACL,        \
	    CONF_NO_OFFSET, offsetof(struct conf_acl, key))
#define OPT_PEER(section, key, type, def, min, max, words, flags, target, help, more)              \
	ROW(section, key, type, def, min, max, words, flags, target, help, more, SCOPE_PEER,       \
	    CONF_NO_OFFSET, offsetof(struct conf_peer, key))
#define OPT_SITE(section, key, type, def, min, max, words, flags, target, help, more)              \
	ROW(section, key, type, def, min, max, words, flags, target, help, more, SCOPE_SITE,       \
	    CONF_NO_OFFSET, offsetof(struct conf_site, key))
#define OPT_USER(section, key, type, def, min, max, words, flags, target, help, more)              \
	ROW(section, key, type, def, min, max, words, flags, target, help, more, SCOPE_USER,       \
	    CONF_NO_OFFSET, offsetof(struct conf_user, key))
#include "conf/options.def"
};
const size_t conf_opt_count = ARRAY_LEN(conf_opts);

const struct conf_section conf_sections[] = {
#define CONF_SECTION(name, scope, words) {#name, words, scope},
#include "conf/options.def"
};
const size_t conf_section_count = ARRAY_LEN(conf_sections);

const struct conf_opt *
conf_opt_find(const char *section, const char *key)
{
	for (size_t i = 0; i < conf_opt_count; i++) {
		if (strcmp(conf_opts[i].key, key) == 0 &&
		    strcmp(conf_opts[i].section, section) == 0) {
			return &conf_opts[i];
		}
	}
	return NULL;
}

const struct conf_section *
conf_section_find(const char *name)
{
	for (size_t i = 0; i < conf_section_count; i++) {
		if (strcmp(conf_sections[i].name, name) == 0) {
			return &conf_sections[i];
		}
	}
	return NULL;
}

#define WORD_MAX 48

const char *
conf_nearest_key(const char *section, const char *key)
{
	const char *nearest = "";
	unsigned least = -1u;

	for (size_t i = 0; i < conf_opt_count; i++) {
		unsigned distance;

		if (strcmp(conf_opts[i].section, section) != 0) {
			continue;
		}
		distance = nearest_distance(key, conf_opts[i].key);
		if (distance < least) {
			least = distance;
			nearest = conf_opts[i].key;
		}
	}
	return nearest;
}

const char *
conf_section_with_key(const char *key)
{
	for (size_t i = 0; i < conf_opt_count; i++) {
		if (conf_opts[i].offset != CONF_NO_OFFSET && strcmp(conf_opts[i].key, key) == 0) {
			return conf_opts[i].section;
		}
	}
	return NULL;
}

const char *
conf_nearest_section(const char *name)
{
	static const char *const families[][2] = {{"redis", "redis-N"}, {"module", "module-NAME"},
	    {"acl", "acl-NAME"}, {"peer", "peer-NAME"}, {"site", "site-NAME"},
	    {"user", "user-NAME"}};
	const char *dash = strchr(name, '-'), *nearest = "";
	unsigned least = -1u;
	char head[WORD_MAX];

	(void)snprintf(head, sizeof(head), "%.*s",
	    dash != NULL ? (int)(dash - name) : (int)sizeof(head) - 1, name);
	for (size_t i = 0; i < conf_section_count; i++) {
		const char *full = conf_sections[i].name;
		unsigned distance = nearest_distance(head, full);

		if (distance >= least) {
			continue;
		}
		least = distance;
		nearest = full;
		for (size_t f = 0; f < ARRAY_LEN(families); f++) {
			if (strcmp(full, families[f][0]) == 0 &&
			    (dash != NULL || conf_sections[i].scope > SCOPE_REDIS)) {
				nearest = families[f][1];
			}
		}
	}
	return nearest;
}
