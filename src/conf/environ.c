/*
 * The environment: HOLDFAST_SECTION_KEY for every option, and four names that users of Sentinel's
 * containers know. HOLDFAST_SECTION_KEY_FILE names a file that holds the value, as secrets reach
 * containers. A variable that is set but empty counts as not set, as a compose file leaves it.
 * Variables whose first word is near no section are somebody else's.
 */
#include "conf/conf_priv.h"

#include <ctype.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "base/nearest.h"

#define PREFIX     "HOLDFAST_"
#define PREFIX_LEN (sizeof(PREFIX) - 1)
#define FILE_END   "_FILE"
#define NAME_MAX_  100

static const struct {
	const char *variable, *section, *key;
} container_names[] = {
    {"REDIS_MASTER", "holdfast", "name"},
    {"SENTINEL_QUORUM", "sentinel", "quorum"},
    {"SENTINEL_DOWN_AFTER", "sentinel", "down_after_ms"},
    {"SENTINEL_FAILOVER", "sentinel", "failover_timeout_ms"},
};

const char *
conf_env_get(char *const *env, const char *name)
{
	size_t len = strlen(name);

	for (; env != NULL && *env != NULL; env++) {
		if (strncmp(*env, name, len) == 0 && (*env)[len] == '=') {
			return (*env)[len + 1] != '\0' ? *env + len + 1 : NULL;
		}
	}
	return NULL;
}

/* "CONFIG_MAXMEMORY_SAMPLES" as it is written in a file: in small letters, with dashes for `under`.
 */
static char *
lowered(const char *text, size_t len, char under)
{
	char *word = xstrndup(text, len);

	for (char *c = word; *c != '\0'; c++) {
		*c = *c == '_' ? under : (char)tolower((unsigned char)*c);
	}
	return word;
}

static bool
is_key(const char *name, const char *key)
{
	while (*key != '\0' && toupper((unsigned char)*key) == *name) {
		key++;
		name++;
	}
	return *key == '\0' && *name == '\0';
}

/* Splits "KEY" or "CONFIG_DIRECTIVE" of a redis section. */
static char *
redis_key(const char *name)
{
	char *directive, *key;

	if (strncmp(name, "CONFIG_", 7) != 0) {
		return lowered(name, strlen(name), '_');
	}
	directive = lowered(name + 7, strlen(name + 7), '-');
	key = xasprintf("config.%s", directive);
	free(directive);
	return key;
}

/* [NAME-ITEM]: the item is what stands before the longest key that fits. */
static bool
split_family(
    const char *name, const struct conf_section *family, char **ret_section, char **ret_key)
{
	size_t len = strlen(family->name), best = 0;

	for (size_t i = 0; i < conf_opt_count; i++) {
		size_t key_len = strlen(conf_opts[i].key), all = strlen(name);

		if (strcmp(conf_opts[i].section, family->name) != 0 ||
		    all < len + 1 + 1 + 1 + key_len || name[all - key_len - 1] != '_' ||
		    !is_key(name + all - key_len, conf_opts[i].key) || key_len <= best) {
			continue;
		}
		best = key_len;
		free(*ret_section);
		free(*ret_key);
		*ret_section = lowered(name, all - key_len - 1, '-');
		*ret_key = xstrdup(conf_opts[i].key);
	}
	return best > 0;
}

/* HOLDFAST_ is off. False when the words lead to no section; the key may still be unknown. */
static bool
split(const char *name, char **ret_section, char **ret_key)
{
	for (size_t i = 0; i < conf_section_count; i++) {
		const struct conf_section *section = &conf_sections[i];
		size_t len = strlen(section->name), digits;
		char *word = lowered(name, MIN(len, strlen(name)), '_');
		bool same =
		    strcmp(word, section->name) == 0 && name[len] == '_' && name[len + 1] != '\0';

		free(word);
		if (!same) {
			continue;
		}
		if (section->scope > SCOPE_REDIS) {
			return split_family(name, section, ret_section, ret_key);
		}
		digits = section->scope == SCOPE_REDIS ? strspn(name + len + 1, "0123456789") : 0;
		if (digits > 0 && name[len + 1 + digits] == '_' && name[len + 2 + digits] != '\0') {
			*ret_section = lowered(name, len + 1 + digits, '-');
			*ret_key = redis_key(name + len + 2 + digits);
		} else {
			*ret_section = xstrdup(section->name);
			*ret_key = section->scope == SCOPE_REDIS
				       ? redis_key(name + len + 1)
				       : lowered(name + len + 1, strlen(name + len + 1), '_');
		}
		return true;
	}
	return false;
}

/* The variable of the option that is nearest to `name`, both without HOLDFAST_. */
static unsigned
nearest_variable(const char *name, char *nearest, size_t size)
{
	unsigned least = -1u;

	for (size_t i = 0; i < conf_opt_count; i++) {
		char candidate[NAME_MAX_];
		unsigned distance;

		if (conf_opts[i].offset == CONF_NO_OFFSET) {
			continue;
		}
		(void)snprintf(
		    candidate, sizeof(candidate), "%s_%s", conf_opts[i].section, conf_opts[i].key);
		for (char *c = candidate; *c != '\0'; c++) {
			*c = (char)toupper((unsigned char)*c);
		}
		distance = nearest_distance(name, candidate);
		if (distance < least) {
			least = distance;
			(void)snprintf(nearest, size, "%s", candidate);
		}
	}
	return least;
}

/* Is its first word a slip for a section, or the whole of it an option of [holdfast]? Else it is
 * not ours. */
static bool
is_meant_for_us(const char *name)
{
	char word[32], *key = lowered(name, strlen(name), '_');
	bool meant = conf_opt_find("holdfast", key) != NULL;

	free(key);
	(void)snprintf(
	    word, sizeof(word), "%.*s", (int)MIN(strcspn(name, "_"), sizeof(word) - 1), name);
	for (char *c = word; *c != '\0'; c++) {
		*c = (char)tolower((unsigned char)*c);
	}
	for (size_t i = 0; i < conf_section_count && !meant; i++) {
		unsigned allowed = strlen(conf_sections[i].name) > 4 ? 2 : 1;

		meant = name[strlen(word)] == '_' &&
			nearest_distance(word, conf_sections[i].name) <= allowed;
	}
	return meant;
}

static void
gather_variable(struct conf_settings *s, const char *variable)
{
	const char *equals = strchr(variable, '=');
	char *where, *plain, *section = NULL, *key = NULL, nearest[NAME_MAX_] = "";
	size_t len;
	bool names_file;
	const char *name;

	if (equals[1] == '\0') {
		return;
	}
	where = xstrndup(variable, MIN((size_t)(equals - variable), NAME_MAX_));
	plain = xstrdup(where);
	len = strlen(plain);
	names_file = len > PREFIX_LEN + strlen(FILE_END) &&
		     strcmp(plain + len - strlen(FILE_END), FILE_END) == 0;
	if (names_file) {
		plain[len - strlen(FILE_END)] = '\0';
	}
	name = plain + PREFIX_LEN;
	if (strcmp(name, "DIR") == 0) {
		goto out;
	}
	if (!split(name, &section, &key)) {
		if (is_meant_for_us(name)) {
			(void)nearest_variable(name, nearest, sizeof(nearest));
			conf_faults_add(s->faults,
			    "%s: no option has this name; the nearest is " PREFIX "%s", where,
			    nearest);
		}
		goto out;
	}
	if (strchr(key, '.') == NULL && strchr(section, '-') == NULL &&
	    conf_opt_find(section, key) == NULL) {
		(void)nearest_variable(name, nearest, sizeof(nearest));
		conf_faults_add(s->faults,
		    "%s: no option has this name; the nearest is " PREFIX "%s", where, nearest);
		goto out;
	}
	conf_setting_add(s,
	    &(struct conf_origin){.source = SOURCE_ENV, .where = where, .names_file = names_file},
	    section, key, equals + 1);
out:
	free(section);
	free(key);
	free(plain);
	free(where);
}

static int
by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void
conf_gather_env(struct conf_settings *s)
{
	char **ours = NULL;
	size_t count = 0;

	if (s->env == NULL) {
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(container_names); i++) {
		const char *value = conf_env_get(s->env, container_names[i].variable);

		if (value != NULL) {
			conf_setting_add(s,
			    &(struct conf_origin){
				.source = SOURCE_CONTAINER, .where = container_names[i].variable},
			    container_names[i].section, container_names[i].key, value);
		}
	}
	for (char *const *e = s->env; *e != NULL; e++) {
		if (strncmp(*e, PREFIX, PREFIX_LEN) == 0 && strchr(*e, '=') != NULL) {
			ours = xreallocarray(ours, count + 1, sizeof(*ours));
			ours[count++] = *e;
		}
	}
	/* The order of the environment is nobody's choice; sections named in it shall not depend on
	 * it. */
	if (count > 0) {
		qsort(ours, count, sizeof(*ours), by_name);
	}
	for (size_t i = 0; i < count; i++) {
		gather_variable(s, ours[i]);
	}
	free(ours);
}
