#include "topo/topo.h"

#include <assert.h>
#include <stdlib.h>

#include "base/mem.h"

struct topo {
	struct list observers; /* struct topo_observer.link */
	struct topo_master master;
	enum topo_source source; /* of `master` */
	bool known;
	uint64_t changes; /* counts them, so that an outer round of telling sees an inner one */
};

struct topo *
topo_new(void)
{
	struct topo *t = xcalloc(1, sizeof(*t));

	list_init(&t->observers);
	return t;
}

void
topo_free(struct topo **t)
{
	if (*t == NULL) {
		return;
	}
	while (list_shift(&(*t)->observers) != NULL) {
		continue;
	}
	free(*t);
	*t = NULL;
}

bool
topo_master(const struct topo *t, struct topo_master *ret_master)
{
	if (t->known) {
		*ret_master = t->master;
	}
	return t->known;
}

/*
 * Tells all that are here now, whatever they do meanwhile: two bookmarks on the list keep the place
 * and the end when observers come and go. One that offers something newer starts a round of its
 * own, which tells all; then this round has nothing left to say. A bookmark is an observer without
 * a function.
 */
static void
tell(struct topo *t)
{
	struct topo_observer place = {.on_master = NULL}, end = {.on_master = NULL};
	struct topo_master master = t->master;
	uint64_t round = ++t->changes;

	list_init(&place.link);
	list_unshift(&t->observers, &place.link);
	list_init(&end.link);
	list_push(&t->observers, &end.link);
	while (t->changes == round && place.link.next != &end.link) {
		struct list *item = place.link.next;
		struct topo_observer *o = CONTAINER_OF(item, struct topo_observer, link);

		list_del(&place.link);
		list_unshift(item, &place.link);
		if (o->on_master != NULL) {
			o->on_master(o->arg, &master);
		}
	}
	list_del(&place.link);
	list_del(&end.link);
}

static bool
is_newer(const struct topo *t, const struct topo_master *master, enum topo_source source)
{
	if (!t->known || master->epoch > t->master.epoch) {
		return true;
	}
	if (master->epoch < t->master.epoch || endpoint_equal(&master->at, &t->master.at)) {
		return false;
	}
	/* The same epoch, another address. */
	return source == TOPO_FROM_SENTINEL ||
	       (source == TOPO_FROM_SUPERVISOR && t->source == TOPO_FROM_STATE);
}

static void
take(struct topo *t, const struct topo_master *master, enum topo_source source)
{
	t->master = *master;
	t->source = source;
	t->known = true;
	tell(t);
}

bool
topo_offer(struct topo *t, const struct topo_master *master, enum topo_source source)
{
	assert(master->at.kind == ENDPOINT_TCP);
	if (!is_newer(t, master, source)) {
		return false;
	}
	take(t, master, source);
	return true;
}

bool
topo_restart(struct topo *t, const struct topo_master *master)
{
	assert(master->at.kind == ENDPOINT_TCP);
	if (t->known && master->epoch == t->master.epoch &&
	    endpoint_equal(&master->at, &t->master.at)) {
		return false;
	}
	take(t, master, TOPO_FROM_SENTINEL);
	return true;
}

void
topo_watch(struct topo *t, struct topo_observer *o)
{
	assert(o->on_master != NULL);
	list_init(&o->link);
	list_push(&t->observers, &o->link);
	if (t->known) {
		struct topo_master master = t->master;

		o->on_master(o->arg, &master);
	}
}

void
topo_unwatch(struct topo_observer *o)
{
	list_del(&o->link);
}
