/* What the tables hold: instances, the master, meta and the history. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>

#include <cmocka.h>
#include <sqlite3.h>

#include "base/clock.h"
#include "base/log.h"
#include "scratch.h"
#include "store/store.h"
#include "store/store_priv.h"

static char *dir;
static struct store *store;
static struct errmsg err;

static int
setup(void **state)
{
	struct store_report report;

	dir = scratch_make();
	err = ERRMSG_NONE;
	return store_open(scratch_path(dir, "state.db"), &store, &report, &err);
}

static int
teardown(void **state)
{
	store_close(&store);
	scratch_remove(&dir);
	return 0;
}

static struct store_instance
redis_1(void)
{
	return (struct store_instance){.name = "redis-1",
	    .kind = "redis",
	    .pid = 4711,
	    .start_ticks = 123456789,
	    .boot_id = "0b0e2b0c-0000-4000-8000-000000000000",
	    .port = 6381,
	    .role = "master",
	    .wanted_up = true,
	    .restarts = 2};
}

static int64_t
changes(void)
{
	return sqlite3_total_changes64(store->db);
}

/* --- instances ------------------------------------------------------------------------------- */

static void
test_instance_comes_back_whole(void **state)
{
	struct store_instance in = redis_1(), out;

	assert_int_equal(store_instance_put(store, &in, &err), 0);
	assert_int_equal(store_instance_get(store, "redis-1", &out, &err), 0);
	assert_string_equal(out.name, in.name);
	assert_string_equal(out.kind, in.kind);
	assert_int_equal(out.pid, in.pid);
	assert_int_equal(out.start_ticks, in.start_ticks);
	assert_string_equal(out.boot_id, in.boot_id);
	assert_int_equal(out.port, in.port);
	assert_string_equal(out.role, in.role);
	assert_true(out.wanted_up);
	assert_int_equal(out.restarts, in.restarts);
}

static void
test_instance_put_replaces(void **state)
{
	struct store_instance in = redis_1(), out;

	assert_int_equal(store_instance_put(store, &in, &err), 0);
	(void)snprintf(in.role, sizeof(in.role), "replica");
	in.wanted_up = false;
	in.pid = 0;
	assert_int_equal(store_instance_put(store, &in, &err), 0);
	assert_int_equal(store_instance_get(store, "redis-1", &out, &err), 0);
	assert_string_equal(out.role, "replica");
	assert_false(out.wanted_up);
	assert_int_equal(out.pid, 0);
}

static void
test_unchanged_instance_writes_nothing(void **state)
{
	struct store_instance in = redis_1();
	int64_t before;

	assert_int_equal(store_instance_put(store, &in, &err), 0);
	before = changes();
	assert_int_equal(store_instance_put(store, &in, &err), 0);
	assert_int_equal(changes(), before);
	in.pid++;
	assert_int_equal(store_instance_put(store, &in, &err), 0);
	assert_int_equal(changes(), before + 1);
}

struct names {
	char text[200];
	size_t stop_after, seen;
};

static bool
add_name(void *arg, const struct store_instance *inst)
{
	struct names *n = arg;
	size_t len = strlen(n->text);

	(void)snprintf(n->text + len, sizeof(n->text) - len, "%s ", inst->name);
	return ++n->seen != n->stop_after;
}

static void
test_instances_are_listed_by_name(void **state)
{
	static const char *const some[] = {"sentinel-1", "redis-2", "proxy-1", "redis-1"};
	struct names all = {.text = ""}, first = {.text = "", .stop_after = 1};

	for (size_t i = 0; i < ARRAY_LEN(some); i++) {
		struct store_instance in = redis_1();

		(void)snprintf(in.name, sizeof(in.name), "%s", some[i]);
		assert_int_equal(store_instance_put(store, &in, &err), 0);
	}
	assert_int_equal(store_instance_delete(store, "redis-2", &err), 0);
	assert_int_equal(store_instance_delete(store, "never there", &err), 0);
	assert_int_equal(store_instance_each(store, add_name, &first, &err), 0);
	assert_int_equal(store_instance_each(store, add_name, &all, &err), 0);
	assert_string_equal(all.text, "proxy-1 redis-1 sentinel-1 ");
	assert_string_equal(first.text, "proxy-1 ");
}

static void
test_instance_with_bad_values_is_refused(void **state)
{
	struct store_instance in = redis_1();

	(void)snprintf(in.role, sizeof(in.role), "king");
	assert_int_equal(store_instance_put(store, &in, &err), -EINVAL);
	in = redis_1();
	in.name[0] = '\0';
	assert_int_equal(store_instance_put(store, &in, &err), -EINVAL);
	in = redis_1();
	in.start_ticks = UINT64_MAX;
	assert_int_equal(store_instance_put(store, &in, &err), -EINVAL);
	assert_non_null(strstr(err.text, "start time"));
	assert_int_equal(store_instance_get(store, "redis-1", &in, &err), -ENOENT);
}

static void
test_tables_are_strict(void **state)
{
	static const char *const wrong[] = {
	    "INSERT INTO meta (key, value) VALUES ('k', x'00')",
	    "INSERT INTO events (time_ms, kind, subject, text, detail) VALUES ('now','','','','')",
	    "INSERT INTO master VALUES ('main', '', 'h', 'no port', 1, 1)",
	    "INSERT INTO instances VALUES ('r', 'redis', 'x', 0, '', 0, '', 1, 0)",
	};

	for (size_t i = 0; i < ARRAY_LEN(wrong); i++) {
		int rc = sqlite3_exec(store->db, wrong[i], NULL, NULL, NULL);

		assert_int_equal(rc & 0xff, SQLITE_CONSTRAINT);
	}
}

/* --- the master ------------------------------------------------------------------------------ */

static struct store_master
a_master(const char *instance, uint16_t port, uint64_t epoch)
{
	struct store_master m = {
	    .cluster = "main", .host = "127.0.0.1", .port = port, .epoch = epoch};

	(void)snprintf(m.instance, sizeof(m.instance), "%s", instance);
	return m;
}

static void
test_master_of_each_cluster(void **state)
{
	struct store_master m = a_master("redis-1", 6381, 3), out;

	assert_int_equal(store_master_get(store, "main", &out, &err), -ENOENT);
	assert_int_equal(store_master_put(store, &m, &err), 0);
	(void)snprintf(m.cluster, sizeof(m.cluster), "other");
	m.port = 7000;
	assert_int_equal(store_master_put(store, &m, &err), 0);
	assert_int_equal(store_master_get(store, "main", &out, &err), 0);
	assert_string_equal(out.cluster, "main");
	assert_string_equal(out.instance, "redis-1");
	assert_string_equal(out.host, "127.0.0.1");
	assert_int_equal(out.port, 6381);
	assert_int_equal(out.epoch, 3);
}

static void
test_since_moves_only_with_the_master(void **state)
{
	struct store_master m = a_master("redis-1", 6381, 3), out;

	m.since_ms = 1000;
	assert_int_equal(store_master_put(store, &m, &err), 0);
	m = a_master("redis-1", 6381, 4);
	assert_int_equal(store_master_put(store, &m, &err), 0);
	assert_int_equal(store_master_get(store, "main", &out, &err), 0);
	assert_int_equal(out.since_ms, 1000);
	assert_int_equal(out.epoch, 4);
	m = a_master("redis-2", 6382, 5);
	assert_int_equal(store_master_put(store, &m, &err), 0);
	assert_int_equal(store_master_get(store, "main", &out, &err), 0);
	assert_true(out.since_ms > 1000);
}

static void
test_master_without_address_is_refused(void **state)
{
	struct store_master m = a_master("redis-1", 0, 3);

	assert_int_equal(store_master_put(store, &m, &err), -EINVAL);
	m = a_master("redis-1", 6381, 3);
	m.host[0] = '\0';
	assert_int_equal(store_master_put(store, &m, &err), -EINVAL);
}

/* --- meta ------------------------------------------------------------------------------------ */

static void
test_meta_words(void **state)
{
	char *value = NULL;

	assert_int_equal(store_meta_get(store, "node", &value, &err), -ENOENT);
	assert_int_equal(store_meta_put(store, "node", "a", false, &err), 0);
	assert_int_equal(store_meta_put(store, "node", "b", true, &err), 0);
	assert_int_equal(store_meta_get(store, "node", &value, &err), 0);
	assert_string_equal(value, "b");
	free(value);
	assert_int_equal(store_meta_put(store, "node", NULL, true, &err), 0);
	assert_int_equal(store_meta_get(store, "node", &value, &err), -ENOENT);
}

/* --- events ---------------------------------------------------------------------------------- */

static int64_t
add(enum event_kind kind, const char *text)
{
	struct store_event ev;

	assert_int_equal(store_event_add(store, 0, kind, "redis-1", text, NULL, &ev, &err), 0);
	return ev.id;
}

struct ids {
	char text[400];
	size_t stop_after, seen;
};

static bool
add_id(void *arg, const struct store_event *ev)
{
	struct ids *ids = arg;
	size_t len = strlen(ids->text);

	(void)snprintf(ids->text + len, sizeof(ids->text) - len, "%lld ", (long long)ev->id);
	return ++ids->seen != ids->stop_after;
}

static const char *
list_ids(int64_t after, int64_t before, const char *kind, size_t limit)
{
	static struct ids ids;

	ids = (struct ids){.text = ""};
	assert_int_equal(
	    store_events_page(store, after, before, kind, limit, add_id, &ids, &err), 0);
	return ids.text;
}

static void
test_pages_of_events(void **state)
{
	for (int i = 0; i < 3; i++) {
		(void)add(EVENT_LINK_UP, "up");
		(void)add(EVENT_LINK_DOWN, "down");
	}
	(void)add(EVENT_BACKUP_DONE, "done");
	assert_string_equal(list_ids(0, INT64_MAX, "", SIZE_MAX), "1 2 3 4 5 6 7 ");
	assert_string_equal(list_ids(0, INT64_MAX, "", 2), "6 7 ");
	assert_string_equal(list_ids(2, 6, "", SIZE_MAX), "3 4 5 ");
	assert_string_equal(list_ids(2, 6, "", 2), "4 5 ");
	assert_string_equal(list_ids(0, INT64_MAX, "link.up", 2), "3 5 ");
	assert_string_equal(list_ids(0, INT64_MAX, "link", 3), "4 5 6 ");
	assert_string_equal(list_ids(0, INT64_MAX, "lin", SIZE_MAX), "");
	assert_string_equal(list_ids(7, INT64_MAX, "", SIZE_MAX), "");
}

static void
test_event_reader_may_stop(void **state)
{
	struct ids ids = {.text = "", .stop_after = 2};

	for (int i = 0; i < 4; i++) {
		(void)add(EVENT_LINK_UP, "up");
	}
	assert_int_equal(
	    store_events_page(store, 0, INT64_MAX, "", SIZE_MAX, add_id, &ids, &err), 0);
	assert_string_equal(ids.text, "1 2 ");
	/* and leaves no statement open that would hold the log */
	assert_int_equal(
	    sqlite3_wal_checkpoint_v2(store->db, NULL, SQLITE_CHECKPOINT_TRUNCATE, NULL, NULL),
	    SQLITE_OK);
}

static void
test_history_is_bounded(void **state)
{
	store_events_keep(store, 5);
	for (int i = 0; i < 12; i++) {
		(void)add(EVENT_LINK_DOWN, "down");
	}
	assert_string_equal(list_ids(0, INT64_MAX, "", SIZE_MAX), "8 9 10 11 12 ");
}

static void
test_lowered_bound_is_reached_in_steps(void **state)
{
	size_t n = 0;
	struct ids ids = {.text = ""};

	for (int i = 0; i < 300; i++) {
		(void)add(EVENT_LINK_DOWN, "down");
	}
	store_events_keep(store, 10);
	(void)add(EVENT_LINK_DOWN, "down");
	assert_int_equal(
	    store_events_page(store, 0, INT64_MAX, "", SIZE_MAX, add_id, &ids, &err), 0);
	n = ids.seen;
	assert_true(n > 10 && n < 300); /* not all at once */
	for (int i = 0; i < 5; i++) {
		(void)add(EVENT_LINK_DOWN, "down");
	}
	ids = (struct ids){.text = ""};
	assert_int_equal(
	    store_events_page(store, 0, INT64_MAX, "", SIZE_MAX, add_id, &ids, &err), 0);
	assert_int_equal(ids.seen, 10);
}

static void
test_ids_are_never_used_again(void **state)
{
	struct store_report report;

	store_events_keep(store, 1);
	assert_int_equal(add(EVENT_LINK_UP, "up"), 1);
	assert_int_equal(add(EVENT_LINK_UP, "up"), 2);
	assert_int_equal(sqlite3_exec(store->db, "DELETE FROM events", NULL, NULL, NULL), 0);
	store_close(&store);
	assert_int_equal(store_open(scratch_path(dir, "state.db"), &store, &report, &err), 0);
	assert_int_equal(add(EVENT_LINK_UP, "up"), 3);
}

static bool
keep_json(void *arg, const struct store_event *ev)
{
	*(json_t **)arg = store_event_json(ev);
	return true;
}

static void
test_event_as_json(void **state)
{
	struct store_event shown;
	json_t *read = NULL, *expected;
	char when[CLOCK_RFC3339_SIZE];

	assert_int_equal(store_event_add(store, 0, EVENT_MASTER_ELECTED, "redis-2",
			     "redis-2 is master", "{\"epoch\":7}", &shown, &err),
	    0);
	expected = json_pack("{s:i, s:s, s:s, s:s, s:s, s:{s:i}}", "id", 1, "time",
	    clock_rfc3339(shown.time_ms, when, sizeof(when)), "kind", "master.elected", "subject",
	    "redis-2", "text", "redis-2 is master", "detail", "epoch", 7);
	assert_int_equal(
	    store_events_page(store, 0, INT64_MAX, "", SIZE_MAX, keep_json, &read, &err), 0);
	assert_true(json_equal(read, expected));
	json_decref(read);
	read = store_event_json(&shown);
	assert_true(json_equal(read, expected));
	json_decref(read);
	json_decref(expected);
}

static void
test_foreign_bytes_become_text(void **state)
{
	struct store_event ev;
	json_t *json;

	assert_int_equal(store_event_add(store, 0, EVENT_INSTANCE_EXITED, "redis-1",
			     "said: \xff\xfe \xe2\x82\xac \xe2\x82", "not json", &ev, &err),
	    0);
	assert_string_equal(ev.text, "said: ?? \xe2\x82\xac ??");
	json = store_event_json(&ev);
	assert_non_null(json);
	assert_int_equal(json_object_size(json_object_get(json, "detail")), 0);
	json_decref(json);
}

static void
test_text_spoilt_in_the_file_is_still_shown(void **state)
{
	json_t *json = NULL;

	assert_int_equal(sqlite3_exec(store->db,
			     "INSERT INTO events (time_ms, kind, subject, text, detail) VALUES"
			     " (1, 'new.kind', CAST(x'ff41' AS TEXT), 'a', '[1]')",
			     NULL, NULL, NULL),
	    SQLITE_OK);
	assert_int_equal(
	    store_events_page(store, 0, INT64_MAX, "", SIZE_MAX, keep_json, &json, &err), 0);
	assert_non_null(json);
	assert_string_equal(json_string_value(json_object_get(json, "subject")), "?A");
	assert_string_equal(json_string_value(json_object_get(json, "kind")), "new.kind");
	assert_true(json_is_object(json_object_get(json, "detail")));
	json_decref(json);
}

static void
test_long_event_is_cut_between_characters(void **state)
{
	static char text[STORE_EVENT_TEXT_MAX * 2], detail[STORE_EVENT_DETAIL_MAX + 10];
	struct store_event ev;
	json_t *json;

	/* three bytes each, which does not divide the bound */
	for (size_t i = 0; i + 3 < sizeof(text); i += 3) {
		memcpy(text + i, "\xe2\x82\xac", 3);
	}
	memset(detail, '1', sizeof(detail) - 1);
	assert_int_equal(
	    store_event_add(store, 0, EVENT_LINK_UP, "redis-1", text, detail, &ev, &err), 0);
	assert_int_equal(strlen(ev.text), STORE_EVENT_TEXT_MAX / 3 * 3);
	json = store_event_json(&ev);
	assert_int_equal(json_integer_value(json_object_get(
			     json_object_get(json, "detail"), "detail_bytes_left_out")),
	    sizeof(detail) - 1);
	json_decref(json);
}

static void
test_lost_events_are_counted_and_told(void **state)
{
	struct store_event ev;
	json_t *json = NULL;

	assert_int_equal(sqlite3_exec(store->db, "PRAGMA query_only = 1", NULL, NULL, NULL), 0);
	for (int i = 0; i < 3; i++) {
		assert_true(store_event_add(
				store, 0, EVENT_LINK_UP, "redis-1", "up", NULL, NULL, &err) < 0);
	}
	assert_int_equal(sqlite3_exec(store->db, "PRAGMA query_only = 0", NULL, NULL, NULL), 0);
	assert_int_equal(
	    store_event_add(store, 0, EVENT_LINK_DOWN, "redis-1", "down", NULL, &ev, &err), 0);
	assert_string_equal(ev.kind, "link.down");
	assert_int_equal(store_events_page(store, 0, ev.id, "", 1, keep_json, &json, &err), 0);
	assert_string_equal(json_string_value(json_object_get(json, "kind")), "state.gap");
	assert_int_equal(
	    json_integer_value(json_object_get(json_object_get(json, "detail"), "lost")), 3);
	json_decref(json);
}

static void
test_kinds_have_unique_names(void **state)
{
	for (int i = 0; i < EVENT_KIND_COUNT; i++) {
		enum event_kind kind = (enum event_kind)i;

		for (int k = 0; k < i; k++) {
			assert_string_not_equal(
			    event_kind_name(kind), event_kind_name((enum event_kind)k));
		}
		assert_non_null(strchr(event_kind_name(kind), '.'));
		assert_true(event_kind_level(kind) >= LOG_ERROR);
		assert_true(event_kind_level(kind) <= LOG_INFO);
	}
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_instance_comes_back_whole),
	    TEST(test_instance_put_replaces),
	    TEST(test_unchanged_instance_writes_nothing),
	    TEST(test_instances_are_listed_by_name),
	    TEST(test_instance_with_bad_values_is_refused),
	    TEST(test_tables_are_strict),
	    TEST(test_master_of_each_cluster),
	    TEST(test_since_moves_only_with_the_master),
	    TEST(test_master_without_address_is_refused),
	    TEST(test_meta_words),
	    TEST(test_pages_of_events),
	    TEST(test_event_reader_may_stop),
	    TEST(test_history_is_bounded),
	    TEST(test_lowered_bound_is_reached_in_steps),
	    TEST(test_ids_are_never_used_again),
	    TEST(test_event_as_json),
	    TEST(test_foreign_bytes_become_text),
	    TEST(test_text_spoilt_in_the_file_is_still_shown),
	    TEST(test_long_event_is_cut_between_characters),
	    TEST(test_lost_events_are_counted_and_told),
	    TEST(test_kinds_have_unique_names),
	};

	return cmocka_run_group_tests_name("store: tables", tests, NULL, NULL);
}
