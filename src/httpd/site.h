/* What is served to whom: the sections site-NAME, by the Host of a request and the address it came in at. Pure decisions. */
#ifndef HTTPD_SITE_H
#define HTTPD_SITE_H

#include <stdbool.h>

#include "base/slice.h"
#include "conf/conf.h"
#include "net/endpoint.h"

struct route;

/* The first section that the request is for; NULL: none. `authority`: of Host, may be empty. */
const struct conf_site *site_find(
    const struct conf *conf, struct slice authority, const struct endpoint *at);
/* Is this served there, `site` NULL: elsewhere? `route` NULL: a command. */
bool site_serves(const struct conf *conf, const struct conf_site *site, const struct route *route);
/* What stands at "/" there, or NULL. */
const char *site_default_root(const struct conf *conf, const struct conf_site *site);

#endif
