/*
 * What `invite` and `join` say to each other, over a connection that both open with the token (net/tls_shared.h):
 *
 *   join ──► {"version", "request"}                                a request for a certificate, or null
 *   invite ──► {"node", "address", "file", "ca", "cert"}           its configuration file, and (or null) the two certificates
 *             or {"error"}                                        why it gives nothing
 *   join ──► {"done"}                                              all is written
 */
#ifndef CLI_JOIN_H
#define CLI_JOIN_H

#include <jansson.h>

#include "base/defs.h"
#include "base/errmsg.h"
#include "net/tls_shared.h"

#define JOIN_PORT        26380
#define JOIN_VERSION     1
#define JOIN_WAIT_MS     5000
#define JOIN_MESSAGE_MAX ((size_t)256 * 1024)
#define JOIN_TOKEN       "holdfast-" /* and 64 hexadecimal digits */

/* `doc` is taken over. 0 or negative errno. */
int join_send(struct tls_shared *t, json_t *doc, struct errmsg *err) ATTR_WARN_UNUSED;
/* An object; the caller's. 0, -EPROTO, or as tls_shared_receive. */
int join_receive(struct tls_shared *t, json_t **ret_doc, struct errmsg *err) ATTR_WARN_UNUSED;

#endif
