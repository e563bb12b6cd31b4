/*
 * The supervisor: one loop that starts, proves, watches, restarts and stops every instance, keeps what must survive in SQLite, and answers the
 * control socket. It never decides who is master by itself while sentinels answer: they decide, it makes their word come true.
 */
#ifndef SUPERVISOR_SUPERVISOR_H
#define SUPERVISOR_SUPERVISOR_H

#include "base/fsm.h"
#include "conf/conf.h"

/* The order of start and stop. */
extern const struct fsm plan_fsm;
/* The rolling restart. */
extern const struct fsm rolling_fsm;

/* Runs until it was told to stop (SIGTERM, SIGINT). Takes over `conf`. `sources` are read again at a reload and outlive
 * the call; `argv` is that of the process (NULL at the end). The exit code of the process: 0 stopped in order, 1 failed,
 * 78 bad configuration. Says its errors itself. */
int supervisor_run(struct conf *conf, const struct conf_sources *sources, char *const *argv);

/* `run --trial`: could this program take the place of the supervisor that runs with this configuration? Says so. An exit code. */
int supervisor_trial(const struct conf *conf);

/*
 * We took the place of another binary (`holdfast upgrade`) and cannot begin: it is put back. Returns when we were started as usual, or when
 * that fails.
 */
void supervisor_give_back(const char *why);

#endif
