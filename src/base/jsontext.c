#include "base/jsontext.h"

#include <stdio.h>

size_t
jsontext_utf8_len(const uint8_t *p, size_t len)
{
	/* RFC 3629 section 4: the second byte's range depends on the first; the rest are 80..BF. */
	size_t need;
	uint8_t low = 0x80, high = 0xbf;

	if (len == 0) {
		return 0;
	}
	if (p[0] < 0x80) {
		return 1;
	} else if (p[0] >= 0xc2 && p[0] <= 0xdf) {
		need = 2;
	} else if (p[0] >= 0xe0 && p[0] <= 0xef) {
		need = 3;
		low = p[0] == 0xe0 ? 0xa0 : 0x80;
		high = p[0] == 0xed ? 0x9f : 0xbf;
	} else if (p[0] >= 0xf0 && p[0] <= 0xf4) {
		need = 4;
		low = p[0] == 0xf0 ? 0x90 : 0x80;
		high = p[0] == 0xf4 ? 0x8f : 0xbf;
	} else {
		return 0;
	}
	if (len < need || p[1] < low || p[1] > high) {
		return 0;
	}
	for (size_t i = 2; i < need; i++) {
		if (p[i] < 0x80 || p[i] > 0xbf) {
			return 0;
		}
	}
	return need;
}

static int
add_escape(struct buf *b, uint8_t c)
{
	switch (c) {
	case '"':
		return buf_add(b, "\\\"", 2);
	case '\\':
		return buf_add(b, "\\\\", 2);
	case '\n':
		return buf_add(b, "\\n", 2);
	case '\r':
		return buf_add(b, "\\r", 2);
	case '\t':
		return buf_add(b, "\\t", 2);
	default:
		return buf_addf(b, "\\u%04x", c);
	}
}

int
jsontext_add_string(struct buf *b, struct slice s)
{
	size_t plain = 0; /* start of the run that needs no change */
	int err;

	if (s.len == 0) {
		return buf_add(b, "\"\"", 2); /* an empty slice may have no pointer to add to */
	}
	err = buf_add(b, "\"", 1);
	for (size_t i = 0; err == 0 && i < s.len;) {
		uint8_t c = s.ptr[i];
		size_t n = c >= 0x80 ? jsontext_utf8_len(s.ptr + i, s.len - i) : 1;

		if (n > 0 && c >= 0x20 && c != '"' && c != '\\') {
			i += n;
			continue;
		}
		err = buf_add(b, s.ptr + plain, i - plain);
		if (err == 0) {
			err = n == 0 ? buf_add(b, "\xef\xbf\xbd", 3) : add_escape(b, c);
		}
		plain = ++i;
	}
	if (err == 0) {
		err = buf_add(b, s.ptr + plain, s.len - plain);
	}
	return err != 0 ? err : buf_add(b, "\"", 1);
}
