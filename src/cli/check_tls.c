/* Certificates of the listeners with TLS: are they valid now, for how long, and who can read their keys? */
#include <stdio.h>
#include <time.h>

#include "cli/check.h"
#include "cli/cli.h"

#define DAY_S     (24 * 3600)
#define SOON_DAYS 14

static void
check_one(const char *name, const struct tls_facts *facts, const char *key, time_t now,
    struct conf_faults *faults)
{
	char text[224];
	long long days = (long long)(facts->not_after - now) / DAY_S;

	if (facts->subject[0] == '\0') {
		return; /* no TLS there, or what is wrong has been said */
	}
	(void)tls_facts_text(facts, text, sizeof(text));
	if (facts->key_is_open) {
		cli_error(
		    "note: %s can be read or changed by others on this host: chmod 600 it, whoever "
		    "has it can pass for this server",
		    key);
	}
	if (now > facts->not_after) {
		conf_faults_add(faults,
		    "%s.tls_cert: the certificate is out of date (%s), clients that look will "
		    "refuse it: "
		    "renew it",
		    name, text);
	} else if (now < facts->not_before) {
		conf_faults_add(faults,
		    "%s.tls_cert: the certificate is not valid yet (%s), clients that look will "
		    "refuse "
		    "it: is the clock of this host right?",
		    name, text);
	} else {
		check_good("tls", "%s: %s", name, text);
		if (days < SOON_DAYS) {
			cli_error(
			    "note: the certificate of %s runs out in %lld days: renew it, then "
			    "`holdfast reload`",
			    name, days);
		}
	}
}

void
check_tls(const struct conf *conf, struct conf_faults *faults)
{
	time_t now = time(NULL);

	check_one("redis", &conf->redis_tls, conf->redis_tls_key, now, faults);
	check_one("proxy", &conf->proxy_tls, conf->proxy_tls_key, now, faults);
	check_one("http", &conf->http_tls, conf->http_tls_key, now, faults);
}
