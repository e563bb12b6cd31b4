/* Where the servers of this host were in the last run, and what that means for those that still run. */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"
#include "supervisor/hosts_priv.h"
#include "supervisor/supervisor_priv.h"

#define PLACE   "place" /* in the state database: of how many hosts this was one, and its address */
#define SEVERAL "several "
#define SECURE  "secure " /* likewise, with TLS between them */
#define ALONE   "alone "

/* Where a redis was reached, if that is known. */
static void
read_host(const struct unit *u, struct endpoint *at)
{
	char *key = xasprintf("%s.host", u->name), *host = NULL;

	if (store_meta_get(u->sup->store, key, &host, NULL) == 0) {
		*at = endpoint_tcp(host, at->port);
	}
	free(host);
	free(key);
}

/* Where the instance was reached in the last run, if that differs from now: Sentinel still knows it there. */
static void
note_moves(struct supervisor *s)
{
	struct store_master before;
	/* Our own address is known from the master, if that was one of ours. */
	bool known =
	    store_master_get(s->store, s->name, &before, NULL) == 0 && before.instance[0] != '\0';
	char *place = NULL;
	const char *address = known ? before.host : s->address;

	if (store_meta_get(s->store, PLACE, &place, NULL) == 0) {
		bool secure = strncmp(place, SECURE, strlen(SECURE)) == 0;
		bool several = secure || strncmp(place, SEVERAL, strlen(SEVERAL)) == 0;

		s->mode_changed = several != hosts_are_several(s);
		s->tls_changed = secure != conf_hosts_use_tls(s->conf);
		address = strchr(place, ' ') != NULL ? strchr(place, ' ') + 1 : address;
	}
	for (size_t i = 0; i < s->unit_count; i++) {
		struct unit *u = s->units[i];
		struct store_instance row;
		struct endpoint old;

		if ((u->kind != UNIT_REDIS && u->kind != UNIT_SENTINEL) ||
		    store_instance_get(s->store, u->name, &row, NULL) < 0 || row.port == 0) {
			continue;
		}
		old = endpoint_tcp(
		    known && strcmp(before.instance, u->name) == 0 ? before.host : address,
		    row.port);
		if (u->kind == UNIT_REDIS) {
			read_host(u, &old);
		}
		if (endpoint_equal(&old, &u->at)) {
			continue;
		}
		s->moves = xreallocarray(s->moves, s->move_count + 1, sizeof(*s->moves));
		s->moves[s->move_count++] = (struct sentinel_move){.from = old, .to = u->at};
	}
	free(place);
}

void
place_remember_host(const struct unit *u)
{
	char *key = xasprintf("%s.host", u->name);
	struct errmsg err = ERRMSG_NONE;

	if (store_meta_put(u->sup->store, key, u->at.host, true, &err) < 0) {
		log_warn("%s: where it is reached is not stored: %s", u->name, err.text);
	}
	free(key);
}

void
place_remember(struct supervisor *s)
{
	char *place = xasprintf("%s%s",
	    conf_hosts_use_tls(s->conf) ? SECURE
	    : hosts_are_several(s)      ? SEVERAL
					: ALONE,
	    s->address);
	struct errmsg err = ERRMSG_NONE;

	if (store_meta_put(s->store, PLACE, place, true, &err) < 0) {
		log_warn("where this host is reached is not stored: %s", err.text);
	}
	for (size_t k = 0; k < s->unit_count; k++) {
		if (s->units[k]->kind == UNIT_REDIS) {
			place_remember_host(s->units[k]);
		}
	}
	free(place);
}

static size_t
find_move(const struct supervisor *s, const struct unit *u)
{
	size_t i = 0;

	while (i < s->move_count && !endpoint_equal(&s->moves[i].to, &u->at)) {
		i++;
	}
	return i;
}

/*
 * Replicas alone are elsewhere than they should be, for we ended while they moved: they are started anew, and the others go on.
 */
static void
find_strays(struct supervisor *s)
{
	struct store_master before;
	const struct unit *master = NULL;

	if (s->legacy == NULL && !hosts_are_several(s) &&
	    store_master_get(s->store, s->name, &before, NULL) == 0) {
		master = unit_find(s, before.instance);
	}
	if (master == NULL || s->move_count == 0 || find_move(s, master) < s->move_count) {
		return;
	}
	for (size_t i = 0; i < s->unit_count; i++) {
		struct unit *u = s->units[i];
		size_t move = find_move(s, u);

		if (u->kind == UNIT_REDIS && move < s->move_count) {
			s->moves[move] = s->moves[--s->move_count];
			u->stray = true;
		}
		u->stale = u->kind == UNIT_SENTINEL; /* they know them there */
	}
}

/*
 * May a server go on? In the place of a supervisor that ended for it (upgrade.c) its redis do, wherever they are: see relocate.c. NULL: yes.
 */
const char *
place_misfit(struct unit *u)
{
	struct supervisor *s = u->sup;
	size_t i = find_move(s, u);

	if (s->tls_changed) {
		return "TLS between hosts began or ended: it is started anew";
	}
	if (u->kind == UNIT_REDIS && u->stray) {
		u->stray = false;
		return "it is not where it should be, it is started anew";
	}
	if (u->kind == UNIT_SENTINEL && s->mode_changed) {
		return "this host became one of several, or none of them: it is started anew";
	}
	if (s->move_count == 0 ||
	    (u->kind == UNIT_REDIS && s->legacy != NULL && i == s->move_count)) {
		return NULL;
	}
	if (u->kind == UNIT_REDIS && s->legacy != NULL && !hosts_are_several(s)) {
		relocate_stay(u, &s->moves[i].from);
		s->moves[i] = s->moves[--s->move_count];
		return NULL;
	}
	return "addresses have changed, it is started anew";
}

void
place_note_moves(struct supervisor *s)
{
	note_moves(s);
	find_strays(s);
}
