/* The status document as text for people. Pure: bytes of the document in, text out. */
#ifndef CLI_STATUS_TEXT_H
#define CLI_STATUS_TEXT_H

#include <jansson.h>

#include "base/buf.h"

/* The state in words, then a table: the master with its replicas below it, sentinels, workers. 0 or
 * buf.h's errors. */
int status_text(const json_t *status, struct buf *out) ATTR_WARN_UNUSED;

#endif
