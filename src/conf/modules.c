/* An item of redis.modules: a name of the catalogue or a path, and its arguments. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "conf/conf_priv.h"

#define NAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"
#define BLANKS     " \t"

static const struct conf_module *
find_section(const struct conf *conf, const char *name)
{
	for (size_t i = 0; i < conf->module_count; i++) {
		if (strcmp(conf->modules[i].name, name) == 0) {
			return &conf->modules[i];
		}
	}
	return NULL;
}

/* The name of a file without its folder and ".so". False: too long, or it has none. */
static bool
name_of_file(const char *path, char *name, size_t size)
{
	const char *base = strrchr(path, '/') + 1;
	size_t len = strlen(base);

	if (len > 3 && strcmp(base + len - 3, ".so") == 0) {
		len -= 3;
	}
	if (len == 0 || len >= size) {
		return false;
	}
	(void)snprintf(name, size, "%.*s", (int)len, base);
	return true;
}

int
conf_module_get(
    const struct conf *conf, size_t i, struct conf_module_item *ret_item, struct errmsg *err)
{
	struct conf_module_item item = {.optional = false};
	const char *text = conf->redis_modules.items[i];
	const struct conf_module *section;
	size_t len;

	item.optional = text[0] == '?';
	text += item.optional ? 1 : 0;
	text += strspn(text, BLANKS);
	len = strcspn(text, BLANKS);
	item.by_path = text[0] == '/';
	if (len >= (item.by_path ? sizeof(item.path) : sizeof(item.name)) ||
	    (!item.by_path && (len == 0 || strspn(text, NAME_CHARS) < len))) {
		errmsg_set(err,
		    "'%s' is neither a name of the catalogue (see `holdfast modules`) nor an "
		    "absolute path",
		    text);
		return -EINVAL;
	}
	(void)snprintf(item.by_path ? item.path : item.name,
	    item.by_path ? sizeof(item.path) : sizeof(item.name), "%.*s", (int)len, text);
	if (item.by_path && !name_of_file(item.path, item.name, sizeof(item.name))) {
		errmsg_set(err, "'%s' names no file", item.path);
		return -EINVAL;
	}
	text += len + strspn(text + len, BLANKS);
	if (snprintf(item.args, sizeof(item.args), "%s", text) >= (int)sizeof(item.args)) {
		errmsg_set(err, "%s has too many arguments", item.name);
		return -EINVAL;
	}
	section = find_section(conf, item.name);
	if (section != NULL && section->path != NULL && section->path[0] != '/') {
		errmsg_set(err, "path in [module-%s] is no absolute path: it has to begin with /",
		    item.name);
		return -EINVAL;
	}
	if (section != NULL && section->path != NULL && !item.by_path) {
		(void)snprintf(item.path, sizeof(item.path), "%s", section->path);
	}
	if (section != NULL && section->args != NULL && item.args[0] != '\0') {
		errmsg_set(err,
		    "the arguments of %s stand in two places, here and in [module-%s]: keep one",
		    item.name, item.name);
		return -EINVAL;
	}
	if (section != NULL && section->args != NULL) {
		(void)snprintf(item.args, sizeof(item.args), "%s", section->args);
	}
	*ret_item = item;
	return 0;
}
