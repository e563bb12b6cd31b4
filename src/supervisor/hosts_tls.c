/*
 * TLS between hosts: redis.tls_ca, tls_cert and tls_key. Servers and sentinels listen for nothing else then, also to us and our workers, and
 * take nobody without a certificate of the same authorities.
 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "net/conn.h"
#include "net/tls.h"
#include "supervisor/hosts_priv.h"
#include "supervisor/supervisor_priv.h"
#include "topo/link.h"
#include "topo/reply.h"

/* Redis' default; see tell_redis. */
#define SESSIONS 20480

int
hosts_trust(const struct supervisor *s, struct errmsg *err)
{
	const struct tls_files files = conf_hosts_tls(s->conf);
	int rc;

	if (!conf_hosts_use_tls(s->conf)) {
		return 0;
	}
	conn_connect_by_tls(true);
	rc = tls_set_client(&files, err);
	if (rc < 0) {
		errmsg_prefix(err, "redis.tls_cert");
	}
	return rc;
}

static void
on_renewed(void *arg, const struct redisReply *reply, int error)
{
	struct unit *u = arg;

	if (error != 0 || reply_is_error(reply)) {
		log_warn(
		    "%s: the renewed certificate was not taken, it is shown from its next start "
		    "on: %s",
		    u->name, error != 0 ? strerror(-error) : LOG_QUOTE(reply_text(reply)));
	}
}

/*
 * The files have the same names, and redis 7 reads them again only when a setting of TLS becomes another: the size of a cache
 * that is as good with one more. Connections that stand go on.
 */
static void
tell_redis(struct unit *u)
{
	static unsigned turn;
	char size[16];

	(void)snprintf(size, sizeof(size), "%u", SESSIONS + 1 + turn++ % 2);
	(void)link_send(probe_link(u->probe), 0, on_renewed, u, "CONFIG", "SET",
	    "tls-session-cache-size", size, NULL);
}

void
hosts_renew(struct supervisor *s)
{
	struct errmsg err = ERRMSG_NONE;

	if (!conf_hosts_use_tls(s->conf)) {
		return;
	}
	if (hosts_trust(s, &err) < 0) {
		log_error("servers are shown the old certificate: %s", err.text);
	}
	for (size_t i = 0; i < s->unit_count; i++) {
		struct unit *u = s->units[i];

		if (u->kind == UNIT_REDIS && u->probe != NULL && unit_is_ready(u)) {
			tell_redis(u);
		} else if (u->kind == UNIT_SENTINEL && unit_is_ready(u)) {
			process_restart(u->process); /* it has no words for that */
		}
	}
}

json_t *
hosts_tls_json(const struct supervisor *s)
{
	const struct tls_files files = conf_hosts_tls(s->conf);

	return conf_hosts_use_tls(s->conf) ? json_pack("{s:s,s:s,s:s}", "ca", files.ca, "cert",
						 files.cert, "key", files.key)
					   : NULL;
}
