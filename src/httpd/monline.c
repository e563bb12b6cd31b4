#include "httpd/monline.h"

#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "httpd/typed.h"

static int
hex_of(uint8_t c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

/* A word in quotes, as redis writes it (sds.c, sdscatrepr), off the front of *s. False: there is none. */
static bool
take_quoted(struct slice *s, struct buf *word)
{
	size_t i = 1;

	buf_clear(word);
	if (s->len < 2 || s->ptr[0] != '"') {
		return false;
	}
	while (i < s->len && s->ptr[i] != '"') {
		uint8_t c = s->ptr[i++];

		if (c == '\\' && i < s->len) {
			static const char plain[] = "nrtab", meant[] = "\n\r\t\a\b";
			const char *at;

			c = s->ptr[i++];
			at = c != '\0' ? strchr(plain, c) : NULL;
			if (at != NULL) {
				c = (uint8_t)meant[at - plain];
			} else if (c == 'x' && i + 1 < s->len && hex_of(s->ptr[i]) >= 0 &&
				   hex_of(s->ptr[i + 1]) >= 0) {
				c = (uint8_t)(hex_of(s->ptr[i]) * 16 + hex_of(s->ptr[i + 1]));
				i += 2;
			}
		}
		if (buf_add(word, &c, 1) < 0) {
			return false;
		}
	}
	if (i >= s->len) {
		return false;
	}
	s->ptr += i + 1;
	s->len -= i + 1;
	while (s->len > 0 && s->ptr[0] == ' ') {
		s->ptr++;
		s->len--;
	}
	return true;
}

/* Digits, and perhaps a point with more of them, as JSON has numbers. */
static bool
is_number(struct slice s)
{
	const uint8_t *point = memchr(s.ptr, '.', s.len);
	size_t whole = point != NULL ? (size_t)(point - s.ptr) : s.len;

	for (size_t i = 0; i < s.len; i++) {
		if ((s.ptr[i] < '0' || s.ptr[i] > '9') && i != whole) {
			return false;
		}
	}
	return whole > 0 && whole + 1 != s.len && (whole == 1 || s.ptr[0] != '0');
}

/* The parts before the words. */
struct head {
	struct slice time, client;
	unsigned db;
};

/* +1339518083.107412 [0 127.0.0.1:60866] "keys" "*", off the front of *s; an address of IPv6 has brackets of its own. */
static bool
take_head(struct slice *s, struct head *ret)
{
	const uint8_t *open = memchr(s->ptr, '[', s->len), *close, *blank;
	size_t before = open != NULL ? (size_t)(open - s->ptr) : 0;

	if (before < 3 || before > 40 || s->ptr[0] != '+' || open[-1] != ' ' ||
	    !is_number((struct slice){s->ptr + 1, before - 2})) {
		return false;
	}
	close = memmem(open, s->len - before, "] \"", 3);
	blank = close != NULL ? memchr(open, ' ', (size_t)(close - open)) : NULL;
	if (blank == NULL) {
		return false;
	}
	*ret = (struct head){.time = {s->ptr + 1, before - 2},
	    .client = {blank + 1, (size_t)(close - blank) - 1},
	    .db = (unsigned)strtoul((const char *)open + 1, NULL, 10)};
	s->len -= (size_t)(close - s->ptr) + 2;
	s->ptr = close + 2;
	return true;
}

int
monline_add_json(struct buf *out, struct slice line)
{
	const char *comma = "";
	struct head head;
	struct buf word;
	int err;

	if (!take_head(&line, &head)) {
		return -EBADMSG;
	}
	err = buf_addf(out, "{\"time\":%.*s,\"db\":%u,\"client\":", (int)head.time.len,
	    (const char *)head.time.ptr, head.db);
	if (err == 0) {
		err = typed_add_bytes(out, head.client);
	}
	if (err == 0) {
		err = buf_add_str(out, ",\"command\":[");
	}
	buf_init(&word, 0);
	while (err == 0 && take_quoted(&line, &word)) {
		err = buf_add_str(out, comma);
		if (err == 0) {
			err = typed_add_bytes(out, buf_slice(&word));
		}
		comma = ",";
	}
	buf_fini(&word);
	return err < 0 ? err : buf_add_str(out, "]}");
}
