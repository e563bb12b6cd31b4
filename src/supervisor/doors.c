/*
 * Where clients reach the proxies and HTTP front ends of all hosts: each supervisor says its own to the others once a second (voice.c), so that any host
 * can tell. What is announced (proxy.announce and its like) is that; else where they listen, as far as others can get there.
 *
 *   "doors proxy.listen=203.0.113.1:6380,203.0.113.1:6390 http.listen=203.0.113.1:7379"
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "base/slice.h"
#include "supervisor/hosts_priv.h"
#include "supervisor/supervisor_priv.h"

#define WORD "doors "

static const struct {
	const char *option;
	size_t announced; /* offset of the struct conf_list in struct conf */
} options[] = {
    {"proxy.listen", offsetof(struct conf, proxy_announce)},
    {"proxy.durable_listen", offsetof(struct conf, proxy_durable_announce)},
    {"proxy.read_listen", offsetof(struct conf, proxy_read_announce)},
    {"http.listen", offsetof(struct conf, http_announce)},
};

/* Adds a word, or a part of it, if there is room for it. */
static void
add(char *text, size_t size, const char *before, const char *word)
{
	size_t used = strlen(text);

	if (used + strlen(before) + strlen(word) < size) {
		(void)snprintf(text + used, size - used, "%s%s", before, word);
	}
}

/* Can clients get there from elsewhere? Of a host alone those on it count, too. With `ret_at`: the address that stands for all is ours. */
static bool
is_for_clients(const struct supervisor *s, const struct endpoint *door, struct endpoint *ret_at)
{
	*ret_at = *door;
	if (door->kind != ENDPOINT_TCP || door->proxied ||
	    (hosts_are_several(s) && endpoint_is_loopback(door))) {
		return false;
	}
	if (strcmp(door->host, "0.0.0.0") == 0 || strcmp(door->host, "::") == 0) {
		(void)snprintf(ret_at->host, sizeof(ret_at->host), "%s", s->address);
	}
	return true;
}

/* "proxy.listen=A,B http.listen=C" of this host. */
static void
own(const struct supervisor *s, char *text, size_t size)
{
	text[0] = '\0';
	for (size_t k = 0; k < ARRAY_LEN(options); k++) {
		const struct conf_list *announced =
		    (const void *)((const char *)s->conf + options[k].announced);
		char before[64];

		(void)snprintf(
		    before, sizeof(before), "%s%s=", text[0] != '\0' ? " " : "", options[k].option);
		for (size_t i = 0; i < announced->count; i++) {
			add(text, size, i == 0 ? before : ",", announced->items[i]);
		}
		for (size_t i = 0; i < s->door_count && announced->count == 0; i++) {
			struct endpoint at;

			if (strcmp(s->doors[i].option, options[k].option) == 0 &&
			    is_for_clients(s, &s->doors[i].at, &at)) {
				add(text, size, before, ENDPOINT_TEXT(&at));
				(void)snprintf(before, sizeof(before), ",");
			}
		}
	}
}

void
doors_tick(struct supervisor *s)
{
	char text[DOORS_SIZE];

	if (hosts_are_several(s)) {
		own(s, text, sizeof(text));
		voice_say(s, WORD "%s", text);
	}
}

bool
doors_on_words(struct host *sender, const char *words)
{
	if (strncmp(words, WORD, strlen(WORD)) != 0) {
		return false;
	}
	if (strcmp(sender->doors, words + strlen(WORD)) != 0) {
		(void)snprintf(sender->doors, sizeof(sender->doors), "%s", words + strlen(WORD));
		supervisor_touch(sender->sup);
	}
	return true;
}

/* Those of one host, under the names of their options. */
static void
add_host(json_t *doors, const char *node, const char *words)
{
	while (*words != '\0') {
		size_t len = strcspn(words, " "), name = strcspn(words, "=");
		json_t *list = NULL;

		for (size_t k = 0; k < ARRAY_LEN(options) && name < len; k++) {
			if (strlen(options[k].option) == name &&
			    strncmp(options[k].option, words, name) == 0) {
				list = json_object_get(doors, options[k].option);
				if (list == NULL) {
					list = json_array();
					(void)json_object_set_new(doors, options[k].option, list);
				}
			}
		}
		for (size_t at = name + 1; list != NULL && at < len;) {
			size_t size = MIN(strcspn(words + at, ","), len - at);

			(void)json_array_append_new(
			    list, json_pack("{s:s,s:s%}", "node", node, "at", words + at, size));
			at += size + 1;
		}
		words += len;
		words += *words == ' ' ? 1 : 0;
	}
}

json_t *
doors_json(const struct supervisor *s)
{
	json_t *doors = json_object();
	char text[DOORS_SIZE];

	own(s, text, sizeof(text));
	for (size_t i = 0; i < s->host_count; i++) {
		const struct host *h = &s->hosts[i];

		add_host(doors, h->name, h->self ? text : h->doors);
	}
	if (s->host_count == 0) {
		add_host(doors, s->node, text);
	}
	return doors;
}
