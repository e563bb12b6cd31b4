#include "base/mem.h"

#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static void ATTR_NORETURN
out_of_memory(size_t size)
{
	char line[96];
	/* not by log.h, which needs memory itself */
	int n = snprintf(line, sizeof(line), "out of memory, aborting wanted_bytes=%zu\n", size);
	ssize_t written = write(STDERR_FILENO, line, (size_t)n);

	(void)written;
	abort();
}

void *
xcalloc(size_t count, size_t size)
{
	void *p = calloc(count, size);

	if (p == NULL && count != 0 && size != 0) {
		out_of_memory(count * size);
	}
	return p;
}

void *
xreallocarray(void *ptr, size_t count, size_t size)
{
	void *p = reallocarray(ptr, count, size);

	if (p == NULL && count != 0 && size != 0) {
		out_of_memory(count * size);
	}
	return p;
}

char *
xstrdup(const char *text)
{
	return text != NULL ? xstrndup(text, strlen(text)) : NULL;
}

char *
xstrndup(const char *text, size_t len)
{
	char *p = strndup(text, len);

	if (p == NULL) {
		out_of_memory(len);
	}
	return p;
}

char *
xvasprintf(const char *fmt, va_list ap)
{
	char *p = NULL;

	if (vasprintf(&p, fmt, ap) == -1) {
		out_of_memory(0);
	}
	return p;
}

char *
xasprintf(const char *fmt, ...)
{
	va_list ap;
	char *p;

	va_start(ap, fmt);
	p = xvasprintf(fmt, ap);
	va_end(ap);
	return p;
}
