/*
 * What the proxy workers are to each other: they count their clients on one page (ipc/share.h), and what one of them asks
 * the others (backend/others.h) goes through here.
 */
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "ipc/share.h"
#include "supervisor/supervisor_priv.h"

int
crowd_tell(struct unit *u)
{
	struct supervisor *s = u->sup;
	char slot[8];
	int rc;

	if (u->kind != UNIT_PROXY || u->number > SHARE_SLOTS) {
		return 0;
	}
	if (s->share == NULL) {
		rc = share_new(&s->share_fd, &s->share);
		if (rc < 0) {
			log_warn("proxy.max_clients holds for each worker, not for all of them: "
				 "cannot make a page that they share: %s",
			    strerror(-rc));
			return 0;
		}
	}
	(void)snprintf(slot, sizeof(slot), "%u", u->number - 1);
	return channel_send(u->channel, s->share_fd, "share", slot, NULL);
}

/* A worker from before has it. */
void
crowd_on_share(struct unit *u, struct channel_msg *msg)
{
	struct supervisor *s = u->sup;

	if (u->kind == UNIT_PROXY && s->share == NULL && msg->fd_count > 0 &&
	    share_open(msg->fds[0], &s->share) == 0) {
		s->share_fd = msg->fds[0];
		msg->fds[0] = -1;
	}
}

void
crowd_ended(struct unit *u)
{
	if (u->kind == UNIT_PROXY && u->sup->share != NULL && u->number <= SHARE_SLOTS) {
		share_clear(u->sup->share, u->number - 1);
	}
}

void
crowd_fini(struct supervisor *s)
{
	if (s->share != NULL) {
		share_close(&s->share);
		(void)close(s->share_fd);
	}
}

/* ask TICKET WORD… */
void
crowd_on_ask(struct unit *asker, const struct channel_msg *msg)
{
	const char *args[IPC_MAX_ARGS];
	unsigned asked = 0;
	char count[8];

	if (msg->arg_count < 1 || msg->arg_count + 1 > IPC_MAX_ARGS) {
		return;
	}
	args[0] = asker->name;
	for (size_t i = 0; i < msg->arg_count; i++) {
		args[i + 1] = msg->args[i];
	}
	for (size_t i = 0; i < asker->sup->unit_count; i++) {
		struct unit *u = asker->sup->units[i];

		if (u != asker && u->kind == asker->kind && u->channel != NULL && u->accepting &&
		    !rejoin_is_outdated(u) &&
		    channel_sendv(u->channel, -1, "asked", args, msg->arg_count + 1) == 0) {
			asked++;
		}
	}
	(void)snprintf(count, sizeof(count), "%u", asked);
	(void)channel_send(asker->channel, -1, "asking", msg->args[0], count, NULL);
}

/* tell NAME TICKET TEXT, told NAME TICKET */
void
crowd_on_answer(struct unit *from, const struct channel_msg *msg)
{
	for (size_t i = 0; i < from->sup->unit_count && msg->arg_count > 1; i++) {
		struct unit *u = from->sup->units[i];

		if (strcmp(u->name, msg->args[0]) == 0 && u->channel != NULL) {
			(void)channel_sendv(
			    u->channel, -1, msg->verb, msg->args + 1, msg->arg_count - 1);
		}
	}
}
