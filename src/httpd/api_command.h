/* What rows of the operator's interface need that carry out commands of Redis. */
#ifndef HTTPD_API_COMMAND_H
#define HTTPD_API_COMMAND_H

#include "httpd/api.h"
#include "httpd/run.h"

/*
 * Finds the target of that name; the supervisor is asked where an instance is. An empty slice or "master": the master. Then `fn` goes on, or
 * the request was failed.
 */
void api_find_target(struct api *a, struct slice name, uint32_t database, api_target_fn *fn);

/*
 * May the one who asks use the command that stands in `resp`? NULL; or why not, as an error reply of Redis says it (static). *ret_reads: it
 * changes nothing.
 */
const char *api_refuses(struct api *a, struct slice resp, bool *ret_reads);
/* Do the access rules let him use the command of that name? */
bool api_acl_allows(struct api *a, const char *name);

#endif
