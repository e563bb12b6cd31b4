/* Which programs are run as redis-server and as Sentinel. Links are not followed: servers look at
 * their own name. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "conf/conf.h"

static bool
is_program(const char *path)
{
	struct stat st;

	return stat(path, &st) == 0 && S_ISREG(st.st_mode) && access(path, X_OK) == 0;
}

/* The absolute path of `name` on PATH, or NULL. */
static char *
on_path(const char *name)
{
	const char *dirs = getenv("PATH");

	dirs = dirs != NULL && dirs[0] != '\0' ? dirs : "/usr/local/bin:/usr/bin:/bin";
	while (true) {
		size_t len = strcspn(dirs, ":");
		/* A relative or empty folder would make the program depend on where one stands. */
		char *path = dirs[0] == '/' ? xasprintf("%.*s/%s", (int)len, dirs, name) : NULL;

		if (path != NULL && is_program(path)) {
			return path;
		}
		free(path);
		if (dirs[len] == '\0') {
			return NULL;
		}
		dirs += len + 1;
	}
}

/* A path or a name as the user wrote it. */
static int
find_configured(const char *option, const char *configured, char **ret_path, struct errmsg *err)
{
	char *path, *cwd;

	if (strchr(configured, '/') == NULL) {
		path = on_path(configured);
		if (path == NULL) {
			errmsg_set(err,
			    "%s: no program '%s' on PATH: install it, or write its whole path",
			    option, configured);
			return -ENOENT;
		}
		*ret_path = path;
		return 0;
	}
	cwd = configured[0] != '/' ? getcwd(NULL, 0) : NULL;
	path = cwd != NULL ? xasprintf("%s/%s", cwd, configured) : xstrdup(configured);
	free(cwd);
	if (is_program(path)) {
		*ret_path = path;
		return 0;
	}
	if (access(path, F_OK) == 0) {
		errmsg_set(err,
		    "%s: %s is no program that this user may run: check the path and its "
		    "permissions",
		    option, path);
		free(path);
		return -EACCES;
	}
	errmsg_set(err, "%s: %s is not there: install it, or correct the path", option, path);
	free(path);
	return -ENOENT;
}

int
conf_find_server(const char *configured, char **ret_path, struct errmsg *err)
{
	char *path;

	if (configured != NULL) {
		return find_configured("redis.server", configured, ret_path, err);
	}
	path = on_path("redis-server");
	if (path == NULL) {
		path = on_path("valkey-server");
	}
	if (path == NULL) {
		errmsg_set(err, "neither redis-server nor valkey-server is on PATH: install one "
				"(Debian: apt-get install "
				"redis-server), or set redis.server");
		return -ENOENT;
	}
	*ret_path = path;
	return 0;
}

/* "/usr/bin/redis-server" → "/usr/bin/redis-sentinel", if that is a program; else NULL. */
static char *
beside(const char *server)
{
	size_t len = strlen(server), tail = strlen("-server");
	char *path;

	if (len <= tail || strcmp(server + len - tail, "-server") != 0) {
		return NULL;
	}
	path = xasprintf("%.*s-sentinel", (int)(len - tail), server);
	if (!is_program(path)) {
		free(path);
		return NULL;
	}
	return path;
}

int
conf_find_sentinel(
    const char *configured, const char *server, char **ret_path, bool *ret_flag, struct errmsg *err)
{
	const char *base;
	char *path;
	int rc;

	if (configured != NULL) {
		rc = find_configured("sentinel.server", configured, &path, err);
		if (rc < 0) {
			return rc;
		}
	} else {
		path = beside(server);
		path = path != NULL ? path : xstrdup(server);
	}
	base = strrchr(path, '/');
	*ret_flag = strstr(base != NULL ? base + 1 : path, "sentinel") == NULL;
	*ret_path = path;
	return 0;
}
