/* A line of MONITOR: it becomes a JSON object with all its members, or is refused. */
#include <assert.h>
#include <errno.h>

#include <jansson.h>

#include "httpd/monline.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf out;
	json_t *doc;
	int err;

	buf_init(&out, 0);
	err = monline_add_json(&out, (struct slice){data, size});
	assert(err == 0 || err == -EBADMSG);
	if (err == 0) {
		/* a time may have more digits than jansson's integers */
		doc = json_loadb((const char *)buf_slice(&out).ptr, buf_len(&out),
		    JSON_ALLOW_NUL | JSON_REJECT_DUPLICATES | JSON_DECODE_INT_AS_REAL, NULL);
		assert(doc != NULL && json_object_size(doc) == 4);
		assert(json_is_number(json_object_get(doc, "time")));
		assert(json_is_number(json_object_get(doc, "db")));
		assert(json_object_get(doc, "client") != NULL);
		assert(json_is_array(json_object_get(doc, "command")));
		json_decref(doc);
	} else {
		assert(buf_len(&out) == 0);
	}
	buf_fini(&out);
	return 0;
}
