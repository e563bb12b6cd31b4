/* The reply to MODULE LIST: what a server has loaded. Redis 7 and later say path and arguments, too; a module inside the server has an empty path. */
#ifndef INSTANCE_MODULE_LIST_H
#define INSTANCE_MODULE_LIST_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "instance/manifest.h"

struct redisReply;

#define MODULE_NAME_SIZE 64
#define MODULE_PATH_SIZE 1024
#define MODULES_MAX      64 /* of one server */

struct module_seen {
	char name[MODULE_NAME_SIZE]; /* its own name, case kept */
	uint64_t ver;                /* major * 10000 + minor * 100 + patch */
	char path[MODULE_PATH_SIZE]; /* "": inside the server, or an older server */
};

/* How many there are, MODULES_MAX at most; -1: the reply is none of MODULE LIST. */
int module_list_read(const struct redisReply *reply, struct module_seen *ret_seen);
/* The one of that name among `count`, or NULL. */
const struct module_seen *module_list_find(
    const struct module_seen *seen, size_t count, const char *name);
/* "2.6.12" of 20612. `text` has 32 bytes. */
const char *module_version_text(uint64_t ver, char *text);

/* Is the reply to a module's probe what its manifest says? */
bool module_answer_is_good(const struct redisReply *reply, enum manifest_answer answer);

#endif
