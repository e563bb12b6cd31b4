/* One SECTION, KEY and VALUE from any source: does the table know it, and what does its value stand
 * for? */
#include "conf/conf_priv.h"

#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

#define SECTION_NAME_MAX 32

/* "redis-2" → the section redis, 2; "acl-ops" → the section acl, "ops". */
struct head {
	const struct conf_section *section; /* NULL: there is none of that name */
	unsigned redis;
	const char *item; /* borrowed from the text, or NULL */
};

static bool
is_item_name(const char *name)
{
	size_t len = strlen(name);

	return len > 0 && len <= SECTION_NAME_MAX &&
	       strspn(name, "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789_-") ==
		   len;
}

static struct head
head_parse(const char *text)
{
	static const char *const families[] = {"redis", "module", "acl", "peer", "site", "user"};
	const struct conf_section *plain = conf_section_find(text);
	uint64_t number;

	if (plain != NULL && plain->scope <= SCOPE_REDIS) {
		return (struct head){.section = plain};
	}
	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		size_t len = strlen(families[i]);
		const struct conf_section *family = conf_section_find(families[i]);

		if (strncmp(text, families[i], len) != 0 || text[len] != '-') {
			continue;
		}
		if (family->scope != SCOPE_REDIS) {
			return is_item_name(text + len + 1)
				   ? (struct head){.section = family, .item = text + len + 1}
				   : (struct head){0};
		}
		if (text[len + 1] != '0' && slice_to_u64(slice_str(text + len + 1), &number) &&
		    number <= 9999) {
			return (struct head){.section = family, .redis = (unsigned)number};
		}
	}
	return (struct head){0};
}

static void
push(struct conf_settings *s, const struct conf_setting *setting)
{
	s->items = xreallocarray(s->items, s->count + 1, sizeof(*s->items));
	s->items[s->count++] = *setting;
}

bool
conf_setting_head(struct conf_settings *s, const struct conf_origin *from, const char *section)
{
	struct head head = head_parse(section);

	if (head.section == NULL) {
		conf_faults_add(s->faults, "%s: there is no section [%s]; the nearest is [%s]",
		    from->where, section, conf_nearest_section(section));
		return false;
	}
	if (head.section->scope == SCOPE_GLOBAL) {
		return true;
	}
	push(s, &(struct conf_setting){.item = xstrdup(head.item),
		    .redis = head.redis,
		    .scope = head.section->scope,
		    .source = from->source,
		    .where = xstrdup(from->where)});
	return true;
}

char *
conf_unquote(const char *text)
{
	char *value, *out;
	const char *c = text + 1;

	if (text[0] != '"') {
		return xstrdup(text);
	}
	value = out = xcalloc(strlen(text) + 1, 1);
	for (; *c != '\0' && *c != '"'; c++) {
		if (*c == '\\' && (c[1] == '"' || c[1] == '\\')) {
			c++;
		}
		*out++ = *c;
	}
	if (*c == '"') {
		c += 1 + strspn(c + 1, " \t");
		if (*c == '\0' || *c == ';') {
			return value;
		}
	}
	free(value);
	return NULL;
}

static bool
has_control(const char *text)
{
	for (; *text != '\0'; text++) {
		if (iscntrl((unsigned char)*text)) {
			return true;
		}
	}
	return false;
}

/* The text of the file, without the end of its line; NULL with the reason. */
static char *
read_value_file(const char *path, const char *dir, struct errmsg *err)
{
	char *full = path[0] == '/' || dir == NULL ? xstrdup(path) : xasprintf("%s/%s", dir, path);
	char *value = xcalloc(CONF_LINE_MAX + 2, 1);
	size_t len;

	if (conf_read_file(full, value, CONF_LINE_MAX, &len, err) == 0) {
		while (len > 0 && (value[len - 1] == '\n' || value[len - 1] == '\r')) {
			len--;
		}
		value[len] = '\0';
		if (strlen(value) == len && !has_control(value)) {
			free(full);
			return value;
		}
		errmsg_set(err, "%s: holds more than one line, or control characters", full);
	}
	free(value);
	free(full);
	return NULL;
}

static bool
is_variable(const char *text)
{
	if (!isalpha((unsigned char)text[0]) && text[0] != '_') {
		return false;
	}
	while (isalnum((unsigned char)*text) || *text == '_') {
		text++;
	}
	return *text == '\0';
}

/* What VALUE stands for, a new string; NULL with the reason. */
static char *
resolve(const struct conf_settings *s, const struct conf_origin *from, const char *text,
    bool *ret_hidden, struct errmsg *err)
{
	const char *found;
	char *value;

	*ret_hidden = false;
	if (from->names_file) {
		*ret_hidden = true;
		value = read_value_file(text, from->dir, err);
		if (value == NULL) {
			errmsg_prefix(err, "has no value");
		}
		return value;
	}
	if (from->source == SOURCE_ENV || from->source == SOURCE_CONTAINER) {
		return xstrdup(text);
	}
	if (text[0] == '"') {
		value = conf_unquote(text);
		if (value == NULL) {
			errmsg_set(err, "has a quote that does not end: write \"…\", with \\\" for "
					"a quote inside");
		}
		return value;
	}
	if (from->source == SOURCE_TEXT) {
		return xstrdup(text);
	}
	if (text[0] == '$' && is_variable(text + 1)) {
		*ret_hidden = true;
		found = conf_env_get(s->env, text + 1);
		if (found == NULL) {
			errmsg_set(err,
			    "needs the variable %s of the environment, which is not set", text + 1);
			return NULL;
		}
		return xstrdup(found);
	}
	if (text[0] == '@') {
		*ret_hidden = true;
		value = read_value_file(text + 1, from->dir, err);
		if (value == NULL) {
			errmsg_prefix(err, "has no value");
		}
		return value;
	}
	return xstrdup(text);
}

char *
conf_resolve(const char *text, const char *dir, char *const *env, struct errmsg *err)
{
	const struct conf_settings s = {.env = env};
	const struct conf_origin from = {.source = SOURCE_FILE, .where = "", .dir = dir};
	bool hidden;

	return resolve(&s, &from, text, &hidden, err);
}

static bool
same_option(const struct conf_setting *a, const struct conf_setting *b)
{
	if (a->value == NULL || b->value == NULL || a->opt != b->opt || a->redis != b->redis) {
		return false;
	}
	if ((a->item == NULL) != (b->item == NULL) ||
	    (a->directive == NULL) != (b->directive == NULL)) {
		return false;
	}
	return (a->item == NULL || strcmp(a->item, b->item) == 0) &&
	       (a->directive == NULL || strcmp(a->directive, b->directive) == 0);
}

/* A file says everything once; on the command line the last one counts. */
static bool
is_duplicate(struct conf_settings *s, const struct conf_setting *setting, const char *section,
    const char *key)
{
	if (setting->source != SOURCE_FILE && setting->source != SOURCE_TEXT) {
		return false;
	}
	if (setting->directive != NULL && conf_directive_repeats(setting->directive)) {
		return false;
	}
	for (size_t i = 0; i < s->count; i++) {
		if (s->items[i].source == setting->source && same_option(&s->items[i], setting)) {
			conf_faults_add(s->faults,
			    "%s: %s.%s was set before, at %s: take one of the two out",
			    setting->where, section, key, s->items[i].where);
			return true;
		}
	}
	return false;
}

static void
unknown_key(struct conf_settings *s, const struct conf_origin *from, const struct head *head,
    const char *section, const char *key)
{
	const char *nearest = conf_nearest_key(head->section->name, key);
	const char *elsewhere = conf_section_with_key(key);

	if (elsewhere != NULL && head->section->scope <= SCOPE_REDIS &&
	    strcmp(elsewhere, section) != 0) {
		conf_faults_add(s->faults,
		    "%s: %s.%s does not exist: %s is an option of [%s], and the nearest in [%s] is "
		    "%s",
		    from->where, section, key, key, elsewhere, section, nearest);
		return;
	}
	conf_faults_add(s->faults, "%s: %s.%s does not exist; the nearest is %s.%s%s%s",
	    from->where, section, key, section, nearest,
	    head->section->scope == SCOPE_REDIS
		? ", and a directive of redis.conf is written config."
		: "",
	    head->section->scope == SCOPE_REDIS ? key : "");
}

/* Fills `opt` or `directive`; false, with a fault, when there is no such option. */
static bool
find_option(struct conf_settings *s, const struct conf_origin *from, const struct head *head,
    const char *section, const char *key, struct conf_setting *setting)
{
	setting->scope = head->section->scope;
	if (setting->scope == SCOPE_REDIS && strncmp(key, "config.", 7) == 0) {
		setting->directive = xstrdup(key + 7);
		for (char *c = setting->directive; *c != '\0'; c++) {
			*c = (char)tolower((unsigned char)*c);
		}
		return true;
	}
	setting->opt = conf_opt_find(head->section->name, key);
	if (setting->opt == NULL) {
		unknown_key(s, from, head, section, key);
		return false;
	}
	if (head->redis != 0 && setting->opt->item_offset == CONF_NO_OFFSET) {
		conf_faults_add(s->faults,
		    "%s: %s.%s is the same for all instances: set it in [redis]", from->where,
		    section, key);
		return false;
	}
	return true;
}

static void
setting_free(struct conf_setting *setting)
{
	free(setting->directive);
	free(setting->item);
	free(setting->value);
	free(setting->where);
}

/* What holds for every value, before its option looks at it. */
static int
check_text(const struct conf_setting *setting, struct errmsg *err)
{
	if (has_control(setting->value)) {
		errmsg_set(err, "holds a line break or another control character: take it out");
		return -EINVAL;
	}
	if (strlen(setting->value) > CONF_LINE_MAX && setting->source != SOURCE_TEXT) {
		errmsg_set(err, "is too long: at most %d bytes", CONF_LINE_MAX);
		return -EINVAL;
	}
	if (setting->directive != NULL) {
		return conf_directive_check(setting->directive, setting->value, err);
	}
	return 0;
}

void
conf_setting_add(struct conf_settings *s, const struct conf_origin *from, const char *section,
    const char *key, const char *value)
{
	struct head head = head_parse(section);
	struct conf_setting setting = {.source = from->source, .redis = head.redis};
	struct errmsg err = ERRMSG_NONE;

	if (head.section == NULL) {
		(void)conf_setting_head(s, from, section);
		return;
	}
	setting.item = xstrdup(head.item);
	setting.where = xstrdup(from->where);
	if (!find_option(s, from, &head, section, key, &setting)) {
		goto fail;
	}
	setting.value = resolve(s, from, value, &setting.hidden, &err);
	if (setting.value == NULL || check_text(&setting, &err) < 0) {
		conf_faults_add(s->faults, "%s: %s.%s %s", from->where, section, key, err.text);
		goto fail;
	}
	if (is_duplicate(s, &setting, section, key)) {
		goto fail;
	}
	push(s, &setting);
	return;
fail:
	setting_free(&setting);
}

void
conf_settings_fini(struct conf_settings *s)
{
	for (size_t i = 0; i < s->count; i++) {
		setting_free(&s->items[i]);
	}
	free(s->items);
	free(s->data_dir);
	free(s->file);
	*s = (struct conf_settings){0};
}
