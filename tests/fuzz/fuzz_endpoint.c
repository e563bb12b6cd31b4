/* Whatever endpoint_parse accepts is formatted and reads back as the same endpoint; what it refuses
 * has a reason. */
#include <assert.h>
#include <stdlib.h>
#include <string.h>

#include "net/endpoint.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct errmsg err = ERRMSG_NONE;
	struct endpoint ep, again;
	char formatted[ENDPOINT_TEXT_SIZE];
	uint16_t port;
	char *text;

	if (size < 2) {
		return 0;
	}
	port = (uint16_t)(data[0] << 8 | data[1]);
	text = strndup((const char *)data + 2, size - 2);
	assert(text != NULL);
	if (endpoint_parse(text, port, &ep, &err) < 0) {
		assert(err.text[0] != '\0');
	} else {
		struct sockaddr_storage addr;
		socklen_t len;
		int rc;

		(void)endpoint_format(&ep, formatted);
		rc = endpoint_parse(formatted, 0, &again, &err);
		assert(rc == 0 && endpoint_equal(&ep, &again));
		(void)endpoint_is_loopback(&ep);
		rc = endpoint_resolve(&ep, true, &addr, &len, &err);
		assert(rc == 0 || err.text[0] != '\0');
	}
	free(text);
	return 0;
}
