/* What server and client share: bounds, the address of the socket, how a document becomes a line. */
#ifndef CTL_CTL_PRIV_H
#define CTL_CTL_PRIV_H

#include <jansson.h>

#include "base/buf.h"
#include "base/errmsg.h"
#include "net/endpoint.h"

#define CTL_CLIENTS_MAX  64
#define CTL_REQUEST_MAX  ((size_t)64 * 1024)
#define CTL_UNSENT_MAX   ((size_t)16 * 1024 * 1024) /* the whole history goes in one answer */
#define CTL_BY_MAX       ((size_t)200)              /* bytes of `by` */
#define CTL_SEND_TIME_MS 30000 /* to send a request; without any of the answer being read */
#define CTL_GOODBYE_MS   1000  /* for what is unsent when we close */

/*
 * Where to bind or connect for the socket at `path`. Too long for a socket address: through the
 * folder's /proc/self/fd, and *ret_folder_fd must stay open until then; else it is -1.
 */
int ctl_socket_endpoint(const char *path, struct endpoint *ret_ep, int *ret_folder_fd,
    struct errmsg *err) ATTR_WARN_UNUSED;

/* Appends the document and a newline. 0 or buf.h's errors. */
int ctl_add_line(struct buf *b, const json_t *doc) ATTR_WARN_UNUSED;

struct ctl_server;
/* For tests: instead of CTL_SEND_TIME_MS, and the most that a command may take. */
void ctl_server_set_patience(struct ctl_server *s, uint64_t send_ms, uint64_t longest_ms);

#endif
