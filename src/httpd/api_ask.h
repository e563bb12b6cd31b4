/* Questions of the operator's interface to the supervisor, over the control socket: one protocol, two clients. */
#ifndef HTTPD_API_ASK_H
#define HTTPD_API_ASK_H

#include <jansson.h>

#include "httpd/api.h"

/* What to make of the supervisor's answer: `lines` is an array of what it streamed, `reply` its last line; both borrowed. */
typedef void api_answer_fn(struct api *a, json_t *lines, json_t *reply);

/*
 * Asks, and calls `fn` with the answer, or fails the request: `refused` is the status when the supervisor says no. Takes over the
 * reference to `args` (may be NULL). At most API_CALLS_MAX questions of one worker are under way.
 */
void api_ask(struct api *a, const char *cmd, json_t *args, uint64_t timeout_ms, unsigned refused,
    api_answer_fn *fn);

#define API_CALLS_MAX 16

/* The instance of that name in the answer to `status`, borrowed, and whether it is on another host; NULL: there is none, and the request was failed. */
json_t *api_pick_instance(struct api *a, json_t *reply, struct slice name, bool *ret_remote);

#endif
