/*
 * holdfast cli: redis-cli in our place, told where to connect. The password goes to it in the
 * environment of that one process, never in its arguments: other users may read those.
 *
 * The first argument is an instance if one has that name, else it is the first word of a command:
 * no Redis command is called redis-1.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/cli_priv.h"
#include "instance/redis_conf.h"
#include "net/endpoint.h"

#define SECRET_MAX 256

/* The first instance with this name or kind. Borrowed. */
static const json_t *
find_instance(const json_t *instances, const char *member, const char *value)
{
	for (size_t i = 0; i < json_array_size(instances); i++) {
		const json_t *inst = json_array_get(instances, i);

		if (strcmp(cli_text_of(inst, member), value) == 0) {
			return inst;
		}
	}
	return NULL;
}

/* Who listens on all addresses is reached on loopback. */
static void
make_reachable(struct endpoint *ep)
{
	if (strcmp(ep->host, "0.0.0.0") == 0 || strcmp(ep->host, "*") == 0) {
		(void)snprintf(ep->host, sizeof(ep->host), "127.0.0.1");
	} else if (strcmp(ep->host, "::") == 0) {
		(void)snprintf(ep->host, sizeof(ep->host), "::1");
	}
}

/* Where it listens: its first address, rather one without TLS, or its port on loopback. */
static bool
find_address(const json_t *inst, struct endpoint *ret_ep)
{
	const json_t *listen = json_object_get(inst, "listen");
	json_int_t port = json_integer_value(json_object_get(inst, "port"));
	const char *host = cli_text_of(inst, "host");
	bool found = false;

	for (size_t i = 0; i < json_array_size(listen) && (!found || ret_ep->tls); i++) {
		const char *text = json_string_value(json_array_get(listen, i));
		struct endpoint ep;

		if (text != NULL && endpoint_parse(text, 0, &ep, NULL) == 0 && !ep.proxied &&
		    (!found || !ep.tls)) {
			*ret_ep = ep;
			found = true;
		}
	}
	if (found) {
		make_reachable(ret_ep);
		return true;
	}
	if (port < 1 || port > UINT16_MAX) {
		return false;
	}
	*ret_ep = endpoint_tcp(host[0] != '\0' ? host : "127.0.0.1", (uint16_t)port);
	make_reachable(ret_ep);
	return true;
}

/* The password of our own redis user, into the environment. -1 to go on, or an exit code. */
static int
give_secret(const struct cli_opts *o)
{
	char dir[PATH_MAX], secret[SECRET_MAX + 1], *path;
	int fd, code = cli_data_dir(o, dir, sizeof(dir));
	ssize_t n = -1;

	if (code >= 0) {
		return code;
	}
	path = xasprintf("%s/secret", dir);
	fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd != -1) {
		n = read(fd, secret, SECRET_MAX);
		(void)close(fd);
	}
	if (n <= 0) {
		cli_error("cannot read %s: %s", path, n == 0 ? "it is empty" : strerror(errno));
		code = CLI_FAILED;
	} else {
		secret[n] = '\0';
		secret[strcspn(secret, "\r\n")] = '\0';
		if (setenv("REDISCLI_AUTH", secret, 1) == -1) {
			cli_error("cannot set the environment: %s", strerror(errno));
			code = CLI_FAILED;
		}
		explicit_bzero(secret, sizeof(secret));
	}
	free(path);
	return code;
}

/* Becomes redis-cli; returns only when that fails. */
static int
become(const struct cli_opts *o, const struct endpoint *at, const json_t *tls, bool with_user,
    int skip)
{
	static const char *const programs[] = {"redis-cli", "valkey-cli"};
	static const struct {
		const char *option, *member;
	} files[] = {{"--cacert", "ca"}, {"--cert", "cert"}, {"--key", "key"}};
	const char **argv = xcalloc((size_t)o->arg_count + 20, sizeof(*argv));
	char port[8];
	int n = 1;

	(void)snprintf(port, sizeof(port), "%u", at->port);
	if (at->kind == ENDPOINT_UNIX) {
		argv[n++] = "-s";
		argv[n++] = at->host;
	} else {
		argv[n++] = "-h";
		argv[n++] = at->host;
		argv[n++] = "-p";
		argv[n++] = port;
	}
	if (tls != NULL) {
		argv[n++] = "--tls";
		for (size_t i = 0; i < ARRAY_LEN(files); i++) {
			argv[n++] = files[i].option;
			argv[n++] = cli_text_of(tls, files[i].member);
		}
	} else if (at->tls) {
		/* the certificate names this service, not the address by which we reach our own host */
		argv[n++] = "--tls";
		argv[n++] = "--insecure";
	}
	if (with_user) {
		argv[n++] = "--user";
		argv[n++] = o->user != NULL ? o->user : INSTANCE_USER;
		argv[n++] = "--no-auth-warning";
		if (getenv("REDISCLI_AUTH") == NULL) {
			argv[n++] = "--askpass";
		}
	}
	for (int i = skip; i < o->arg_count; i++) {
		argv[n++] = o->args[i];
	}
	(void)fflush(stdout);
	for (size_t i = 0; i < ARRAY_LEN(programs); i++) {
		union {
			const char **in;
			char *const *out;
		} as = {argv}; /* exec does not change them */

		argv[0] = programs[i];
		(void)execvp(programs[i], as.out);
		if (errno != ENOENT) {
			break;
		}
	}
	cli_error(errno == ENOENT
		      ? "neither redis-cli nor valkey-cli is on PATH: install redis-tools"
		      : "cannot start redis-cli: %m");
	free(argv);
	return CLI_FAILED;
}

static int
run_cli(const struct cli_opts *o)
{
	const json_t *instances, *inst = NULL;
	json_t *reply = NULL;
	struct endpoint at;
	bool with_user, is_worker;
	int code = cli_ask(o, "status", NULL, CLI_ANSWER_MS, &reply), skip = 0;

	if (code != CLI_OK) {
		return code;
	}
	instances = json_object_get(json_object_get(reply, "status"), "instances");
	if (o->arg_count > 0) {
		inst = find_instance(instances, "name", o->args[0]);
		skip = inst != NULL ? 1 : 0;
	}
	if (inst == NULL) {
		inst = find_instance(instances, "kind", "proxy");
	}
	code = -1;
	if (inst == NULL || !find_address(inst, &at)) {
		cli_error("%s has no address to connect to: name an instance of `holdfast status`",
		    inst != NULL ? cli_text_of(inst, "name") : "the proxy");
		code = CLI_FAILED;
	} else if (strcmp(cli_text_of(inst, "kind"), "http") == 0) {
		cli_error("%s speaks HTTP: ask it with curl", cli_text_of(inst, "name"));
		code = CLI_USAGE;
	} else {
		/* sentinels have no users */
		with_user = strcmp(cli_text_of(inst, "kind"), "sentinel") != 0;
		is_worker = strcmp(cli_text_of(inst, "kind"), "proxy") == 0;
		if (with_user && o->user == NULL) {
			code = give_secret(o);
		}
		if (code < 0) {
			code = become(o, &at, is_worker ? NULL : json_object_get(reply, "tls"),
			    with_user, skip);
		}
	}
	json_decref(reply);
	return code;
}

int
cli_cli(int argc, char **argv)
{
	struct cli_opts opts;
	int code = cli_opts_parse(argc, argv, "+dU", 0, -1, &opts);

	if (code < 0) {
		code = run_cli(&opts);
	}
	cli_opts_fini(&opts);
	return code;
}
