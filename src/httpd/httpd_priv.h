/* What the files of this room know of each other. */
#ifndef HTTPD_HTTPD_PRIV_H
#define HTTPD_HTTPD_PRIV_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/backend.h"
#include "backend/lane.h"
#include "base/buf.h"
#include "base/list.h"
#include "http/reader.h"
#include "http/response.h"
#include "httpd/access.h"
#include "httpd/acl.h"
#include "httpd/render.h"
#include "net/loop.h"

#define HTTPD_MAGIC 0x48545044U

struct accesslog;
struct counts;
struct tagmemo;
struct exchange;
struct conf;
struct feed;
struct ledger;
struct worker;

/* The shared lane of the default database: looked up once, not for each request. */
struct home_lane {
	struct lane *lane; /* owned reference */
	uint32_t database;
	size_t
	    users; /* httpd and exchanges: after a reload an old one stays for those that use it */
};

/* Wrong passwords from one address (identity.c). */
struct failures {
	uint8_t bytes[16];
	bool known;
	unsigned count;
	uint64_t since_ms;
};

/* One for each process. */
struct httpd {
	uint32_t magic;
	struct worker *worker;        /* borrowed (outlives us) */
	const struct conf *conf;      /* borrowed: the worker's, renewed by apply */
	struct loop *loop;            /* borrowed */
	struct backend *backend;      /* borrowed */
	struct http_limits limits;    /* the readers keep a pointer */
	struct accesslog *access_log; /* owned; NULL: none */
	struct counts *counts;        /* owned */
	struct tagmemo *tags;         /* owned */
	struct http_date date;
	struct acl *acl;            /* owned; NULL: everybody may all */
	struct access_rules rules;  /* its names are in `hosts` */
	const char **hosts;         /* owned array */
	struct endpoint *announced; /* owned array: http.announce */
	char *own_name;             /* owned: this host's */
	struct home_lane *home;     /* owned */
	struct list sessions;       /* struct session.link */
	size_t session_count;
	struct list spares; /* struct exchange.link: ready for use */
	size_t spare_count;
	struct list hubs;                 /* struct hub.link: end by themselves */
	uint64_t said;                    /* messages that hubs handed out … */
	uint64_t said_rendered;           /* … and the one that `rendered` is, … */
	struct render_wish rendered_wish; /* … in this form, whose slices may be gone */
	struct buf rendered;              /* owned */
	struct buf scratch;               /* owned: one message of a WebSocket */
	struct buf resp;                  /* owned: the request that is being read, as RESP */
	struct http_request request;      /* scratch for the same */
	size_t held_bytes; /* bodies and replies that are held for all clients together */
	size_t held_max;
	uint64_t started_ms;
	uint64_t accepted, refused;   /* clients */
	uint64_t in_bytes, out_bytes; /* from and to clients; out: of those that are gone */
	uint64_t slow;                /* subscribers that did not read and were closed */
	uint64_t reported;            /* the sum of what was last reported */
	struct backend_watcher watch;
	struct failures failures[64];
	struct feed *feed;     /* owned: what pages look at live (live.h); NULL: nobody did yet */
	struct ledger *ledger; /* owned: what was changed, for the history (ledger.h) */
	size_t monitors;       /* under way (api_monitor.c) */
	size_t api_calls;      /* questions to the supervisor under way */
	char why_not[256];     /* the backend holds requests: for a person */
	bool draining;
};

/* Key of the lane for a database, with the user that HTTP clients are. */
struct lane_key httpd_lane_key(const struct httpd *h, uint32_t database);
/* One user less, be it an exchange or httpd itself; *home is NULL afterwards. */
void httpd_home_leave(struct home_lane **home);
/* An exchange is over: it is counted and logged. */
void httpd_note_answer(struct httpd *h, const struct exchange *x);
/* One client less. */
void httpd_session_gone(struct httpd *h);

#endif
