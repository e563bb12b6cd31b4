#include "resp/write.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

/* "X", up to 20 digits, CRLF */
#define HEADER_SIZE 24

static size_t
format_header(char *out, char type, uint64_t n)
{
	char digits[20];
	size_t count = 0, len = 0;

	do {
		digits[count++] = (char)('0' + n % 10);
		n /= 10;
	} while (n > 0);
	out[len++] = type;
	while (count > 0) {
		out[len++] = digits[--count];
	}
	out[len++] = '\r';
	out[len++] = '\n';
	return len;
}

int
resp_add_header(struct buf *b, char type, uint64_t count)
{
	char text[HEADER_SIZE];

	return buf_add(b, text, format_header(text, type, count));
}

int
resp_add_bulk(struct buf *b, struct slice s)
{
	char text[HEADER_SIZE];
	size_t len = format_header(text, '$', s.len);
	int err = buf_reserve(b, len + s.len + 2);

	if (err == 0) {
		err = buf_add(b, text, len);
	}
	if (err == 0) {
		err = buf_add_slice(b, s);
	}
	if (err == 0) {
		err = buf_add(b, "\r\n", 2);
	}
	return err;
}

int
resp_add_command(struct buf *b, const struct slice *argv, size_t argc)
{
	int err = resp_add_header(b, '*', argc);

	for (size_t i = 0; err == 0 && i < argc; i++) {
		err = resp_add_bulk(b, argv[i]);
	}
	return err;
}

int
resp_add_command_str(struct buf *b, ...)
{
	va_list ap;
	size_t argc = 0;
	int err;

	va_start(ap, b);
	while (va_arg(ap, const char *) != NULL) {
		argc++;
	}
	va_end(ap);
	err = resp_add_header(b, '*', argc);
	va_start(ap, b);
	for (size_t i = 0; err == 0 && i < argc; i++) {
		err = resp_add_bulk(b, slice_str(va_arg(ap, const char *)));
	}
	va_end(ap);
	return err;
}

int
resp_add_error(struct buf *b, const char *fmt, ...)
{
	char text[1024];
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	for (char *p = text; *p != '\0'; p++) {
		if (*p == '\r' || *p == '\n') {
			*p = ' ';
		}
	}
	return buf_addf(b, "-%s\r\n", text);
}

int
resp_add_int(struct buf *b, int64_t value)
{
	return buf_addf(b, ":%lld\r\n", (long long)value);
}

int
resp_add_null(struct buf *b, int protocol)
{
	return buf_add_str(b, protocol >= 3 ? "_\r\n" : "$-1\r\n");
}
