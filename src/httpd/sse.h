/*
 * Answers of the operator's interface that go on: server-sent events. A client that does not read is not waited for: past SSE_UNSENT_MAX
 * its connection ends.
 */
#ifndef HTTPD_SSE_H
#define HTTPD_SSE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/slice.h"
#include "httpd/api.h"

#define SSE_UNSENT_MAX ((size_t)8 * 1024 * 1024)
#define SSE_BUSY_BYTES                                                                             \
	((size_t)512 * 1024) /* with so much unsent, what comes anew every second is left out */

/* The head of the response. Within row.begin. False: it could not be, and the connection ends. */
bool sse_begin(struct api *a);
/*
 * One event; `data` and `id` are text without line ends. id NULL: none. False: the client is gone or was given up; the api must not be used any
 * more, nor its session.
 */
bool sse_send(struct api *a, const char *event, const char *id, struct slice data);
/* So that proxies and people see that it lives. As sse_send. */
bool sse_comment(struct api *a);
/* It reads slowly. */
bool sse_is_busy(const struct api *a);
/* The end of the answer. The api must not be used any more, nor its session. */
void sse_end(struct api *a);
/* The same after a last event `end` with that document, whose reference it takes over. */
void sse_end_with(struct api *a, json_t *doc);

#endif
