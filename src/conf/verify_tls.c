/* Listeners with TLS: what belongs together is there, and the files hold what they should. */
#include "conf/conf_priv.h"

#include "net/endpoint.h"

struct side {
	const char *section;
	struct {
		const char *key;
		const struct conf_list *list; /* NULL: there are no more */
	} doors[3];
	struct tls_files files;
	struct tls_facts *ret_facts;
};

/* Its address and, in *ret_key, the option that has it. */
static const char *
first_with_tls(const struct side *side, const char **ret_key)
{
	for (size_t i = 0; i < ARRAY_LEN(side->doors) && side->doors[i].list != NULL; i++) {
		const struct conf_list *list = side->doors[i].list;

		for (size_t k = 0; k < list->count; k++) {
			struct endpoint ep;

			if (endpoint_parse(list->items[k], 0, &ep, NULL) == 0 && ep.tls) {
				*ret_key = side->doors[i].key;
				return list->items[k];
			}
		}
	}
	return NULL;
}

/* Workers do not run in the folder that `run` was started in. */
static bool
are_absolute(const struct side *side, const struct conf_settings *s)
{
	const struct {
		const char *key, *path;
	} files[] = {{"tls_cert", side->files.cert}, {"tls_key", side->files.key},
	    {"tls_ca", side->files.ca}};
	bool good = true;

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		if (files[i].path != NULL && files[i].path[0] != '/') {
			good = false;
			conf_faults_add(s->faults,
			    "%s: %s.%s %s is no absolute path: begin it with /",
			    conf_where(s, side->section, files[i].key, 0), side->section,
			    files[i].key, files[i].path);
		}
	}
	return good;
}

static void
verify_side(const struct side *side, const struct conf_settings *s)
{
	const char *name = side->section, *door = NULL, *at = first_with_tls(side, &door);
	const char *key = side->files.cert != NULL  ? "tls_cert"
			  : side->files.key != NULL ? "tls_key"
						    : "tls_ca";
	bool any = side->files.cert != NULL || side->files.key != NULL || side->files.ca != NULL;
	struct tls_server *server = NULL;
	struct errmsg err = ERRMSG_NONE;

	if (at == NULL && any && side->doors[0].list->count > 0) {
		conf_faults_add(s->faults,
		    "%s: %s.%s is set, but no address of %s.listen begins with tls:, so clients "
		    "would go on in plain text: write tls:HOST:PORT there",
		    conf_where(s, name, key, 0), name, key, name);
	}
	if (at == NULL) {
		return;
	}
	if (side->files.cert == NULL || side->files.key == NULL) {
		conf_faults_add(s->faults,
		    "%s: %s needs %s.tls_cert and %s.tls_key: name both files",
		    conf_where(s, name, door, 0), at, name, name);
		return;
	}
	if (are_absolute(side, s) && tls_server_new(&side->files, &server, &err) < 0) {
		conf_faults_add(
		    s->faults, "%s: %s: %s", conf_where(s, name, key, 0), name, err.text);
	} else if (server != NULL) {
		*side->ret_facts = *tls_server_facts(server);
	}
	tls_server_free(&server);
}

/* Between hosts all three are needed: each is the other's server and its client. */
static void
verify_hosts(struct conf *conf, const struct conf_settings *s)
{
	const struct side side = {.section = "redis", .files = conf_hosts_tls(conf)};
	const struct {
		const char *key, *path;
	} files[] = {
	    {"tls_ca", side.files.ca}, {"tls_cert", side.files.cert}, {"tls_key", side.files.key}};
	const char *set = NULL, *missing = NULL;
	struct tls_server *server = NULL;
	struct errmsg err = ERRMSG_NONE;

	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		*(files[i].path != NULL ? &set : &missing) = files[i].key;
	}
	if (conf->peer_count == 0 || set == NULL) {
		return;
	}
	if (missing != NULL) {
		conf_faults_add(s->faults,
		    "%s: redis.%s is set, but not redis.%s: TLS between hosts needs tls_ca, "
		    "tls_cert and tls_key (`holdfast cert` makes them)",
		    conf_where(s, "redis", set, 0), set, missing);
	} else if (are_absolute(&side, s) && tls_server_new(&side.files, &server, &err) < 0) {
		conf_faults_add(
		    s->faults, "%s: redis: %s", conf_where(s, "redis", "tls_cert", 0), err.text);
	} else if (server != NULL) {
		conf->redis_tls = *tls_server_facts(server);
	}
	tls_server_free(&server);
}

void
conf_read_tls(struct conf *conf, const struct conf_settings *s)
{
	const struct side sides[] = {
	    {"proxy",
		{{"listen", &conf->proxy_listen}, {"durable_listen", &conf->proxy_durable_listen},
		    {"read_listen", &conf->proxy_read_listen}},
		{conf->proxy_tls_cert, conf->proxy_tls_key, conf->proxy_tls_ca}, &conf->proxy_tls},
	    {"http", {{"listen", &conf->http_listen}},
		{conf->http_tls_cert, conf->http_tls_key, conf->http_tls_ca}, &conf->http_tls}};

	for (size_t i = 0; i < ARRAY_LEN(sides); i++) {
		verify_side(&sides[i], s);
	}
	verify_hosts(conf, s);
}
