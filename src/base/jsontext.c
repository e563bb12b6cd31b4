#include "base/jsontext.h"

#include <stdio.h>
#include <string.h>

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

/* The first byte from `i` on that may not stand as it is, eight at a time; bytes from 80 on count as such. */
static size_t
skip_plain(struct slice s, size_t i)
{
	const uint64_t ones = 0x0101010101010101, tops = 0x8080808080808080;

	for (; s.len - i >= sizeof(uint64_t); i += sizeof(uint64_t)) {
		uint64_t w, quote, slash;

		memcpy(&w, s.ptr + i, sizeof(w));
		quote = w ^ ones * '"';
		slash = w ^ ones * '\\';
		/* A byte that is zero, or below 0x20, borrows into its top bit. A borrow may also mark the byte after
		 * it: that one is looked at once more, which is harmless. */
		if (((w | (w - ones * 0x20) | (quote - ones) | (slash - ones)) & tops) != 0) {
			break;
		}
	}
	while (i < s.len && s.ptr[i] >= 0x20 && s.ptr[i] < 0x80 && s.ptr[i] != '"' &&
	       s.ptr[i] != '\\') {
		i++;
	}
	return i;
}

int
jsontext_add_escaped(struct buf *b, struct slice s)
{
	size_t plain = 0; /* start of the run that needs no change */
	int err = 0;

	for (size_t i = 0; err == 0 && (i = skip_plain(s, i)) < s.len;) {
		size_t n = s.ptr[i] >= 0x80 ? jsontext_utf8_len(s.ptr + i, s.len - i) : 0;

		if (n > 0) {
			i += n;
			continue;
		}
		err = buf_add(b, s.ptr + plain, i - plain);
		if (err == 0) {
			err = s.ptr[i] >= 0x80 ? buf_add(b, "\xef\xbf\xbd", 3)
					       : add_escape(b, s.ptr[i]);
		}
		plain = ++i;
	}
	if (err == 0 && plain < s.len) {
		err = buf_add(b, s.ptr + plain, s.len - plain);
	}
	return err;
}

int
jsontext_add_string(struct buf *b, struct slice s)
{
	int err = buf_add(b, "\"", 1);

	if (err == 0) {
		err = jsontext_add_escaped(b, s);
	}
	return err != 0 ? err : buf_add(b, "\"", 1);
}

bool
jsontext_is_utf8(struct slice s)
{
	for (size_t i = 0; i < s.len;) {
		size_t n = jsontext_utf8_len(s.ptr + i, s.len - i);

		if (n == 0) {
			return false;
		}
		i += n;
	}
	return true;
}
