/* A reply of Redis as the operator's interface writes it: what comes out is JSON, and what is no reply is refused. */
#include <assert.h>
#include <errno.h>

#include <jansson.h>

#include "httpd/typed.h"

#define OUT_MAX ((size_t)1024 * 1024)

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf out;
	json_t *doc;
	int err;

	buf_init(&out, OUT_MAX);
	err = typed_add_reply(&out, (struct slice){data, size});
	assert(err == 0 || err == -EBADMSG || err == -ENOBUFS);
	if (err == 0) {
		doc = json_loadb((const char *)buf_slice(&out).ptr, buf_len(&out),
		    JSON_DECODE_ANY | JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES, NULL);
		assert(doc != NULL);
		json_decref(doc);
	}
	buf_fini(&out);
	return 0;
}
