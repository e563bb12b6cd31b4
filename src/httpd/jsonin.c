#include "httpd/jsonin.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>

#include "http/base64.h"
#include "httpd/call.h"
#include "resp/write.h"

#define VALUE_BYTES ((size_t)128) /* of memory for a value, however short its text is */
#define VALUES_MIN  ((size_t)64 * 1024)

/* No fewer than there are: a value stands at the beginning, or behind one of these signs. */
static size_t
count_values(struct slice text)
{
	bool quoted = false;
	size_t count = 1;

	for (size_t i = 0; i < text.len; i++) {
		switch (text.ptr[i]) {
		case '"':
			quoted = !quoted;
			break;
		case '\\':
			i++; /* outside of strings it is no JSON anyway */
			break;
		case ',':
		case ':':
		case '[':
		case '{':
			count += !quoted;
			break;
		default:
			break;
		}
	}
	return count;
}

int
jsonin_load(struct slice text, size_t body_max, json_t **ret_doc)
{
	size_t most = MIN(MAX(body_max / VALUE_BYTES, VALUES_MIN), CALL_ARGS_MAX);
	json_error_t why;

	if (count_values(text) > most) {
		return -E2BIG;
	}
	*ret_doc = json_loadb((const char *)text.ptr, text.len, JSON_ALLOW_NUL, &why);
	if (*ret_doc != NULL) {
		return 0;
	}
	return json_error_code(&why) == json_error_numeric_overflow ? -ERANGE : -EBADMSG;
}

/* Bytes that are no text. */
static int
add_base64(struct buf *resp, const json_t *text)
{
	struct slice encoded = {(const uint8_t *)json_string_value(text), json_string_length(text)};
	uint8_t *bytes;
	ssize_t len;
	int err;

	if (!json_is_string(text)) {
		return -EINVAL;
	}
	bytes = malloc(encoded.len / 4 * 3 + 3);
	if (bytes == NULL) {
		return -ENOMEM;
	}
	len = base64_decode(encoded, bytes);
	err = len < 0 ? -EINVAL : resp_add_bulk(resp, (struct slice){bytes, (size_t)len});
	free(bytes);
	return err;
}

/* With no more digits than it takes: 19.99 is to be kept as 19.99, not as 19.989999999999998. */
static void
print_real(double value, char text[static 64])
{
	for (int digits = 15; digits <= 17; digits++) {
		(void)snprintf(text, 64, "%.*g", digits, value);
		if (strtod(text, NULL) == value) {
			return;
		}
	}
}

static int
add_argument(struct buf *resp, const json_t *item)
{
	char text[64];

	if (json_is_string(item)) {
		return resp_add_bulk(resp, (struct slice){(const uint8_t *)json_string_value(item),
					       json_string_length(item)});
	}
	if (json_is_object(item) && json_object_size(item) == 1) {
		return add_base64(resp, json_object_get(item, "base64"));
	}
	if (json_is_integer(item)) {
		(void)snprintf(
		    text, sizeof(text), "%" JSON_INTEGER_FORMAT, json_integer_value(item));
	} else if (json_is_real(item)) {
		print_real(json_real_value(item), text);
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
