#include "base/errmsg.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

void
errmsg_set(struct errmsg *e, const char *fmt, ...)
{
	va_list ap;

	if (e == NULL) {
		return;
	}
	va_start(ap, fmt);
	(void)vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
}

void
errmsg_prefix(struct errmsg *e, const char *fmt, ...)
{
	struct errmsg old;
	va_list ap;
	size_t len;

	if (e == NULL) {
		return;
	}
	old = *e;
	va_start(ap, fmt);
	(void)vsnprintf(e->text, sizeof(e->text), fmt, ap);
	va_end(ap);
	len = strlen(e->text);
	(void)snprintf(e->text + len, sizeof(e->text) - len, ": %s", old.text);
}
