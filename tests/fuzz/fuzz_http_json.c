/* A JSON body or message: commands come out as proper RESP, or it is refused. */
#include <assert.h>
#include <errno.h>

#include "httpd/jsonin.h"
#include "resp/request.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *doc = NULL;
	struct resp_limits limits = RESP_LIMITS_DEFAULT;
	struct resp_request_scanner scan;
	struct resp_request req;
	struct buf resp, inline_buf;
	int err = jsonin_load((struct slice){data, size}, 0, &doc);

	assert(err == 0 || err == -EBADMSG || err == -E2BIG || err == -ERANGE);
	buf_init(&resp, 0);
	buf_init(&inline_buf, 0);
	err = jsonin_add_command(&resp, doc);
	assert(err == 0 || err == -EINVAL);
	if (err == 0 && buf_len(&resp) < RESP_WHOLE_MAX) {
		resp_request_init(&scan);
		assert(resp_request_scan(&scan, &limits, buf_slice(&resp), &inline_buf, &req) ==
		       RESP_REQUEST_WHOLE);
		assert(req.used == buf_len(&resp) && req.argc == json_array_size(doc));
	}
	json_decref(doc);
	buf_fini(&resp);
	buf_fini(&inline_buf);
	return 0;
}
