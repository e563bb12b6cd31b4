/* Figures of the cluster in Prometheus' text format, version 0.0.4, from what the supervisor tells of it. */
#ifndef HTTPD_PROM_H
#define HTTPD_PROM_H

#include <jansson.h>

#include "base/buf.h"
#include "base/defs.h"

/* `doc`: the answer to the control command `metrics` with `all`; is changed. 0 or buf.h's errors. */
int prom_add(struct buf *out, json_t *doc) ATTR_WARN_UNUSED;

#endif
