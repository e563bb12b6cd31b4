/* A status document of any shape: it is shown, and nothing in it reaches the terminal as control
 * bytes. */
#include <assert.h>

#include "cli/status_text.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *status =
	    json_loadb((const char *)data, size, JSON_ALLOW_NUL | JSON_DECODE_ANY, NULL);
	struct buf text;
	struct slice s;
	int rc;

	if (status == NULL) {
		return 0;
	}
	buf_init(&text, 0);
	rc = status_text(status, &text);
	assert(rc == 0);
	s = buf_slice(&text);
	for (size_t i = 0; i < s.len; i++) {
		assert(s.ptr[i] == '\n' || (s.ptr[i] >= ' ' && s.ptr[i] <= '~'));
	}
	assert(s.len > 0 && s.ptr[s.len - 1] == '\n');
	buf_fini(&text);
	json_decref(status);
	return 0;
}
