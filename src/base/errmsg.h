/* A sentence for the user, carried up from where the fault was seen to where it is shown. No memory
 * to free. */
#ifndef BASE_ERRMSG_H
#define BASE_ERRMSG_H

#include "base/defs.h"

struct errmsg {
	char text[1024]; /* empty: no fault. Longer text is cut. */
};

#define ERRMSG_NONE ((struct errmsg){""})

/* Sets the text: what is wrong and what to do about it, lower case, no trailing period. `e` may be
 * NULL. */
void errmsg_set(struct errmsg *e, const char *fmt, ...) ATTR_PRINTF(2, 3);
/* Puts "WORDS: " before the text that is there. */
void errmsg_prefix(struct errmsg *e, const char *fmt, ...) ATTR_PRINTF(2, 3);

#endif
