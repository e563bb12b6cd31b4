/*
 * What supervisors say to each other: each through a channel of its own host's redis, where all others listen. What is published on the master is
 * passed on by its replicas, so that whoever listens to a replica also learns that it hears the master.
 *
 *   our redis ◂─ PUBLISH ─ us        ear of host b ─ SUBSCRIBE ─▸ b's redis, for each host b
 *
 * Any client of a server may publish there, so a message is worth something only with a code made with the cluster's secret: "NODE NUMBER WORDS CODE".
 * Numbers grow, over restarts too, for they are the time of day; a message that was heard before, or that is older than another of its
 * sender by more than it takes to be passed on, is somebody's repetition. Nothing here is ever relied on to be heard.
 */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

#include "base/clock.h"
#include "base/mem.h"
#include "instance/diverged.h"
#include "instance/redis_conf.h"
#include "supervisor/hosts_priv.h"
#include "supervisor/supervisor_priv.h"
#include "topo/link.h"
#include "topo/reply.h"

#define CHANNEL   DIVERGED_CHANNEL
#define TEXT_SIZE 512
#define CODE_SIZE 33   /* half of the digest, as text */
#define PASSED_MS 2000 /* the slowest way of a message over a replica; numbers are milliseconds */
/* One that has said nothing for so long may begin anew, should its clock have been set back: its words of before are of no use to anybody by now. */
#define FORGET_MS 10000

static const char *const channels[] = {CHANNEL, NULL};

static void
make_code(const struct supervisor *s, const char *text, size_t len, char code[CODE_SIZE])
{
	uint8_t mac[EVP_MAX_MD_SIZE];
	unsigned size = 0;

	if (HMAC(EVP_sha256(), s->secret, (int)strlen(s->secret), (const uint8_t *)text, len, mac,
		&size) == NULL ||
	    size < CODE_SIZE / 2) {
		abort(); /* HMAC-SHA256 is always there */
	}
	for (size_t i = 0; i < CODE_SIZE / 2; i++) {
		(void)snprintf(code + 2 * i, 3, "%02x", mac[i]);
	}
}

void
voice_say(struct supervisor *s, const char *fmt, ...)
{
	char text[TEXT_SIZE], words[TEXT_SIZE - 200], code[CODE_SIZE];
	va_list ap;
	int n;

	if (s->voice == NULL || !link_is_up(s->voice)) {
		return;
	}
	va_start(ap, fmt);
	(void)vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	s->voice_number = MAX(s->voice_number + 1, clock_wall_ms());
	n = snprintf(
	    text, sizeof(text), "%s %llu %s", s->node, (unsigned long long)s->voice_number, words);
	if (n < 0 || (size_t)n + 1 + CODE_SIZE > sizeof(text)) {
		return;
	}
	make_code(s, text, (size_t)n, code);
	(void)snprintf(text + n, sizeof(text) - (size_t)n, " %s", code);
	(void)link_send(s->voice, 0, NULL, NULL, "PUBLISH", CHANNEL, text, NULL);
}

/* Cuts the code off; false: it is not one of ours. */
static bool
is_genuine(const struct supervisor *s, char *text)
{
	char *end = strrchr(text, ' '), code[CODE_SIZE];

	if (end == NULL || strlen(end + 1) != CODE_SIZE - 1) {
		return false;
	}
	make_code(s, text, (size_t)(end - text), code);
	*end = '\0';
	return CRYPTO_memcmp(end + 1, code, CODE_SIZE - 1) == 0;
}

/*
 * Was it said just now, and is it heard on this ear for the first time? What a sender says arrives at each ear in its order; on an ear that has
 * been deaf everything is new, so it is measured by what others have heard, too.
 */
static bool
is_new(struct host *ear, struct host *sender, uint64_t number)
{
	struct supervisor *s = ear->sup;
	size_t i = (size_t)(sender - s->hosts);
	uint64_t now = clock_mono_ms();

	if (now - sender->said_ms >= FORGET_MS) {
		for (size_t k = 0; k < s->host_count; k++) {
			s->hosts[k].heard_number[i] = 0;
		}
		sender->said_number = 0;
	}
	if (number <= ear->heard_number[i] || number + PASSED_MS < sender->said_number) {
		return false;
	}
	ear->heard_number[i] = number;
	sender->said_number = MAX(sender->said_number, number);
	sender->said_ms = now;
	return true;
}

static void
on_message(struct link *l, void *owner, const struct redisReply *message)
{
	struct host *ear = owner, *sender;
	struct slice in = reply_text(reply_at(message, 2));
	char text[TEXT_SIZE], *node, *number, *words = NULL;
	uint64_t n;

	if (in.len >= sizeof(text)) {
		return;
	}
	memcpy(text, in.ptr, in.len);
	text[in.len] = '\0';
	if (strlen(text) != in.len || !is_genuine(ear->sup, text)) {
		return;
	}
	node = text;
	number = strchr(text, ' ');
	words = number != NULL ? strchr(number + 1, ' ') : NULL;
	if (words == NULL) {
		return;
	}
	*number++ = '\0';
	*words++ = '\0';
	sender = hosts_find(ear->sup, node);
	if (sender != NULL && slice_to_u64(slice_str(number), &n) && is_new(ear, sender, n)) {
		suspect_on_words(ear, sender, words);
	}
}

static const struct link_ops ear_ops = {.on_push = on_message};
static const struct link_ops voice_ops = {.on_up = NULL};

void
voice_begin(struct supervisor *s)
{
	struct link_spec spec = {
	    .user = INSTANCE_USER, .password = s->secret, .retry_max_ms = 500, .stall_ms = 3000};

	for (size_t i = 0; i < s->host_count; i++) {
		s->hosts[i].heard_number = xcalloc(s->host_count, sizeof(uint64_t));
		spec.at = s->hosts[i].redis;
		if (s->hosts[i].self) {
			s->voice = link_new(s->loop, &spec, &voice_ops, s);
		}
	}
	spec.channels = channels;
	for (size_t i = 0; i < s->host_count; i++) {
		spec.at = s->hosts[i].redis;
		s->hosts[i].ear = link_new(s->loop, &spec, &ear_ops, &s->hosts[i]);
	}
}

void
voice_fini(struct supervisor *s)
{
	for (size_t i = 0; i < s->host_count; i++) {
		link_free(&s->hosts[i].ear);
		free(s->hosts[i].heard_number);
		s->hosts[i].heard_number = NULL;
	}
	link_free(&s->voice);
}
