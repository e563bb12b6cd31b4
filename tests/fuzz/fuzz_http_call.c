/* A request's target and body as a command: what is written is one whole RESP request, with as many arguments as were
 * counted. The first byte chooses method and length of the target. */
#include <assert.h>
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "httpd/call.h"
#include "resp/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
check_command(const struct buf *resp, const struct call *call)
{
	struct resp_limits limits = RESP_LIMITS_DEFAULT;
	struct resp_request_scanner scan;
	struct resp_request found;
	struct buf inline_buf;

	buf_init(&inline_buf, 0);
	resp_request_init(&scan);
	assert(resp_request_scan(&scan, &limits, buf_slice(resp), &inline_buf, &found) ==
	       RESP_REQUEST_WHOLE);
	assert(found.used == buf_len(resp) && found.argc == call->argc);
	assert(found.argv[0].len == call->wish.command.len);
	assert(memcmp(found.argv[0].ptr, call->wish.command.ptr, found.argv[0].len) == 0);
	buf_fini(&inline_buf);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static const enum http_verb verbs[] = {HTTP_VERB_GET, HTTP_VERB_PUT, HTTP_VERB_POST};
	struct http_request *req = calloc(1, sizeof(*req));
	struct http_fault fault = {0};
	struct buf resp, text;
	struct call call;
	size_t target;
	int err;

	assert(req != NULL);
	if (size < 2 || size > 8192) {
		free(req);
		return 0;
	}
	target = MIN((size_t)data[0] / 3, size - 1);
	req->verb = verbs[data[0] % 3];
	req->target = (struct slice){data + 1, target};
	req->body = (struct slice){data + 1 + target, size - 1 - target};
	req->has_length = true;
	buf_init(&resp, 0);
	buf_init(&text, 0);
	err = call_read(req, 0, &resp, &text, &call, &fault);
	assert(err == 0 || (err == -EBADMSG && fault.status == 400 && fault.why != NULL));
	if (err == 0) {
		check_command(&resp, &call);
		err = call_admit(&call, NULL, 0, false, &fault);
		assert(err == 0 || (err == -EACCES && fault.status > 400));
	}
	buf_fini(&resp);
	buf_fini(&text);
	free(req);
	return 0;
}
