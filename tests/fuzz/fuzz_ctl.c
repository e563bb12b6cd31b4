/*
 * Bytes on the control socket of a real server: whatever comes, each answer is a line of JSON with
 * "ok", there is at most one for each line that was sent (and one for what is no line), and the
 * server lets go of the client when that has no more to say. The first byte chooses the size of the
 * pieces.
 */
#include <assert.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "base/defs.h"
#include "base/log.h"
#include "ctl/ctl.h"
#include "net/loop.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static struct loop *loop;
static struct ctl_server *server;
static struct sockaddr_un address = {.sun_family = AF_UNIX};
static struct ctl_request *kept;

static void
on_at_once(struct ctl_request *req, const json_t *args, void *owner)
{
	(void)ctl_arg_text(args, "name");
	(void)ctl_send(req, json_pack("{s:i}", "line", 1));
	ctl_done(req, NULL);
}

static void
on_kept_gone(struct ctl_request *req, void *arg)
{
	kept = NULL;
}

static void
on_later(struct ctl_request *req, const json_t *args, void *owner)
{
	ctl_on_gone(req, on_kept_gone, NULL);
	kept = req;
}

static const struct ctl_command commands[] = {
    {"ping", on_at_once},
    {"start", on_at_once},
    {"events", on_later},
};

static void
clean_up(void)
{
	ctl_server_free(&server);
	loop_free(&loop);
}

static void
set_up(void)
{
	struct errmsg err = ERRMSG_NONE;

	log_setup(LOG_ERROR, false, NULL);
	(void)snprintf(
	    address.sun_path, sizeof(address.sun_path), "fuzz-ctl-%d.sock", (int)getpid());
	loop = loop_new();
	server = ctl_server_new(loop, address.sun_path, commands, ARRAY_LEN(commands), NULL, &err);
	assert(server != NULL);
	(void)atexit(clean_up);
}

/* One turn of the loop; what was kept is answered in it. */
static void
turn(void)
{
	struct ctl_request *req = kept;

	kept = NULL;
	if (req != NULL) {
		ctl_done(req, NULL);
	}
	(void)ev_run(loop_ev(loop), EVRUN_NOWAIT);
}

static void
check_answers(const char *text, size_t len, size_t most)
{
	const char *end, *p = text;
	size_t answers = 0;

	while ((end = memchr(p, '\n', len - (size_t)(p - text))) != NULL) {
		json_t *line = json_loadb(p, (size_t)(end - p), 0, NULL);

		assert(json_is_object(line));
		if (json_object_get(line, "ok") != NULL) {
			answers++;
		}
		json_decref(line);
		p = end + 1;
	}
	assert(p == text + len && answers <= most);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char answers[1 << 20];
	size_t lines = 1, len = 0, piece;
	ssize_t n = 1;
	int fd, rc;

	if (size < 1 || size > 32768) {
		return 0;
	}
	if (loop == NULL) {
		set_up();
	}
	piece = data[0] == 0 ? size : data[0];
	fd = socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0);
	rc = connect(fd, (struct sockaddr *)&address, sizeof(address));
	assert(rc == 0);
	for (size_t at = 1; at < size; at += piece) {
		if (send(fd, data + at, MIN(piece, size - at), MSG_NOSIGNAL) == -1) {
			break; /* refused already */
		}
		turn();
	}
	(void)shutdown(fd, SHUT_WR);
	for (size_t i = 1; i < size; i++) {
		lines += data[i] == '\n' ? 1 : 0;
	}
	for (int turns = 0; n != 0; turns++) {
		assert(turns < 200000 && len < sizeof(answers));
		turn();
		n = recv(fd, answers + len, sizeof(answers) - len, 0);
		len += n > 0 ? (size_t)n : 0;
	}
	check_answers(answers, len, lines);
	(void)close(fd);
	while (ctl_server_clients(server) > 0) {
		turn();
	}
	return 0;
}
