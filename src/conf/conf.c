#include "conf/conf.h"

#include <errno.h>
#include <limits.h>
#include <pwd.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "conf/conf_priv.h"

#define DATA_DIR_MAX 1024

static char *
absolute(const char *dir, struct errmsg *err)
{
	char *path, *cwd = NULL;
	size_t len;

	while (strncmp(dir, "./", 2) == 0) {
		dir += 2 + strspn(dir + 2, "/");
	}
	if (dir[0] == '/') {
		path = xstrdup(dir);
	} else {
		cwd = getcwd(NULL, 0);
		if (cwd == NULL) {
			errmsg_set(err,
			    "the working folder is not known (%s): give an absolute path with -d",
			    strerror(errno));
			return NULL;
		}
		path = strcmp(dir, ".") == 0 || dir[0] == '\0'
			   ? xstrdup(cwd)
			   : xasprintf("%s/%s", strcmp(cwd, "/") == 0 ? "" : cwd, dir);
		free(cwd);
	}
	for (len = strlen(path); len > 1 && path[len - 1] == '/'; len--) {
		path[len - 1] = '\0';
	}
	return path;
}

int
conf_data_dir_for(bool root, const char *dir, char *const *env, char **ret_dir, struct errmsg *err)
{
	const char *state = conf_env_get(env, "XDG_STATE_HOME"), *home = conf_env_get(env, "HOME");
	char *path;

	dir = dir != NULL ? dir : conf_env_get(env, "HOLDFAST_DIR");
	if (dir != NULL && dir[0] != '\0') {
		path = absolute(dir, err);
	} else if (root) {
		path = xstrdup("/var/lib/holdfast");
	} else if (state != NULL && state[0] == '/') {
		path = xasprintf("%s/holdfast", state);
	} else {
		const struct passwd *user = home == NULL ? getpwuid(geteuid()) : NULL;

		home = user != NULL ? user->pw_dir : home;
		path = home != NULL && home[0] == '/' ? xasprintf("%s/.local/state/holdfast", home)
						      : NULL;
		if (path == NULL) {
			errmsg_set(err, "no home folder is known: choose the data folder with -d "
					"or HOLDFAST_DIR");
		}
	}
	if (path == NULL) {
		return -EINVAL;
	}
	if (strlen(path) > DATA_DIR_MAX) {
		errmsg_set(err,
		    "the path of the data folder is too long (%zu bytes, at most %d): choose a "
		    "shorter one with -d or "
		    "HOLDFAST_DIR",
		    strlen(path), DATA_DIR_MAX);
		free(path);
		return -EINVAL;
	}
	*ret_dir = path;
	return 0;
}

int
conf_data_dir(const char *dir, char *const *env, char **ret_dir, struct errmsg *err)
{
	return conf_data_dir_for(geteuid() == 0, dir, env, ret_dir, err);
}

/* The number of a fault "FILE:LINE: …", or a very large one for all others. */
static unsigned long
line_of(const char *fault, const char *file)
{
	size_t len = file != NULL ? strlen(file) : 0;

	return file != NULL && strncmp(fault, file, len) == 0 && fault[len] == ':'
		   ? strtoul(fault + len + 1, NULL, 10)
		   : ULONG_MAX;
}

/* By line, as one reads the file; the others keep their order behind. */
static void
sort_faults(struct conf_faults *faults, const char *file)
{
	for (size_t i = 1; i < faults->count; i++) {
		char *fault = faults->items[i];
		size_t at = i;

		for (; at > 0 && line_of(faults->items[at - 1], file) > line_of(fault, file);
		     at--) {
			faults->items[at] = faults->items[at - 1];
		}
		faults->items[at] = fault;
	}
}

static bool
has_secret(const struct conf_settings *s)
{
	for (size_t i = 0; i < s->count; i++) {
		const struct conf_setting *it = &s->items[i];

		if (it->source == SOURCE_FILE && it->opt != NULL &&
		    (it->opt->flags & CONF_SECRET) != 0 && !it->hidden && it->value[0] != '\0') {
			return true;
		}
	}
	return false;
}

int
conf_load_anyway(const struct conf_sources *src, struct conf **ret_conf, struct conf_faults *faults)
{
	struct conf_settings settings = {.env = src->env, .faults = faults};
	size_t before = faults->count + faults->dropped;
	struct errmsg err = ERRMSG_NONE;
	struct conf *conf;

	if (src->file != NULL) {
		conf_gather_file(&settings, src->file);
	}
	conf_gather_env(&settings);
	conf_gather_sets(&settings, src->sets, src->set_count);
	conf = conf_build(&settings);
	conf->file = xstrdup(src->file);
	conf->file_has_secret = has_secret(&settings);
	if (conf_data_dir(src->data_dir, src->env, &conf->data_dir, &err) < 0) {
		conf_faults_add(faults, "%s", err.text);
	}
	conf_verify(conf, &settings);
	conf_read_tls(conf, &settings);
	conf_settings_fini(&settings);
	sort_faults(faults, src->file);
	*ret_conf = conf;
	return faults->count + faults->dropped > before ? -EINVAL : 0;
}

int
conf_load(const struct conf_sources *src, struct conf **ret_conf, struct conf_faults *faults)
{
	struct conf *conf = NULL;
	int rc = conf_load_anyway(src, &conf, faults);

	if (rc < 0) {
		conf_free(&conf);
		return rc;
	}
	*ret_conf = conf;
	return 0;
}

static void
free_items(enum conf_scope scope, void *items, size_t count, size_t size)
{
	for (size_t n = 0; n < count; n++) {
		char *item = (char *)items + n * size;

		free(*(char **)item);
		for (size_t i = 0; i < conf_opt_count; i++) {
			if (conf_opts[i].scope == scope) {
				conf_value_free(&conf_opts[i], item + conf_opts[i].item_offset);
			}
		}
	}
	free(items);
}

void
conf_free(struct conf **conf)
{
	struct conf *c = *conf;

	*conf = NULL;
	if (c == NULL) {
		return;
	}
	for (unsigned n = 0; n < c->redis_instances; n++) {
		conf_directives_fini(&c->redis[n].config);
	}
	free_items(SCOPE_REDIS, c->redis, c->redis_instances, sizeof(*c->redis));
	free_items(SCOPE_MODULE, c->modules, c->module_count, sizeof(*c->modules));
	free_items(SCOPE_ACL, c->acls, c->acl_count, sizeof(*c->acls));
	free_items(SCOPE_PEER, c->peers, c->peer_count, sizeof(*c->peers));
	free_items(SCOPE_SITE, c->sites, c->site_count, sizeof(*c->sites));
	free_items(SCOPE_USER, c->users, c->user_count, sizeof(*c->users));
	for (size_t i = 0; i < conf_opt_count; i++) {
		if (conf_opts[i].offset != CONF_NO_OFFSET) {
			conf_value_free(&conf_opts[i], conf_field(c, conf_opts[i].offset));
		}
	}
	conf_directives_fini(&c->redis_config);
	free(c->data_dir);
	free(c->file);
	free(c);
}

const char *
conf_target_name(enum conf_target target)
{
	static const char *const names[CONF_TARGETS] = {[CONF_SUPERVISOR] = "supervisor",
	    [CONF_REDIS] = "redis",
	    [CONF_SENTINEL] = "sentinel",
	    [CONF_PROXY] = "proxy",
	    [CONF_HTTP] = "http"};

	return names[target];
}
