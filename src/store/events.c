/*
 * The history. An event is a fact that was seen: it is written once, never changed, and goes when
 * it is old. Bytes that come from outside (a server's words in a text) are made UTF-8 here, so
 * whoever shows an event may rely on it.
 */
#include <assert.h>
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/jsontext.h"
#include "base/log.h"
#include "base/mem.h"
#include "store/store_priv.h"

/* --- kinds ----------------------------------------------------------------------------------- */

static const struct {
	const char *name;
	int level;
} kinds[] = {
#define EVENT(id, name, level, help) [EVENT_##id] = {name, LOG_##level},
#include "store/events.def"
#undef EVENT
};

_Static_assert(ARRAY_LEN(kinds) == EVENT_KIND_COUNT, "a row for each kind");

const char *
event_kind_name(enum event_kind kind)
{
	assert(kind < EVENT_KIND_COUNT);
	return kinds[kind].name;
}

int
event_kind_level(enum event_kind kind)
{
	assert(kind < EVENT_KIND_COUNT);
	return kinds[kind].level;
}

/* --- writing --------------------------------------------------------------------------------- */

/* Appends at most `max` bytes of `text` and a NUL; what is not UTF-8 becomes '?', and no character
 * is cut in half. */
static int
add_clean(struct buf *b, const char *text, size_t max)
{
	const uint8_t *p = (const uint8_t *)text;
	size_t left = strlen(text), used = 0;

	while (left > 0) {
		size_t n = jsontext_utf8_len(p, left);
		int rc;

		if (used + MAX(n, (size_t)1) > max) {
			break;
		}
		rc = n > 0 ? buf_add(b, p, n) : buf_add(b, "?", 1);
		if (rc < 0) {
			return rc;
		}
		n = MAX(n, (size_t)1);
		used += n;
		p += n;
		left -= n;
	}
	return buf_add(b, "", 1);
}

/* Lays the strings out in s->shown: subject, text, detail. */
static int
lay_out(struct store *s, const char *subject, const char *text, const char *detail,
    struct store_event *ev)
{
	struct buf *b = &s->shown;
	size_t text_at, detail_at;
	char too_long[64];
	int rc;

	if (detail == NULL) {
		detail = "{}";
	} else if (strlen(detail) > STORE_EVENT_DETAIL_MAX) {
		(void)snprintf(
		    too_long, sizeof(too_long), "{\"detail_bytes_left_out\":%zu}", strlen(detail));
		detail = too_long;
	}
	buf_clear(b);
	rc = add_clean(b, subject, (size_t)STORE_NAME_SIZE * 4);
	text_at = buf_len(b);
	if (rc == 0) {
		rc = add_clean(b, text, STORE_EVENT_TEXT_MAX);
	}
	detail_at = buf_len(b);
	if (rc == 0) {
		rc = add_clean(b, detail, STORE_EVENT_DETAIL_MAX);
	}
	if (rc == 0) {
		const char *base = (const char *)buf_slice(b).ptr;

		ev->subject = base;
		ev->text = base + text_at;
		ev->detail = base + detail_at;
	}
	return rc;
}

static int
insert(struct store *s, struct store_event *ev, struct errmsg *err)
{
	sqlite3_stmt *stmt = store_stmt(s, STMT_EVENT_ADD);
	int rc;

	(void)sqlite3_bind_int64(stmt, 1, (int64_t)ev->time_ms);
	(void)sqlite3_bind_text(stmt, 2, ev->kind, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(stmt, 3, ev->subject, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(stmt, 4, ev->text, -1, SQLITE_STATIC);
	(void)sqlite3_bind_text(stmt, 5, ev->detail, -1, SQLITE_STATIC);
	rc = store_run(s, stmt, err);
	if (rc == 0) {
		ev->id = sqlite3_last_insert_rowid(s->db);
	}
	return rc;
}

static int
insert_gap(struct store *s, uint64_t time_ms, struct errmsg *err)
{
	char text[96], detail[48];
	struct store_event gap = {.time_ms = time_ms,
	    .kind = event_kind_name(EVENT_STATE_GAP),
	    .subject = "events",
	    .text = text,
	    .detail = detail};

	(void)snprintf(text, sizeof(text), "%llu events before this one could not be written",
	    (unsigned long long)s->events_lost);
	(void)snprintf(
	    detail, sizeof(detail), "{\"lost\":%llu}", (unsigned long long)s->events_lost);
	return insert(s, &gap, err);
}

static int
insert_and_trim(struct store *s, struct store_event *ev, struct errmsg *err)
{
	sqlite3_stmt *trim;
	int rc = store_run(s, store_stmt(s, STMT_BEGIN), err);

	if (rc < 0) {
		return rc;
	}
	if (s->events_lost > 0) {
		rc = insert_gap(s, ev->time_ms, err);
	}
	if (rc == 0) {
		rc = insert(s, ev, err);
	}
	if (rc == 0) {
		trim = store_stmt(s, STMT_EVENT_TRIM);
		(void)sqlite3_bind_int64(trim, 1, ev->id - (int64_t)s->events_kept);
		rc = store_run(s, trim, err);
	}
	if (rc == 0) {
		rc = store_run(s, store_stmt(s, STMT_COMMIT), err);
	}
	/* On a full disk SQLite may have rolled back by itself. */
	if (rc < 0 && !sqlite3_get_autocommit(s->db)) {
		(void)store_run(s, store_stmt(s, STMT_ROLLBACK), NULL);
	}
	return rc;
}

int
store_event_add(struct store *s, uint64_t time_ms, enum event_kind kind, const char *subject,
    const char *text, const char *detail, struct store_event *ret_event, struct errmsg *err)
{
	struct store_event ev = {
	    .time_ms = time_ms != 0 ? time_ms : clock_wall_ms(), .kind = event_kind_name(kind)};
	int rc = lay_out(s, subject, text, detail, &ev);

	if (rc < 0) {
		errmsg_set(err, "cannot write an event: out of memory");
	} else {
		rc = insert_and_trim(s, &ev, err);
	}
	if (rc < 0) {
		s->events_lost++;
		return rc;
	}
	s->events_lost = 0;
	if (ret_event != NULL) {
		*ret_event = ev;
	}
	return 0;
}

void
store_events_keep(struct store *s, uint64_t count)
{
	assert(count >= 1 && count <= INT64_MAX);
	s->events_kept = count;
}

/* --- reading --------------------------------------------------------------------------------- */

static const char *
column_or_empty(sqlite3_stmt *stmt, int column)
{
	const unsigned char *text = sqlite3_column_text(stmt, column);

	return text != NULL ? (const char *)text : "";
}

/* Shows the rows of a query that gives what events have, until the callback has enough. */
static int
show(struct store *s, sqlite3_stmt *stmt, store_event_fn *fn, void *arg, struct errmsg *err)
{
	int rc;

	while ((rc = store_row(s, stmt, err)) == 1) {
		struct store_event ev = {
		    .id = sqlite3_column_int64(stmt, 0),
		    .time_ms = (uint64_t)sqlite3_column_int64(stmt, 1),
		    .kind = column_or_empty(stmt, 2),
		    .subject = column_or_empty(stmt, 3),
		    .text = column_or_empty(stmt, 4),
		    .detail = column_or_empty(stmt, 5),
		};

		if (!fn(arg, &ev)) {
			(void)sqlite3_reset(stmt);
			(void)sqlite3_clear_bindings(stmt);
			return 0;
		}
	}
	return rc;
}

int
store_events_page(struct store *s, int64_t after_id, int64_t before_id, const char *kind,
    size_t limit, store_event_fn *fn, void *arg, struct errmsg *err)
{
	sqlite3_stmt *stmt = store_stmt(s, STMT_EVENTS_PAGE);

	(void)sqlite3_bind_int64(stmt, 1, after_id);
	(void)sqlite3_bind_int64(stmt, 2, before_id);
	(void)sqlite3_bind_text(stmt, 3, kind, -1, SQLITE_STATIC);
	(void)sqlite3_bind_int64(stmt, 4, (int64_t)MIN(limit, (size_t)INT32_MAX));
	return show(s, stmt, fn, arg, err);
}

/* What is in the file may have been written by anybody: never trusted to be UTF-8. */
static json_t *
json_text(const char *text)
{
	json_t *string = json_string(text);
	struct buf clean;

	if (string != NULL) {
		return string;
	}
	buf_init(&clean, 0);
	if (add_clean(&clean, text, STORE_EVENT_DETAIL_MAX) == 0) {
		string = json_string((const char *)buf_slice(&clean).ptr);
	}
	buf_fini(&clean);
	return string != NULL ? string : json_string("");
}

json_t *
store_event_json(const struct store_event *ev)
{
	char when[CLOCK_RFC3339_SIZE];
	json_t *detail = json_loads(ev->detail, JSON_REJECT_DUPLICATES, NULL);

	if (!json_is_object(detail)) {
		json_decref(detail);
		detail = json_object();
	}
	return json_pack("{s:I, s:s, s:o, s:o, s:o, s:o}", "id", (json_int_t)ev->id, "time",
	    clock_rfc3339(ev->time_ms, when, sizeof(when)), "kind", json_text(ev->kind), "subject",
	    json_text(ev->subject), "text", json_text(ev->text), "detail", detail);
}
