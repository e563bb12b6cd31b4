/*
 * Several hosts: what the files that know of them share. Where there is only this one, supervisor.hosts is NULL.
 *
 *   hosts.c    the other hosts, as seen from here            agree.c    who is master to begin with
 *   suspect.c  is the master on another host dead            parting.c  what a cut-off master took and nobody else has
 *   members.c  hosts come and go while all runs              voice.c    what supervisors say to each other
 *   hosts_tls.c  TLS between hosts                           hosts_modules.c  their modules
 *   hosts_switch.c  TLS between hosts begins or ends         doors.c    where clients reach the workers of all hosts
 *   talk.c     documents between supervisors (seal.c)        picture.c  what each says of itself
 *   remote.c   a command that another host carries out       timeline.c the events of all hosts
 *   relocate.c  servers move to another address; one host becomes one of several, or none of them
 */
#ifndef SUPERVISOR_HOSTS_PRIV_H
#define SUPERVISOR_HOSTS_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/defs.h"
#include "instance/sentinel_conf.h"
#include "net/endpoint.h"
#include "supervisor/talk.h"

struct conf;
struct conf_faults;
struct ctl_request;
struct errmsg;
struct link;
struct probe;
struct supervisor;
struct topo_master;
struct unit;
struct watcher_sentinel;

#define HOSTS_TLS_SIZE 64

/* A host of the cluster. Plain data but for the probe. */
struct host {
	struct supervisor *sup;        /* borrowed */
	char name[65], redis_name[80]; /* "b", "b/redis-1" */
	bool self;
	struct endpoint redis, sentinel;
	char id[SENTINEL_ID_SIZE]; /* of its sentinel, unless that has an older one */
	struct probe *probe;       /* owned; of its redis; NULL: self */
	struct link *ear; /* owned; what supervisors say, as its redis passes it on: see voice.c */
	struct link *mouth;     /* owned; to its redis: see talk.c */
	uint64_t *heard_number; /* owned; the last one heard on that ear, of each host */
	uint64_t said_number,
	    said_ms; /* the highest of its own that was heard anywhere, and when the last was */
	uint64_t beat_ms;         /* when the master's beat was heard there last */
	char tls[HOSTS_TLS_SIZE]; /* what it has said last of TLS that is to begin or end … */
	uint64_t tls_ms;          /* … and when: see hosts_switch.c */
	uint64_t since_ms;        /* it is heard, or was begun to be looked at */
	bool unsupervised;        /* it is, but for its supervisor */
	bool silent;              /* nothing was heard of it for a while */
	bool broken;              /* its redis ended our connection, and was looked at since */
	bool lost;                /* for so long that it was told */
	bool refuses;             /* it did not take our secret, and that was told */
	bool linked, was_synced;  /* its redis: as in struct unit */
	uint64_t unlinked_ms;
	json_t *
	    picture; /* owned; what its supervisor has said of itself last: see picture.c; NULL: nothing yet */
	uint64_t picture_ms, picture_number; /* when that was heard, and its number … */
	uint64_t boot_began_ms;              /* … in the run that began then, by its clock, … */
	char boot[TALK_ID_SIZE];             /* … which is this one */
	uint64_t asked_number; /* of its last question that was taken up: see remote.c */
	int64_t
	    told_event; /* up to this event of its history, those who follow have been told; 0: nobody follows */
};

/* ---- hosts_tls.c: TLS between hosts ---- */
/* Where they speak it, servers and sentinels are reached so from now on, with the files of the present configuration. 0 or -errno. */
int hosts_trust(const struct supervisor *s, struct errmsg *err);
/* The certificate is another: it is shown from now on, by our servers and to the others'. */
void hosts_renew(struct supervisor *s);
/* For those on this host who reach a server themselves: {"ca", "cert", "key"}; NULL: no TLS. */
json_t *hosts_tls_json(const struct supervisor *s);

/* ---- hosts.c ---- */
/* From the configuration; looks names up, which blocks. After the address and the secret are known. 0 or -errno. */
int hosts_read(struct supervisor *s, struct errmsg *err);
/* Begins to look at them, once the watcher is there. */
void hosts_begin(struct supervisor *s);
/* The pulse should have come: this process has stood still, or has had too much to do. */
bool hosts_is_late(const struct supervisor *s);
void hosts_fini(struct supervisor *s);
/* Are peers named? Then this host is one of a cluster of hosts, be it the only one so far. */
bool hosts_are_several(const struct supervisor *s);
/*
 * Several hosts, and writes are acknowledged when some replicas have them, not all: then Sentinel must promote nobody by itself. It asks nobody to
 * stop following, and chooses by offsets that are a second old, or ten: what it chooses may lack what another one has acknowledged. So all have
 * replica-priority 0 (loaded.c), and who may take over stands in replica-announced.
 */
bool hosts_bar_sentinel(const struct supervisor *s);
/* For members.c: the addresses of a host, by name or number, which may block; its sentinel's id; the order without a list that is the same everywhere. */
int hosts_resolve(struct host *h, const char *address, const struct conf *conf, struct errmsg *err);
void hosts_derive_id(struct host *h, const struct supervisor *s);
int hosts_compare(const void *a, const void *b);
/* Begins to look at those that are there now. */
void hosts_watch(struct supervisor *s);
/* The host whose redis listens there; the host or its redis by name; NULL. */
struct host *hosts_at(struct supervisor *s, const struct endpoint *redis);
struct host *hosts_find(struct supervisor *s, const char *name);
/* By the host's name alone. */
struct host *hosts_named(const struct supervisor *s, const char *name);
/* The redis of this host, which has one where there are several hosts; NULL: none yet. */
struct unit *hosts_own_redis(const struct supervisor *s);
/* The id that all hosts expect of our sentinel; NULL: there are no others. */
const char *hosts_own_id(const struct supervisor *s);
/* As seen from here, of a host that is not this one. */
bool hosts_is_synced(const struct host *h);
/* Could its redis take over from a master that has just died? `grace_ms`: for how long its link may have been down. */
bool hosts_is_heir(const struct host *h, uint64_t grace_ms);
/*
 * Can it be left out of a takeover from `master` (NULL or this host's own: it has died just now)? Whoever may have acknowledged what no other has must be
 * heard, and what we have not heard of says nothing of what its master has. So only when nothing has listened in its place for `grace_ms`, or since before
 * this master was one; or when it has been silent for `grace_ms` while the master was still heard.
 */
bool hosts_is_excused(const struct host *h, const struct host *master, uint64_t grace_ms);
/* How many are heard, this one included, and how many it takes. */
size_t hosts_heard(const struct supervisor *s);
/* Likewise, of those that have said something in the last `ms`. */
size_t hosts_heard_within(const struct supervisor *s, uint64_t ms);
size_t hosts_majority(const struct supervisor *s);
/* Does a majority of sentinels name one master at an epoch above 0, and is a majority of the hosts heard now? */
bool hosts_majority_names(const struct supervisor *s, struct topo_master *ret_named);
/* May this redis start as a master now? */
bool hosts_may_be_master(const struct supervisor *s, const struct unit *u);
/* There is another master. */
void hosts_on_master(struct supervisor *s);
/* Once a second. */
void hosts_tick(struct supervisor *s);
void hosts_add_reasons(const struct supervisor *s, json_t *reasons);
/* It is there, and will not have us, in words; NULL: it is not so. */
const char *hosts_refusal(const struct host *h);
/* Of all hosts, in picture.c. */
json_t *hosts_json(const struct supervisor *s);

/* ---- hosts_modules.c: has our redis what the master on another host has? Once a second. ---- */
void hosts_modules_tick(struct supervisor *s);

/* ---- members.c: hosts come and go while all runs ---- */
enum members_answer {
	MEMBERS_SAME,   /* the configuration has the same hosts */
	MEMBERS_CHANGE, /* it may be put in effect, with members_apply */
	MEMBERS_WAIT, /* a newcomer is looked at: reload() is called again, also for `req`, or that is answered */
	MEMBERS_TAKEN,   /* likewise `req` is answered, and `conf` is not the caller's any more */
	MEMBERS_REFUSED, /* with the reason in `faults` */
};
enum members_answer members_check(
    struct supervisor *s, struct conf *conf, struct ctl_request *req, struct conf_faults *faults);
/* The hosts of the present configuration from now on. */
void members_apply(struct supervisor *s);
/* The hosts that there are now are those of the last run, from now on. */
void members_remember(struct supervisor *s);
/*
 * At the start: a majority of the hosts that were one cluster with this one when it ran last is not in the configuration any more. They may go on without
 * us, so that we must not be a majority by ourselves. 0 or -errno.
 */
int members_check_start(struct supervisor *s, struct errmsg *err);
/* Once a second: does our sentinel remember hosts that are none any more? */
void members_tick(struct supervisor *s);
void members_fini(struct supervisor *s);

/* ---- relocate.c: servers of this host move; it becomes one of several, or none of them ---- */
/* The configuration has peers and we are a host alone, or the other way round: as members_check. */
enum members_answer relocate_begin(
    struct supervisor *s, struct conf *conf, struct ctl_request *req, struct conf_faults *faults);
/* After health_check: the next step, if there is one. */
void relocate_check(struct supervisor *s);
/* The next one could not begin in our place. */
void relocate_failed(struct supervisor *s, const char *why);
void relocate_fini(struct supervisor *s);
/* A redis that runs since before is at `at`, and not where it should be: it stays there until it may move. */
void relocate_stay(struct unit *u, const struct endpoint *at);
/* It starts as a replica: where it should be. */
void relocate_start(struct unit *u);
/* With what it is started. */
const struct conf *relocate_conf(const struct unit *u);

/* How long neither its redis nor its sentinel has said anything; its sentinel's link, or NULL. */
uint64_t hosts_silent_ms(const struct host *h);
struct link *hosts_sentinel_link(const struct host *h);
const struct watcher_sentinel *hosts_sentinel_view(const struct host *h, struct link **ret_link);

/* ---- hosts_switch.c: TLS between hosts begins or ends ---- */
/* A reload says so: `req` (may be NULL) is answered, and it happens when all hosts have been told so. */
void hosts_switch_prepare(struct supervisor *s, const struct conf *conf, struct ctl_request *req);
/* With each pulse. True: it happens now, so that nobody is to be suspected. */
bool hosts_switch_pulse(struct supervisor *s);
/* What another has said; false: it was something else. */
bool hosts_switch_on_words(struct host *sender, const char *words);
/* It stays as it is. */
void hosts_switch_fini(struct supervisor *s);

/* ---- doors.c ---- */
/* {OPTION: [AT, …]} of this host: the caller's reference. */
json_t *doors_own(const struct supervisor *s);
/* {OPTION: [{node, at}, …]} of all hosts, as far as they have said it: the caller's reference. */
json_t *doors_json(const struct supervisor *s);

/* ---- voice.c ---- */
void voice_begin(struct supervisor *s);
void voice_fini(struct supervisor *s);
/* To all the others, if our redis is there; whether it is heard is not known. */
void voice_say(struct supervisor *s, const char *fmt, ...) ATTR_PRINTF(2, 3);

/* ---- suspect.c ---- */
/* `sender` has said them, and they were heard from the redis of `ear`. */
void suspect_on_words(struct host *ear, struct host *sender, const char *words);
/* A planned switchover: the proxies of the other hosts hold for so long, or (0) not any more. */
void suspect_tell_hold(struct supervisor *s, uint64_t ms);
/* What a sentinel says has changed. */
void suspect_on_sentinel(struct supervisor *s, const struct watcher_sentinel *view);
/* Is the master on another host dead, as far as it is seen here? Then it is taken over from. With each pulse. */
void suspect_pulse(struct supervisor *s);
/* What is seen of the redis of `h` has changed. */
void suspect_on_host(struct supervisor *s, struct host *h);
void suspect_init(struct supervisor *s);
void suspect_fini(struct supervisor *s);
bool suspect_is_dead(const struct supervisor *s, const struct host *master);

/* ---- parting.c ---- */
/* This host hears no majority, and its master takes no write any more. */
void parting_begin(struct unit *master);
/* Often: is a majority heard again, and who is master? */
void parting_pulse(struct supervisor *s);
void parting_fini(struct supervisor *s);

/* ---- agree.c ---- */
/* What was known when this host ran last counts until a majority says otherwise. */
void agree_remember(struct supervisor *s);
/* What a sentinel without a file is told: the master that is known, else (epoch 0) a place that nobody has yet. */
void agree_placeholder(const struct supervisor *s, struct topo_master *ret_master);
/* While the plan is at PLAN_AGREEMENT, often. */
void agree_pulse(struct supervisor *s);
/* True once; then who is named starts. */
bool agree_is_reached(struct supervisor *s);
/* What it waits for, for people. */
const char *agree_reason(const struct supervisor *s);
void agree_fini(struct supervisor *s);

#endif
