#include "net/proxied.h"

#include <arpa/inet.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#define V1_MAX_BYTES 107 /* CR and LF included (2.1) */
#define V2_HEAD      16
#define V1_BEGIN     "PROXY "

/* Cannot begin what any protocol behind us would send (2.2). */
static const uint8_t v2_signature[] = "\r\n\r\n\0\r\nQUIT\n";
#define V2_SIGNATURE (sizeof(v2_signature) - 1)

enum { V2_LOCAL = 0x20, V2_PROXY = 0x21 };
enum { V2_TCP4 = 0x11, V2_TCP6 = 0x21, V2_UNIX_STREAM = 0x31 };

static void
set_from(struct proxied *p, const char *host, uint16_t port)
{
	struct endpoint at = endpoint_tcp(host, port);

	(void)endpoint_format(&at, p->from);
}

/* The next word, up to one blank or the end. */
static struct slice
next_word(struct slice *rest)
{
	const uint8_t *blank = rest->len > 0 ? memchr(rest->ptr, ' ', rest->len) : NULL;
	struct slice word = {rest->ptr, blank != NULL ? (size_t)(blank - rest->ptr) : rest->len};
	size_t used = word.len + (blank != NULL ? 1 : 0);

	*rest = (struct slice){rest->ptr + used, rest->len - used};
	return word;
}

static bool
is_address(struct slice word, int family, char *ret_text)
{
	uint8_t bytes[16];

	if (word.len >= INET6_ADDRSTRLEN || memchr(word.ptr, '\0', word.len) != NULL) {
		return false;
	}
	memcpy(ret_text, word.ptr, word.len);
	ret_text[word.len] = '\0';
	return inet_pton(family, ret_text, bytes) == 1;
}

static bool
is_port(struct slice word, uint64_t *ret_port)
{
	return word.len > 0 && (word.len == 1 || word.ptr[0] != '0') &&
	       slice_to_u64(word, ret_port) && *ret_port <= UINT16_MAX;
}

/* "PROXY TCP4 SOURCE DESTINATION PORT PORT", without the end of the line (2.1). */
static bool
parse_v1(struct slice line, struct proxied *p)
{
	struct slice rest = {line.ptr + sizeof(V1_BEGIN) - 1, line.len - (sizeof(V1_BEGIN) - 1)};
	struct slice kind = next_word(&rest), words[4];
	char from[INET6_ADDRSTRLEN], to[INET6_ADDRSTRLEN];
	uint64_t from_port, to_port;
	int family;

	if (slice_eq(kind, "UNKNOWN")) {
		return true; /* whatever follows is to be ignored */
	}
	family = slice_eq(kind, "TCP4") ? AF_INET : slice_eq(kind, "TCP6") ? AF_INET6 : AF_UNSPEC;
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		words[i] = next_word(&rest);
	}
	if (family == AF_UNSPEC || rest.len > 0 || line.ptr[line.len - 1] == ' ' ||
	    !is_address(words[0], family, from) || !is_address(words[1], family, to) ||
	    !is_port(words[2], &from_port) || !is_port(words[3], &to_port)) {
		return false;
	}
	set_from(p, from, (uint16_t)from_port);
	return true;
}

static int
find_v1(struct slice in, struct proxied *p)
{
	size_t most = MIN(in.len, (size_t)V1_MAX_BYTES);
	const uint8_t *end = memchr(in.ptr, '\n', most);

	if (end == NULL) {
		return in.len < V1_MAX_BYTES ? 0 : -EPROTO;
	}
	if (end == in.ptr || end[-1] != '\r' ||
	    !parse_v1((struct slice){in.ptr, (size_t)(end - in.ptr) - 1}, p)) {
		return -EPROTO;
	}
	return (int)(end - in.ptr) + 1;
}

static void
set_v2(struct proxied *p, int family, const uint8_t *address, const uint8_t *port)
{
	char text[INET6_ADDRSTRLEN];

	if (inet_ntop(family, address, text, sizeof(text)) != NULL) {
		set_from(p, text, (uint16_t)(port[0] << 8 | port[1]));
	}
}

static int
find_v2(struct slice in, struct proxied *p)
{
	size_t addresses, total;
	uint8_t command, family;

	if (in.len < V2_HEAD) {
		return 0;
	}
	command = in.ptr[12];
	family = in.ptr[13];
	addresses = (size_t)in.ptr[14] << 8 | in.ptr[15];
	total = V2_HEAD + addresses;
	if ((command != V2_LOCAL && command != V2_PROXY) || total > PROXIED_MAX_BYTES) {
		return -EPROTO;
	}
	if (in.len < total) {
		return 0;
	}
	if (command == V2_LOCAL) {
		return (int)total;
	}
	/* other kinds than these stand for "not known", and behind the addresses are extensions (2.2) */
	if (family == V2_TCP4) {
		if (addresses < 12) {
			return -EPROTO;
		}
		set_v2(p, AF_INET, in.ptr + V2_HEAD, in.ptr + V2_HEAD + 8);
	} else if (family == V2_TCP6) {
		if (addresses < 36) {
			return -EPROTO;
		}
		set_v2(p, AF_INET6, in.ptr + V2_HEAD, in.ptr + V2_HEAD + 32);
	} else if (family == V2_UNIX_STREAM) {
		if (addresses < 216) {
			return -EPROTO;
		}
		(void)snprintf(p->from, sizeof(p->from), "unix");
	} else if ((family & 0xf0) > 0x30 || (family & 0x0f) > 2) {
		return -EPROTO;
	}
	return (int)total;
}

int
proxied_parse(struct slice in, struct proxied *ret)
{
	struct proxied p = {.from = ""};
	size_t v1 = MIN(in.len, sizeof(V1_BEGIN) - 1), v2 = MIN(in.len, V2_SIGNATURE);
	int rc;

	if (in.len == 0) {
		return 0;
	}
	if (memcmp(in.ptr, V1_BEGIN, v1) == 0) {
		rc = v1 < sizeof(V1_BEGIN) - 1 ? 0 : find_v1(in, &p);
	} else if (memcmp(in.ptr, v2_signature, v2) == 0) {
		rc = v2 < V2_SIGNATURE ? 0 : find_v2(in, &p);
	} else {
		rc = -EPROTO;
	}
	if (rc > 0) {
		*ret = p;
	}
	return rc;
}
