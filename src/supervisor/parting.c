/*
 * What the master of this host has taken while it was cut off, and the new master has not: kept as a file in DIR/diverged, before this one becomes
 * a replica and its data is the new master's.
 *
 *   isolated, writes paused: all that no replica has acknowledged is written down at once, whatever becomes of us
 *   heard again, and there is another master: it says where the histories part; the file is cut to that, or goes if nothing is left
 *
 * A write that was acknowledged with proxy.durability is never among it. A master that dies, rather than being cut off, leaves nothing here.
 */
#include <dirent.h>
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "instance/diverged.h"
#include "instance/redis_conf.h"
#include "supervisor/hosts_priv.h"
#include "supervisor/supervisor_priv.h"
#include "topo/link.h"
#include "topo/reply.h"

#define FILES_MOST 64
#define SETTLE_MS  60000 /* the new master does not say where the histories part */

struct parting {
	struct supervisor *sup; /* borrowed */
	struct unit *unit;      /* borrowed */
	struct diverged *taken; /* owned */
	char *path;             /* owned */
	bool there, asked;
	uint64_t heard_ms; /* a majority was heard again; 0: not yet */
	struct diverged_count count;
};

static void
drop(struct supervisor *s)
{
	struct parting *p = s->parting;

	s->parting = NULL;
	if (p == NULL) {
		return;
	}
	for (size_t i = 0; i < s->host_count; i++) {
		if (s->hosts[i].probe != NULL) {
			link_forget(probe_link(s->hosts[i].probe), p);
		}
	}
	diverged_free(&p->taken);
	free(p->path);
	loop_bury(s->loop, free, p);
}

void
parting_fini(struct supervisor *s)
{
	drop(s);
}

/* ---- taken ---- */

/* The folder, made if need be. False with `err`: no file may be added. */
static bool
has_room(const char *dir, struct errmsg *err)
{
	size_t count = 0;
	DIR *d;

	if (mkdir(dir, 0700) == -1 && errno != EEXIST) {
		errmsg_set(err, "%s: %s", dir, strerror(errno));
		return false;
	}
	d = opendir(dir);
	while (d != NULL && readdir(d) != NULL) {
		count++;
	}
	if (d != NULL) {
		(void)closedir(d);
	}
	if (count >= FILES_MOST + 2) {
		errmsg_set(err, "%s holds %d files already: look at them and move them away", dir,
		    FILES_MOST);
		return false;
	}
	return true;
}

static void
fail(struct parting *p, const char *why)
{
	history_add(p->sup->history, EVENT_DATA_DIVERGED, p->unit->name,
	    json_pack("{s:n,s:s}", "file", "why", why),
	    "what it has taken since it was cut off cannot be kept, and is lost if another master "
	    "was chosen: %s",
	    why);
}

static void
on_taken(void *owner, int error, const char *why)
{
	struct parting *p = owner;
	struct errmsg err = ERRMSG_NONE;

	if (error == 0) {
		error = diverged_write(
		    p->taken, diverged_unacknowledged(p->taken), p->path, &p->count, &err);
		why = err.text;
	}
	if (error != 0) {
		fail(p, why);
		diverged_free(&p->taken);
		return;
	}
	p->there = true;
	if (p->count.writes > 0) {
		log_notice("%s: %zu writes that no replica has acknowledged, until it is known "
			   "which the others have file=%s",
		    p->unit->name, p->count.writes, p->path);
	}
}

static const struct diverged_ops diverged_ops = {.on_done = on_taken};

static char *
make_path(const struct unit *u, const char *dir)
{
	uint64_t wall_ms = clock_wall_ms();
	time_t sec = (time_t)(wall_ms / 1000);
	char stamp[40];
	struct tm tm;

	(void)gmtime_r(&sec, &tm);
	(void)strftime(stamp, sizeof(stamp), "%Y%m%dT%H%M%S", &tm);
	return xasprintf("%s/%s-%s.%03uZ.resp", dir, u->name, stamp, (unsigned)(wall_ms % 1000));
}

void
parting_begin(struct unit *u)
{
	struct supervisor *s = u->sup;
	struct diverged_spec spec = {.at = u->at, .user = INSTANCE_USER, .password = s->secret};
	struct errmsg err = ERRMSG_NONE;
	struct parting *p;
	char *dir;

	if (s->parting != NULL || u != s->master) {
		return;
	}
	for (size_t i = 0; i < s->host_count; i++) {
		if (!s->hosts[i].self) {
			spec.replica = s->hosts[i].redis;
		}
	}
	p = xcalloc(1, sizeof(*p));
	*p = (struct parting){.sup = s, .unit = u};
	s->parting = p;
	dir = xasprintf("%s/diverged", s->conf->data_dir);
	p->path = make_path(u, dir);
	if (!has_room(dir, &err) ||
	    (p->taken = diverged_start(s->loop, &spec, &diverged_ops, p, &err)) == NULL) {
		fail(p, err.text);
	}
	free(dir);
}

/* ---- heard again ---- */

static void
settle(struct parting *p, bool exact, const char *master)
{
	struct supervisor *s = p->sup;

	if (p->count.writes > 0) {
		history_add(s->history, EVENT_DATA_DIVERGED, p->unit->name,
		    json_pack("{s:s,s:i,s:I,s:b,s:b}", "file", p->path, "writes",
			(int)p->count.writes, "bytes", (json_int_t)p->count.bytes, "exact",
			(int)exact, "cut_off", (int)p->count.cut_off),
		    "%zu writes that it took while it was cut off and the new master %s %s are "
		    "kept in %s%s: look whether they are still wanted (`redis-cli --pipe` applies "
		    "them)",
		    p->count.writes, master, exact ? "has not" : "may not have", p->path,
		    p->count.cut_off ? ", which is not all of them" : "");
	}
	drop(s);
}

static void
on_info(void *arg, const struct redisReply *reply, int error)
{
	struct parting *p = arg;
	const char *master = roles_master_name(p->sup);
	struct errmsg err = ERRMSG_NONE;
	uint64_t from;

	p->asked = false;
	if (error != 0 || !slice_eq(reply_info(reply, "role"), "master")) {
		return; /* asked again with the next pulse */
	}
	if (!slice_eq(reply_info(reply, "master_replid2"), diverged_replid(p->taken)) ||
	    !slice_to_u64(reply_info(reply, "second_repl_offset"), &from)) {
		settle(p, false, master); /* another one was master in between */
		return;
	}
	if (diverged_write(p->taken, from, p->path, &p->count, &err) < 0) {
		log_warn("more than what differs is kept file=%s: %s", p->path, err.text);
		settle(p, false, master);
		return;
	}
	settle(p, true, master);
}

void
parting_pulse(struct supervisor *s)
{
	struct parting *p = s->parting;
	struct host *h = s->master_known ? hosts_at(s, &s->master_at.at) : NULL;
	uint64_t now = clock_mono_ms();

	if (p == NULL || s->isolated) {
		return;
	}
	p->heard_ms = p->heard_ms != 0 ? p->heard_ms : now;
	if (p->taken == NULL || (h != NULL && h->self)) {
		/* Kept for nothing: it is the master still, and its replicas get all that. */
		if (p->there && p->count.writes > 0 && unlink(p->path) == -1) {
			log_warn("%s: %s", p->path, strerror(errno));
		}
		drop(s);
	} else if (now - p->heard_ms >= SETTLE_MS) {
		settle(p, false, roles_master_name(s));
	} else if (p->there && h != NULL && !p->asked && link_is_up(probe_link(h->probe))) {
		p->asked = link_send(probe_link(h->probe), 0, on_info, p, "INFO", "replication",
			       NULL) == 0;
	}
}
