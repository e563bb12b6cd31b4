/* Where clients of other networks reach what listens here: proxy.announce and its like. */
#include <stdio.h>
#include <string.h>

#include "conf/conf_priv.h"
#include "net/endpoint.h"

static void
verify_one(const char *where, const char *option, const char *text, struct conf_faults *faults)
{
	struct endpoint ep;

	if (endpoint_parse(text, 0, &ep, NULL) < 0) {
		return; /* told when the value was read */
	}
	if (ep.kind != ENDPOINT_TCP || ep.proxied) {
		conf_faults_add(faults,
		    "%s: %s %s: clients elsewhere need HOST:PORT, or tls:HOST:PORT", where, option,
		    text);
	} else if (strcmp(ep.host, "*") == 0 || strcmp(ep.host, "0.0.0.0") == 0 ||
		   strcmp(ep.host, "::") == 0) {
		conf_faults_add(faults,
		    "%s: %s %s is no address to connect to: say the one that clients use", where,
		    option, text);
	}
}

void
conf_verify_announced(const struct conf *conf, const struct conf_settings *s)
{
	const struct {
		const char *section, *key, *listen;
		const struct conf_list *announced, *listens;
	} doors[] = {
	    {"proxy", "announce", "listen", &conf->proxy_announce, &conf->proxy_listen},
	    {"proxy", "read_announce", "read_listen", &conf->proxy_read_announce,
		&conf->proxy_read_listen},
	    {"proxy", "durable_announce", "durable_listen", &conf->proxy_durable_announce,
		&conf->proxy_durable_listen},
	    {"http", "announce", "listen", &conf->http_announce, &conf->http_listen},
	};

	for (size_t i = 0; i < ARRAY_LEN(doors); i++) {
		const char *where = conf_where(s, doors[i].section, doors[i].key, 0);
		char option[64];

		(void)snprintf(option, sizeof(option), "%s.%s", doors[i].section, doors[i].key);
		for (size_t k = 0; k < doors[i].announced->count; k++) {
			verify_one(where, option, doors[i].announced->items[k], s->faults);
		}
		if (doors[i].announced->count > 0 && doors[i].listens->count == 0) {
			conf_faults_add(s->faults,
			    "%s: %s without %s.%s: nothing listens for those clients", where,
			    option, doors[i].section, doors[i].listen);
		}
	}
}
