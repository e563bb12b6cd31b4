/* Where a worker lets clients in, and the certificate that they are shown. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "backend/worker_priv.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"

/* ---- doors ---- */

static void
on_accept(void *owner, int fd)
{
	struct door_watch *d = owner;

	arrivals_take(d->worker->arrivals, fd, &d->at, d);
}

static void
on_arrived(void *owner, struct conn *c, void *door)
{
	struct worker *w = OBJ_CAST((struct worker *)owner, WORKER_MAGIC);
	const struct door_watch *d = door;

	w->ops->accept(w->state, c, d->door, &d->at);
}

void
worker_set_doors(struct worker *w)
{
	for (size_t i = 0; i < w->door_count && !w->draining; i++) {
		const struct door_watch *d = w->doors[i];

		listener_pause(d->listener,
		    !w->started || w->doors_paused || (w->crowded && (d->at.tls || d->at.proxied)));
	}
}

static void
on_crowded(void *owner, bool crowded)
{
	struct worker *w = OBJ_CAST((struct worker *)owner, WORKER_MAGIC);

	w->crowded = crowded;
	worker_set_doors(w);
}

const struct arrival_ops worker_arrival_ops = {.arrived = on_arrived, .crowded = on_crowded};

int
worker_open_door(
    struct worker *w, const char *option, const char *address, const struct endpoint *at, int fd)
{
	for (unsigned i = 0; w->ops->doors[i].option != NULL; i++) {
		struct door_watch *d;

		if (strcmp(w->ops->doors[i].option, option) != 0) {
			continue;
		}
		d = xcalloc(1, sizeof(*d));
		*d = (struct door_watch){.worker = w,
		    .fd = fd,
		    .address = address != NULL ? xstrdup(address) : NULL,
		    .door = i,
		    .at = *at};
		d->listener = listener_new(w->loop, fd, on_accept, d);
		w->doors = xreallocarray(w->doors, w->door_count + 1, sizeof(struct door_watch *));
		w->doors[w->door_count++] = d;
		worker_set_doors(w);
		return 0;
	}
	(void)close(fd);
	return -EINVAL;
}

/* ---- TLS ---- */

static void
say_certificate(const struct tls_facts *facts)
{
	char text[224];
	time_t now = (time_t)(clock_wall_ms() / 1000);

	(void)tls_facts_text(facts, text, sizeof(text));
	log_notice("clients with TLS are shown the certificate of %s", text);
	if (now > facts->not_after || now < facts->not_before) {
		log_warn(
		    "this certificate is %s, which clients that look will refuse: renew it, then "
		    "`holdfast reload`",
		    now > facts->not_after ? "out of date" : "not valid yet");
	}
}

int
worker_load_tls(struct worker *w, struct errmsg *err)
{
	struct tls_files files = w->ops->tls(w->conf);
	struct tls_server *server = NULL;
	bool needed = false;
	int rc;

	for (size_t i = 0; i < w->door_count; i++) {
		needed = needed || w->doors[i]->at.tls;
	}
	if (!needed || (files.cert == NULL && w->tls != NULL)) {
		return 0;
	}
	if (files.cert == NULL || files.key == NULL) {
		errmsg_set(err, "a listener with TLS needs %s.tls_cert and %s.tls_key",
		    w->ops->role, w->ops->role);
		return -EINVAL;
	}
	rc = tls_server_new(&files, &server, err);
	if (rc < 0) {
		return rc;
	}
	if (w->tls != NULL && memcmp(tls_server_facts(w->tls)->digest,
				  tls_server_facts(server)->digest, TLS_DIGEST_BYTES) == 0) {
		tls_server_free(&server);
		return 0;
	}
	arrivals_set_tls(w->arrivals, server, w->ops->plain_hint);
	tls_server_free(&w->tls);
	w->tls = server;
	say_certificate(tls_server_facts(server));
	return 0;
}

void
worker_set_trusted(struct worker *w)
{
	const struct conf_list *list = w->ops->trusted(w->conf);
	struct cidr *trusted = xcalloc(list->count + 1, sizeof(*trusted));
	size_t count = 0;

	for (size_t i = 0; i < list->count; i++) {
		count += cidr_parse(list->items[i], &trusted[count]) == 0 ? 1 : 0;
	}
	arrivals_set_trusted(w->arrivals, trusted, count);
	free(trusted);
}

void
worker_pause_doors(struct worker *w, bool paused)
{
	w->doors_paused = paused;
	worker_set_doors(w);
}
