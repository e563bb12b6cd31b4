#include "backend/refusal.h"

#include "base/defs.h"

static const char *const words[] = {"-READONLY ", "-LOADING ", "-MASTERDOWN "};
/* a blocking command's, when its server became a replica (replicationSetMaster in redis' replication.c) */
static const char unblocked[] =
    "-UNBLOCKED force unblock from blocking operation, instance state changed";
static const char aborted[] = "-EXECABORT Transaction discarded because of: ";

/* `text` without its first `skip` bytes begins with one of the words, which are taken without their dash when some are skipped. */
static bool
begins(struct slice text, size_t skip)
{
	if (text.len < skip) {
		return false;
	}
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (slice_begins(
			(struct slice){text.ptr + skip, text.len - skip}, words[i] + (skip > 0))) {
			return true;
		}
	}
	return false;
}

bool
refusal_is_unblocked(struct slice raw)
{
	return slice_begins(raw, unblocked);
}

bool
refusal_is_one(struct slice raw)
{
	return begins(raw, 0) || refusal_is_unblocked(raw);
}

bool
refusal_ends_multi(struct slice raw)
{
	return begins(raw, 0) || (slice_begins(raw, aborted) && begins(raw, sizeof(aborted) - 1));
}
