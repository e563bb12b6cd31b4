/*
 * What is known of a Redis command before it is sent: the one table (commands.def) that proxy and
 * HTTP front end share. Names are looked up without regard to case; a container command (CONFIG,
 * CLIENT) may have rows for its subcommands, which win.
 */
#ifndef BACKEND_COMMAND_H
#define BACKEND_COMMAND_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/defs.h"
#include "base/slice.h"

#define COMMANDS_LEARNT_MAX 1024

enum command_flag {
	CMD_READ = 1 << 0,     /* changes nothing: may be sent again after a failover */
	CMD_WRITE = 1 << 1,    /* may change data or settings */
	CMD_BLOCKING = 1 << 2, /* may wait on the server: needs an own connection meanwhile */
	CMD_SESSION = 1 << 3,  /* connection state: the proxy's session handles it itself */
	CMD_OWN = 1 << 4,      /* leaves state on the connection: own connection from here on */
	CMD_REFUSED = 1 << 5,  /* only with proxy.allow */
	CMD_PUBSUB = 1 << 6,   /* replies are not one for each request */
	CMD_SUBS = 1 << 7,     /* has rows for subcommands */
	CMD_CLIENTS =
	    1 << 8, /* with CMD_SESSION: of the proxy's clients there, of the server's over HTTP */
	CMD_SCRIPT = 1 << 9, /* changes what scripts the server knows */
};

/* What the session does itself; CMD_NONE for all others. */
enum command_id {
	CMD_NONE,
	CMD_AUTH,
	CMD_HELLO,
	CMD_SELECT,
	CMD_CLIENT,
	CMD_CLIENT_REPLY,
	CMD_INFO,
	CMD_RESET,
	CMD_QUIT,
	CMD_MULTI,
	CMD_EXEC,
	CMD_DISCARD,
	CMD_WATCH,
	CMD_UNWATCH,
	CMD_MONITOR,
	CMD_SUBSCRIBE,
	CMD_PSUBSCRIBE,
	CMD_SSUBSCRIBE,
	CMD_UNSUBSCRIBE,
	CMD_PUNSUBSCRIBE,
	CMD_SUNSUBSCRIBE,
	CMD_WAIT,
	CMD_EVAL,
	CMD_SCRIPT_LOAD,
	CMD_SCRIPT_FLUSH,
	CMD_TRACKING,
	CMD_NO_TOUCH,
	CMD_ID_COUNT,
};

struct command {
	const char *name; /* upper case; of a subcommand "CONFIG REWRITE" */
	int8_t arity;     /* as Redis: n arguments with the name, -n: at least n */
	uint16_t flags;   /* enum command_flag */
	uint8_t id;       /* enum command_id */
};

/* The row, or NULL when the table does not know it. `argv[0]` is the name. */
const struct command *command_find(const struct slice *argv, size_t argc);
/*
 * What a server's COMMAND tells of one that the table does not have: a module's, or a later Redis'. `name` is in lower
 * case as there, "container|sub" of a subcommand; flags as command_flag_of gives them. Known for the rest of the process:
 * should the server forget it, it will say so itself. One that is known is left as it is; beyond COMMANDS_LEARNT_MAX
 * they stay unknown. True when it was taken.
 */
bool command_learn(struct slice name, int64_t arity, uint16_t flags);
/* One of the flags in COMMAND's reply ("write", "readonly", "blocking" …) as enum command_flag; 0: it says nothing here. */
uint16_t command_flag_of(struct slice word);
/* Rows of the table; what was learnt is not among them. */
size_t command_count(void);
const struct command *command_at(size_t i);

/* Is this its name, as in "GET" or "CONFIG|REWRITE", or that of the container it is in? */
bool command_is_named(const struct command *cmd, const char *words);
/* A set of commands that are let through although CMD_REFUSED ("DEBUG", "MODULE",
 * "CONFIG|REWRITE"). A container's name allows all its subcommands. */
bool command_is_allowed(const struct command *cmd, const char *const *allowed, size_t count);

#endif
