/*
 * The HTTP front end as a role of a worker (backend/worker.h): Redis commands as requests in the way of
 * Webdis, health and readiness. It keeps own connections to the master, through the same pool as the
 * proxy, and never goes through the proxy's port.
 */
#ifndef HTTPD_HTTPD_H
#define HTTPD_HTTPD_H

#include "base/fsm.h"

struct worker_ops;

extern const struct worker_ops httpd_worker_ops;

/* The life of a client's connection as a table, for `holdfast debug fsm`. */
extern const struct fsm http_session_fsm;

#endif
