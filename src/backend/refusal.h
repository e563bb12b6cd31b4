/* Errors by which a server says that it is no proper master (yet) and did nothing: not answers, but reasons to ask another one. */
#ifndef BACKEND_REFUSAL_H
#define BACKEND_REFUSAL_H

#include <stdbool.h>

#include "base/slice.h"

/* Of one command. `raw` is the reply as the server sent it. */
bool refusal_is_one(struct slice raw);
/* The one among them that a blocked command gets: the server reads no further and closes the connection behind it. */
bool refusal_is_unblocked(struct slice raw);
/*
 * Of a command between MULTI and EXEC, or of EXEC itself, which then begins with EXECABORT (execCommandAbort in redis' multi.c): the
 * transaction did not happen and will not.
 */
bool refusal_ends_multi(struct slice raw);

#endif
