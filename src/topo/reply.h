/*
 * Reading a parsed reply without trusting it: every function takes any reply, also NULL or one of
 * another shape, and answers "empty" then. Nothing is copied or owned.
 */
#ifndef TOPO_REPLY_H
#define TOPO_REPLY_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"
#include "net/endpoint.h"

struct redisReply;

bool reply_is_error(const struct redisReply *r);
/* True for an error reply that begins with this word, e.g. "LOADING". */
bool reply_has_code(const struct redisReply *r, const char *code);
/* True for the status +OK. */
bool reply_is_ok(const struct redisReply *r);
/* The bytes of a string, status or error; else an empty slice. */
struct slice reply_text(const struct redisReply *r);
/* An integer reply, or a string that is a decimal number without sign. */
bool reply_u64(const struct redisReply *r, uint64_t *ret_value);
/* Elements of an array; 0 for anything else. */
size_t reply_count(const struct redisReply *r);
/* Element `i` of an array, or NULL. */
const struct redisReply *reply_at(const struct redisReply *r, size_t i);
/* The value behind `name` in a flat array name, value, name, value…; or NULL. */
const struct redisReply *reply_field(const struct redisReply *r, const char *name);
/* A numeric IPv4 or IPv6 address and a port of 1 to 65535; false when they are not. */
bool reply_endpoint(
    const struct redisReply *host, const struct redisReply *port, struct endpoint *ret_at);
/* The value of a line "name:value" in the text of INFO; an empty slice when there is none. */
struct slice reply_info(const struct redisReply *r, const char *name);

#endif
