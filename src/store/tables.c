/* Instances, the master and meta: rows that are replaced, with what must be durable flushed. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "store/store_priv.h"

/* Numbers are 64 bits with a sign in SQLite. */
static int
check_number(struct store *s, uint64_t value, const char *what, struct errmsg *err)
{
	if (value <= INT64_MAX) {
		return 0;
	}
	errmsg_set(err, "cannot write %s: %s is out of range", s->path, what);
	return -EINVAL;
}

static void
bind_text(sqlite3_stmt *stmt, int at, const char *text)
{
	/* Static: the statement is run before the caller's string can go. */
	(void)sqlite3_bind_text(stmt, at, text, -1, SQLITE_STATIC);
}

/* Runs one writing statement, flushed to the disk or not. */
static int
run_as(struct store *s, sqlite3_stmt *stmt, bool durable, struct errmsg *err)
{
	int rc = store_sync_full(s, durable, err);

	if (rc < 0) {
		(void)sqlite3_reset(stmt);
		(void)sqlite3_clear_bindings(stmt);
		return rc;
	}
	rc = store_run(s, stmt, err);
	/* The row stands even if this fails: the next write tries it again. */
	(void)store_sync_full(s, false, NULL);
	return rc;
}

/* --- instances ------------------------------------------------------------------------------- */

static void
read_instance(sqlite3_stmt *stmt, struct store_instance *inst)
{
	*inst = (struct store_instance){
	    .pid = (pid_t)sqlite3_column_int64(stmt, 2),
	    .start_ticks = (uint64_t)sqlite3_column_int64(stmt, 3),
	    .port = (uint16_t)sqlite3_column_int(stmt, 5),
	    .wanted_up = sqlite3_column_int(stmt, 7) != 0,
	    .restarts = (uint64_t)sqlite3_column_int64(stmt, 8),
	};
	store_text(stmt, 0, inst->name, sizeof(inst->name));
	store_text(stmt, 1, inst->kind, sizeof(inst->kind));
	store_text(stmt, 4, inst->boot_id, sizeof(inst->boot_id));
	store_text(stmt, 6, inst->role, sizeof(inst->role));
}

static bool
same_roles(const struct store_instance *a, const struct store_instance *b)
{
	return a->wanted_up == b->wanted_up && a->port == b->port &&
	       strcmp(a->role, b->role) == 0 && strcmp(a->kind, b->kind) == 0;
}

static bool
same_process(const struct store_instance *a, const struct store_instance *b)
{
	return a->pid == b->pid && a->start_ticks == b->start_ticks && a->restarts == b->restarts &&
	       strcmp(a->boot_id, b->boot_id) == 0;
}

int
store_instance_put(struct store *s, const struct store_instance *inst, struct errmsg *err)
{
	struct store_instance old;
	sqlite3_stmt *stmt;
	bool durable;
	int rc = check_number(s, inst->start_ticks, "a start time", err);

	if (rc == 0) {
		rc = check_number(s, inst->restarts, "a number of restarts", err);
	}
	if (rc < 0) {
		return rc;
	}
	rc = store_instance_get(s, inst->name, &old, err);
	if (rc < 0 && rc != -ENOENT) {
		return rc;
	}
	durable = rc == -ENOENT || !same_roles(&old, inst);
	if (!durable && same_process(&old, inst)) {
		return 0;
	}
	stmt = store_stmt(s, STMT_INSTANCE_PUT);
	bind_text(stmt, 1, inst->name);
	bind_text(stmt, 2, inst->kind);
	(void)sqlite3_bind_int64(stmt, 3, inst->pid);
	(void)sqlite3_bind_int64(stmt, 4, (int64_t)inst->start_ticks);
	bind_text(stmt, 5, inst->boot_id);
	(void)sqlite3_bind_int(stmt, 6, inst->port);
	bind_text(stmt, 7, inst->role);
	(void)sqlite3_bind_int(stmt, 8, inst->wanted_up);
	(void)sqlite3_bind_int64(stmt, 9, (int64_t)inst->restarts);
	return run_as(s, stmt, durable, err);
}

int
store_instance_delete(struct store *s, const char *name, struct errmsg *err)
{
	sqlite3_stmt *stmt = store_stmt(s, STMT_INSTANCE_DELETE);

	bind_text(stmt, 1, name);
	return run_as(s, stmt, true, err);
}

int
store_instance_get(
    struct store *s, const char *name, struct store_instance *ret_inst, struct errmsg *err)
{
	sqlite3_stmt *stmt = store_stmt(s, STMT_INSTANCE_GET);
	int rc;

	bind_text(stmt, 1, name);
	rc = store_row(s, stmt, err);
	if (rc <= 0) {
		return rc < 0 ? rc : -ENOENT;
	}
	read_instance(stmt, ret_inst);
	(void)sqlite3_reset(stmt);
	(void)sqlite3_clear_bindings(stmt);
	return 0;
}

int
store_instance_each(struct store *s, store_instance_fn *fn, void *arg, struct errmsg *err)
{
	sqlite3_stmt *stmt = store_stmt(s, STMT_INSTANCE_ALL);
	struct store_instance inst;
	int rc;

	while ((rc = store_row(s, stmt, err)) == 1) {
		read_instance(stmt, &inst);
		if (!fn(arg, &inst)) {
			(void)sqlite3_reset(stmt);
			return 0;
		}
	}
	return rc;
}

/* --- the master ------------------------------------------------------------------------------ */

int
store_master_put(struct store *s, const struct store_master *master, struct errmsg *err)
{
	struct store_master old;
	uint64_t since_ms = master->since_ms;
	sqlite3_stmt *stmt;
	int rc = check_number(s, master->epoch, "an epoch", err);

	if (rc < 0) {
		return rc;
	}
	if (since_ms == 0) {
		bool same;

		rc = store_master_get(s, master->cluster, &old, err);
		if (rc < 0 && rc != -ENOENT) {
			return rc;
		}
		same = rc == 0 && old.port == master->port && strcmp(old.host, master->host) == 0 &&
		       strcmp(old.instance, master->instance) == 0;
		since_ms = same ? old.since_ms : clock_wall_ms();
	}
	stmt = store_stmt(s, STMT_MASTER_PUT);
	bind_text(stmt, 1, master->cluster);
	bind_text(stmt, 2, master->instance);
	bind_text(stmt, 3, master->host);
	(void)sqlite3_bind_int(stmt, 4, master->port);
	(void)sqlite3_bind_int64(stmt, 5, (int64_t)master->epoch);
	(void)sqlite3_bind_int64(stmt, 6, (int64_t)MIN(since_ms, (uint64_t)INT64_MAX));
	return run_as(s, stmt, true, err);
}

int
store_master_get(
    struct store *s, const char *cluster, struct store_master *ret_master, struct errmsg *err)
{
	sqlite3_stmt *stmt = store_stmt(s, STMT_MASTER_GET);
	struct store_master m = {.port = 0};
	int rc;

	bind_text(stmt, 1, cluster);
	rc = store_row(s, stmt, err);
	if (rc <= 0) {
		return rc < 0 ? rc : -ENOENT;
	}
	(void)snprintf(m.cluster, sizeof(m.cluster), "%s", cluster);
	store_text(stmt, 0, m.instance, sizeof(m.instance));
	store_text(stmt, 1, m.host, sizeof(m.host));
	m.port = (uint16_t)sqlite3_column_int(stmt, 2);
	m.epoch = (uint64_t)sqlite3_column_int64(stmt, 3);
	m.since_ms = (uint64_t)sqlite3_column_int64(stmt, 4);
	(void)sqlite3_reset(stmt);
	(void)sqlite3_clear_bindings(stmt);
	*ret_master = m;
	return 0;
}

/* --- meta ------------------------------------------------------------------------------------ */

int
store_meta_put(
    struct store *s, const char *key, const char *value, bool durable, struct errmsg *err)
{
	sqlite3_stmt *stmt = store_stmt(s, value != NULL ? STMT_META_PUT : STMT_META_DELETE);

	bind_text(stmt, 1, key);
	if (value != NULL) {
		bind_text(stmt, 2, value);
	}
	return run_as(s, stmt, durable, err);
}

int
store_meta_get(struct store *s, const char *key, char **ret_value, struct errmsg *err)
{
	sqlite3_stmt *stmt = store_stmt(s, STMT_META_GET);
	int rc;

	bind_text(stmt, 1, key);
	rc = store_row(s, stmt, err);
	if (rc <= 0) {
		return rc < 0 ? rc : -ENOENT;
	}
	*ret_value = xstrdup((const char *)sqlite3_column_text(stmt, 0));
	(void)sqlite3_reset(stmt);
	(void)sqlite3_clear_bindings(stmt);
	return 0;
}
