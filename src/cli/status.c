/*
 * holdfast status: what is going on, for people or for machines; 0 only when all is ready.
 *
 * --watch shows it again after each event that the supervisor tells, and at least every two
 * seconds, since uptimes and lags move without events.
 */
#include <errno.h>
#include <poll.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "base/clock.h"
#include "cli/cli_priv.h"
#include "cli/status_text.h"

#define WATCH_MS 2000
/* A burst of events makes one picture, not fifty; but pictures come also while events rain. */
#define BURST_MS 100

static int
show(const json_t *reply, const struct cli_opts *o)
{
	const json_t *status = json_object_get(reply, "status");
	struct buf text;
	int code;

	if (o->json) {
		cli_put_json(status);
	} else {
		buf_init(&text, 0);
		if (status_text(status, &text) < 0) {
			cli_error("out of memory");
		} else {
			struct slice s = buf_slice(&text);

			if (o->watch && isatty(STDOUT_FILENO)) {
				(void)fputs("\033[H\033[2J", stdout);
			}
			(void)fwrite(s.ptr, 1, s.len, stdout);
		}
		buf_fini(&text);
	}
	code = strcmp(cli_text_of(status, "state"), "ready") == 0 ? CLI_OK : CLI_NOT_READY;
	(void)fflush(stdout);
	return code;
}

/* Returns once something has happened or WATCH_MS have passed: 0, or an error of the client. */
static int
wait_for_event(struct ctl_client *events, struct errmsg *err)
{
	struct pollfd p = {.fd = ctl_client_fd(events), .events = POLLIN};
	int n = poll(&p, 1, WATCH_MS), rc = 0;
	uint64_t end = clock_mono_ms() + BURST_MS, now = 0;

	if (n == -1 && errno != EINTR) {
		return -errno;
	}
	while (n > 0 && rc >= 0 && (now = clock_mono_ms()) < end) {
		json_t *line = NULL;

		rc = ctl_client_next(events, end - now, &line, err);
		json_decref(line);
	}
	return rc < 0 && rc != -ETIMEDOUT ? rc : 0;
}

static int
watch(const struct cli_opts *o)
{
	struct errmsg err = ERRMSG_NONE;
	struct ctl_client *events = NULL;
	json_t *reply = NULL;
	int rc, code = cli_connect(o, &events);

	if (code >= 0) {
		return code;
	}
	rc = ctl_client_send(events, "events", json_pack("{s:i, s:b}", "n", 0, "follow", 1), &err);
	while (rc == 0) {
		code = cli_ask(o, "status", NULL, CLI_ANSWER_MS, &reply);
		if (code != CLI_OK) {
			ctl_client_close(&events);
			return code;
		}
		(void)show(reply, o);
		json_decref(reply);
		rc = wait_for_event(events, &err);
	}
	cli_error("%s", err.text[0] != '\0' ? err.text : strerror(-rc));
	ctl_client_close(&events);
	return rc == -EPIPE ? CLI_NOT_READY : CLI_FAILED;
}

int
cli_status(int argc, char **argv)
{
	json_t *reply = NULL;
	struct cli_opts opts;
	int code = cli_opts_parse(argc, argv, "dJw", 0, 0, &opts);

	if (code < 0 && opts.watch) {
		code = watch(&opts);
	} else if (code < 0) {
		code = cli_ask(&opts, "status", NULL, CLI_ANSWER_MS, &reply);
		if (code == CLI_OK) {
			code = show(reply, &opts);
		}
	}
	json_decref(reply);
	cli_opts_fini(&opts);
	return code;
}
