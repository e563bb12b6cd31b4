#include "httpd/site.h"

#include <string.h>
#include <strings.h>

#include "http/uri.h"
#include "httpd/route.h"

static bool
names_host(const struct conf_list *hosts, struct slice host)
{
	for (size_t i = 0; i < hosts->count; i++) {
		if (strcmp(hosts->items[i], "*") == 0 || uri_host_is(host, hosts->items[i])) {
			return true;
		}
	}
	return hosts->count == 0;
}

static bool
names_address(const struct conf_list *addresses, const struct endpoint *at)
{
	char text[ENDPOINT_TEXT_SIZE] = "";

	for (size_t i = 0; i < addresses->count; i++) {
		if (i == 0) {
			(void)endpoint_format(at, text);
		}
		if (strcmp(addresses->items[i], text) == 0) {
			return true;
		}
	}
	return addresses->count == 0;
}

const struct conf_site *
site_find(const struct conf *conf, struct slice authority, const struct endpoint *at)
{
	struct slice host = {0}, port;

	if (conf->site_count > 0 && authority.len > 0 &&
	    !uri_split_authority(authority, &host, &port)) {
		return NULL; /* it is refused anyway */
	}
	for (size_t i = 0; i < conf->site_count; i++) {
		if (names_host(&conf->sites[i].hosts, host) &&
		    names_address(&conf->sites[i].listen, at)) {
			return &conf->sites[i];
		}
	}
	return NULL;
}

bool
site_serves(const struct conf *conf, const struct conf_site *site, const struct route *route)
{
	const struct conf_list *served = site != NULL ? &site->serves : &conf->http_serves;
	const char *part = "commands";

	if (route != NULL && (route->flags & (ROUTE_OPEN | ROUTE_PAGE)) == ROUTE_OPEN) {
		return true;
	}
	if (route != NULL && route->path[1] != '\0') {
		part = route->path + 1; /* "/ui" and so on are called by their path */
	}
	for (size_t i = 0; i < served->count; i++) {
		if (strcmp(served->items[i], part) == 0) {
			return true;
		}
	}
	return false;
}

const char *
site_default_root(const struct conf *conf, const struct conf_site *site)
{
	return site != NULL ? site->default_root : conf->http_default_root;
}
