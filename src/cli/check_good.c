#include <stdarg.h>
#include <stdio.h>

#include "cli/check.h"

void
check_good(const char *what, const char *fmt, ...)
{
	va_list ap;

	(void)printf("ok  %-14s ", what);
	va_start(ap, fmt);
	(void)vprintf(fmt, ap);
	va_end(ap);
	(void)printf("\n");
}
