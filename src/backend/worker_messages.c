/* What the supervisor says to a worker, and what it changes. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "backend/worker_priv.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"

#define SECRET_MAX 256

static void
on_config(struct worker *w, struct channel_msg *msg)
{
	struct errmsg err = ERRMSG_NONE;
	struct conf *conf;

	if (msg->arg_count < 1 || conf_from_ini(slice_str(msg->args[0]), &conf, &err) < 0) {
		log_error("the supervisor's configuration cannot be read, the old one stays: %s",
		    err.text);
		return;
	}
	conf_free(&w->next_conf);
	w->next_conf = conf;
}

static void
on_secret(struct worker *w, struct channel_msg *msg)
{
	if (msg->arg_count < 2 || strlen(msg->args[1]) > SECRET_MAX ||
	    (w->backend != NULL && strcmp(w->user, msg->args[0]) == 0 &&
		strcmp(w->secret, msg->args[1]) == 0)) {
		return;
	}
	free(w->user);
	free(w->secret);
	w->user = xstrdup(msg->args[0]);
	w->secret = xstrdup(msg->args[1]);
	tls_set_ticket_secret(w->secret, strlen(w->secret));
	if (w->backend != NULL) {
		backend_set_secret(w->backend, w->user, w->secret);
	}
	if (w->started && w->ops->apply != NULL) {
		w->ops->apply(w->state);
	}
}

static bool
has_door(const struct worker *w, const char *option, const char *address)
{
	for (size_t i = 0; i < w->door_count; i++) {
		const struct door_watch *d = w->doors[i];

		if (strcmp(w->ops->doors[d->door].option, option) == 0 &&
		    strcmp(d->address, address) == 0) {
			return true;
		}
	}
	return false;
}

static void
on_listen(struct worker *w, struct channel_msg *msg)
{
	struct endpoint at;

	if (msg->arg_count < 2 || msg->fd_count < 1 || w->draining ||
	    has_door(w, msg->args[0], msg->args[1])) {
		return;
	}
	if (endpoint_parse(msg->args[1], 0, &at, NULL) < 0) {
		return;
	}
	if (worker_open_door(w, msg->args[0], msg->args[1], &at, msg->fds[0]) < 0) {
		log_warn("a listening socket for an unknown option is left alone option=%s",
		    msg->args[0]);
	}
	msg->fds[0] = -1;
}

static void
on_sentinels(struct worker *w, struct channel_msg *msg)
{
	w->sentinel_count = 0;
	for (size_t i = 0; i < msg->arg_count && w->sentinel_count < WATCHER_MAX_SENTINELS; i++) {
		if (endpoint_parse(msg->args[i], 0, &w->sentinels[w->sentinel_count], NULL) == 0) {
			w->sentinel_count++;
		}
	}
	if (w->watcher != NULL) {
		watcher_set_sentinels(w->watcher, w->sentinels, w->sentinel_count);
	}
}

/* Pairs: where a server of this host listens for all, and its unix socket. */
static void
on_near(struct worker *w, struct channel_msg *msg)
{
	w->near_count = 0;
	for (size_t i = 0; i + 1 < msg->arg_count && w->near_count < NEAR_MAX; i += 2) {
		struct backend_near *n = &w->near[w->near_count];

		if (endpoint_parse(msg->args[i], 0, &n->at, NULL) == 0 &&
		    endpoint_parse(msg->args[i + 1], 0, &n->socket, NULL) == 0) {
			w->near_count++;
		}
	}
}

static void
on_master(struct worker *w, struct channel_msg *msg)
{
	struct topo_master master;
	uint64_t port;

	if (msg->arg_count < 3 || !slice_to_u64(slice_str(msg->args[1]), &port) || port == 0 ||
	    port > UINT16_MAX || !slice_to_u64(slice_str(msg->args[2]), &master.epoch)) {
		return;
	}
	master.at = endpoint_tcp(msg->args[0], (uint16_t)port);
	(void)topo_offer(w->topo, &master, TOPO_FROM_SUPERVISOR);
}

/* Once: what was counted elsewhere is not counted here. */
static void
on_share(struct worker *w, struct channel_msg *msg)
{
	uint64_t slot;

	if (w->started || w->share != NULL || msg->fd_count < 1 || msg->arg_count < 1 ||
	    !slice_to_u64(slice_str(msg->args[0]), &slot) || slot >= SHARE_SLOTS ||
	    share_open(msg->fds[0], &w->share) < 0) {
		return;
	}
	w->share_fd = msg->fds[0];
	msg->fds[0] = -1;
	w->slot = (unsigned)slot;
	share_clear(w->share, w->slot);
}

static uint64_t
first_ms(const struct channel_msg *msg, uint64_t otherwise)
{
	uint64_t ms;

	return msg->arg_count > 0 && slice_to_u64(slice_str(msg->args[0]), &ms) ? ms : otherwise;
}

void
worker_on_msg(struct channel *ch, void *owner, struct channel_msg *msg)
{
	struct worker *w = OBJ_CAST((struct worker *)owner, WORKER_MAGIC);

	if (strcmp(msg->verb, "config") == 0) {
		on_config(w, msg);
	} else if (strcmp(msg->verb, "secret") == 0) {
		on_secret(w, msg);
	} else if (strcmp(msg->verb, "listen") == 0) {
		on_listen(w, msg);
	} else if (strcmp(msg->verb, "sentinels") == 0) {
		on_sentinels(w, msg);
	} else if (strcmp(msg->verb, "near") == 0) {
		on_near(w, msg);
	} else if (strcmp(msg->verb, "master") == 0) {
		on_master(w, msg);
	} else if (strcmp(msg->verb, "hold") == 0 && w->backend != NULL) {
		backend_hold(w->backend, first_ms(msg, 0));
	} else if (strcmp(msg->verb, "isolate") == 0 && w->backend != NULL) {
		backend_isolate(w->backend, first_ms(msg, 0));
	} else if (strcmp(msg->verb, "prepare") == 0 && w->backend != NULL) {
		backend_prepare(w->backend, first_ms(msg, 0));
	} else if (strcmp(msg->verb, "drain") == 0) {
		worker_drain(w, first_ms(msg, WORKER_DRAIN_MS));
	} else if (strcmp(msg->verb, "share") == 0) {
		on_share(w, msg);
	} else if (strcmp(msg->verb, "go") == 0) {
		worker_go(w);
	} else {
		(void)others_on_msg(w->others, msg);
	}
}
