/*
 * A place in the histories of all hosts: up to which event of each. As a document {"a":120,"b":97}, as text "a:120,b:97". What is before it or behind
 * it can be asked for (`events`, older and newer). Ids count on one host each.
 */
#ifndef CTL_PLACE_H
#define CTL_PLACE_H

#include <stdint.h>

#include <jansson.h>

#include "base/slice.h"

/*
 * Any bytes. An id without a host ("120") is that of the host `own`. The caller's reference; NULL: it is none.
 */
json_t *place_parse(struct slice text, const char *own);
/* As text: the caller's, free(). The ids of `place` are integers. */
char *place_text(const json_t *place);
/* `otherwise`: nothing is said of that host. */
int64_t place_get(const json_t *place, const char *host, int64_t otherwise);
void place_set(json_t *place, const char *host, int64_t id);

#endif
