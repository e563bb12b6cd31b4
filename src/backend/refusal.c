#include "backend/refusal.h"

#include "base/defs.h"

/* The last one only where a fence is looked at. */
static const char *const words[] = {
    "-READONLY ", "-LOADING ", "-MASTERDOWN ", "-NOREPLICAS Not enough good "};
static size_t word_count = ARRAY_LEN(words) - 1;
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
	for (size_t i = 0; i < word_count; i++) {
		if (slice_begins(
			(struct slice){text.ptr + skip, text.len - skip}, words[i] + (skip > 0))) {
			return true;
		}
	}
	return false;
}

void
refusal_set_fenced(bool fenced)
{
	word_count = ARRAY_LEN(words) - (fenced ? 0 : 1);
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
