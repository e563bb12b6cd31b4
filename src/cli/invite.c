/*
 * holdfast invite: a running host lets one other join its cluster. It listens only while this command runs, for one host, and speaks with nobody who
 * does not know the token that it has printed: that is the key of the connection and is not sent (net/tls_shared.h).
 */
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/mem.h"
#include "cli/cert_files.h"
#include "cli/cli_priv.h"
#include "cli/join.h"
#include "conf/conf.h"
#include "net/listener.h"
#include "net/tls_shared.h"

#define SECONDS       900
#define STRANGERS_MAX 100

extern char **environ;

struct invitation {
	const struct conf *conf;   /* borrowed */
	char *name, *address;      /* owned */
	struct tls_pair authority; /* texts of NULL: it signs nothing */
	uint8_t key[TLS_SHARED_KEY];
};

/* ---- may it join ---- */

/* False after the error was said. */
static bool
is_possible(const struct invitation *v, const struct cli_opts *o)
{
	const struct conf *conf = v->conf;
	const struct conf_peer *peer = conf_peer_find(conf, v->name), *there = NULL;

	for (size_t i = 0; i < conf->peer_count; i++) {
		if (strcmp(conf->peers[i].address, v->address) == 0) {
			there = &conf->peers[i];
		}
	}

	if (conf->peer_count == 0) {
		cli_error("this host is no cluster of several yet: write into its configuration\n\n"
			  "[holdfast]\nsecret = @%s/secret\n\n[peer-%s]\naddress = ADDRESS\n\nwith "
			  "where the others reach it, and `holdfast reload`: clients go on, and it "
			  "has one "
			  "redis and one sentinel then",
		    conf->data_dir, conf->holdfast_node);
	} else if (strcmp(v->name, conf->holdfast_node) == 0 ||
		   strcmp(v->address, conf->holdfast_address) == 0) {
		cli_error("%s at %s is this host", v->name, v->address);
	} else if (peer != NULL && strcmp(peer->address, v->address) != 0) {
		cli_error(
		    "there is a host %s already, at %s: take its section out first, or choose "
		    "another name",
		    v->name, peer->address);
	} else if (there != NULL && there != peer) {
		cli_error("there is a host at %s already, %s: each host needs its own address",
		    v->address, there->name);
	} else if (!conf_is_host_address(v->address)) {
		cli_error("'%.100s' is not where the others could reach a host: write an IPv4 or "
			  "IPv6 address, or a host name, without a port",
		    v->address);
	} else if (conf_hosts_use_tls(conf) && o->ca == NULL) {
		cli_error("the hosts of this cluster need certificates: name the folder of the "
			  "authority with --ca (see `holdfast help cert`)");
	} else {
		return true;
	}
	return false;
}

/* A host that is new, and not one in the place of another, only where all is well: it changes what a majority is. */
static int
check_cluster(const struct invitation *v, const struct cli_opts *o)
{
	json_t *reply = NULL;
	int code = cli_ask(o, "status", NULL, CLI_ANSWER_MS, &reply);
	const char *state = cli_text_of(json_object_get(reply, "status"), "state");

	if (code == CLI_OK && conf_peer_find(v->conf, v->name) == NULL &&
	    strcmp(state, "ready") != 0) {
		cli_error("the cluster is %s: another host may join once it is ready (`holdfast "
			  "status` says what is wrong)",
		    state);
		code = CLI_NOT_READY;
	}
	json_decref(reply);
	return code;
}

/* ---- the conversation ---- */

static int
sign_request(const struct invitation *v, const char *request, char **ret_cert, struct errmsg *err)
{
	const char *addresses[] = {v->address};
	const struct tls_subject who = {
	    .name = v->name, .addresses = addresses, .address_count = 1};

	if (v->authority.key == NULL) {
		return 0;
	}
	return tls_issue_asked(&v->authority, request, &who, time(NULL), ret_cert, err);
}

/* Whoever is there knows the token. */
static int
serve(const struct invitation *v, struct tls_shared *t, struct errmsg *err)
{
	const struct conf_newcomer newcomer = {
	    .name = v->name, .address = v->address, .own_tls = v->authority.key != NULL};
	json_t *asked = NULL, *done = NULL;
	char *cert = NULL;
	struct buf file;
	int rc = join_receive(t, &asked, err);

	buf_init(&file, CONF_FILE_MAX);
	if (rc < 0) {
		goto out;
	}
	if (json_integer_value(json_object_get(asked, "version")) != JOIN_VERSION) {
		errmsg_set(err, "the new host and the one that invites have versions of holdfast "
				"that do not understand each other: install the same");
		rc = -EPROTO;
	}
	if (rc == 0) {
		rc = sign_request(v, cli_text_of(asked, "request"), &cert, err);
	}
	if (rc == 0) {
		rc = conf_for_newcomer(v->conf, environ, &newcomer, &file, err);
	}
	if (rc < 0) { /* told there, too, where somebody waits for it */
		struct errmsg ignored = ERRMSG_NONE;
		int told = join_send(t, json_pack("{s:s}", "error", err->text), &ignored);

		(void)told;
	} else {
		rc = join_send(t,
		    json_pack("{s:s,s:s,s:s%,s:s?,s:s?}", "node", v->name, "address", v->address,
			"file", (const char *)buf_slice(&file).ptr, buf_len(&file), "ca",
			v->authority.key != NULL ? v->authority.cert : NULL, "cert", cert),
		    err);
	}
	if (rc == 0) {
		rc = join_receive(t, &done, err);
	}
out:
	if (file.data != NULL) {
		explicit_bzero(file.data, file.cap);
	}
	buf_fini(&file);
	free(cert);
	json_decref(asked);
	json_decref(done);
	return rc;
}

/* A connection. 1: the host has what it needs; 0: it was somebody else; or negative errno: it was the host, and failed. */
static int
meet(const struct invitation *v, int fd, struct errmsg *err)
{
	struct tls_shared *t = NULL;
	char peer[ENDPOINT_TEXT_SIZE];
	int rc;

	(void)endpoint_peer(fd, peer);
	(void)fcntl(fd, F_SETFL, fcntl(fd, F_GETFL) & ~O_NONBLOCK);
	rc = tls_shared_open(fd, true, v->key, JOIN_WAIT_MS, &t, err);
	if (rc < 0) {
		cli_error("%s came without the token and was told nothing: %s", peer, err->text);
		rc = 0;
	} else {
		rc = serve(v, t, err);
		tls_shared_close(&t);
		rc = rc == 0 ? 1 : rc;
	}
	(void)close(fd);
	return rc;
}

/* As meet, or -ETIMEDOUT. */
static int
wait_for_it(const struct invitation *v, int listen_fd, uint64_t seconds, struct errmsg *err)
{
	uint64_t until = clock_mono_ms() + seconds * 1000, now;
	unsigned strangers = 0;
	int rc = 0;

	while (rc == 0 && strangers < STRANGERS_MAX && (now = clock_mono_ms()) < until) {
		struct pollfd p = {.fd = listen_fd, .events = POLLIN};
		int fd;

		if (poll(&p, 1, (int)(until - now)) <= 0) {
			continue;
		}
		fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
		if (fd != -1) {
			rc = meet(v, fd, err);
			strangers++;
		}
	}
	if (rc == 0) {
		errmsg_set(err, strangers == STRANGERS_MAX ? "too many came without the token"
							   : "nobody came with the token in time");
		rc = -ETIMEDOUT;
	}
	return rc;
}

/* ---- words ---- */

static void
print_token(const struct invitation *v, uint16_t port, uint64_t seconds)
{
	(void)printf(JOIN_TOKEN);
	for (size_t i = 0; i < sizeof(v->key); i++) {
		(void)printf("%02x", v->key[i]);
	}
	(void)printf("\n");
	(void)fflush(stdout);
	(void)fprintf(stderr,
	    "this is the token, good once within %llu s; on %s: holdfast join -c FILE %s:%u, which "
	    "asks for it\n",
	    (unsigned long long)seconds, v->name, v->conf->holdfast_address, port);
}

static void
print_rest(const struct invitation *v)
{
	(void)fprintf(stderr, "%s has what it needs\n", v->name);
	if (v->conf->proxy_announce.count + v->conf->proxy_read_announce.count +
		v->conf->proxy_durable_announce.count + v->conf->http_announce.count >
	    0) {
		(void)fprintf(stderr,
		    "this host announces where clients of other networks reach it: say the same "
		    "of %s in its configuration (proxy.announce, http.announce)\n",
		    v->name);
	}
	if (conf_peer_find(v->conf, v->name) == NULL) {
		(void)fprintf(stderr,
		    "start it, and when `holdfast status` there shows it in sync, add to the "
		    "configuration of each other host\n\n[peer-%s]\naddress = %s\n\nand `holdfast "
		    "reload`, one host after the other: from then on it counts\n",
		    v->name, v->address);
	}
}

static int
invite(struct invitation *v, const struct cli_opts *o)
{
	uint16_t port = o->port > 0 ? (uint16_t)o->port : JOIN_PORT;
	uint64_t seconds = o->seconds > 0 ? o->seconds : SECONDS;
	struct endpoint at = endpoint_tcp(v->conf->holdfast_address, port);
	struct errmsg err = ERRMSG_NONE;
	int listen_fd = -1, rc;

	rc = o->ca != NULL ? cert_files_authority(o->ca, &v->authority, &err) : 0;
	if (rc == 0) {
		rc = listener_bind(&at, &listen_fd, &err);
	}
	if (rc == 0 && !tls_shared_new_key(v->key)) {
		errmsg_set(&err, "the system has no random bytes for a token");
		rc = -EIO;
	}
	if (rc == 0) {
		(void)signal(SIGPIPE, SIG_IGN);
		print_token(v, port, seconds);
		rc = wait_for_it(v, listen_fd, seconds, &err);
	}
	if (rc > 0) {
		print_rest(v);
	} else {
		cli_error("%s has not joined: %s", v->name, err.text);
	}
	if (listen_fd != -1) {
		(void)close(listen_fd);
	}
	return rc > 0 ? CLI_OK : CLI_FAILED;
}

static int
begin(const struct conf *conf, const struct cli_opts *o)
{
	const char *word = o->args[0];
	size_t len = strcspn(word, "=");
	struct invitation v = {.conf = conf};
	struct errmsg err = ERRMSG_NONE;
	int code = CLI_USAGE;

	v.name = xstrndup(word, len);
	v.address = xstrdup(word[len] == '=' ? word + len + 1 : "");
	if (o->config == NULL) {
		cli_error("invite needs the configuration file of this host: -c FILE");
	} else if (v.address[0] == '\0') {
		cli_error("invite needs the new host's name and address: holdfast invite %s",
		    cli_command_find("invite")->usage);
	} else if (!cert_files_name_is_good(v.name, &err)) {
		cli_error("%s", err.text);
	} else if (is_possible(&v, o)) {
		code = check_cluster(&v, o);
		code = code == CLI_OK ? invite(&v, o) : code;
	} else {
		code = CLI_FAILED;
	}
	tls_pair_fini(&v.authority);
	free(v.name);
	free(v.address);
	explicit_bzero(&v, sizeof(v));
	return code;
}

int
cli_invite(int argc, char **argv)
{
	struct cli_opts opts;
	struct conf *conf = NULL;
	int code = cli_opts_parse(argc, argv, "cdsAPE", 1, 1, &opts);

	if (code < 0) {
		code = cli_conf(&opts, &conf);
	}
	if (code < 0) {
		code = begin(conf, &opts);
	}
	conf_free(&conf);
	cli_opts_fini(&opts);
	return code;
}
