/*
 * The data files of a redis instance while it does not run: what its own words say about them, whose append-only file
 * goes on further, and setting them aside. Nothing is ever deleted or repaired here.
 */
#ifndef INSTANCE_REDIS_DATA_H
#define INSTANCE_REDIS_DATA_H

#include <stdbool.h>
#include <stdint.h>

#include "base/defs.h"
#include "base/errmsg.h"
#include "base/slice.h"

/* Is this line of a server that starts the one by which it says that its data cannot be loaded? */
bool redis_data_is_complaint(struct slice line);

/*
 * By how many bytes the newest append-only file in the folder `dir` goes on beyond the end of the one in `than`: proven
 * only, when that end stands in ours with more behind it, and our own end does not stand there. 0: it does not, or the
 * two cannot be compared (rewritten since, without any, too short). Reads at most 64 MiB of each.
 */
uint64_t redis_data_ahead(const char *dir, const char *than);

/*
 * Renames all that redis would load from the folder to NAME.WORD-STAMP (dump.rdb.damaged-1780000000), `stamp` being a time. 0, also
 * when there is nothing, or a negative errno.
 */
int redis_data_set_aside(
    const char *dir, const char *word, uint64_t stamp, struct errmsg *err) ATTR_WARN_UNUSED;
/* The inverse. */
int redis_data_put_back(
    const char *dir, const char *word, uint64_t stamp, struct errmsg *err) ATTR_WARN_UNUSED;

#endif
