/* One supervisor a data folder: DIR/holdfast.lock, held by flock for as long as the process lives. */
#ifndef SUPERVISOR_LOCK_H
#define SUPERVISOR_LOCK_H

#include <stdbool.h>

#include "base/errmsg.h"

/*
 * Makes the folder (0700) with log/ when missing, checks that it can be written, and locks it. *ret_fd is to be kept
 * open. -EBUSY: another supervisor holds it, with its pid in the text; others: as errno, with what to do.
 */
int lock_folder(const char *dir, int *ret_fd, struct errmsg *err) ATTR_WARN_UNUSED;

/*
 * The same with the descriptor of one that held the lock in this very process before us, so that it is never free; the callee's
 * from here. When it is of another folder, as above.
 */
int lock_inherit(const char *dir, int fd, int *ret_fd, struct errmsg *err) ATTR_WARN_UNUSED;

/*
 * The password of our own redis user, made once from the kernel's random bytes and kept in DIR/secret (0600): 64 hex
 * digits. free() it.
 */
int lock_secret(const char *dir, char **ret_secret, struct errmsg *err) ATTR_WARN_UNUSED;
/* Is it one as lock_secret makes and takes it? A shared one need not be. */
bool lock_is_own_secret(const char *secret);
/* The same with the secret that several hosts share: it takes the place of what stands in the file, for `holdfast cli` and the like. */
int lock_share_secret(
    const char *dir, const char *secret, char **ret_secret, struct errmsg *err) ATTR_WARN_UNUSED;

#endif
