/* The servers' programs: found, executable, and what version they say they are. */
#include <ctype.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "cli/check.h"
#include "proc/capture.h"

#define VERSION_TIMEOUT_MS 5000
#define VERSION_SIZE       64
#define OUTPUT_MAX         4096
/* ACL users are of 6.0, FAILOVER and the options of Sentinel that are used of 6.2. */
#define OLDEST_MAJOR 6
#define OLDEST_MINOR 2

/* "Redis server v=7.0.15 sha=…" and "Valkey server v=8.0.1 …" → "7.0.15". */
static bool
find_version(const char *text, char *version)
{
	const char *v = strstr(text, " v=");
	size_t len = v != NULL ? strspn(v + 3, "0123456789.") : 0;

	if (len == 0 || len >= VERSION_SIZE || !isdigit((unsigned char)v[3])) {
		return false;
	}
	(void)snprintf(version, VERSION_SIZE, "%.*s", (int)len, v + 3);
	return true;
}

int
check_version(const char *path, char *ret_version, struct errmsg *err)
{
	char *name = xstrdup(path), option[] = "--version";
	char *argv[] = {name, option, NULL};
	struct buf said;
	int rc, status = -1;

	buf_init(&said, OUTPUT_MAX);
	rc = capture(path, argv, VERSION_TIMEOUT_MS, &said, &status, err);
	if (rc == 0 && (buf_add(&said, "", 1) < 0 || status != 0 ||
			   !find_version((const char *)buf_slice(&said).ptr, ret_version))) {
		rc = -EPROTO;
		errmsg_set(err, "%s --version names no version: is it a redis server? It said %s",
		    path, LOG_QUOTE(buf_slice(&said)));
	}
	buf_fini(&said);
	free(name);
	return rc;
}

static bool
is_too_old(const char *version)
{
	unsigned long major = strtoul(version, NULL, 10), minor = 0;
	const char *dot = strchr(version, '.');

	if (dot != NULL) {
		minor = strtoul(dot + 1, NULL, 10);
	}
	return major < OLDEST_MAJOR || (major == OLDEST_MAJOR && minor < OLDEST_MINOR);
}

static void
check_program(const char *what, const char *path, const char *behind, struct conf_faults *faults)
{
	struct errmsg err = ERRMSG_NONE;
	char version[VERSION_SIZE] = "";

	if (check_version(path, version, &err) < 0) {
		conf_faults_add(faults, "%s", err.text);
	} else if (is_too_old(version)) {
		conf_faults_add(faults, "%s is version %s: %d.%d or newer is needed", path, version,
		    OLDEST_MAJOR, OLDEST_MINOR);
	} else {
		check_good(what, "%s%s, version %s", path, behind, version);
	}
}

void
check_programs(const struct conf *conf, struct conf_faults *faults)
{
	struct errmsg err = ERRMSG_NONE;
	char *server = NULL, *sentinel = NULL, *first = NULL;
	bool flag = false;

	for (unsigned n = 0; n < conf->redis_instances; n++) {
		if (conf_find_server(conf->redis[n].server, &server, &err) < 0) {
			conf_faults_add(faults, "%s", err.text);
			continue;
		}
		if (first == NULL || strcmp(first, server) != 0) {
			check_program("redis server", server, "", faults);
		}
		free(first);
		first = server;
		server = NULL;
	}
	free(first);
	if (conf_find_server(conf->redis_server, &server, &err) < 0 &&
	    conf->sentinel_server == NULL) {
		conf_faults_add(faults, "%s", err.text);
	} else if (conf_find_sentinel(conf->sentinel_server, server, &sentinel, &flag, &err) < 0) {
		conf_faults_add(faults, "%s", err.text);
	} else {
		check_program("sentinel", sentinel, flag ? " --sentinel" : "", faults);
	}
	free(sentinel);
	free(server);
}
