/*
 * The parts of `holdfast check`: each looks at one side of the system for a configuration that was read, prints a
 * line for what is good and adds a fault for what is not. Nothing is changed, and nothing waits without a bound.
 */
#ifndef CLI_CHECK_H
#define CLI_CHECK_H

#include "conf/conf.h"

/* What is good, one line: "ok  WHAT  text". */
void check_good(const char *what, const char *fmt, ...) ATTR_PRINTF(2, 3);

/* Are the servers' programs there, do they run, are they new enough? */
void check_programs(const struct conf *conf, struct conf_faults *faults);
/* Are the modules there, and do they load? Runs private servers, for 20 s each at most. */
void check_modules(const struct conf *conf, struct conf_faults *faults);
/* Can every port and socket be had, or is it held by the supervisor of this data folder? */
void check_listeners(const struct conf *conf, struct conf_faults *faults);
/* Are the certificates valid now, and nobody else reads their keys? */
void check_tls(const struct conf *conf, struct conf_faults *faults);
/* Can the data folder be made and written, and is there room? */
void check_folders(const struct conf *conf, struct conf_faults *faults);

/* Prints a configuration of Webdis as ours. The exit code, after the error was said. */
int check_webdis(const char *path);

/*
 * Runs `PATH --version` for at most 5 s. 0 with the version as in "7.0.15" in *ret_version (64 bytes), or a negative
 * errno with the reason. Blocks.
 */
int check_version(const char *path, char *ret_version, struct errmsg *err) ATTR_WARN_UNUSED;

#endif
