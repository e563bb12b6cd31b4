/*
 * Is a replica's copy on its disk? After a full copy redis keeps the append-only file of before until a new one is written whole
 * (replication.c, restartAOFAfterSYNC; aof.c, AOF_WAIT_REWRITE). One that dies until then comes back with the data of before, and must not be
 * what a cluster begins with. So it is asked from the moment its link is up until nothing is being rewritten any more; a rewrite later
 * on, for the file's growth, is no matter: it replaces a file that is good.
 */
#include "base/log.h"
#include "supervisor/supervisor_priv.h"
#include "topo/link.h"
#include "topo/reply.h"

#define AGAIN_S   0.02
#define ANSWER_MS 5000

static void ask(struct unit *u);

static void
on_persistence(void *arg, const struct redisReply *reply, int error)
{
	struct ondisk *d = arg;
	struct unit *u = CONTAINER_OF(d, struct unit, ondisk);

	if (error == 0 && slice_eq(reply_info(reply, "aof_rewrite_in_progress"), "0") &&
	    slice_eq(reply_info(reply, "aof_rewrite_scheduled"), "0")) {
		u->ondisk.complete = true;
		supervisor_touch(u->sup);
		return;
	}
	ev_timer_set(&u->ondisk.timer, AGAIN_S, 0.);
	ev_timer_start(loop_ev(u->sup->loop), &u->ondisk.timer);
}

static void
on_timer(struct ev_loop *ev, ev_timer *w, int revents)
{
	ask(w->data);
}

static void
ask(struct unit *u)
{
	/* Not up: with the link its state is made anew. */
	(void)link_send(probe_link(u->probe), ANSWER_MS, on_persistence, &u->ondisk, "INFO",
	    "persistence", NULL);
}

void
ondisk_init(struct unit *u)
{
	ev_init(&u->ondisk.timer, on_timer);
	u->ondisk.timer.data = u;
}

void
ondisk_begin(struct unit *u)
{
	ondisk_stop(u);
	u->ondisk.complete = false;
	ask(u);
}

void
ondisk_stop(struct unit *u)
{
	ev_timer_stop(loop_ev(u->sup->loop), &u->ondisk.timer);
	if (u->probe != NULL) {
		link_forget(probe_link(u->probe), &u->ondisk);
	}
}
