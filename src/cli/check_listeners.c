/* Every port and socket that would be listened on: free, ours already, or whose? */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>

#include <jansson.h>

#include "cli/check.h"
#include "cli/cli_priv.h"
#include "ctl/ctl.h"
#include "net/endpoint.h"
#include "net/listener.h"

#define STATUS_TIMEOUT_MS 3000

/* What belongs to the supervisor that runs in the data folder now, if one does. */
struct ours {
	const char *node; /* borrowed; of one of several hosts, or NULL */
	bool running;
	long long supervisor; /* its pid */
	json_t *instances;    /* reference; of its status, or NULL */
};

static void
ask_supervisor(const char *dir, struct ours *ours)
{
	struct errmsg err = ERRMSG_NONE;
	struct ctl_client *client = NULL;
	json_t *reply = NULL;
	struct ucred who;
	socklen_t len = sizeof(who);

	*ours = (struct ours){0};
	if (dir == NULL || ctl_client_open(dir, &client, &err) < 0) {
		return;
	}
	ours->running = true;
	if (getsockopt(ctl_client_fd(client), SOL_SOCKET, SO_PEERCRED, &who, &len) == 0) {
		ours->supervisor = who.pid;
	}
	if (ctl_client_call(client, "status", NULL, STATUS_TIMEOUT_MS, &reply, &err) == 0) {
		ours->instances =
		    json_incref(json_object_get(json_object_get(reply, "status"), "instances"));
	}
	json_decref(reply);
	ctl_client_close(&client);
}

/* Does a process of ours hold the port, by its pid, or where that is not to be seen, by the status? */
static bool
is_ours(const struct ours *ours, uint16_t port)
{
	char holder[64] = "";
	const char *pid_text;
	long long pid = -1;
	size_t i;
	json_t *it;

	if (!ours->running) {
		return false;
	}
	pid_text = strstr(listener_holder(port, holder, sizeof(holder)), "(pid ");
	if (pid_text != NULL) {
		pid = strtoll(pid_text + 5, NULL, 10);
	}
	if (pid > 0 && pid == ours->supervisor) {
		return true;
	}
	json_array_foreach(ours->instances, i, it)
	{
		if (pid > 0 ? json_integer_value(json_object_get(it, "pid")) == pid
			    : json_integer_value(json_object_get(it, "port")) == port) {
			return true;
		}
	}
	return false;
}

struct count {
	unsigned unused, held;
};

static void
check_one(const char *what, const struct endpoint *ep, const struct ours *ours, struct count *count,
    struct conf_faults *faults)
{
	struct errmsg err = ERRMSG_NONE;
	int rc;

	if (ep->kind == ENDPOINT_UNIX && ours->running) {
		count->held++; /* trying it would take the socket away from under the supervisor */
		return;
	}
	rc = listener_probe(ep, &err);
	if (rc == -EADDRINUSE && ep->kind == ENDPOINT_TCP) {
		bool root = cli_be_root(true);

		if (root) {
			rc = listener_probe(ep, &err); /* who holds it, root can see */
		}
		if (rc == -EADDRINUSE && is_ours(ours, ep->port)) {
			rc = -EALREADY;
		}
		if (root) {
			(void)cli_be_root(false);
		}
	}
	if (rc == 0) {
		count->unused++;
	} else if (rc == -EALREADY) {
		count->held++;
	} else if (rc == -EADDRNOTAVAIL && ours->node != NULL) {
		conf_faults_add(faults,
		    "%s: %s is no address of this host: is it the host %s (holdfast.node)? Behind "
		    "a "
		    "translation of addresses redis.bind and sentinel.bind say where it listens",
		    what, ep->host, ours->node);
	} else if (rc == -EADDRNOTAVAIL) {
		conf_faults_add(faults,
		    "%s: %s is no address of this host: choose one that is, or 127.0.0.1", what,
		    ep->host);
	} else {
		conf_faults_add(faults, "%s: %s", what, err.text);
	}
}

static void
check_hosts(const char *what, const struct conf_list *hosts, uint16_t port, const struct ours *ours,
    struct count *count, struct conf_faults *faults)
{
	for (size_t i = 0; i < hosts->count; i++) {
		const char *host = hosts->items[i];
		struct endpoint ep;

		if (host[0] == '-') {
			continue; /* may be missing */
		}
		ep = endpoint_tcp(strcmp(host, "*") == 0 ? "0.0.0.0" : host, port);
		check_one(what, &ep, ours, count, faults);
	}
}

static void
check_endpoints(const char *what, const struct conf_list *list, const struct ours *ours,
    struct count *count, struct conf_faults *faults)
{
	for (size_t i = 0; i < list->count; i++) {
		struct endpoint ep;
		struct errmsg err = ERRMSG_NONE;

		if (endpoint_parse(list->items[i], 0, &ep, &err) == 0) {
			check_one(what, &ep, ours, count, faults);
		}
	}
}

void
check_listeners(const struct conf *conf, struct conf_faults *faults)
{
	size_t before = faults->count + faults->dropped;
	struct count count = {0, 0};
	struct ours ours;
	char name[32];

	ask_supervisor(conf->data_dir, &ours);
	ours.node = conf->peer_count > 0 ? conf->holdfast_node : NULL;
	for (unsigned n = 0; n < conf->redis_instances; n++) {
		if (conf->redis[n].port != 0) {
			check_hosts(conf->redis[n].name, &conf->redis[n].bind, conf->redis[n].port,
			    &ours, &count, faults);
		}
	}
	for (unsigned n = 0; n < conf->sentinel_instances && conf->sentinel_port + n <= UINT16_MAX;
	     n++) {
		(void)snprintf(name, sizeof(name), "sentinel-%u", n + 1);
		check_hosts(name, &conf->sentinel_bind, (uint16_t)(conf->sentinel_port + n), &ours,
		    &count, faults);
	}
	check_endpoints("proxy.listen", &conf->proxy_listen, &ours, &count, faults);
	check_endpoints("proxy.durable_listen", &conf->proxy_durable_listen, &ours, &count, faults);
	check_endpoints("proxy.read_listen", &conf->proxy_read_listen, &ours, &count, faults);
	check_endpoints("http.listen", &conf->http_listen, &ours, &count, faults);
	if (faults->count + faults->dropped == before) {
		check_good("listeners", "%u free, %u held by the supervisor that runs now",
		    count.unused, count.held);
	}
	json_decref(ours.instances);
}
