/* Any bytes become one valid JSON string that reads back as the same text, U+FFFD for bytes that
 * are no UTF-8. */
#include <assert.h>
#include <string.h>

#include <jansson.h>

#include "base/jsontext.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

/* The text that the literal stands for. */
static void
expect(const uint8_t *data, size_t size, struct buf *want)
{
	int err = 0;

	for (size_t i = 0; i < size;) {
		size_t n = jsontext_utf8_len(data + i, size - i);

		assert(n <= size - i && n <= 4);
		err |= n > 0 ? buf_add(want, data + i, n) : buf_add_str(want, "\xef\xbf\xbd");
		i += n > 0 ? n : 1;
	}
	assert(err == 0);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct buf literal, want;
	json_t *value;
	int err;

	buf_init(&literal, 0);
	buf_init(&want, 0);
	err = jsontext_add_string(&literal, (struct slice){data, size});
	assert(err == 0);
	expect(data, size, &want);
	value = json_loadb((const char *)buf_slice(&literal).ptr, buf_len(&literal),
	    JSON_DECODE_ANY | JSON_ALLOW_NUL, NULL);
	assert(json_is_string(value));
	assert(json_string_length(value) == buf_len(&want));
	assert(buf_len(&want) == 0 ||
	       memcmp(json_string_value(value), buf_slice(&want).ptr, buf_len(&want)) == 0);
	json_decref(value);
	buf_fini(&literal);
	buf_fini(&want);
	return 0;
}
