/* Asking the supervisor, for every subcommand that does. */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "cli/cli_priv.h"

int
cli_connect(const struct cli_opts *o, struct ctl_client **ret_client)
{
	struct errmsg err = ERRMSG_NONE;
	char dir[PATH_MAX];
	int rc, code = cli_data_dir(o, dir, sizeof(dir));

	if (code >= 0) {
		return code;
	}
	rc = ctl_client_open(dir, ret_client, &err);
	if (rc < 0) {
		cli_error("%s", err.text);
		return rc == -ENOTCONN ? CLI_NOT_READY : CLI_FAILED;
	}
	return -1;
}

/* An answer may name several faults: all of them are said. */
static int
say_failure(const struct ctl_client *c, int rc, const json_t *reply, const struct errmsg *err)
{
	const json_t *faults = json_object_get(reply, "faults");

	for (size_t i = 0; i < json_array_size(faults); i++) {
		const char *fault = json_string_value(json_array_get(faults, i));

		if (fault != NULL) {
			cli_error("%s", fault);
		}
	}
	cli_error("%s", err->text);
	if (rc == -EREMOTEIO) {
		return ctl_client_exit(c);
	}
	return rc == -EPIPE ? CLI_NOT_READY : CLI_FAILED; /* it no longer runs */
}

int
cli_ask(const struct cli_opts *o, const char *cmd, json_t *args, uint64_t timeout_ms,
    json_t **ret_reply)
{
	struct errmsg err = ERRMSG_NONE;
	struct ctl_client *c = NULL;
	json_t *reply = NULL;
	int rc, code = cli_connect(o, &c);

	if (code >= 0) {
		json_decref(args);
		return code;
	}
	rc = ctl_client_call(c, cmd, args, timeout_ms, &reply, &err);
	code = rc < 0 ? say_failure(c, rc, reply, &err) : CLI_OK;
	ctl_client_close(&c);
	if (code == CLI_OK) {
		*ret_reply = reply;
	} else {
		json_decref(reply);
	}
	return code;
}

int
cli_stream(const struct cli_opts *o, const char *cmd, json_t *args, cli_show_fn *show)
{
	struct errmsg err = ERRMSG_NONE;
	struct ctl_client *c = NULL;
	json_t *line = NULL;
	int rc, code = cli_connect(o, &c);

	if (code >= 0) {
		json_decref(args);
		return code;
	}
	rc = ctl_client_send(c, cmd, args, &err);
	while (rc == 0) {
		rc = ctl_client_next(c, o->follow ? 0 : CLI_ANSWER_MS, &line, &err);
		if (rc == CTL_END) {
			break;
		}
		if (rc == CTL_LINE) {
			show(line, o);
			if (o->follow && fflush(stdout) == EOF) {
				rc = -EIO;
				errmsg_set(&err, "cannot write the output: %m");
				break;
			}
			json_decref(line);
			line = NULL;
			rc = 0;
		}
	}
	code = rc < 0 ? say_failure(c, rc, line, &err) : CLI_OK;
	json_decref(line);
	ctl_client_close(&c);
	return code;
}

void
cli_put_text(const char *text)
{
	static int on_terminal = -1;

	if (on_terminal == -1) {
		on_terminal = isatty(STDOUT_FILENO);
	}
	if (!on_terminal) {
		(void)fputs(text, stdout);
		return;
	}
	/* A server's words must not drive the reader's terminal: C0, DEL, and C1 as UTF-8. */
	for (const unsigned char *p = (const unsigned char *)text; *p != '\0'; p++) {
		if ((*p < 0x20 && *p != '\t') || *p == 0x7f) {
			(void)putchar('?');
		} else if (*p == 0xc2 && p[1] >= 0x80 && p[1] <= 0x9f) {
			(void)putchar('?');
			p++;
		} else {
			(void)putchar(*p);
		}
	}
}

void
cli_put_json(const json_t *doc)
{
	(void)json_dumpf(doc, stdout, JSON_COMPACT);
	(void)putchar('\n');
}

const char *
cli_text_of(const json_t *object, const char *member)
{
	const char *text = json_string_value(json_object_get(object, member));

	return text != NULL ? text : "";
}
