/*
 * What the files of this room share: the supervisor and its units. A unit is one instance: a redis, a sentinel, a proxy or an HTTP worker.
 *
 *   supervisor.c  life of the whole: lock, state, signals, end       plan.c     the order of start and stop (a table)
 *   unit.c        one instance: process, log, readiness              servers.c  redis and sentinel: files, probes
 *   workers.c     proxy and http: sockets, channel                   roles.c    who is master; who follows whom
 *   succession.c  the master has died                                handover.c a switchover or takeover under way
 *   resume.c      what was before: adoption, the deciding of a master   health.c   ready or not, and why; status
 *   rejoin.c      workers from before                upgrade.c  another binary in our place
 *   control.c     the control commands                               reload.c   a changed configuration
 *   ondisk.c      is a replica's copy on its disk
 *   rolling.c     all servers restarted one after the other (a table)
 *   damage.c      data that redis cannot load
 *   modules.c     the set of modules: judged, in effect, changed   loaded.c   what each server has of it
 *   service.c     what systemd is told
 *   removal.c     may a module leave                  backup.c   snapshots, asked for or by schedule
 *   place.c       where this host's servers were in the last run
 *   asked.c       what is asked in somebody's name, and what would be   watch.c   live pictures
 *   figures.c     what is measured each second, and its last day (series.c)
 *
 * Where there are several hosts: hosts_priv.h.
 */
#ifndef SUPERVISOR_SUPERVISOR_PRIV_H
#define SUPERVISOR_SUPERVISOR_PRIV_H

#include <stdbool.h>
#include <stdint.h>
#include <time.h>

#include <jansson.h>

#include "conf/conf.h"
#include "ctl/ctl.h"
#include "instance/failover.h"
#include "instance/module_set.h"
#include "instance/probe.h"
#include "ipc/channel.h"
#include "net/loop.h"
#include "proc/ending.h"
#include "proc/logfile.h"
#include "proc/notify.h"
#include "proc/process.h"
#include "store/store.h"
#include "supervisor/history.h"
#include "supervisor/ring.h"
#include "topo/topo.h"
#include "topo/watcher.h"

enum unit_kind { UNIT_REDIS, UNIT_SENTINEL, UNIT_PROXY, UNIT_HTTP, UNIT_KINDS };

struct figures;
struct host;
struct parting;
struct sentinel_move;
struct talk;
struct supervisor;

/* See ondisk.c. */
struct ondisk {
	bool complete; /* a replica's copy is on its disk */
	ev_timer timer;
};

/* A question to a module, with the index of its answer. */
struct loaded_probe {
	struct unit *unit;
	enum manifest_answer answer;
};

/* What a redis has loaded, and what follows from it: see loaded.c. */
struct loaded {
	struct module_seen *seen; /* owned; as MODULE LIST said */
	size_t count;
	bool known;         /* since it was started */
	bool asked;         /* likewise, or again since the last look */
	uint64_t looked_ms; /* when it was asked last */
	struct loaded_probe probes[MODULES_MAX];
	char probe[MODULES_MAX]; /* for each of `seen`: ' ' not asked, '+' good, '-' bad */
	char lacks[400];         /* what the master has and it has not; "" */
	char differs[300];       /* newer or older, or more than the master: may go on; "" */
	bool demoted;            /* its replica-priority was set to 0 by us */
	bool hidden,
	    told; /* several hosts: its replica-announced was set to no by us; both were set since it was started or taken over */
	bool errors_known;
	uint64_t errors; /* unexpected_error_replies, when seen last */
	bool diverged;   /* it could not carry out what its master did: it needs a new copy */
	/* Its process ended with words that name a type of data or a command of a module that it does not have. */
	char needs[320];
	bool needs_told;
	bool anew; /* kept over starts: it was started anew since it lacked a module, once */
	unsigned needs_set; /* which set of modules that was (supervisor.modules_number) */
};

struct unit {
	struct supervisor *sup; /* borrowed */
	enum unit_kind kind;
	unsigned number; /* from 1 */
	char name[32];   /* redis-1 */
	struct endpoint
	    at; /* redis, sentinel: where it is reached; fixed for this supervisor's life, but for relocate.c */
	struct endpoint listens; /* redis, sentinel: one of the places where it listens; likewise */
	bool misplaced;          /* redis: it is to be, at its next start as a replica, … */
	struct endpoint to, to_listens; /* … there */
	bool stale;    /* sentinel: it knows a redis where none is any more, until its next start */
	char *program; /* owned; redis, sentinel: what it was last started with */
	char *conf_path;         /* owned; redis, sentinel */
	char *dir;               /* owned; redis, sentinel: its folder */
	struct process *process; /* owned */
	struct logfile *log;     /* owned */
	bool log_failing;        /* said so once */
	bool row_failing;        /* likewise, of its row in the state database */
	bool held_down;          /* an operator stopped it */
	bool leaving;            /* to be freed once it has stopped (fewer workers wanted) */
	char last_exit[320];     /* how it last ended, "" */
	char said[160],
	    said_of[64]; /* its last line while it was starting, and of which directive */
	bool died_young; /* it has ended since it was ready last, before it was again */

	struct probe *probe;       /* owned; redis, sentinel */
	bool moved;                /* sentinel: its file knows the addresses of this run */
	bool settled;              /* ready as its probe sees it: asked once a second only */
	struct ending *ending;     /* owned; redis: see proc/ending.h; NULL: not watched */
	uint64_t silent_cpu_ticks; /* redis, worker: what it had used when it began to be silent */
	uint64_t
	    heard_ms; /* worker: when it said something last; 0: one from before that has not said that it is alive, and may not be able to */
	bool is_busy; /* redis: does not serve, but works; said so */
	uint64_t answers_since_ms; /* redis: without a pause; 0: it does not */
	bool linked;               /* redis: its replication link was up when last seen */
	uint64_t unlinked_ms;      /* redis: when it was not any more */
	uint64_t
	    seen_offset; /* redis: its replication offset when it ended, as last seen; 0 while it runs */
	/*
	 * redis, several hosts: was started as a replica and has not been in step with a master since. Its data may be old, and that of a host
	 * that is not back yet newer: it is not promoted, not by Sentinel either.
	 */
	bool unproven;
	bool was_synced;     /* redis: it has had a whole copy of the present master's data */
	char complaint[200]; /* redis: its words, at this start, that its data cannot be loaded */
	bool damaged;   /* redis: it ended with such words, and the data is still in its place */
	bool aof_later; /* redis: reads its snapshot in first, then writes its append-only file */
	bool
	    stray; /* sentinel: its next start is with the majority's word, not its file's; redis: it runs where it should not */
	uint64_t
	    wrong_since_ms; /* redis: its role has not been what it should since then; 0: it is */

	struct ondisk ondisk;
	struct loaded loaded;
	struct channel *channel; /* owned; proxy, http; NULL while it does not run */
	bool accepting;          /* worker said `ready` */
	bool was_deaf;           /* worker: had no channel at the last tick */
	bool prepared;           /* worker said so since it was told to prepare */
	bool routes;             /* worker said `route` last, for `route_to` */
	struct topo_master route_to;
	char no_route[128]; /* why not, in its words */
	json_t *stats;      /* owned: what it counted, as it said last; NULL: nothing yet … */
	uint64_t stats_us;  /* … and when that came */
	bool heard;         /* worker from before: said all that it has */
	bool strange;       /* likewise: it has what we do not want */
	char version[32];   /* likewise: of which holdfast it is; "" one that we started */
};

/* A listening socket that workers inherit. Bound once, at start, or handed over by a worker from before. */
struct door {
	enum unit_kind kind;
	const char *option; /* "proxy.listen" */
	struct endpoint at;
	int fd; /* owned */
	bool handed;
};

/* A process of an earlier supervisor that is not taken over. */
struct leftover {
	char name[STORE_NAME_SIZE];
	pid_t pid;
	int pidfd; /* owned; -1 once it has ended */
	bool redis;
	const char *why; /* static */
};

enum plan_state {
	PLAN_AGREEMENT, /* several hosts only */
	PLAN_MASTER,
	PLAN_REPLICAS,
	PLAN_SENTINELS,
	PLAN_PROXY,
	PLAN_HTTP,
	PLAN_RUNNING,
	PLAN_HANDING_OVER, /* several hosts only: told to stop */
	PLAN_STOP_HTTP,
	PLAN_STOP_PROXY,
	PLAN_STOP_SENTINELS,
	PLAN_STOP_REPLICAS,
	PLAN_STOP_MASTER,
	PLAN_STOPPED,
	PLAN_STATE_COUNT
};

enum health { HEALTH_STARTING, HEALTH_READY, HEALTH_DEGRADED, HEALTH_STOPPING };

/* Failovers since the supervisor began: how many, and how long it took until writes were taken again. */
#define FAILOVER_BOUNDS 10

struct failover_tally {
	unsigned long done, failed, counts[FAILOVER_BOUNDS + 1];
	double seconds;
};

struct supervisor {
	uint32_t magic;
	struct loop *loop;                  /* owned, as all below unless said */
	const struct conf_sources *sources; /* borrowed (outlives the run) */
	struct conf *conf;
	struct conf **old_confs; /* replaced by reloads; units may still look at their part */
	size_t old_conf_count;
	const char *name;        /* borrowed from the first conf: also Sentinel's master name */
	const char *node;        /* likewise: this host */
	char *address;           /* numeric form of holdfast.address */
	char *self;              /* path that our own program was started from */
	char **argv;             /* of this process */
	struct legacy *legacy;   /* from the binary before us, until we serve; or NULL */
	struct upgrade *upgrade; /* under way, or NULL */
	char *secret;
	char boot_id[40];
	int lock_fd;
	uint64_t started_ms;

	struct store *store;
	struct history *history;
	struct ring *ring;
	struct list log_followers;
	struct list timelines, event_followers, event_fetches; /* see timeline.c */
	struct list watchers; /* struct watcher_client of watch.c */
	struct list plans;    /* struct plan_question of asked.c */
	json_t *watched;      /* what watchers were told last, without what always moves; or NULL */
	uint64_t watched_ms;  /* when that was */
	ev_timer watch_timer; /* they are told soon */
	struct figures *figures;
	struct topo *topo;
	struct topo_observer observer;
	struct acquaint *acquaint; /* owned; several hosts */
	struct watcher *watcher;
	struct watcher_observer watch;
	struct claim *claim;
	struct module_set *modules; /* what servers load when they start */
	unsigned modules_number;    /* grows with each other set */
	struct module_set *judged;  /* being judged, to take its place; or NULL */
	struct module_judge *judge; /* likewise */
	struct removal *removal;    /* under way, or NULL */
	char modules_why[560];      /* the configuration asks for modules that are not good; "" */
	struct ctl_server *ctl;
	struct list waiters; /* control requests that wait for a unit */

	struct unit **units;
	size_t unit_count;
	struct door *doors;
	size_t door_count;
	struct share *share; /* owned: of the proxy workers; NULL: there is none yet */
	int share_fd;        /* owned, with it */

	unsigned plan; /* enum plan_state; written by fsm_step only */
	ev_timer plan_patience;
	bool plan_hurried; /* told to stop twice */
	enum health health;
	bool was_ready;
	bool told_how_to_use;

	struct unit *master; /* borrowed from units: the local master, or NULL */
	struct topo_master master_at;
	bool master_known;
	bool succession; /* the master died and a replica is to take over: it must not start */
	bool orphaned;   /* with that: it died while no supervisor ran */
	struct leftover *leftovers; /* processes from before that end before we begin */
	size_t leftover_count;
	struct sentinel_move *moves; /* instances whose address changed since the last run */
	size_t move_count;
	bool
	    mode_changed; /* this host was alone in the last run and is one of several, or the other way round */
	ev_timer election;                 /* armed while the dead master waits for a successor */
	struct loop_hook settle;           /* the master changed: the rest of it */
	bool master_moved, master_had_one; /* for `settle`, as is … */
	struct unit *master_before;        /* borrowed; NULL: none, or elsewhere */
	struct failover *failover;  /* one at a time; NULL: none. With `succession`: a takeover */
	struct unit *failover_from; /* borrowed: who was master when it began */
	uint64_t failover_since_us;
	double failover_promoted_ms;      /* after that, its target took writes */
	struct failover_tally tally;      /* all of them since we began */
	struct ctl_request *failover_req; /* borrowed; who asked for it, or NULL */
	struct unit *failover_then; /* borrowed: stop or restart it once the switchover is done */
	bool failover_then_restart;
	struct rolling *rolling; /* a rolling restart; NULL: none */
	uint64_t roll_order; /* several hosts: the last that another host has ordered; 0: none … */
	char roll_answer[300]; /* … and how it ended, which is said until … */
	uint64_t roll_answer_until_ms;
	struct backup *backup;

	struct notify *notify; /* the service manager */
	ev_timer beat;
	char service_status[700]; /* as told last */
	bool service_ready, service_stopping;

	struct host *hosts; /* all, this one included; NULL: there is only this one */
	size_t host_count;
	struct agree *agree;     /* see agree.c */
	struct members *members; /* see members.c; NULL: nobody is looked at */
	struct relocation
	    *relocation; /* see relocate.c; NULL: this host does not become one of several */
	uint64_t relocate_again_ms;    /* not before */
	struct tls_switch *tls_switch; /* see hosts_switch.c; NULL: it stays as it is */
	bool tls_changed; /* since the last run: servers of before are none that we understand */
	struct topo_master
	    compared_with; /* the master whose modules ours were compared with last, and … */
	uint64_t modules_asked_ms; /* … when it was asked for them */
	uint64_t tidied_ms;        /* when our sentinel was asked last whom it knows */
	ev_timer pulse;
	struct link *voice; /* owned: to our redis: see voice.c */
	uint64_t voice_number;
	struct talk *talk;             /* see talk.c; NULL: there are no others */
	struct picture_state *picture; /* what was said of us last: see picture.c */
	struct list calls, works; /* questions to other hosts, and theirs to us: see remote.c */
	uint64_t suspect_after_ms;
	ev_timer suspect; /* looks again: the master's host, or its server, is in doubt */
	unsigned suspect_attempts;
	uint64_t
	    master_since_ms; /* when the present master took the place of another; 0: not in this run */
	bool suspect_waits; /* for a replica that is not reached: it was told */
	uint64_t
	    held_down_ms; /* since when a majority's sentinels hold the master for down; 0: they do not */
	uint64_t
	    left_epoch; /* of the last master that ours was told to follow no more; see suspect.c */
	uint64_t pulse_ms; /* when it was felt last */
	uint64_t
	    awake_ms; /* when it last came late, or no majority was heard: who was silent before was not listened to */
	uint64_t looked_ms;      /* when the master was looked at closely last */
	bool isolated;           /* no majority is heard: writes are paused here */
	uint64_t isolated_ms;    /* since when */
	uint64_t paused_ms;      /* when that was renewed last */
	struct parting *parting; /* what its master took meanwhile, until that is settled */

	struct loop_hook check; /* health and plan are looked at once a turn */
	ev_timer tick;          /* once a second: roles that stay wrong */
	uint64_t workers_ms;    /* when workers_tick was last */
	ev_signal sigterm, sigint, sighup;
	int exit_code;
};

/* ---- unit.c ---- */
struct unit *unit_new(struct supervisor *s, enum unit_kind kind, unsigned number);
void unit_free(struct unit **u);
/* Where a redis or sentinel is to be reached, and where it listens for that, if this host is at `address`. */
void unit_find_places(const struct unit *u, const struct conf *conf, const char *address,
    struct endpoint *ret_at, struct endpoint *ret_listens);
const char *unit_kind_name(enum unit_kind kind);
struct unit *unit_find(struct supervisor *s, const char *name);
/* The redis instance that listens there, or NULL. */
struct unit *unit_at(struct supervisor *s, const struct endpoint *at);
/* Ready, or adopted and serving. */
bool unit_is_ready(const struct unit *u);
/*
 * Since it had used `silent_cpu_ticks`, so long ago: a long command, a fork or an endless loop takes the processor, and a busy machine may not
 * give it one; a process that was stopped, or that its disk has hung, does not want it.
 */
bool unit_is_working(const struct unit *u, uint64_t within_ms);
/* The word of design.md section 5. */
const char *unit_state_name(const struct unit *u);
/* Writes its row of the state database. */
void unit_store(struct unit *u);
/* Its part of the configuration, and the configuration that has it. */
const struct conf_redis *unit_conf(const struct unit *u);
const struct conf *unit_conf_of(const struct unit *u);
struct process_policy unit_policy(const struct supervisor *s, enum unit_kind kind);

/* ---- servers.c: process_ops.prepare and the probes of redis and sentinel ---- */
int servers_prepare(struct unit *u, struct process_launch *ret_launch, struct errmsg *err);
void servers_started(struct unit *u);
void servers_ended(struct unit *u);
/* Once a second. */
void servers_tick(struct supervisor *s);
/* A changed configuration is in effect. */
void servers_on_reload(struct supervisor *s);
/* When a data file (snapshot or append-only) of the folder last changed, in ns; 0: it has none, so its instance would start empty. */
uint64_t servers_folder_time(const char *dir);
/* A big master takes long to die: it is watched for the beginning of its end. For who is master now, or is not any more. */
void servers_watch_end(struct unit *u);
/* Likewise, of the append-only files alone. */
uint64_t servers_aof_time(const char *dir);
/* Would it begin with data of its own? What a copy for a replica has left in the folder is none, if it is to keep nothing. */
bool servers_keeps_data(const struct unit *u);
/* Ready, and ROLE says master. */
bool servers_is_master(const struct unit *u);
/* Ready, and its link to the present master stands. */
bool servers_is_synced(const struct unit *u);
/* After what silence the sentinels are to hold the master for down. */
uint64_t servers_down_after_ms(const struct supervisor *s);

/* Several hosts: tells the sentinel of this host so, when that of the master's host waits for something else. */
void servers_follow_patience(struct supervisor *s);

/* ---- ondisk.c ---- */
void ondisk_init(struct unit *u);
/* The link of a replica is up: it may have made a full copy. */
void ondisk_begin(struct unit *u);
/* Asks no more; what is known stays. */
void ondisk_stop(struct unit *u);

/* ---- workers.c ---- */
int workers_bind(struct supervisor *s, struct errmsg *err);
/* Who may connect to the doors that are unix sockets: proxy.unix_mode, http.unix_mode. */
void workers_let_in(struct supervisor *s);
int workers_prepare(struct unit *u, struct process_launch *ret_launch, struct errmsg *err);
void workers_ended(struct unit *u);
/* Once a second. */
void workers_tick(struct supervisor *s);
void workers_tell_master(struct supervisor *s);
void workers_tell_conf(struct supervisor *s);
/* Likewise, that there are other sentinels. */
void workers_tell_sentinels(struct supervisor *s);
/* Likewise, where the servers of this host are. */
void workers_tell_near(struct supervisor *s);
void workers_hold(struct supervisor *s, uint64_t hold_ms);
/* No majority of the hosts is heard: they hold for so long, and what was on its way is not taken for handed over. */
void workers_isolate(struct supervisor *s, uint64_t ms);
/* A planned switchover is near, or (0) is not any more. */
void workers_prepare_switch(struct supervisor *s, uint64_t ms);
/* They all are prepared for it. */
bool workers_are_prepared(const struct supervisor *s);
bool workers_route(const struct unit *u);
/* The i-th of the addresses that such workers are to listen on, with its option; false: there are no more. */
bool workers_wanted_door(
    const struct supervisor *s, enum unit_kind kind, size_t i, struct door *ret_door);
/* Is there anything for such workers to listen on? */
bool workers_are_wanted(const struct supervisor *s, enum unit_kind kind);
bool workers_have_door(const struct supervisor *s, enum unit_kind kind, const struct endpoint *at);
void workers_add_door(struct supervisor *s, const struct door *door);
/* The connection to a worker becomes its channel. */
void workers_join(struct unit *u, int fd);
/* Configuration, secret, sockets, sentinels, master, go. 0 or -errno. */
int workers_tell_all(struct unit *u);

/* ---- rejoin.c ---- */
/* Calls the worker from before; the answer is heard later, so that several answer at the same time. */
void rejoin_unit_call(struct unit *u, pid_t pid);
/* Hears what it has. NULL: it may be adopted; else why it must be ended. Blocks until then (clock_mono_ms) at most. */
const char *rejoin_unit_hear(struct unit *u, uint64_t deadline_ms);
/* What one listens on that does not answer is taken from it, if the kernel lets us (pidfd_getfd): it is to end, but no connection is to be refused. */
void rejoin_unit_rob(struct unit *u, pid_t pid);
/* After workers_bind: all that were adopted are told how to be. */
void rejoin_all_begin(struct supervisor *s);
/* It runs since before and is of another version. */
bool rejoin_is_outdated(const struct unit *u);
void rejoin_on_name(struct unit *u, const struct channel_msg *msg);
void rejoin_on_door(struct unit *u, struct channel_msg *msg);
void rejoin_on_end(struct unit *u);
void rejoin_on_unfit(struct unit *u, const struct channel_msg *msg);

/* --- crowd.c: what the proxy workers are to each other --- */
int crowd_tell(struct unit *u);
void crowd_on_share(struct unit *u, struct channel_msg *msg);
void crowd_ended(struct unit *u);
void crowd_on_ask(struct unit *asker, const struct channel_msg *msg);
void crowd_on_answer(struct unit *from, const struct channel_msg *msg);
void crowd_fini(struct supervisor *s);

/* ---- roles.c ---- */
void roles_init(struct supervisor *s);
void roles_fini(struct supervisor *s);
/* May this redis start now, and as what? 0 with *ret_follow (NULL: as master), or -EAGAIN. */
int roles_for_start(struct unit *u, const struct endpoint **ret_follow);
/* Once a second: an instance whose role stays wrong is set right. */
void roles_tick(struct supervisor *s);
/* Every sentinel that is wanted names the present master and knows all the others; and they are a majority. */
bool roles_sentinels_agree(const struct supervisor *s);
/* Does a sentinel carry out a failover? With `or_soon` also: does it hold the master for down, so that one may begin? */
bool roles_sentinels_are_busy(const struct supervisor *s, bool or_soon);
/* The present master's name, also of another host's. */
const char *roles_master_name(struct supervisor *s);

/* ---- succession.c ---- */
void succession_init(struct supervisor *s);
void succession_fini(struct supervisor *s);
/* The master is dead and must not start until another was elected, or the time for that is over. */
void succession_begin(struct supervisor *s, const char *text);
/* It may start, as what it is by now. */
void succession_end(struct supervisor *s);
/* A takeover has changed nothing: the dead master's own data, or Sentinel's own failover, is what is left. */
void succession_takeover_failed(struct supervisor *s, int error);
/* The master died while no supervisor ran: once its replicas and a majority of the sentinels are seen, one of them takes over. */
void succession_look_for_orphans(struct supervisor *s);
/* A redis that should run has ended. */
void succession_on_exit(struct unit *u);
/* It runs no more code, but its end will take a while. */
void succession_on_dying(struct unit *u);
/* A master that runs has not answered for so long that it is taken for dead: it is killed, and replaced. */
void succession_on_silence(struct unit *u, uint64_t silent_ms);
/* Has this one all that the master had until a moment ago? Of a master that died while no supervisor ran: does it still follow it? */
bool succession_is_heir(const struct supervisor *s, const struct unit *u);
bool succession_is_heir_host(const struct host *h);
/* hosts_is_excused, of the present master. */
bool succession_does_without(const struct host *h);
bool succession_may_be_heir(const struct supervisor *s, const struct unit *u);
/* Is there one, on any host, and a majority of sentinels to promote it? */
bool succession_has_heir(const struct supervisor *s);
/*
 * A master on another host, of which nobody here knows who was in step with it: may all others, who answer, be compared? Of what was acknowledged one
 * of them has it. Only where Sentinel does not do without (hosts_bar_sentinel).
 */
bool succession_takes_all(const struct supervisor *s);

/* ---- handover.c ---- */
/*
 * Begins a switchover to the redis instance of that name (NULL: the best), which may be another host's; `req` may be NULL; `then` (may be
 * NULL) is stopped or restarted after it. 0 or -errno with `err`.
 */
int handover_switch(struct supervisor *s, const char *to, struct ctl_request *req,
    struct unit *then, bool restart, struct errmsg *err);
/* Is this the master, with somebody to hand over to? */
bool handover_is_possible(const struct supervisor *s, const struct unit *u);
/* The master of this host is dead (`orphaned`: it died while no supervisor ran): a replica takes over. False with `err`: it cannot begin. */
bool handover_take_over(struct supervisor *s, bool orphaned, struct errmsg *err);
/* Likewise that of another host, as is seen by `why`; if the sentinels vote for it. */
bool handover_take_over_from(struct supervisor *s, const struct host *master, const char *why,
    uint64_t retry_ms, struct errmsg *err);
/* Who may take part in a failover: `nodes` has room for FAILOVER_MAX_NODES; `spec` is otherwise as it was. */
void handover_fill_spec(
    struct supervisor *s, struct failover_spec *spec, struct failover_node *nodes);
/* Tells who asked for it how it ended. */
void handover_answer(struct supervisor *s, int error, const char *text);
/* Gives a switchover up, if one is under way; who asked for it is told why. */
void handover_cancel(struct supervisor *s, const char *why);

/* ---- place.c: where the servers of this host were in the last run ---- */
/* Notes which have another address now (s->moves), and what else has changed. Before what is adopted writes its row anew. */
void place_note_moves(struct supervisor *s);
/* May a server that runs since before go on? NULL: yes; else why not. One that may stay where it was for a while is told so, see relocate.c. */
const char *place_misfit(struct unit *u);
/* For the next run: where all is now; where a redis is reached. */
void place_remember(struct supervisor *s);
void place_remember_host(const struct unit *u);

/* ---- resume.c ---- */
/* Reads what was before and decides who is master. 0 or -errno. */
int resume_decide(struct supervisor *s, struct errmsg *err);
/* Takes over what still runs; returns how many. Before resume_decide. */
size_t resume_adopt(struct supervisor *s);
/* Ends what still runs and was not taken over. After resume_decide, which may refuse to begin. Blocks, for a bounded time. */
void resume_end_leftovers(struct supervisor *s);

/*
 * The decided master cannot load its data, and nobody else has been told of it yet: decides again, without it. False: there
 * is nobody else.
 */
bool resume_decide_again(struct supervisor *s);

/* ---- lastwords.c: what it said before it ended without having been ready ---- */
void lastwords_started(struct unit *u);
void lastwords_line(struct unit *u, struct slice line);
/* Into last_exit. */
void lastwords_ended(struct unit *u, const char *how);

/* ---- damage.c: data that redis cannot load ---- */
/* A line that it printed. */
void damage_line(struct unit *u, struct slice line);
/* Its process ended although it should run. */
void damage_ended(struct unit *u);
/* Before it starts, as a replica or as the master. 0; -EAGAIN: there is nobody yet to copy from; or -errno. */
int damage_prepare(struct unit *u, bool replica, struct errmsg *err);
/* Once a second. */
void damage_tick(struct supervisor *s);

/* ---- modules.c: the set of modules ---- */
/* Judges what the configuration asks for. Before anything else is on the loop; blocks, for a bounded time. */
void modules_begin(struct supervisor *s);
/* After resume_adopt: 0; or -EINVAL with `err`: a module that is required is not good, and no server runs that could go on without it. */
int modules_settle(struct supervisor *s, struct errmsg *err);
void modules_fini(struct supervisor *s);
/* Before a redis starts, as a replica or as the master. 0, -EAGAIN: not now, or -ECANCELED with `err`: not with this set. */
int modules_prepare(struct unit *u, bool replica, struct errmsg *err);
/* The configuration has changed, or (rolling) files may have: judged anew; the set in effect stays until that is done. */
void modules_judge_again(struct supervisor *s);
/*
 * A rolling restart begins: judges anew, and lets what is leaving go if no data needs it; then rolling_modules_ready is called.
 */
void modules_roll(struct supervisor *s);
/* What is leaving stays after all, or goes. */
void modules_removal_done(struct supervisor *s, const char *why_not);
/* The rolling restart has ended: what was dropped is gone (`done`), or comes back. */
void modules_rolled(struct supervisor *s, bool done);
json_t *modules_json(struct supervisor *s);

/* ---- loaded.c: what each redis has loaded ---- */
void loaded_fini(struct unit *u);
/* It was started. */
void loaded_started(struct unit *u);
/* It answers: what has it loaded? */
void loaded_on_answering(struct unit *u);
/* Another master: what it has counts now. */
void loaded_compare(struct supervisor *s);
/* Likewise, with a master that has these and is called so. */
void loaded_compare_with(
    struct unit *u, const struct module_seen *seen, size_t count, const char *master);
/* Once a second. */
void loaded_tick(struct supervisor *s);
/* It has been in step with the master: it may be promoted. */
void loaded_prove(struct unit *u);
/* Why it must not become master, as far as modules go; NULL. */
const char *loaded_unfitness(const struct unit *u);
/* What is wrong with it, for people; NULL. */
const char *loaded_fault(const struct unit *u);
/* Would it be without a module that the master has, if it started now? Says which. */
bool loaded_would_lack(const struct unit *u, char *text, size_t size);
/* Notes that, and says it if it is news; "": it lacks nothing any more. */
void loaded_set_lacks(struct unit *u, const char *text);
json_t *loaded_json(const struct unit *u);
/* A line that it printed: does it need a module? */
void loaded_line(struct unit *u, struct slice line);
/* Its process ended although it should run. */
void loaded_ended(struct unit *u);

/* ---- removal.c ---- */
/* Looks whether any data needs what is leaving; modules_removal_done says the answer, never before this returns. */
void removal_begin(struct supervisor *s);
/* Once a turn: are the append-only files written? */
void removal_check(struct supervisor *s);
void removal_free(struct supervisor *s);

/* ---- plan.c ---- */
void plan_begin(struct supervisor *s);
void plan_stop(struct supervisor *s);
/* Looks whether the present step is done. */
void plan_check(struct supervisor *s);

/* ---- health.c ---- */
void health_check(struct supervisor *s);
json_t *health_status(struct supervisor *s);
/* Parts of it: the caller's references. */
json_t *health_instances(const struct supervisor *s);
json_t *health_reasons(const struct supervisor *s);
/* How many bytes a replica of this host is behind the master, as both were last seen; -1: not known, or it is none. */
int64_t health_lag(const struct supervisor *s, const struct unit *u);
/* The word for its state. */
const char *health_name(const struct supervisor *s);

/* ---- control.c ---- */
int control_open(struct supervisor *s, struct errmsg *err);
void control_close(struct supervisor *s);
/* The unit is about to be freed. */
void control_unit_gone(struct unit *u);
/* The switchover that a stop or restart of this unit needed has failed. */
void control_switch_failed(struct supervisor *s, struct unit *u, const char *why);
/* A unit changed: requests that wait for it may be answered. */
void control_unit_changed(struct unit *u);
void control_log_line(struct supervisor *s, const struct unit *u, struct slice line);

/* ---- asked.c: what is asked in somebody's name ---- */
/* Somebody asks for what changes something: an event, if the client said who. */
void asked_note(struct supervisor *s, struct ctl_request *req, const char *subject, const char *fmt,
    ...) ATTR_PRINTF(4, 5);
/* The control command `note`. */
void asked_on_note(struct ctl_request *req, const json_t *args, void *owner);
/* A failover without its deeds; `to` (may be NULL) is the name of a redis here or on another host. `req` is answered. */
void asked_plan(struct supervisor *s, struct ctl_request *req, const char *to);
void asked_free(struct supervisor *s);

/* ---- watch.c: the state of everything for those who look at it live ---- */
void watch_init(struct supervisor *s);
void watch_on_watch(struct ctl_request *req, const json_t *args, void *owner);
/* Something may have changed. */
void watch_touch(struct supervisor *s);
/* An event was written, here or on another host; borrowed. */
void watch_event(struct supervisor *s, json_t *event);
/* A sample was taken: the caller's reference. */
void watch_sample(struct supervisor *s, json_t *sample);
bool watch_is_on(const struct supervisor *s);
void watch_free(struct supervisor *s);
/* A status, or what a host says of itself, without what moves all the time: what a change is seen by. The caller's reference. */
json_t *watch_essence(const json_t *status);

/* ---- figures.c: what is measured, and its last day ---- */
struct figures *figures_new(struct supervisor *s);
void figures_free(struct figures **f);
/* The state database is open: the minutes of an earlier supervisor. */
void figures_attach(struct figures *f);
/* Its probe is about to go, or rests: no answer is waited for. */
void figures_forget(struct figures *f, const struct unit *u);
/* Once a second. */
void figures_tick(struct figures *f);
/* A failover has ended, or (negative) failed. */
void figures_count_failover(struct supervisor *s, double writes_ms);
void figures_on_history(struct ctl_request *req, const json_t *args, void *owner);
void figures_on_metrics(struct ctl_request *req, const json_t *args, void *owner);

/* ---- reload.c ---- */
/* `req` may be NULL (SIGHUP). */
void reload(struct supervisor *s, struct ctl_request *req);
/* Tells the sentinels of this host what servers_down_after_ms has become. */
void reload_down_after(struct supervisor *s);

/* ---- upgrade.c ---- */
/* Puts `binary` (NULL: what is now at the path of our own) in our place; `req` (may be NULL) is answered, by it or by us. */
void upgrade_begin(struct supervisor *s, struct ctl_request *req, const char *binary);
void upgrade_free(struct upgrade **up);
/* We serve: whoever asked for us is told. */
void upgrade_arrived(struct supervisor *s);

/* ---- rolling.c ---- */
/* Begins, or answers `req` with why not; else that is told each step and the end, or (detach) that it has begun. */
void rolling_begin(struct supervisor *s, struct ctl_request *req, bool detach);
/* It waits for the modules. */
bool rolling_is_checking(const struct supervisor *s);
/* The modules are judged: it goes on, or ends with why it cannot. */
void rolling_modules_ready(struct supervisor *s, const char *why_not);
/* Looks whether the present step is done. After health_check. */
void rolling_check(struct supervisor *s);
/* Several hosts: with each pulse; and what another supervisor has said. */
void rolling_pulse(struct supervisor *s);
void rolling_on_words(struct supervisor *s, const struct host *sender, const char *words);
/* A failover ended. */
void rolling_switched(struct supervisor *s, int error, const char *text);
/* Everything is being stopped: gives up. */
void rolling_stop(struct supervisor *s);
/* Without a word. */
void rolling_free(struct supervisor *s);

/* ---- service.c ---- */
void service_init(struct supervisor *s);
void service_fini(struct supervisor *s);
/* Once a turn: the state, if it is another; `reasons` (may be NULL) are those why it is not ready. */
void service_state(struct supervisor *s, const json_t *reasons);
/* Once a second. */
void service_tick(struct supervisor *s);
/* A reload begins, or is done. */
void service_reload(struct supervisor *s, bool done);

/* ---- backup.c ---- */
/* Once the folder is locked. */
void backup_init(struct supervisor *s);
void backup_fini(struct supervisor *s);
/* Begins a backup; `req` (may be NULL) is answered when it stands, or with why there is none. */
void backup_begin(struct supervisor *s, struct ctl_request *req);
/* Once a second: is one due? */
void backup_tick(struct supervisor *s);
/* Everything is being stopped. */
void backup_stop(struct supervisor *s);

/* ---- supervisor.c ---- */
/* The program that we are, for workers: its path, or if there is another file now, our own all the same. */
const char *supervisor_program(const struct supervisor *s);
/* Health and plan are looked at before this turn of the loop ends. */
void supervisor_touch(struct supervisor *s);

#endif
