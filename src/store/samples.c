/* The figures of a day, a row for each minute. */
#include "store/store_priv.h"

int
store_sample_put(struct store *s, uint64_t minute, const char *figures, struct errmsg *err)
{
	sqlite3_stmt *stmt = store_stmt(s, STMT_SAMPLE_PUT);
	int rc;

	(void)sqlite3_bind_int64(stmt, 1, (int64_t)minute);
	(void)sqlite3_bind_text(stmt, 2, figures, -1, SQLITE_STATIC);
	rc = store_run(s, stmt, err);
	if (rc == 0) {
		stmt = store_stmt(s, STMT_SAMPLE_TRIM);
		(void)sqlite3_bind_int64(stmt, 1, (int64_t)minute - STORE_SAMPLES_KEPT);
		rc = store_run(s, stmt, err);
	}
	return rc;
}

int
store_samples_each(
    struct store *s, uint64_t after_minute, store_sample_fn *fn, void *arg, struct errmsg *err)
{
	sqlite3_stmt *stmt = store_stmt(s, STMT_SAMPLES);
	int rc;

	(void)sqlite3_bind_int64(stmt, 1, (int64_t)after_minute);
	while ((rc = store_row(s, stmt, err)) == 1) {
		const unsigned char *figures = sqlite3_column_text(stmt, 1);

		fn(arg, (uint64_t)sqlite3_column_int64(stmt, 0),
		    figures != NULL ? (const char *)figures : "");
	}
	return rc;
}
