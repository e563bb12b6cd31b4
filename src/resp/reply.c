#include "resp/reply.h"

#include <string.h>

#define ELEMENTS_MAX (UINT64_MAX / 4)
#define DIGITS_MAX   18

enum state {
	AT_TYPE,   /* the next byte says what comes */
	IN_LINE,   /* to CR */
	AT_END,    /* behind a CR in a line: LF ends it, anything else belongs to it */
	IN_NUMBER, /* the digits of a header line */
	AT_LF,     /* behind the CR of a header line */
	IN_BYTES,  /* of a string */
	AT_CR,     /* behind them */
	AT_CRLF,
};

void
resp_reply_init(struct resp_reply_scanner *s)
{
	*s = (struct resp_reply_scanner){0};
}

static bool
on_type(struct resp_reply_scanner *s, uint8_t c)
{
	if (s->elements == 1 && s->type == 0 && c != '|') {
		s->type = c;
	}
	s->element = c;
	switch (c) {
	case '+':
	case '-':
	case ':':
	case ',':
	case '(':
	case '#':
	case '_':
		s->state = IN_LINE;
		return true;
	case '$':
	case '!':
	case '=':
	case '*':
	case '~':
	case '>':
	case '%':
	case '|':
		s->state = IN_NUMBER;
		s->number = 0;
		s->digits = 0;
		s->negative = false;
		return true;
	default:
		return false;
	}
}

/* The header line of a string or an aggregate is complete. */
static bool
on_number(struct resp_reply_scanner *s)
{
	bool is_string = s->element == '$' || s->element == '!' || s->element == '=';

	if (s->digits == 0) {
		return false;
	}
	s->state = AT_TYPE;
	if (s->negative) {
		/* RESP2's null: only $-1 and *-1 exist */
		s->elements--;
		return s->number == 1 && (s->element == '$' || s->element == '*');
	}
	if (is_string) {
		s->bytes = s->number;
		s->state = IN_BYTES;
		return true;
	}
	if (s->number > ELEMENTS_MAX / 2 || s->elements > ELEMENTS_MAX) {
		return false;
	}
	if (s->element == '|') {
		s->elements += s->number * 2; /* the element that it describes is still to come */
	} else {
		s->elements += (s->element == '%' ? s->number * 2 : s->number) - 1;
	}
	return true;
}

static bool
on_digit(struct resp_reply_scanner *s, uint8_t c)
{
	if (c == '-' && s->digits == 0 && !s->negative) {
		s->negative = true;
		return true;
	}
	if (c < '0' || c > '9' || s->digits == DIGITS_MAX) {
		return false;
	}
	s->number = s->number * 10 + (uint64_t)(c - '0');
	s->digits++;
	return true;
}

enum resp_reply_status
resp_reply_scan(struct resp_reply_scanner *s, struct slice in, size_t *ret_used)
{
	const uint8_t *p = in.ptr, *end = in.ptr + in.len;

	if (s->elements == 0 && in.len > 0) {
		s->elements = 1;
		s->type = 0;
		s->state = AT_TYPE;
	}
	while (p < end) {
		switch ((enum state)s->state) {
		case AT_TYPE:
			if (!on_type(s, *p++)) {
				return RESP_REPLY_BAD;
			}
			continue;
		case IN_NUMBER:
			while (p < end && *p != '\r') {
				if (!on_digit(s, *p++)) {
					return RESP_REPLY_BAD;
				}
			}
			if (p < end) {
				p++;
				s->state = AT_LF;
			}
			continue;
		case AT_LF:
			if (*p++ != '\n' || !on_number(s)) {
				return RESP_REPLY_BAD;
			}
			break;
		case IN_LINE:
			p = memchr(p, '\r', (size_t)(end - p));
			if (p == NULL) {
				return RESP_REPLY_MORE;
			}
			p++;
			s->state = AT_END;
			continue;
		case AT_END:
			if (*p != '\n') {
				s->state = IN_LINE;
				continue;
			}
			p++;
			s->elements--;
			s->state = AT_TYPE;
			break;
		case IN_BYTES:
			if ((uint64_t)(end - p) < s->bytes) {
				s->bytes -= (uint64_t)(end - p);
				return RESP_REPLY_MORE;
			}
			p += s->bytes;
			s->state = AT_CR;
			continue;
		case AT_CR:
			if (*p++ != '\r') {
				return RESP_REPLY_BAD;
			}
			s->state = AT_CRLF;
			continue;
		case AT_CRLF:
			if (*p++ != '\n') {
				return RESP_REPLY_BAD;
			}
			s->elements--;
			s->state = AT_TYPE;
			break;
		}
		if (s->elements == 0) {
			*ret_used = (size_t)(p - in.ptr);
			return RESP_REPLY_DONE;
		}
	}
	return RESP_REPLY_MORE;
}
