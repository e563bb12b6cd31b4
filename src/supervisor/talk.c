/*
 * Documents that supervisors hand each other, longer than the words of voice.c: what each says of itself (picture.c), questions and answers
 * (remote.c). They go the same way as those words, on a channel of their own: whoever reads them listens to every host's redis (its ear), so any
 * redis that both can reach will do. A link of its own carries them there (the mouth): what is published on a master whose writes are paused waits,
 * and neither a beat nor a sign of life shall wait behind it.
 *
 *   us ─ mouth: PUBLISH ─▸ our redis, or that of another host ─▸ the ears of the others
 *
 * Any client of that server may listen and publish, too, so a document is sealed with the cluster's secret (seal.c). It is a JSON object with
 * "from", the host; "boot", a random number of this run of its supervisor; "number", which grows, over restarts too, for it is the time of day;
 * "kind", and what belongs to that. Like a word, it may be heard more than once, late, or never.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/rand.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "supervisor/seal.h"
#include "supervisor/hosts_priv.h"
#include "supervisor/supervisor_priv.h"
#include "topo/link.h"

#define PURPOSE "holdfast talk 1\n"

struct talk {
	uint8_t key[SEAL_KEY_BYTES];
	char boot[TALK_ID_SIZE];
	uint64_t began_ms; /* wall clock */
	uint64_t number;   /* said last */
};

void
talk_make_id(char id[TALK_ID_SIZE])
{
	uint8_t bytes[(TALK_ID_SIZE - 1) / 2];

	if (RAND_bytes(bytes, (int)sizeof(bytes)) != 1) {
		abort(); /* OpenSSL has no random numbers: nothing is safe then */
	}
	for (size_t i = 0; i < sizeof(bytes); i++) {
		(void)snprintf(id + 2 * i, 3, "%02x", bytes[i]);
	}
}

void
talk_begin(struct supervisor *s)
{
	struct talk *t = xcalloc(1, sizeof(*t));
	char *purpose = xasprintf(PURPOSE "%s", s->name);

	t->began_ms = clock_wall_ms();
	talk_make_id(t->boot);
	seal_make_key(s->secret, purpose, t->key);
	free(purpose);
	s->talk = t;
}

void
talk_fini(struct supervisor *s)
{
	if (s->talk != NULL) {
		explicit_bzero(s->talk->key, sizeof(s->talk->key));
	}
	free(s->talk);
	s->talk = NULL;
}

const char *
talk_boot(const struct supervisor *s)
{
	return s->talk->boot;
}

uint64_t
talk_number(struct supervisor *s, uint64_t above)
{
	s->talk->number = MAX(MAX(s->talk->number, above) + 1, clock_wall_ms());
	return s->talk->number;
}

static bool
is_way(const struct host *h)
{
	return h->mouth != NULL && link_is_up(h->mouth) && (h->self || !h->silent);
}

struct host *
talk_way(struct supervisor *s, struct host *first, size_t attempt)
{
	size_t at = (size_t)(first - s->hosts);

	for (size_t i = 0; i < s->host_count; i++) {
		struct host *h = &s->hosts[(at + attempt + i) % s->host_count];

		if (is_way(h)) {
			return h;
		}
	}
	return NULL;
}

bool
talk_send(struct supervisor *s, const struct host *way, json_t *doc)
{
	char *text = NULL;
	struct buf sealed;
	bool sent = false;

	if (way != NULL && is_way(way)) {
		(void)json_object_set_new(doc, "from", json_string(s->node));
		(void)json_object_set_new(doc, "boot", json_string(s->talk->boot));
		(void)json_object_set_new(
		    doc, "began_ms", json_integer((json_int_t)s->talk->began_ms));
		if (json_object_get(doc, "number") == NULL) {
			(void)json_object_set_new(
			    doc, "number", json_integer((json_int_t)talk_number(s, 0)));
		}
		text = json_dumps(doc, JSON_COMPACT);
	}
	buf_init(&sealed, TALK_DOCUMENT_MAX + SEAL_MORE);
	if (text != NULL && seal_close(s->talk->key, slice_str(text), &sealed) == 0) {
		struct slice bytes = buf_slice(&sealed);
		const char *words[] = {"PUBLISH", TALK_CHANNEL, (const char *)bytes.ptr};
		size_t lengths[] = {strlen(words[0]), strlen(words[1]), bytes.len};

		sent = link_sendv(way->mouth, 0, NULL, NULL, ARRAY_LEN(words), words, lengths) == 0;
	} else if (text != NULL) {
		log_debug("a document for the other hosts was not sent bytes=%zu", strlen(text));
	}
	buf_fini(&sealed);
	free(text);
	json_decref(doc);
	return sent;
}

void
talk_on_document(struct host *ear, struct slice sealed)
{
	struct supervisor *s = ear->sup;
	const char *from, *kind;
	struct host *sender;
	struct buf plain;
	json_t *doc;

	buf_init(&plain, TALK_DOCUMENT_MAX + 1);
	if (seal_open(s->talk->key, sealed, &plain) < 0) {
		buf_fini(&plain);
		return; /* somebody else's */
	}
	doc = json_loadb(
	    (const char *)buf_slice(&plain).ptr, buf_len(&plain), JSON_REJECT_DUPLICATES, NULL);
	buf_fini(&plain);
	from = json_string_value(json_object_get(doc, "from"));
	kind = json_string_value(json_object_get(doc, "kind"));
	sender = from != NULL ? hosts_named(s, from) : NULL;
	if (sender != NULL && !sender->self && kind != NULL) {
		if (strcmp(kind, "picture") == 0) {
			picture_on_document(sender, doc);
		} else if (strcmp(kind, "question") == 0) {
			remote_on_question(ear, sender, doc);
		} else if (strcmp(kind, "answer") == 0) {
			remote_on_answer(sender, doc);
		}
	}
	json_decref(doc);
}
