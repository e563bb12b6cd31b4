/*
 * The answer to SUBSCRIBE and its kin: a response that goes on, one chunk for each message, in the form that was asked
 * for, or as server-sent events. It ends when the client goes away. A client that does not read is not
 * waited for: past STREAM_UNSENT_MAX its connection ends.
 */
#ifndef HTTPD_STREAM_H
#define HTTPD_STREAM_H

#include <stdbool.h>
#include <stddef.h>

struct exchange;
struct stream;

#define STREAM_UNSENT_MAX ((size_t)8 * 1024 * 1024)

/*
 * Subscribes to what stands in the exchange's request. The response begins with the first confirmation. True when it
 * cannot be, and was answered. May end the session.
 */
bool stream_begin(struct exchange *x);
/* The head of the response is out. */
bool stream_has_begun(const struct stream *s);
/* Not begun: it is answered 503 instead. */
void stream_refuse(struct exchange *x, const char *why);
/* Ends it properly; 503 when it has not begun. The caller goes on with the session. */
void stream_end(struct exchange *x);
void stream_free(struct stream **s);

#endif
