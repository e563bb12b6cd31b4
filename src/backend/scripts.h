/*
 * The scripts that a worker's clients have had carried out or loaded. A server's script cache is no data: neither a
 * replica that takes over nor the same server started again has it, and EVALSHA would be answered NOSCRIPT. So what is
 * remembered here is loaded into the next master before anything is sent there (backend.c).
 *
 * Bounded: whoever was not used for the longest time goes first. Pure data.
 */
#ifndef BACKEND_SCRIPTS_H
#define BACKEND_SCRIPTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

#define SCRIPTS_COUNT_MAX 500 /* all are asked in one pipeline of a link (topo/link.h) */
#define SCRIPTS_BYTES_MAX ((size_t)4 * 1024 * 1024)

struct scripts;

struct scripts *scripts_new(void);
void scripts_free(struct scripts **s);
/* It is used now, if it is there. */
bool scripts_has(struct scripts *s, struct slice body);
void scripts_add(struct scripts *s, struct slice body);
void scripts_clear(struct scripts *s);

size_t scripts_count(const struct scripts *s);
/* In no particular order; borrowed until the next change. Later ones have higher numbers, from 1 on. */
struct slice scripts_at(const struct scripts *s, size_t i, uint64_t *ret_number);
/* The number of the one that was added last; 0: none was. */
uint64_t scripts_last(const struct scripts *s);

#endif
