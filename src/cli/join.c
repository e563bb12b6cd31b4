/*
 * holdfast join: a new host fetches from a running one what it needs to be of its cluster: the configuration, the secrets in it, and a certificate for
 * a key that it makes itself. The token comes from $HOLDFAST_TOKEN or from standard input, never from the arguments, which others can read.
 */
#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "base/slice.h"
#include "cli/cert_files.h"
#include "cli/cli_priv.h"
#include "cli/join.h"
#include "conf/conf.h"
#include "net/endpoint.h"

#define TOKEN_VARIABLE "HOLDFAST_TOKEN"
#define TLS_FOLDER     "tls"

/* ---- the token ---- */

static bool
parse_token(const char *text, uint8_t ret_key[TLS_SHARED_KEY])
{
	size_t head = sizeof(JOIN_TOKEN) - 1;

	if (strlen(text) != head + (size_t)2 * TLS_SHARED_KEY ||
	    strncmp(text, JOIN_TOKEN, head) != 0) {
		return false;
	}
	for (size_t i = 0; i < TLS_SHARED_KEY; i++) {
		int high = slice_hex_digit((uint8_t)text[head + 2 * i]),
		    low = slice_hex_digit((uint8_t)text[head + 2 * i + 1]);

		if (high < 0 || low < 0) {
			return false;
		}
		ret_key[i] = (uint8_t)(high << 4 | low);
	}
	return true;
}

/* False after the error was said. */
static bool
read_token(uint8_t ret_key[TLS_SHARED_KEY])
{
	const char *given = getenv(TOKEN_VARIABLE);
	char text[256] = "";
	bool good;

	if (given != NULL) {
		(void)snprintf(text, sizeof(text), "%s", given);
	} else {
		if (isatty(STDIN_FILENO)) {
			(void)fprintf(stderr, "token: ");
		}
		if (fgets(text, sizeof(text), stdin) == NULL) {
			text[0] = '\0';
		}
	}
	text[strcspn(text, " \t\r\n")] = '\0';
	good = parse_token(text, ret_key);
	explicit_bzero(text, sizeof(text));
	if (!good) {
		cli_error("that is no token: write what `holdfast invite` has printed, " JOIN_TOKEN
			  "…, into standard input or $" TOKEN_VARIABLE);
	}
	return good;
}

/* ---- the connection ---- */

static int
connect_to(const char *word, int *ret_fd, struct errmsg *err)
{
	struct sockaddr_storage addr;
	struct endpoint at;
	struct pollfd p = {.events = POLLOUT};
	socklen_t len;
	int rc = endpoint_parse(word, JOIN_PORT, &at, err), error = 0;

	if (rc == 0) {
		rc = endpoint_resolve(&at, false, &addr, &len, err);
	}
	if (rc < 0) {
		return rc;
	}
	p.fd = socket(addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (p.fd == -1) {
		rc = -errno;
	} else if (connect(p.fd, (struct sockaddr *)&addr, len) == -1 && errno != EINPROGRESS) {
		rc = -errno;
	} else if (poll(&p, 1, JOIN_WAIT_MS) <= 0) {
		rc = -ETIMEDOUT;
	} else {
		len = sizeof(error);
		(void)getsockopt(p.fd, SOL_SOCKET, SO_ERROR, &error, &len);
		rc = -error;
	}
	if (rc < 0) {
		errmsg_set(err,
		    "nobody waits for a host at %s: %s; does `holdfast invite` run there?",
		    ENDPOINT_TEXT(&at), strerror(-rc));
		if (p.fd != -1) {
			(void)close(p.fd);
		}
		return rc;
	}
	(void)fcntl(p.fd, F_SETFL, fcntl(p.fd, F_GETFL) & ~O_NONBLOCK);
	*ret_fd = p.fd;
	return 0;
}

/* ---- what is written ---- */

/* Whose folder it is: as root it is not to be root's only because we are. */
static void
give_away(const char *path, const char *dir)
{
	struct stat st;

	if (geteuid() == 0 && stat(dir, &st) == 0 && st.st_uid != 0 &&
	    chown(path, st.st_uid, st.st_gid) == -1) {
		cli_error("note: %s stays root's: %s", path, strerror(errno));
	}
}

static int
write_new(const char *path, const char *text, struct errmsg *err)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600), rc = 0;
	size_t len = strlen(text), done = 0;

	while (fd != -1 && rc == 0 && done < len) {
		ssize_t n = write(fd, text + done, len - done);

		if (n == -1 && errno != EINTR) {
			rc = -errno;
		}
		done += n > 0 ? (size_t)n : 0;
	}
	if (fd == -1 || (rc == 0 && fsync(fd) == -1)) {
		rc = -errno;
	}
	if (rc < 0) {
		errmsg_set(err, "cannot write %s: %s", path, strerror(-rc));
	}
	if (fd != -1) {
		(void)close(fd);
	}
	if (fd != -1 && rc < 0) {
		(void)unlink(path);
	}
	return rc;
}

static const char *const certificates[] = {"ca.crt", "host.crt", "host.key"};

static int
write_certificates(const char *dir, const json_t *reply, const char *key, struct errmsg *err)
{
	const char *texts[] = {cli_text_of(reply, "ca"), cli_text_of(reply, "cert"), key};
	char *folder = xasprintf("%s/" TLS_FOLDER, dir);
	int rc = mkdir(folder, 0700) == -1 && errno != EEXIST ? -errno : 0;

	if (rc < 0) {
		errmsg_set(err, "cannot make the folder %s: %s", folder, strerror(-rc));
	}
	give_away(folder, dir);
	for (size_t i = 0; i < ARRAY_LEN(certificates) && rc == 0; i++) {
		char *path = xasprintf("%s/%s", folder, certificates[i]);

		rc = write_new(path, texts[i], err);
		give_away(path, dir);
		free(path);
	}
	free(folder);
	return rc;
}

/* So that it can be tried again: nothing of it was there before. */
static void
take_certificates_back(const char *dir)
{
	char *folder = xasprintf("%s/" TLS_FOLDER, dir);

	for (size_t i = 0; i < ARRAY_LEN(certificates); i++) {
		char *path = xasprintf("%s/%s", folder, certificates[i]);

		(void)unlink(path);
		free(path);
	}
	(void)rmdir(folder);
	free(folder);
}

/* The file of the others, and what is this host's own behind it. */
static int
write_file(
    const char *path, const char *dir, const json_t *reply, bool certified, struct errmsg *err)
{
	const char *node = cli_text_of(reply, "node");
	char *own = certified ? xasprintf("[redis]\ntls_ca = %s/" TLS_FOLDER "/ca.crt\n"
					  "tls_cert = %s/" TLS_FOLDER "/host.crt\n"
					  "tls_key = %s/" TLS_FOLDER "/host.key\n",
				    dir, dir, dir)
			      : xstrdup("");
	char *text = xasprintf("%s\n; this host's own\n[holdfast]\nnode = %s\n%s",
	    cli_text_of(reply, "file"), node, own);
	int rc = write_new(path, text, err);

	give_away(path, dir);
	explicit_bzero(text, strlen(text));
	free(text);
	free(own);
	return rc;
}

static bool
nothing_is_there(const char *file, const char *dir)
{
	const char *const parts[] = {"state.db", "redis-1", TLS_FOLDER};
	bool good = access(file, F_OK) == -1;

	if (!good) {
		cli_error("%s is there already, and join writes a new one: move it away, or "
			  "name another with -c",
		    file);
	}
	for (size_t i = 0; i < ARRAY_LEN(parts) && good; i++) {
		char *path = xasprintf("%s/%s", dir, parts[i]);

		good = access(path, F_OK) == -1;
		if (!good) {
			cli_error(
			    "%s is there already: a host that joins begins with an empty data "
			    "folder, so move it away, or name another with -d",
			    path);
		}
		free(path);
	}
	return good;
}

/* ---- all of it ---- */

static int
talk(const struct cli_opts *o, const char *dir, struct tls_shared *t, struct errmsg *err)
{
	char *key = NULL, *request = NULL;
	json_t *reply = NULL;
	bool certified = false, written = false;
	int rc = tls_request_new(&key, &request, err);

	if (rc == 0) {
		rc = join_send(
		    t, json_pack("{s:i,s:s}", "version", JOIN_VERSION, "request", request), err);
	}
	if (rc == 0) {
		rc = join_receive(t, &reply, err);
	}
	if (rc == 0 && json_object_get(reply, "error") != NULL) {
		errmsg_set(err, "the other host says: %s", cli_text_of(reply, "error"));
		rc = -EPROTO;
	}
	if (rc == 0) {
		certified = cli_text_of(reply, "cert")[0] != '\0';
		if (mkdir(dir, 0700) == -1 && errno != EEXIST) {
			rc = -errno;
			errmsg_set(err, "cannot make the folder %s: %s", dir, strerror(-rc));
		}
	}
	if (rc == 0 && certified) {
		rc = write_certificates(dir, reply, key, err);
	}
	if (rc == 0) {
		rc = write_file(o->config, dir, reply, certified, err);
		written = rc == 0;
	}
	if (rc == 0) {
		rc = join_send(t, json_pack("{s:b}", "done", 1), err);
	}
	if (rc < 0 && certified) {
		take_certificates_back(dir);
	}
	if (rc < 0 && written) {
		(void)unlink(o->config);
	}
	if (rc == 0) {
		(void)printf("this host is %s at %s: %s is written%s\n", cli_text_of(reply, "node"),
		    cli_text_of(reply, "address"), o->config,
		    certified ? ", with a certificate of its own" : "");
	}
	if (key != NULL) {
		explicit_bzero(key, strlen(key));
	}
	free(key);
	free(request);
	json_decref(reply);
	return rc;
}

/* What the others' configuration asks for that is not here: certificates of listeners, files of modules, … */
static int
check(const struct cli_opts *o)
{
	struct conf *conf = NULL;
	int code = cli_conf(o, &conf);

	if (code < 0) {
		(void)printf(
		    "`holdfast check -c %s` looks at the rest; then start it: holdfast run "
		    "-c %s\n",
		    o->config, o->config);
		code = CLI_OK;
	}
	conf_free(&conf);
	return code;
}

static int
join(const struct cli_opts *o, const char *dir)
{
	uint8_t key[TLS_SHARED_KEY];
	struct tls_shared *t = NULL;
	struct errmsg err = ERRMSG_NONE;
	int fd = -1, rc;

	if (!nothing_is_there(o->config, dir)) {
		return CLI_FAILED;
	}
	if (!read_token(key)) {
		return CLI_USAGE;
	}
	(void)signal(SIGPIPE, SIG_IGN);
	rc = connect_to(o->args[0], &fd, &err);
	if (rc == 0) {
		rc = tls_shared_open(fd, false, key, JOIN_WAIT_MS, &t, &err);
	}
	explicit_bzero(key, sizeof(key));
	if (rc == 0) {
		rc = talk(o, dir, t, &err);
	}
	tls_shared_close(&t);
	if (fd != -1) {
		(void)close(fd);
	}
	if (rc < 0) {
		cli_error("%s", err.text);
		return CLI_FAILED;
	}
	return check(o);
}

int
cli_join(int argc, char **argv)
{
	struct cli_opts opts;
	char dir[4096];
	int code = cli_opts_parse(argc, argv, "cd", 1, 1, &opts);

	if (code < 0 && opts.config == NULL) {
		cli_error("join needs the name of the configuration file that it is to write: -c "
			  "FILE");
		code = CLI_USAGE;
	}
	if (code < 0) {
		code = cli_data_dir(&opts, dir, sizeof(dir));
	}
	if (code < 0) {
		code = join(&opts, dir);
	}
	cli_opts_fini(&opts);
	return code;
}
