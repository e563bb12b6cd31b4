/* What the files of a worker know of each other. */
#ifndef BACKEND_WORKER_PRIV_H
#define BACKEND_WORKER_PRIV_H

#include "backend/arrival.h"
#include "backend/others.h"
#include "backend/sentinel_log.h"
#include "backend/worker.h"
#include "ipc/channel.h"
#include "ipc/rejoin.h"
#include "ipc/share.h"
#include "net/listener.h"
#include "topo/watcher.h"

#define WORKER_MAGIC 0x574f524bU

struct door_watch {
	struct worker *worker;     /* borrowed */
	struct listener *listener; /* owned */
	int fd;                    /* borrowed from the listener */
	char *address;             /* owned; NULL: alone */
	unsigned door;
	struct endpoint at;
};

#define NEAR_MAX 8

struct worker {
	uint32_t magic;
	const struct worker_ops *ops; /* borrowed (static) */
	void *state;                  /* owned by the role */
	bool started, draining;
	char *name;              /* owned */
	struct loop *loop;       /* owned, as all below */
	struct channel *channel; /* NULL: alone, or the supervisor is gone */
	struct rejoin *rejoin;   /* where the next supervisor finds us; NULL: alone, or it cannot */
	bool rejoined;           /* another supervisor came and has not said `go` yet */
	bool supervised;
	bool reported; /* this supervisor knows what was counted */
	struct topo *topo;
	struct watcher *watcher;
	struct backend *backend;
	struct backend_watcher route_watch;
	struct conf *conf;      /* in effect */
	struct conf *next_conf; /* arrived, waits for `go` */
	char *user, *secret;
	char *watch_user, *watch_secret; /* the watcher keeps them by reference; NULL: none */
	char *master_name;               /* the watcher keeps it by reference */
	struct door_watch **doors;
	size_t door_count;
	bool doors_paused; /* by the role */
	bool crowded;      /* as arrivals say */
	struct arrivals *arrivals;
	struct others *others;
	struct share *share;    /* NULL: there is none, or we are alone */
	int share_fd;           /* with it: for the next supervisor */
	unsigned slot;          /* ours there */
	struct tls_server *tls; /* NULL: no door has TLS */
	struct endpoint sentinels[WATCHER_MAX_SENTINELS];
	size_t sentinel_count;
	struct backend_near near[NEAR_MAX]; /* the servers of this host */
	size_t near_count;
	struct sentinel_log sentinel_log;
	ev_signal sigterm, sigint;
	ev_timer drain_end;
	ev_timer report;
	int exit_code;
};

/* --- worker.c --- */
#define WORKER_DRAIN_MS 5000 /* unless the supervisor says how long */
/* The supervisor has said all: begins, or takes the new configuration. */
void worker_go(struct worker *w);
/* Takes nothing new, and ends when all is answered or that time is over. */
void worker_drain(struct worker *w, uint64_t longest_ms);

/* --- worker_messages.c --- */
void worker_on_msg(struct channel *ch, void *owner, struct channel_msg *msg);

/* --- worker_doors.c --- */
extern const struct arrival_ops worker_arrival_ops;
/* Each door is open unless there is a reason against it. */
void worker_set_doors(struct worker *w);
/* Begins to accept on `fd`, which is ours from here. `address` NULL: nobody will ask for it. */
int worker_open_door(
    struct worker *w, const char *option, const char *address, const struct endpoint *at, int fd);
/* Reads certificate and key if a door needs them; what is shown stays as it is when they cannot be used. */
int worker_load_tls(struct worker *w, struct errmsg *err);
void worker_set_trusted(struct worker *w);

#endif
