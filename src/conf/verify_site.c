/* Sections site-NAME: that each can be met, and that its addresses are those of http.listen. */
#include <string.h>

#include "conf/conf_priv.h"

static bool
has(const struct conf_list *list, const char *text)
{
	for (size_t i = 0; i < list->count; i++) {
		if (strcmp(list->items[i], text) == 0) {
			return true;
		}
	}
	return false;
}

void
conf_verify_sites(const struct conf *conf, const struct conf_settings *s)
{
	for (size_t i = 0; i < conf->site_count; i++) {
		const struct conf_site *site = &conf->sites[i];

		if (site->hosts.count == 0 && site->listen.count == 0) {
			conf_faults_add(s->faults,
			    "site-%s: says neither hosts nor listen: say which names or addresses "
			    "it is "
			    "for; for all of them there is the section http",
			    site->name);
		}
		for (size_t k = 0; k < site->listen.count; k++) {
			if (!has(&conf->http_listen, site->listen.items[k])) {
				conf_faults_add(s->faults,
				    "site-%s: http.listen does not have %s: add it there, or write "
				    "it "
				    "as it stands there",
				    site->name, site->listen.items[k]);
			}
		}
	}
}
