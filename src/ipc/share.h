/*
 * A page of numbers that all workers of one role see at once: how many clients each of them has, and the number that the next
 * client gets. The supervisor makes it and passes its fd to each worker (channel.h, `share`); it lives as long as one of them has
 * it. Each worker writes its own slot only; the supervisor clears the slot of one that ended.
 */
#ifndef IPC_SHARE_H
#define IPC_SHARE_H

#include <stdint.h>

#include "base/defs.h"

#define SHARE_SLOTS 64

enum share_number { SHARE_CLIENTS, SHARE_BLOCKED, SHARE_NUMBERS };

struct share;

/* A new one, all zero; the fd is CLOEXEC and the caller's. 0 or negative errno. */
int share_new(int *ret_fd, struct share **ret_share) ATTR_WARN_UNUSED;
/* The one behind that fd, which stays the caller's. 0, or negative errno: it is none. */
int share_open(int fd, struct share **ret_share) ATTR_WARN_UNUSED;
void share_close(struct share **s);

void share_set(struct share *s, unsigned slot, enum share_number what, uint32_t value);
void share_clear(struct share *s, unsigned slot);
/* Over all slots. */
uint64_t share_sum(const struct share *s, enum share_number what);
/* 1, 2, 3 …, each only once whoever asks. */
uint64_t share_next(struct share *s);

#endif
