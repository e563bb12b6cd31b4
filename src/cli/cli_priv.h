/* What the subcommands share: the configuration, asking the supervisor, and showing bytes that came from elsewhere. */
#ifndef CLI_CLI_PRIV_H
#define CLI_CLI_PRIV_H

#include <jansson.h>
#include <sys/types.h>

#include "cli/cli.h"
#include "conf/conf.h"
#include "ctl/ctl.h"

/* Where these options, and the environment, say that the configuration is; all of it borrowed. */
struct conf_sources cli_conf_sources(const struct cli_opts *o);
/* All that is wrong with it, to standard error. The exit code. */
int cli_say_faults(const struct conf_faults *faults);
/* Reads it. -1 to go on with the conf, which is the caller's, or the exit code after all faults were said. */
int cli_conf(const struct cli_opts *o, struct conf **ret_conf) ATTR_WARN_UNUSED;

/* How long the command line waits for an answer that comes at once. */
#define CLI_ANSWER_MS 15000

/* Connects to the supervisor of these options' data folder. -1 to go on, or the exit code after the
 * error was said. */
int cli_connect(const struct cli_opts *o, struct ctl_client **ret_client) ATTR_WARN_UNUSED;

/*
 * Connects, asks, and closes. CLI_OK with the answer in *ret_reply (the caller's), or the exit code
 * after the error was said. timeout_ms 0: as long as it takes. `args` is taken over.
 */
int cli_ask(const struct cli_opts *o, const char *cmd, json_t *args, uint64_t timeout_ms,
    json_t **ret_reply) ATTR_WARN_UNUSED;

/*
 * Shows the lines of a stream with `show` until it ends: CLI_OK, or the exit code after the error
 * was said. `args` is taken over.
 */
typedef void cli_show_fn(const json_t *line, const struct cli_opts *o);
int cli_stream(
    const struct cli_opts *o, const char *cmd, json_t *args, cli_show_fn *show) ATTR_WARN_UNUSED;

/*
 * As root, where the folder is there and belongs to somebody else: that user from here on, with all groups; unless for_good, cli_be_root
 * leads back. 1 when it did, 0 when there was nothing to do, or a negative errno.
 */
int cli_become_owner(const char *dir, bool for_good, struct errmsg *err) ATTR_WARN_UNUSED;
/* Root again for a moment, and back: false when we are not somebody who was root (cli_become_owner). */
bool cli_be_root(bool root);
/* The name of a user, or "user 1000"; returns `text`. */
const char *cli_user_name(uid_t uid, char *text, size_t size);
/* As root: is the folder one that another user runs Holdfast in? With what to do instead. */
bool cli_is_foreign_folder(const char *dir, struct errmsg *err);

/* Writes text from elsewhere to standard output; on a terminal, control characters become '?'. */
void cli_put_text(const char *text);
/* The same document on one line. */
void cli_put_json(const json_t *doc);

/* `debug completion SHELL`: prints it. An exit code. */
int cli_completion(const char *shell) ATTR_WARN_UNUSED;

/* A string member, or "" when it is not there. */
const char *cli_text_of(const json_t *object, const char *member);

#endif
