#include <stdarg.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/conf.h"

void
conf_faults_init(struct conf_faults *f)
{
	*f = (struct conf_faults){0};
}

void
conf_faults_fini(struct conf_faults *f)
{
	for (size_t i = 0; i < f->count; i++) {
		free(f->items[i]);
	}
	free(f->items);
	conf_faults_init(f);
}

void
conf_faults_add(struct conf_faults *f, const char *fmt, ...)
{
	va_list ap;
	char *text;

	va_start(ap, fmt);
	text = xvasprintf(fmt, ap);
	va_end(ap);
	for (size_t i = 0; i < f->count; i++) {
		if (strcmp(f->items[i], text) == 0) {
			free(text);
			return;
		}
	}
	if (f->count == CONF_FAULTS_MAX) {
		f->dropped++;
		free(text);
		return;
	}
	f->items = xreallocarray(f->items, f->count + 1, sizeof(*f->items));
	f->items[f->count++] = text;
}
