#include "http/response.h"

#include <assert.h>
#include <string.h>
#include <time.h>

#include "http/md5.h"
#include "http/tagmemo.h"

#define SERVER_LINE "Server: Holdfast\r\n"
#define ETAG_BYTES  (MD5_HEX_BYTES + 2) /* with its quotes */

struct status_line {
	unsigned status;
	const char *reason;
	struct slice line; /* with CRLF and Server */
};

static const struct status_line lines[] = {
#define HTTP_STATUS(code, text)                                                                    \
	{code, text, SLICE_LIT("HTTP/1.1 " #code " " text "\r\n" SERVER_LINE)},
#include "http/status.def"
#undef HTTP_STATUS
};

static const struct status_line *
line_of(unsigned status)
{
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		if (lines[i].status == status) {
			return &lines[i];
		}
	}
	return NULL;
}

int
http_response_begin(struct http_response *r, struct buf *out, unsigned status)
{
	const struct status_line *l = line_of(status);

	assert(l != NULL);
	*r = (struct http_response){.out = out, .at = buf_len(out), .status = status};
	return buf_add_slice(out, l->line);
}

int
http_response_header(struct http_response *r, const char *name, struct slice value)
{
	size_t name_len = strlen(name);
	uint8_t *p;
	int err = buf_reserve(r->out, name_len + value.len + 4);

	if (err < 0) {
		return err;
	}
	p = buf_tail(r->out);
	memcpy(p, name, name_len);
	p += name_len;
	*p++ = ':';
	*p++ = ' ';
	if (value.len > 0) {
		memcpy(p, value.ptr, value.len);
		p += value.len;
	}
	*p++ = '\r';
	*p++ = '\n';
	buf_commit(r->out, (size_t)(p - buf_tail(r->out)));
	return 0;
}

struct slice
http_date_at(struct http_date *date, uint64_t wall_ms)
{
	const time_t now = (time_t)(wall_ms / 1000);
	struct tm tm;

	if (date->second != wall_ms / 1000) {
		date->second = wall_ms / 1000;
		(void)gmtime_r(&now, &tm);
		(void)strftime(date->text, sizeof(date->text), "%a, %d %b %Y %H:%M:%S GMT", &tm);
	}
	return slice_str(date->text);
}

static size_t
digits_of(size_t n, char text[static 20])
{
	char reversed[20];
	size_t count = 0;

	do {
		reversed[count++] = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	for (size_t i = 0; i < count; i++) {
		text[i] = reversed[count - 1 - i];
	}
	return count;
}

int
http_response_body(struct http_response *r, bool etag, size_t length_guess)
{
	char digits[20];
	size_t count = digits_of(length_guess, digits);
	int err = 0;

	r->etag = etag;
	if (etag) {
		r->etag_at = buf_len(r->out) + strlen("ETag: ");
		err = buf_add_slice(
		    r->out, SLICE_LIT("ETag: \"................................\"\r\n"));
	}
	r->length_at = buf_len(r->out) + strlen("Content-Length: ");
	if (err == 0) {
		err = buf_add_slice(r->out, SLICE_LIT("Content-Length: "));
	}
	if (err == 0) {
		err = buf_add(r->out, digits, count);
	}
	if (err == 0) {
		err = buf_add_slice(r->out, SLICE_LIT("\r\n\r\n"));
	}
	r->body_at = buf_len(r->out);
	return err;
}

static bool
tag_matches(struct slice header, struct slice tag)
{
	/* A list of tags, "*", or one; weak ones compare equal here (RFC 9110 section 13.1.2). */
	if (slice_eq(header, "*")) {
		return true;
	}
	return header.len >= tag.len && memmem(header.ptr, header.len, tag.ptr, tag.len) != NULL;
}

/* 200 → 304: another status line, the same headers without a length, no body. */
static int
make_not_modified(struct http_response *r)
{
	struct slice was = line_of(r->status)->line, now = line_of(304)->line;
	size_t headers = r->length_at - strlen("Content-Length: ") - r->at - was.len;
	uint8_t *p;
	int err;

	buf_truncate(r->out, r->at + was.len + headers);
	err = buf_reserve(r->out, now.len + 2);
	if (err < 0) {
		return err;
	}
	p = r->out->data + r->out->start + r->at;
	memmove(p + now.len, p + was.len, headers);
	memcpy(p, now.ptr, now.len);
	memcpy(p + now.len + headers, "\r\n", 2);
	r->out->end = r->out->start + r->at + now.len + headers + 2;
	r->status = 304;
	return 0;
}

static int
set_length(struct http_response *r, size_t length)
{
	char digits[20];
	size_t count = digits_of(length, digits), room = r->body_at - 4 - r->length_at;
	uint8_t *p;

	if (count > room) {
		int err = buf_reserve(r->out, count - room);

		if (err < 0) {
			return err;
		}
	}
	p = r->out->data + r->out->start + r->length_at;
	if (count != room) {
		memmove(p + count + 4, p + room + 4, length);
		memcpy(p + count, "\r\n\r\n", 4);
		r->out->end = r->out->end + count - room;
		r->body_at = r->body_at + count - room;
	}
	memcpy(p, digits, count);
	return 0;
}

int
http_response_end(struct http_response *r, struct slice if_none_match, bool head_only)
{
	size_t length = buf_len(r->out) - r->body_at;
	int err;

	if (r->etag) {
		uint8_t *base = r->out->data + r->out->start;
		struct slice tag = {base + r->etag_at, ETAG_BYTES};

		tagmemo_hex(r->memo, (struct slice){base + r->body_at, length},
		    (char *)base + r->etag_at + 1);
		if (if_none_match.len > 0 && tag_matches(if_none_match, tag)) {
			return make_not_modified(r);
		}
	}
	err = set_length(r, length);
	if (err == 0 && head_only) {
		buf_truncate(r->out, r->body_at);
	}
	return err;
}

int
http_response_known(struct http_response *r, const char *tag_hex, bool weak, size_t length)
{
	int err = tag_hex == NULL
		      ? 0
		      : buf_addf(r->out, "ETag: %s\"%.32s\"\r\n", weak ? "W/" : "", tag_hex);

	if (err == 0 && r->status != 304) {
		err = buf_addf(r->out, "Content-Length: %zu\r\n", length);
	}
	return err < 0 ? err : buf_add(r->out, "\r\n", 2);
}

bool
http_tag_is_known(struct slice if_none_match, const char *tag_hex)
{
	char tag[ETAG_BYTES];

	tag[0] = tag[ETAG_BYTES - 1] = '"';
	memcpy(tag + 1, tag_hex, MD5_HEX_BYTES);
	return if_none_match.len > 0 &&
	       tag_matches(if_none_match, (struct slice){(const uint8_t *)tag, sizeof(tag)});
}

void
http_response_abort(struct http_response *r)
{
	buf_truncate(r->out, r->at);
}

bool
http_value_is_safe(struct slice value)
{
	for (size_t i = 0; i < value.len; i++) {
		if ((value.ptr[i] < 0x20 && value.ptr[i] != '\t') || value.ptr[i] == 0x7f) {
			return false;
		}
	}
	return true;
}
