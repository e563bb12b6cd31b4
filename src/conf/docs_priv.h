/* The two halves of the documents: docs.c, docs_man.c. A fault of the buffer is kept until the end. */
#ifndef CONF_DOCS_PRIV_H
#define CONF_DOCS_PRIV_H

#include "conf/conf_priv.h"

struct docs {
	struct buf *out; /* borrowed */
	int rc;
};

void docs_add(struct docs *d, const char *text);
void docs_addf(struct docs *d, const char *fmt, ...) ATTR_PRINTF(2, 3);
/* "1 to 65535", or "" for what is no number; a new string. */
char *docs_range(const struct conf_opt *opt);
void docs_man(struct docs *d);

#endif
