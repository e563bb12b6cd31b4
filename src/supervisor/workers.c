/*
 * Proxy and HTTP workers: our own program in another role. We own their listening sockets, so that a worker that dies refuses no connection;
 * they hear from us over a channel (ipc/channel.h) what to listen on, how to be, and who is master.
 */
#include <errno.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "instance/redis_conf.h"
#include "ipc/rejoin.h"
#include "net/listener.h"
#include "proc/procfs.h"
#include "supervisor/hosts_priv.h"
#include "supervisor/supervisor_priv.h"

#define HUNG_MS UINT64_C(10000)

static const struct {
	enum unit_kind kind;
	const char *option;
	size_t addresses; /* offset of the struct conf_list in struct conf */
} options[] = {
    {UNIT_PROXY, "proxy.listen", offsetof(struct conf, proxy_listen)},
    {UNIT_PROXY, "proxy.durable_listen", offsetof(struct conf, proxy_durable_listen)},
    {UNIT_PROXY, "proxy.read_listen", offsetof(struct conf, proxy_read_listen)},
    {UNIT_HTTP, "http.listen", offsetof(struct conf, http_listen)},
};

bool
workers_wanted_door(
    const struct supervisor *s, enum unit_kind kind, size_t i, struct door *ret_door)
{
	for (size_t k = 0; k < ARRAY_LEN(options); k++) {
		const struct conf_list *list =
		    (const void *)((const char *)s->conf + options[k].addresses);

		if (options[k].kind != kind) {
			continue;
		}
		if (i < list->count) {
			*ret_door =
			    (struct door){.kind = kind, .option = options[k].option, .fd = -1};
			return endpoint_parse(list->items[i], 0, &ret_door->at, NULL) ==
			       0; /* verified */
		}
		i -= list->count;
	}
	return false;
}

bool
workers_are_wanted(const struct supervisor *s, enum unit_kind kind)
{
	struct door door;

	return workers_wanted_door(s, kind, 0, &door);
}

bool
workers_have_door(const struct supervisor *s, enum unit_kind kind, const struct endpoint *at)
{
	for (size_t i = 0; i < s->door_count; i++) {
		if (s->doors[i].kind == kind && endpoint_equal(&s->doors[i].at, at)) {
			return true;
		}
	}
	return false;
}

void
workers_add_door(struct supervisor *s, const struct door *door)
{
	s->doors = xreallocarray(s->doors, s->door_count + 1, sizeof(*s->doors));
	s->doors[s->door_count++] = *door;
}

/* What workers of an earlier supervisor have handed over is open already. */
static int
bind_doors(struct supervisor *s, enum unit_kind kind, struct errmsg *err)
{
	struct door door;

	for (size_t i = 0; workers_wanted_door(s, kind, i, &door); i++) {
		int rc = workers_have_door(s, kind, &door.at)
			     ? 0
			     : listener_bind(&door.at, &door.fd, err);

		if (rc < 0) {
			errmsg_prefix(err, "%s", door.option);
			return rc;
		}
		if (door.fd >= 0) {
			workers_add_door(s, &door);
		}
	}
	return 0;
}

int
workers_bind(struct supervisor *s, struct errmsg *err)
{
	int rc = bind_doors(s, UNIT_PROXY, err);

	return rc < 0 ? rc : bind_doors(s, UNIT_HTTP, err);
}

void
workers_let_in(struct supervisor *s)
{
	for (size_t i = 0; i < s->door_count; i++) {
		const struct door *door = &s->doors[i];
		const char *mode =
		    door->kind == UNIT_HTTP ? s->conf->http_unix_mode : s->conf->proxy_unix_mode;
		struct errmsg err = ERRMSG_NONE;

		if (listener_let_in(&door->at, (unsigned)strtoul(mode, NULL, 8), &err) < 0) {
			log_warn("%s: %s: it stays as it is", door->option, err.text);
		}
	}
}

static void
on_ready(struct unit *u)
{
	u->accepting = true;
	if (u->version[0] == '\0') {
		u->heard_ms = clock_mono_ms();
	}
	process_ready(u->process);
	supervisor_touch(u->sup);
}

static void
on_route(struct unit *u, const struct channel_msg *msg)
{
	uint64_t port = 0, epoch = 0;

	if (msg->arg_count < 3 || !slice_to_u64(slice_str(msg->args[1]), &port) ||
	    port > UINT16_MAX || !slice_to_u64(slice_str(msg->args[2]), &epoch)) {
		return;
	}
	u->routes = true;
	u->route_to.at = endpoint_tcp(msg->args[0], (uint16_t)port);
	u->route_to.epoch = epoch;
	log_info("%s: routes to %s", u->name, ENDPOINT_TEXT(&u->route_to.at));
	supervisor_touch(u->sup);
}

static void
on_noroute(struct unit *u, const struct channel_msg *msg)
{
	u->routes = false;
	(void)snprintf(u->no_route, sizeof(u->no_route), "%s",
	    msg->arg_count > 0 ? msg->args[0] : "no master");
	log_info("%s: does not route: %s", u->name, u->no_route);
	supervisor_touch(u->sup);
}

static void
on_msg(struct channel *ch, void *owner, struct channel_msg *msg)
{
	struct unit *u = owner;

	if (strcmp(msg->verb, "alive") == 0 || u->heard_ms != 0) {
		u->heard_ms = clock_mono_ms();
	}
	if (strcmp(msg->verb, "ready") == 0) {
		on_ready(u);
	} else if (strcmp(msg->verb, "route") == 0) {
		on_route(u, msg);
	} else if (strcmp(msg->verb, "noroute") == 0) {
		on_noroute(u, msg);
	} else if (strcmp(msg->verb, "name") == 0) {
		rejoin_on_name(u, msg);
	} else if (strcmp(msg->verb, "door") == 0) {
		rejoin_on_door(u, msg);
	} else if (strcmp(msg->verb, "end") == 0) {
		rejoin_on_end(u);
	} else if (strcmp(msg->verb, "unfit") == 0) {
		rejoin_on_unfit(u, msg);
	} else if (strcmp(msg->verb, "share") == 0) {
		crowd_on_share(u, msg);
	} else if (strcmp(msg->verb, "ask") == 0) {
		crowd_on_ask(u, msg);
	} else if (strcmp(msg->verb, "tell") == 0 || strcmp(msg->verb, "told") == 0) {
		crowd_on_answer(u, msg);
	} else if (strcmp(msg->verb, "prepared") == 0) {
		u->prepared = true;
	} else if (strcmp(msg->verb, "stats") == 0 && msg->arg_count > 0) {
		json_decref(u->stats);
		u->stats = json_loads(msg->args[0], JSON_REJECT_DUPLICATES, NULL);
		u->stats_us = clock_mono_us();
	}
}

static void
on_gone(struct channel *ch, void *owner)
{
	struct unit *u = owner;

	/* Most often it is ending, and the process table hears of that in a moment; see workers_tick. */
	u->accepting = u->routes = false;
	channel_close(&u->channel);
	supervisor_touch(u->sup);
}

static const struct channel_ops channel_ops = {.on_msg = on_msg, .on_gone = on_gone};

void
workers_join(struct unit *u, int fd)
{
	u->channel = channel_new(u->sup->loop, fd, &channel_ops, u);
}

static int
send_conf(struct unit *u)
{
	struct buf text;
	int rc;

	buf_init(&text, CONF_TEXT_MAX);
	rc = conf_to_ini(u->sup->conf, &text);
	if (rc == 0) {
		rc = buf_add(&text, "", 1);
	}
	if (rc == 0) {
		rc = channel_send(
		    u->channel, -1, "config", (const char *)buf_slice(&text).ptr, NULL);
	}
	if (buf_len(&text) > 0) {
		explicit_bzero(text.data, text.cap); /* passwords */
	}
	buf_fini(&text);
	return rc;
}

static int
send_master(struct unit *u)
{
	const struct topo_master *m = &u->sup->master_at;
	char port[8], epoch[24];

	if (!u->sup->master_known) {
		return 0;
	}
	(void)snprintf(port, sizeof(port), "%u", m->at.port);
	(void)snprintf(epoch, sizeof(epoch), "%llu", (unsigned long long)m->epoch);
	return channel_send(u->channel, -1, "master", m->at.host, port, epoch, NULL);
}

static int
send_sentinels(struct unit *u)
{
	const struct supervisor *s = u->sup;
	char texts[IPC_MAX_ARGS][ENDPOINT_TEXT_SIZE];
	const char *list[IPC_MAX_ARGS];
	size_t count = 0;

	for (size_t i = 0; i < s->unit_count && count < ARRAY_LEN(list); i++) {
		if (s->units[i]->kind == UNIT_SENTINEL) {
			list[count] = endpoint_format(&s->units[i]->at, texts[count]);
			count++;
		}
	}
	for (size_t i = 0; i < s->host_count && count < ARRAY_LEN(list); i++) {
		if (!s->hosts[i].self) {
			list[count] = endpoint_format(&s->hosts[i].sentinel, texts[count]);
			count++;
		}
	}
	return channel_sendv(u->channel, -1, "sentinels", list, count);
}

static int
send_near(struct unit *u)
{
	const struct supervisor *s = u->sup;
	char texts[IPC_MAX_ARGS][ENDPOINT_TEXT_SIZE];
	const char *list[IPC_MAX_ARGS];
	size_t count = 0;

	for (size_t i = 0; i < s->unit_count && count + 1 < ARRAY_LEN(list); i++) {
		struct unit *server = s->units[i];
		char *path = server->kind == UNIT_REDIS ? redis_conf_socket(server->dir) : NULL;

		if (path != NULL) {
			list[count] = endpoint_format(&server->at, texts[count]);
			(void)snprintf(texts[count + 1], sizeof(texts[count + 1]), "unix:%s", path);
			list[count + 1] = texts[count + 1];
			count += 2;
		}
		free(path);
	}
	return channel_sendv(u->channel, -1, "near", list, count);
}

void
workers_tell_sentinels(struct supervisor *s)
{
	for (size_t i = 0; i < s->unit_count; i++) {
		struct unit *u = s->units[i];

		if ((u->kind == UNIT_PROXY || u->kind == UNIT_HTTP) && u->channel != NULL) {
			(void)send_sentinels(
			    u); /* a worker that does not read is found by its channel */
		}
	}
}

void
workers_tell_near(struct supervisor *s)
{
	for (size_t i = 0; i < s->unit_count; i++) {
		struct unit *u = s->units[i];

		if ((u->kind == UNIT_PROXY || u->kind == UNIT_HTTP) && u->channel != NULL) {
			(void)send_near(u);
		}
	}
}

int
workers_tell_all(struct unit *u)
{
	const struct supervisor *s = u->sup;
	int rc = send_conf(u);

	if (rc == 0) {
		rc = channel_send(u->channel, -1, "secret", INSTANCE_USER, s->secret, NULL);
	}
	for (size_t i = 0; i < s->door_count && rc == 0; i++) {
		if (s->doors[i].kind == u->kind) {
			rc = channel_send(u->channel, s->doors[i].fd, "listen", s->doors[i].option,
			    ENDPOINT_TEXT(&s->doors[i].at), NULL);
		}
	}
	if (rc == 0) {
		rc = crowd_tell(u);
	}
	if (rc == 0) {
		rc = send_near(u);
	}
	if (rc == 0) {
		rc = send_sentinels(u);
	}
	if (rc == 0) {
		rc = send_master(u);
	}
	return rc < 0 ? rc : channel_send(u->channel, -1, "go", NULL);
}

int
workers_prepare(struct unit *u, struct process_launch *ret_launch, struct errmsg *err)
{
	int ours = -1, theirs = -1, rc;

	channel_close(&u->channel);
	u->accepting = u->routes = false;
	u->version[0] = '\0'; /* it is of our own */
	rc = channel_pair(&ours, &theirs);
	if (rc < 0) {
		errmsg_set(err, "cannot make a channel: %s", strerror(-rc));
		return rc;
	}
	u->channel = channel_new(u->sup->loop, ours, &channel_ops, u);
	rc = workers_tell_all(u);
	if (rc < 0) {
		errmsg_set(err, "cannot tell it its configuration: %s", strerror(-rc));
		channel_close(&u->channel);
		(void)close(theirs);
		return rc;
	}
	*ret_launch = (struct process_launch){
	    .program = supervisor_program(u->sup),
	    .argv = {"holdfast", unit_kind_name(u->kind), "--worker", u->name},
	    .cwd = u->sup->conf->data_dir, /* by which resume.c knows it for ours */
	    .pass_fd = theirs,
	};
	return 0;
}

void
workers_ended(struct unit *u)
{
	rejoin_remove(u->sup->conf->data_dir, u->name); /* one that was killed has left it */
	channel_close(&u->channel);
	json_decref(u->stats);
	u->stats = NULL;
	u->accepting = u->routes = false;
	u->heard_ms = 0;
	crowd_ended(u);
}

static bool
is_worker(const struct unit *u)
{
	return u->kind == UNIT_PROXY || u->kind == UNIT_HTTP;
}

/* It says each second that it is alive. One that does not may be in an endless loop, or was stopped: its clients wait for nothing. */
static void
look_at_silence(struct unit *u, uint64_t silent_ms)
{
	uint64_t busy_ms = u->sup->conf->redis_busy_ms;

	if (silent_ms < HUNG_MS / 2) {
		if (silent_ms >= HUNG_MS / 5) {
			u->silent_cpu_ticks = procfs_cpu_ticks(process_pid(u->process));
		}
	} else if (silent_ms >= HUNG_MS &&
		   (silent_ms >= busy_ms || !unit_is_working(u, silent_ms - HUNG_MS / 2))) {
		history_add(u->sup->history, EVENT_INSTANCE_SILENT, u->name,
		    json_pack("{s:I}", "silent_ms", (json_int_t)silent_ms),
		    "runs but has done nothing for %llu ms: another one takes its place",
		    (unsigned long long)silent_ms);
		process_kill(u->process);
	}
}

/*
 * A worker that goes on without its channel hears nothing of us any more: another takes its place. One that was without
 * it for a whole tick, that is: at its end a worker closes the channel a moment before it is gone.
 */
void
workers_tick(struct supervisor *s)
{
	uint64_t now = clock_mono_ms();
	bool late =
	    now - s->workers_ms >= HUNG_MS / 5; /* what they have said is still to be read */

	s->workers_ms = now;
	for (size_t i = 0; i < s->unit_count; i++) {
		struct unit *u = s->units[i];
		bool serves = is_worker(u) && unit_is_ready(u);
		bool deaf = serves && u->channel == NULL;

		if (deaf && u->was_deaf) {
			log_warn("%s: lost its channel, killed and started again", u->name);
			process_kill(u->process);
		}
		u->was_deaf = deaf;
		if (late && u->heard_ms != 0) {
			u->heard_ms = now;
		}
		if (serves && u->heard_ms != 0 && !process_was_killed(u->process)) {
			look_at_silence(u, now - u->heard_ms);
		}
	}
}

void
workers_tell_master(struct supervisor *s)
{
	for (size_t i = 0; i < s->unit_count; i++) {
		if (is_worker(s->units[i]) && s->units[i]->channel != NULL) {
			(void)send_master(
			    s->units[i]); /* a worker that does not read is found by its channel */
		}
	}
}

void
workers_tell_conf(struct supervisor *s)
{
	for (size_t i = 0; i < s->unit_count; i++) {
		struct unit *u = s->units[i];

		if (is_worker(u) && u->channel != NULL &&
		    (send_conf(u) < 0 || channel_send(u->channel, -1, "go", NULL) < 0)) {
			log_warn("%s: could not be told the changed configuration, it is restarted",
			    u->name);
			process_restart(u->process);
		}
	}
}

static void
tell_ms(struct supervisor *s, const char *verb, uint64_t value)
{
	char ms[24];

	(void)snprintf(ms, sizeof(ms), "%llu", (unsigned long long)value);
	for (size_t i = 0; i < s->unit_count; i++) {
		if (is_worker(s->units[i]) && s->units[i]->channel != NULL) {
			(void)channel_send(s->units[i]->channel, -1, verb, ms, NULL);
		}
	}
}

void
workers_hold(struct supervisor *s, uint64_t hold_ms)
{
	tell_ms(s, "hold", hold_ms);
}

void
workers_isolate(struct supervisor *s, uint64_t ms)
{
	tell_ms(s, "isolate", ms);
}

void
workers_prepare_switch(struct supervisor *s, uint64_t ms)
{
	for (size_t i = 0; i < s->unit_count; i++) {
		s->units[i]->prepared = false;
	}
	tell_ms(s, "prepare", ms);
}

bool
workers_are_prepared(const struct supervisor *s)
{
	for (size_t i = 0; i < s->unit_count; i++) {
		const struct unit *u = s->units[i];

		if (is_worker(u) && u->channel != NULL && u->accepting && !u->prepared) {
			return false;
		}
	}
	return true;
}

bool
workers_route(const struct unit *u)
{
	return unit_is_ready(u) && u->routes && u->sup->master_known &&
	       endpoint_equal(&u->route_to.at, &u->sup->master_at.at);
}
