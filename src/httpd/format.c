#include "httpd/format.h"

#include "base/defs.h"

static const struct format formats[] = {
#define FORMAT(ext, kind, type) {ext, kind, SLICE_LIT(type)},
#include "httpd/formats.def"
#undef FORMAT
};

const struct format *
format_default(void)
{
	return &formats[0];
}

const struct format *
format_find(struct slice extension)
{
	for (size_t i = 0; i < ARRAY_LEN(formats); i++) {
		if (slice_eq(extension, formats[i].extension)) {
			return &formats[i];
		}
	}
	return NULL;
}
