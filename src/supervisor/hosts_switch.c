/*
 * TLS between hosts begins, or ends, while all runs. Servers with and without it do not understand each other, and Redis listens at a port either way, not
 * both; so all hosts change at the same moment, and the proxies hold their clients' requests meanwhile.
 *
 *   reload on each host ...... the configuration is good and waits; that is said again and again: "tls on AUTHORITY" or "tls off -"
 *   all have said the same ... the supervisor of the master's host says "tls now"; each that hears it has its proxies hold, and a little later begins anew in
 *                              place (upgrade.c) with the configuration that waited. Servers of before are ended then (resume.c) and started with it, as
 *                              after a stop of all: the majority's sentinels name the same master
 *
 * Nobody is replaced in between: who has heard "now" suspects nobody any more. A host that has not heard it does not understand the others then, and is
 * no majority; its operator begins it anew (`holdfast upgrade`).
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "supervisor/hosts_priv.h"
#include "supervisor/supervisor_priv.h"

#define WORD      "tls "
#define FRESH_MS  2000 /* it was said just now */
#define SETTLE_MS 400  /* what is in flight ends; and all have heard it */
#define AGAIN_MS  2000
#define TRIES_MAX 3
#define HOLD_MS   8000
#define FILE_MAX  ((size_t)1024 * 1024)

struct tls_switch {
	char words[HOSTS_TLS_SIZE]; /* what we say */
	uint64_t at_ms;             /* when we begin anew; 0: not everybody is ready */
	unsigned tries;
};

void
hosts_switch_fini(struct supervisor *s)
{
	free(s->tls_switch);
	s->tls_switch = NULL;
}

/* Whom the others are to trust: it must be the same file. "-": cannot be read. */
static void
digest_file(const char *path, char *text, size_t size)
{
	uint8_t digest[EVP_MAX_MD_SIZE];
	char *content = xcalloc(1, FILE_MAX);
	FILE *f = fopen(path, "re");
	size_t len = f != NULL ? fread(content, 1, FILE_MAX, f) : 0;
	unsigned count = 0;

	(void)snprintf(text, size, "-");
	if (len > 0 && EVP_Digest(content, len, digest, &count, EVP_sha256(), NULL) == 1) {
		for (size_t i = 0; 2 * i + 2 < MIN(size, (size_t)33); i++) {
			(void)snprintf(text + 2 * i, 3, "%02x", digest[i]);
		}
	}
	if (f != NULL) {
		(void)fclose(f);
	}
	free(content);
}

static bool
has_said(const struct supervisor *s, const struct host *h)
{
	return h->self || (strcmp(h->tls, s->tls_switch->words) == 0 &&
			      clock_mono_ms() - h->tls_ms < FRESH_MS);
}

/* "b, c"; "": nobody. */
static void
name_waited_for(const struct supervisor *s, char *text, size_t size)
{
	size_t used = 0;

	text[0] = '\0';
	for (size_t i = 0; i < s->host_count && used < size; i++) {
		if (!has_said(s, &s->hosts[i])) {
			int n = snprintf(text + used, size - used, "%s%s", used > 0 ? ", " : "",
			    s->hosts[i].name);

			used += n > 0 ? (size_t)n : 0;
		}
	}
}

void
hosts_switch_prepare(struct supervisor *s, const struct conf *conf, struct ctl_request *req)
{
	bool on = conf_hosts_use_tls(conf);
	char authority[40] = "-", waits[400];

	if (s->tls_switch == NULL) {
		s->tls_switch = xcalloc(1, sizeof(*s->tls_switch));
	}
	if (on) {
		digest_file(conf->redis_tls_ca, authority, sizeof(authority));
	}
	s->tls_switch->tries = 0;
	(void)snprintf(s->tls_switch->words, sizeof(s->tls_switch->words), WORD "%s %s",
	    on ? "on" : "off", authority);
	name_waited_for(s, waits, sizeof(waits));
	history_add(s->history, EVENT_CONFIG_RELOADED, s->node, NULL,
	    "TLS between hosts is to be %s, on all of them at the same moment: waits for %s",
	    on ? "on" : "off", waits[0] != '\0' ? waits : "nobody");
	if (req != NULL) {
		ctl_done(req,
		    json_pack("{s:[],s:[],s:s}", "applied", "restart_needed", "waits_for", waits));
	}
}

/* ---- the moment ---- */

static void
hear_now(struct supervisor *s)
{
	struct tls_switch *t = s->tls_switch;

	if (t->at_ms == 0) {
		t->at_ms = clock_mono_ms() + SETTLE_MS;
		log_notice("all hosts are ready for TLS to begin or to end: proxies hold, and this "
			   "host begins anew");
		workers_hold(s, HOLD_MS);
	}
}

static bool
all_are_ready(const struct supervisor *s)
{
	for (size_t i = 0; i < s->host_count; i++) {
		if (!has_said(s, &s->hosts[i])) {
			return false;
		}
	}
	return s->health == HEALTH_READY && s->failover == NULL && s->rolling == NULL &&
	       s->upgrade == NULL;
}

bool
hosts_switch_pulse(struct supervisor *s)
{
	struct tls_switch *t = s->tls_switch;

	if (t == NULL) {
		return false;
	}
	if (t->at_ms == 0) {
		voice_say(s, "%s", t->words);
		if (s->master != NULL && all_are_ready(s)) {
			hear_now(s);
		}
		return t->at_ms != 0;
	}
	voice_say(s, WORD "now %s", t->words + strlen(WORD)); /* each passes it on */
	if (clock_mono_ms() >= t->at_ms && s->upgrade == NULL) {
		if (t->tries++ == TRIES_MAX) {
			log_error("this host could not begin anew with the changed TLS between "
				  "hosts, see the events upgrade.failed: `holdfast upgrade` once "
				  "that is mended");
			hosts_switch_fini(s);
			return false;
		}
		t->at_ms = clock_mono_ms() + AGAIN_MS;
		upgrade_begin(s, NULL, supervisor_program(s));
	}
	return true;
}

bool
hosts_switch_on_words(struct host *sender, const char *words)
{
	struct supervisor *s = sender->sup;
	const char *now = WORD "now ";

	if (strncmp(words, WORD, strlen(WORD)) != 0) {
		return false;
	}
	if (strncmp(words, now, strlen(now)) == 0) {
		if (s->tls_switch != NULL &&
		    strcmp(words + strlen(now), s->tls_switch->words + strlen(WORD)) == 0) {
			hear_now(s);
		}
		return true;
	}
	(void)snprintf(sender->tls, sizeof(sender->tls), "%s", words);
	sender->tls_ms = clock_mono_ms();
	return true;
}
