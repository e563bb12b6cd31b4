/*
 * holdfast cert: a small authority of one's own, and one certificate for each host of the configuration, or for those named. Nothing that is there is
 * replaced unless that is asked for, and the authority never.
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>

#include "base/mem.h"
#include "cli/cert_files.h"
#include "cli/cli_priv.h"
#include "conf/conf.h"

#define HOSTS_MAX     CONF_NAMED_MAX
#define ADDRESSES_MAX 8

struct wanted {
	char *name; /* owned */
	char *text; /* owned: what `addresses` points into; NULL */
	const char *addresses[ADDRESSES_MAX];
	size_t address_count;
};

struct wanted_hosts {
	struct wanted items[HOSTS_MAX];
	size_t count;
};

static void
wanted_fini(struct wanted_hosts *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free(list->items[i].name);
		free(list->items[i].text);
	}
}

/* "c=10.0.0.3,c.example.org". False after the error was said. */
static bool
add_with_addresses(struct wanted *w, const char *list)
{
	char *save = NULL;

	w->text = xstrdup(list);
	for (char *at = strtok_r(w->text, ",", &save); at != NULL;
	     at = strtok_r(NULL, ",", &save)) {
		if (w->address_count == ADDRESSES_MAX) {
			cli_error("%s: at most %d addresses", w->name, ADDRESSES_MAX);
			return false;
		}
		w->addresses[w->address_count++] = at;
	}
	return true;
}

/* `word` is NAME, of the configuration, or NAME=ADDRESS,… False after the error was said. */
static bool
add_wanted(struct wanted_hosts *list, const struct conf *conf, const char *word)
{
	size_t len = strcspn(word, "=");
	struct errmsg err = ERRMSG_NONE;
	struct wanted *w = &list->items[list->count];
	const struct conf_peer *peer;

	if (list->count == HOSTS_MAX) {
		cli_error("at most %d hosts at a time", HOSTS_MAX);
		return false;
	}
	list->count++;
	w->name = xstrndup(word, len);
	if (!cert_files_name_is_good(w->name, &err)) {
		cli_error("%s", err.text);
		return false;
	}
	for (size_t i = 0; i + 1 < list->count; i++) {
		if (strcmp(list->items[i].name, w->name) == 0) {
			cli_error("%s is named twice", w->name);
			return false;
		}
	}
	if (word[len] == '=') {
		return add_with_addresses(w, word + len + 1);
	}
	peer = conf_peer_find(conf, w->name);
	if (peer == NULL || peer->address == NULL) {
		cli_error(
		    "there is no section [peer-%s] with an address: give it as %s=ADDRESS, or "
		    "name the configuration with -c",
		    w->name, w->name);
		return false;
	}
	return add_with_addresses(w, peer->address);
}

/* All hosts of the configuration, where none is named. */
static bool
fill(struct wanted_hosts *list, const struct conf *conf, const struct cli_opts *o)
{
	bool good = true;

	for (int i = 1; i < o->arg_count && good; i++) {
		good = add_wanted(list, conf, o->args[i]);
	}
	for (size_t i = 0; o->arg_count == 1 && i < conf->peer_count && good; i++) {
		good = add_wanted(list, conf, conf->peers[i].name);
	}
	if (good && list->count == 0) {
		cli_error("for which hosts? the configuration has no section [peer-NAME]: name the "
			  "configuration with -c, or the hosts as NAME=ADDRESS");
		good = false;
	}
	return good;
}

/* False after the error was said: there is something that would be replaced. */
static bool
nothing_is_there(const struct wanted_hosts *list, const char *folder)
{
	for (size_t i = 0; i < list->count; i++) {
		if (cert_files_are_there(folder, list->items[i].name)) {
			cli_error("%s/%s.crt or its key is there already and stays: name the hosts "
				  "that have none, or add --renew",
			    folder, list->items[i].name);
			return false;
		}
	}
	return true;
}

/* The one in the folder, or a new one. */
static int
get_authority(
    const char *folder, const struct conf *conf, struct tls_pair *ret_pair, struct errmsg *err)
{
	char *name;
	int rc = cert_files_authority(folder, ret_pair, err);

	if (rc != -ENOENT || cert_files_are_there(folder, CERT_AUTHORITY)) {
		return rc; /* half of one is not replaced either */
	}
	name = xasprintf("holdfast %.40s authority", conf->holdfast_name);
	rc = tls_issue_authority(name, time(NULL), ret_pair, err);
	if (rc == 0) {
		rc = cert_files_write(folder, CERT_AUTHORITY, ret_pair, err);
	}
	if (rc == 0) {
		(void)printf("%s/" CERT_AUTHORITY ".crt  %s, for %d days\n", folder, name,
		    TLS_AUTHORITY_DAYS);
	}
	free(name);
	return rc;
}

static int
make_one(const struct wanted *w, const char *folder, const struct tls_pair *authority,
    struct errmsg *err)
{
	const struct tls_subject who = {
	    .name = w->name, .addresses = w->addresses, .address_count = w->address_count};
	struct tls_pair pair = {0};
	int rc = tls_issue_host(authority, &who, time(NULL), &pair, err);

	if (rc == 0) {
		rc = cert_files_write(folder, w->name, &pair, err);
	}
	if (rc == 0) {
		(void)printf("%s/%s.crt  %s", folder, w->name, w->name);
		for (size_t i = 0; i < w->address_count; i++) {
			(void)printf(", %s", w->addresses[i]);
		}
		(void)printf(", for %d days\n", TLS_HOST_DAYS);
	}
	tls_pair_fini(&pair);
	return rc;
}

static int
make_all(const struct wanted_hosts *list, const char *folder, const struct conf *conf, bool renew)
{
	struct tls_pair authority = {0};
	struct errmsg err = ERRMSG_NONE;
	int rc = 0;

	if (mkdir(folder, 0700) == -1 && errno != EEXIST) {
		cli_error("cannot make the folder %s: %s", folder, strerror(errno));
		return CLI_FAILED;
	}
	if (!renew && !nothing_is_there(list, folder)) {
		return CLI_FAILED;
	}
	rc = get_authority(folder, conf, &authority, &err);
	for (size_t i = 0; i < list->count && rc == 0; i++) {
		rc = make_one(&list->items[i], folder, &authority, &err);
	}
	tls_pair_fini(&authority);
	if (rc < 0) {
		cli_error("%s", err.text);
		return CLI_FAILED;
	}
	(void)printf(
	    "each host gets " CERT_AUTHORITY ".crt, and its own .crt and .key, for the user "
	    "who runs holdfast: redis.tls_ca, redis.tls_cert, redis.tls_key\n"
	    "whoever has " CERT_AUTHORITY ".key can pass for any host: keep it where it "
	    "is, or offline\n");
	if (renew) {
		(void)printf("then `holdfast reload` on each\n");
	}
	return CLI_OK;
}

int
cli_cert(int argc, char **argv)
{
	struct cli_opts opts;
	struct conf_faults faults;
	struct conf *conf = NULL;
	struct wanted_hosts list = {.count = 0};
	int code = cli_opts_parse(argc, argv, "cdsN", 1, -1, &opts);

	if (code < 0) {
		struct conf_sources sources = cli_conf_sources(&opts);

		/* What else is wrong with it (its certificates are not there yet, say) is for `check`. */
		conf_faults_init(&faults);
		(void)conf_load_anyway(&sources, &conf, &faults);
		code = fill(&list, conf, &opts) ? make_all(&list, opts.args[0], conf, opts.renew)
						: CLI_USAGE;
		if (code == CLI_USAGE && faults.count > 0) {
			cli_error("of the configuration: %s", faults.items[0]);
		}
		wanted_fini(&list);
		conf_free(&conf);
		conf_faults_fini(&faults);
	}
	cli_opts_fini(&opts);
	return code;
}
