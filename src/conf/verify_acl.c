/* Whether access rules let a stranger in, and whether they are rules at all. */
#include <string.h>

#include "conf/conf_priv.h"
#include "net/cidr.h"

/* A network that has every address of its kind. */
static bool
is_everywhere(const char *cidr)
{
	struct cidr network;

	return cidr_parse(cidr, &network) == 0 &&
	       network.bits <= (strchr(cidr, ':') != NULL ? 0U : 96U);
}

bool
conf_acl_lets_strangers(bool before, const struct conf_acl_gist *rule)
{
	if (rule->has_user) {
		return before;
	}
	if (rule->disables_all) {
		return before && rule->cidr != NULL; /* a network kept out keeps no other one out */
	}
	return before || (rule->enables_all && (rule->cidr == NULL || is_everywhere(rule->cidr)));
}

static bool
has_all(const struct conf_list *commands)
{
	for (size_t i = 0; i < commands->count; i++) {
		if (strcmp(commands->items[i], "*") == 0) {
			return true;
		}
	}
	return false;
}

bool
conf_acls_let_strangers(const struct conf *conf)
{
	bool open = true, password = false;

	for (size_t i = 0; i < conf->acl_count; i++) {
		const struct conf_acl *acl = &conf->acls[i];
		const struct conf_acl_gist gist = {.has_user = acl->user != NULL,
		    .cidr = acl->cidr,
		    .enables_all = has_all(&acl->enabled),
		    .disables_all = has_all(&acl->disabled)};

		open = conf_acl_lets_strangers(open, &gist);
		password = password || acl->password != NULL;
	}
	return open || !password;
}

void
conf_verify_acls(const struct conf *conf, const struct conf_settings *s)
{
	for (size_t i = 0; i < conf->acl_count; i++) {
		const struct conf_acl *acl = &conf->acls[i];

		if ((acl->user == NULL) != (acl->password == NULL)) {
			/* a user without a password would be anybody */
			conf_faults_add(s->faults,
			    "acl-%s: has a %s and no %s: set both, or none for a rule that is for "
			    "everyone",
			    acl->name, acl->user != NULL ? "user" : "password",
			    acl->user != NULL ? "password" : "user");
		}
	}
}
