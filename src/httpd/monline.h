/* A line of MONITOR as a server sends it, as JSON for the operator's interface (etc/openapi.json, MonitorLine). */
#ifndef HTTPD_MONLINE_H
#define HTTPD_MONLINE_H

#include "base/buf.h"
#include "base/defs.h"
#include "base/slice.h"

/* 0; -EBADMSG: it is none; or buf.h's errors, and what was appended is no JSON then. */
int monline_add_json(struct buf *out, struct slice line) ATTR_WARN_UNUSED;

#endif
