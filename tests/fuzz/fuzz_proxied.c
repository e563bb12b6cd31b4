/* A PROXY header has the same meaning in whatever pieces it arrives, and what it announces is an address. */
#include <assert.h>
#include <errno.h>
#include <string.h>

#include "net/cidr.h"
#include "net/proxied.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	struct proxied whole = {.from = ""}, part;
	int n = proxied_parse((struct slice){data, size}, &whole);
	struct endpoint at;

	assert(n == -EPROTO || (n >= 0 && (size_t)n <= size && (size_t)n <= PROXIED_MAX_BYTES));
	/* no peer may keep us waiting for more than the longest header */
	assert(n != 0 || size < PROXIED_MAX_BYTES);
	if (n > 0 && whole.from[0] != '\0' && strcmp(whole.from, "unix") != 0) {
		/* port 0 is a port here, but no endpoint's */
		assert(endpoint_parse(whole.from, 0, &at, NULL) == 0 ||
		       strcmp(strrchr(whole.from, ':'), ":0") == 0);
	}
	for (size_t len = 0; n > 0 && len <= size && len < 300; len++) {
		int m = proxied_parse((struct slice){data, len}, &part);

		assert(len < (size_t)n ? m == 0 : m == n && strcmp(part.from, whole.from) == 0);
	}
	return 0;
}
