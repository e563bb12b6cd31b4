/*
 * A trial load: a private server with nothing but the modules, asked what it has loaded. It finds what no look at a file can: missing
 * libraries, arguments that a module does not know, a server that is too old, two modules of one name; and the true names and
 * versions. It listens on a unix socket in a folder of its own that only this user can enter, holds no data, and is killed after its
 * answer.
 */
#ifndef INSTANCE_MODULE_TRIAL_H
#define INSTANCE_MODULE_TRIAL_H

#include <stdbool.h>
#include <stddef.h>

#include "base/errmsg.h"
#include "instance/module_list.h"
#include "net/loop.h"

struct module_trial;

struct module_trial_spec {
	const char *program; /* the server's, absolute; all are borrowed during module_trial_new */
	const char *scratch; /* the folder to make one in; NULL: $TMPDIR, else /tmp */
	const char *lines;   /* lines of redis.conf that load the modules */
};

/* Borrowed until the callback returns. */
struct module_trial_result {
	bool loaded;
	char why[320];                  /* not loaded: in the server's or the module's words */
	const struct module_seen *seen; /* loaded: all that the server has, its own included */
	size_t count;
	unsigned server_major; /* loaded: of redis_version, which Valkey has, too */
};

/* Once, when the server has ended; the owner may free the trial in it. */
typedef void module_trial_fn(void *arg, const struct module_trial_result *result);

/* NULL with the reason when it cannot begin. */
struct module_trial *module_trial_new(struct loop *loop, const struct module_trial_spec *spec,
    module_trial_fn *fn, void *arg, struct errmsg *err);
/* No callback after this; a server that still runs is killed. NULL is fine. */
void module_trial_free(struct module_trial **t);

/* Removes the folder of a trial that nobody could remove: all trials' folders are called trial-… */
void module_trial_clear(const char *place);

#endif
