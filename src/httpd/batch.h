/*
 * Commands of a JSON body: one, [["SET","k","v"],["GET","k"]] in a row, or all of them as one transaction.
 *
 *   in a row: sent pipelined like requests of their own, each answered as it comes
 *   atomic:   MULTI ─ +OK ─► the commands and EXEC ─► EXEC's array, taken apart
 *
 * The answer is one document, an array with what each command would have been answered alone.
 */
#ifndef HTTPD_BATCH_H
#define HTTPD_BATCH_H

#include <stdbool.h>

#include <jansson.h>

#include "backend/lane.h"
#include "base/defs.h"
#include "http/parser.h"

struct batch;
struct exchange;

#define BATCH_MAX ((size_t)1000)

/*
 * Reads the document into x->batch, x->request and x->call, whose `text` it appends the names to. `check` is asked for
 * each command, with x->call being about it. 0, -EBADMSG or -EACCES with the fault, or buf.h's errors.
 */
int batch_read(struct exchange *x, const json_t *doc, bool atomic,
    int (*check)(struct exchange *x, struct http_fault *fault),
    struct http_fault *ret_fault) ATTR_WARN_UNUSED;
void batch_free(struct batch **b);

/* Sends what may be sent: 0 all is out, 1 it must wait, or lane_send's errors with nothing sent. */
int batch_send(struct exchange *x) ATTR_WARN_UNUSED;
/* Bytes of replies that it holds itself. */
size_t batch_held(const struct batch *b);
/* A part of a reply to one of its commands; true when that was the last of all. */
bool batch_on_reply(struct exchange *x, const struct lane_reply *reply);
/*
 * Its lane's link is gone, and the last `unsent` of its commands were not sent whole: is the transaction gone with it? If nothing can have been done it
 * begins anew instead.
 */
bool batch_is_lost(struct exchange *x, unsigned unsent);

#endif
