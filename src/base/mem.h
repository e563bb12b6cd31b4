/*
 * Allocation for small control-plane objects: these abort with a log line when memory is gone, so
 * callers need no error path. Anything whose size a peer decides goes through buf.h instead, which
 * is capped and can fail.
 */
#ifndef BASE_MEM_H
#define BASE_MEM_H

#include <stdarg.h>
#include <stddef.h>

#include "base/defs.h"

/* Zeroed memory; free() it. Aborts when there is none. */
void *xcalloc(size_t count, size_t size) ATTR_WARN_UNUSED;
/* realloc of count * size bytes with an overflow check; the new part is not zeroed. */
void *xreallocarray(void *ptr, size_t count, size_t size) ATTR_WARN_UNUSED;
/* Copy of a string, or NULL for NULL; free() it. */
char *xstrdup(const char *text) ATTR_WARN_UNUSED;
char *xstrndup(const char *text, size_t len) ATTR_WARN_UNUSED;
/* printf into a new string; free() it. */
char *xasprintf(const char *fmt, ...) ATTR_PRINTF(1, 2) ATTR_WARN_UNUSED;
char *xvasprintf(const char *fmt, va_list ap) ATTR_PRINTF(1, 0) ATTR_WARN_UNUSED;

#endif
