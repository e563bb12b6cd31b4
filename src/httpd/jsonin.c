#include "httpd/jsonin.h"

#include <errno.h>
#include <stdio.h>

#include "httpd/call.h"
#include "resp/write.h"

json_t *
jsonin_load(struct slice text)
{
	return json_loadb((const char *)text.ptr, text.len, JSON_ALLOW_NUL, NULL);
}

static int
add_argument(struct buf *resp, const json_t *item)
{
	char text[64];

	if (json_is_string(item)) {
		return resp_add_bulk(resp, (struct slice){(const uint8_t *)json_string_value(item),
					       json_string_length(item)});
	}
	if (json_is_integer(item)) {
		(void)snprintf(
		    text, sizeof(text), "%" JSON_INTEGER_FORMAT, json_integer_value(item));
	} else if (json_is_real(item)) {
		(void)snprintf(text, sizeof(text), "%.17g", json_real_value(item));
	} else {
		return -EINVAL;
	}
	return resp_add_bulk(resp, slice_str(text));
}

int
jsonin_add_command(struct buf *resp, const json_t *doc)
{
	size_t count = json_array_size(doc);
	int err;

	if (!json_is_array(doc) || count == 0 || count > CALL_ARGS_MAX) {
		return -EINVAL;
	}
	err = resp_add_header(resp, '*', count);
	for (size_t i = 0; err == 0 && i < count; i++) {
		err = add_argument(resp, json_array_get(doc, i));
	}
	return err;
}
