/* holdfast debug: what is in the tables of this binary, for documents and reviews. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "backend/fsm.h"
#include "base/fsm.h"
#include "cli/cli_priv.h"
#include "conf/conf.h"
#include "httpd/httpd.h"
#include "instance/failover.h"
#include "proc/process.h"
#include "supervisor/supervisor.h"

static const struct fsm *const machines[] = {&process_fsm, &plan_fsm, &rolling_fsm, &failover_fsm,
    &backend_fsm, &wire_fsm, &http_session_fsm};

static int
print(struct buf *text, int rc)
{
	struct slice s = buf_slice(text);

	if (rc < 0 || fwrite(s.ptr, 1, s.len, stdout) != s.len || fflush(stdout) != 0) {
		cli_error("the text could not be written: %s", strerror(rc < 0 ? -rc : errno));
		rc = CLI_FAILED;
	}
	buf_fini(text);
	return rc;
}

static int
debug_options(const char *kind)
{
	struct buf text;
	int rc;

	buf_init(&text, 0);
	rc = conf_print_options(kind, &text);
	if (rc == -EINVAL) {
		cli_error("no list of options as '%s': write ini, man or md", kind);
		return CLI_USAGE;
	}
	return print(&text, rc);
}

static int
debug_fsm(const char *name, bool mermaid)
{
	struct buf text;

	buf_init(&text, 0);
	for (size_t i = 0; i < ARRAY_LEN(machines); i++) {
		if (strcmp(machines[i]->name, name) == 0) {
			return print(&text, fsm_dump(machines[i], mermaid, &text));
		}
	}
	cli_error("no state machine '%s'; there are:", name);
	for (size_t i = 0; i < ARRAY_LEN(machines); i++) {
		cli_error("  %s", machines[i]->name);
	}
	return CLI_USAGE;
}

int
cli_debug(int argc, char **argv)
{
	struct cli_opts opts;
	int code = cli_opts_parse(argc, argv, "", 2, 3, &opts);

	if (code >= 0) {
		cli_opts_fini(&opts);
		return code;
	}
	if (strcmp(opts.args[0], "options") == 0 && opts.arg_count == 2) {
		code = debug_options(opts.args[1]);
	} else if (strcmp(opts.args[0], "completion") == 0 && opts.arg_count == 2) {
		code = cli_completion(opts.args[1]);
	} else if (strcmp(opts.args[0], "fsm") == 0 &&
		   (opts.arg_count == 2 || strcmp(opts.args[2], "mermaid") == 0)) {
		code = debug_fsm(opts.args[1], opts.arg_count == 3);
	} else {
		cli_error("write `holdfast debug options ini|man|md`, `holdfast debug completion "
			  "bash|zsh` or "
			  "`holdfast debug fsm NAME [mermaid]`");
		code = CLI_USAGE;
	}
	cli_opts_fini(&opts);
	return code;
}
