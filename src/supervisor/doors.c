/*
 * Where clients reach the proxies and HTTP front ends of all hosts: each supervisor says its own with its picture (picture.c), so that any host can
 * tell. What is announced (proxy.announce and its like) is that; else where they listen, as far as others can get there.
 */
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "supervisor/hosts_priv.h"
#include "supervisor/supervisor_priv.h"

static const struct {
	const char *option;
	size_t announced; /* offset of the struct conf_list in struct conf */
} options[] = {
    {"proxy.listen", offsetof(struct conf, proxy_announce)},
    {"proxy.durable_listen", offsetof(struct conf, proxy_durable_announce)},
    {"proxy.read_listen", offsetof(struct conf, proxy_read_announce)},
    {"http.listen", offsetof(struct conf, http_announce)},
};

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

json_t *
doors_own(const struct supervisor *s)
{
	json_t *doors = json_object();

	for (size_t k = 0; k < ARRAY_LEN(options); k++) {
		const struct conf_list *announced =
		    (const void *)((const char *)s->conf + options[k].announced);
		json_t *list = json_array();

		for (size_t i = 0; i < announced->count; i++) {
			(void)json_array_append_new(list, json_string(announced->items[i]));
		}
		for (size_t i = 0; i < s->door_count && announced->count == 0; i++) {
			struct endpoint at;

			if (strcmp(s->doors[i].option, options[k].option) == 0 &&
			    is_for_clients(s, &s->doors[i].at, &at)) {
				(void)json_array_append_new(list, json_string(ENDPOINT_TEXT(&at)));
			}
		}
		if (json_array_size(list) > 0) {
			(void)json_object_set(doors, options[k].option, list);
		}
		json_decref(list);
	}
	return doors;
}

/* Those of one host, as it has said them: {OPTION: [AT, …]}, or anything else, which counts for nothing. */
static void
add_host(json_t *doors, const char *node, const json_t *said)
{
	for (size_t k = 0; k < ARRAY_LEN(options); k++) {
		json_t *list = json_object_get(doors, options[k].option), *at;
		size_t i;

		json_array_foreach(json_object_get(said, options[k].option), i, at)
		{
			if (list == NULL) {
				list = json_array();
				(void)json_object_set_new(doors, options[k].option, list);
			}
			if (json_is_string(at)) {
				(void)json_array_append_new(
				    list, json_pack("{s:s,s:O}", "node", node, "at", at));
			}
		}
	}
}

json_t *
doors_json(const struct supervisor *s)
{
	json_t *doors = json_object(), *own = doors_own(s);

	for (size_t i = 0; i < s->host_count; i++) {
		const struct host *h = &s->hosts[i];

		add_host(doors, h->name, h->self ? own : json_object_get(h->picture, "doors"));
	}
	if (s->host_count == 0) {
		add_host(doors, s->node, own);
	}
	json_decref(own);
	return doors;
}
