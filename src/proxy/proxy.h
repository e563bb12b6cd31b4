/*
 * The proxy role of a worker: RESP clients on the doors, sessions (session.h), the way to the master
 * below (backend/). Here is what all sessions share; nothing here looks at a request.
 */
#ifndef PROXY_PROXY_H
#define PROXY_PROXY_H

#include "backend/worker.h"

extern const struct worker_ops proxy_worker_ops;

#endif
