/*
 * GET /api/v1/keys: a step through the keys, with type and time to live of each. However many keys there are, the server is asked for
 * SCAN_COUNT at a time and serves others in between, and one request ends after MOST of them.
 *
 *   SCAN … SCAN (until `count` keys were looked at) ─► TYPE, PTTL, MEMORY USAGE of each that was found, pipelined ─► answer
 */
#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "httpd/api_command.h"
#include "httpd/exchange.h"
#include "httpd/typed.h"
#include "resp/reader.h"
#include "resp/write.h"

#define SCAN_COUNT  1000
#define MOST        10000
#define FOUND_MAX   5000 /* keys in one answer: one SCAN may find more than its COUNT */
#define SCAN_BUDGET ((size_t)16 * 1024 * 1024)
#define TIMEOUT_MS  15000

struct work {
	struct api *api; /* borrowed (its owner) */
	struct run *run; /* owned; NULL: between two */
	struct run_target target;
	uint64_t left; /* keys that are still to be looked at */
	bool memory, fills;
	char cursor[24];
	struct buf names; /* owned: what was found, as bulk strings */
	size_t found, shown;
	struct slice next; /* of `names`: the key that is being filled in */
	size_t part;       /* of what is asked of it */
	int err;
};

static void
drop_work(void *arg)
{
	struct work *w = arg;

	run_free(&w->run);
	buf_fini(&w->names);
	free(w);
}

static void
give_up(struct work *w, unsigned status, const char *why)
{
	struct api *a = w->api;
	char text[300];

	(void)snprintf(text, sizeof(text), "%s", why);
	a->work = NULL;
	drop_work(w);
	api_fail(a, status, "%s", text);
}

static void begin_scan(struct work *w);
static void begin_fill(struct work *w);

/* ---- SCAN ---- */

/* [cursor, [key…]] */
static bool
take_scan(struct work *w, struct slice raw)
{
	struct resp_cursor c = {raw};
	struct resp_item item;

	if (!resp_cursor_next(&c, &item) || item.type != RESP_ARRAY || item.number != 2 ||
	    !resp_cursor_next(&c, &item) || item.str.len == 0 ||
	    item.str.len >= sizeof(w->cursor)) {
		return false;
	}
	memcpy(w->cursor, item.str.ptr, item.str.len);
	w->cursor[item.str.len] = '\0';
	if (!resp_cursor_next(&c, &item) || item.type != RESP_ARRAY) {
		return false;
	}
	for (int64_t left = item.number; left > 0; left--) {
		if (!resp_cursor_next(&c, &item) || resp_add_bulk(&w->names, item.str) < 0) {
			return false;
		}
		w->found++;
	}
	return true;
}

static void
on_scan(void *owner, size_t i, struct slice raw, size_t bytes)
{
	struct work *w = owner;
	char why[200];

	(void)i;
	(void)bytes;
	if (raw.len > 1 && raw.ptr[0] == '-') {
		/* the server's words: a cursor or a type that it does not like */
		(void)snprintf(why, sizeof(why), "%.*s", (int)MIN(raw.len - 1, sizeof(why) - 1) - 2,
		    (const char *)raw.ptr + 1);
		run_free(&w->run);
		give_up(w, 400, why);
	} else if (!take_scan(w, raw)) {
		run_free(&w->run);
		give_up(w, 507,
		    "the keys are too many or too large for one step: ask with a smaller count");
	}
}

static void
on_scanned(void *owner, unsigned status, const char *why)
{
	struct work *w = owner;

	w->run = NULL;
	if (status != 0) {
		give_up(w, status, why);
	} else if (strcmp(w->cursor, "0") != 0 && w->left > 0 && w->found < FOUND_MAX / 2) {
		begin_scan(w);
	} else {
		begin_fill(w);
	}
}

static const struct run_ops scan_ops = {.on_reply = on_scan, .on_end = on_scanned};

static void
begin_scan(struct work *w)
{
	struct slice match = api_param(w->api, "match", 0), type = api_param(w->api, "type", 0),
		     argv[8];
	uint64_t count = MIN(w->left, (uint64_t)SCAN_COUNT);
	char digits[24];
	struct buf resp;
	size_t n = 0;
	int err;

	w->left -= count;
	(void)snprintf(digits, sizeof(digits), "%llu", (unsigned long long)count);
	argv[n++] = SLICE_LIT("SCAN");
	argv[n++] = slice_str(w->cursor);
	argv[n++] = SLICE_LIT("COUNT");
	argv[n++] = slice_str(digits);
	if (match.len > 0) {
		argv[n++] = SLICE_LIT("MATCH");
		argv[n++] = match;
	}
	if (type.len > 0) {
		argv[n++] = SLICE_LIT("TYPE");
		argv[n++] = type;
	}
	buf_init(&resp, 0);
	w->run = run_new(w->api->x->httpd, &w->target, SCAN_BUDGET, &scan_ops, w);
	err = resp_add_command(&resp, argv, n);
	if (err == 0) {
		err = run_add(w->run, buf_slice(&resp), true);
	}
	buf_fini(&resp);
	if (err < 0) {
		run_free(&w->run);
		give_up(w, 503, "out of memory");
		return;
	}
	run_go(w->run, TIMEOUT_MS);
}

/* ---- what the keys are ---- */

static bool
next_key(struct work *w, struct slice *ret)
{
	struct resp_cursor c = {w->next};
	struct resp_item item;

	if (!resp_cursor_next(&c, &item)) {
		return false;
	}
	w->next = c.rest;
	*ret = item.str;
	return true;
}

static int
add_key(struct work *w, struct buf *resp, struct slice key)
{
	const struct slice type[] = {SLICE_LIT("TYPE"), key}, ttl[] = {SLICE_LIT("PTTL"), key},
			   memory[] = {SLICE_LIT("MEMORY"), SLICE_LIT("USAGE"), key,
			       SLICE_LIT("SAMPLES"), SLICE_LIT("5")};
	const struct {
		const struct slice *argv;
		size_t argc;
	} asked[] = {{type, 2}, {ttl, 2}, {memory, 5}};
	int err = 0;

	for (size_t i = 0; i < (w->memory ? 3u : 2u) && err == 0; i++) {
		buf_clear(resp);
		err = resp_add_command(resp, asked[i].argv, asked[i].argc);
		if (err == 0) {
			err = run_add(w->run, buf_slice(resp), true);
		}
	}
	return err;
}

/* One of the parts of a key, in the order they were asked for. A key that has gone meanwhile is shown as of type none. */
static void
on_part(void *owner, size_t i, struct slice raw, size_t bytes)
{
	static const char *const names[] = {",\"type\":", ",\"ttl_ms\":", ",\"bytes\":"};
	struct work *w = owner;
	struct buf *out = &w->api->out;
	struct resp_cursor c = {raw};
	struct resp_item item;
	struct slice key;

	(void)i;
	(void)bytes;
	if (w->err == 0 && w->part == 0) {
		w->err = buf_add_str(out, w->shown++ > 0 ? ",{\"key\":" : "{\"key\":");
		if (w->err == 0) {
			w->err = next_key(w, &key) ? typed_add_bytes(out, key) : -EBADMSG;
		}
	}
	if (w->err == 0) {
		w->err = buf_add_str(out, names[w->part]);
	}
	if (!resp_cursor_next(&c, &item)) {
		item = (struct resp_item){.type = RESP_NULL};
	}
	if (w->err == 0 && w->part == 0) {
		w->err = typed_add_bytes(
		    out, item.type == RESP_SIMPLE ? item.str : SLICE_LIT("unknown"));
	} else if (w->err == 0) {
		w->err = item.type == RESP_INT && item.number >= 0
			     ? buf_addf(out, "%lld", (long long)item.number)
			     : buf_add_str(out, "null");
	}
	w->part++;
	if (w->part == (w->memory ? 3 : 2)) {
		w->part = 0;
		w->err = w->err == 0 ? buf_add_str(out, "}") : w->err;
	}
}

static void
on_filled(void *owner, unsigned status, const char *why)
{
	struct work *w = owner;
	struct api *a = w->api;
	int err = w->err;

	w->run = NULL;
	if (status != 0) {
		give_up(w, status, why);
		return;
	}
	if (err == 0) {
		err = buf_addf(&a->out, "],\"cursor\":\"%s\"}\n", w->cursor);
	}
	a->work = NULL;
	drop_work(w);
	if (err < 0) {
		api_fail(a, 507, "the keys are too large for one step: ask with a smaller count");
	} else {
		api_done(a, 200);
	}
}

static const struct run_ops fill_ops = {.on_reply = on_part, .on_end = on_filled};

static void
begin_fill(struct work *w)
{
	struct slice key;
	struct buf resp;
	int err = buf_add_str(&w->api->out, "{\"keys\":[");

	buf_init(&resp, 0);
	w->run = run_new(w->api->x->httpd, &w->target, 4096, &fill_ops, w);
	w->next = buf_slice(&w->names);
	while (err == 0 && next_key(w, &key)) {
		err = add_key(w, &resp, key);
	}
	w->next = buf_slice(&w->names);
	buf_fini(&resp);
	if (err < 0) {
		run_free(&w->run);
		give_up(w, 507, "the keys are too large for one step: ask with a smaller count");
		return;
	}
	run_go(w->run, TIMEOUT_MS);
}

/* ---- beginning ---- */

static void
begin(struct api *a, const struct run_target *target)
{
	struct work *w = xcalloc(1, sizeof(*w));
	struct slice cursor = api_param(a, "cursor", 0);

	*w = (struct work){.api = a,
	    .target = *target,
	    .left = a->count,
	    .memory = slice_eq(api_param(a, "memory", 0), "1")};
	buf_init(&w->names, SCAN_BUDGET);
	(void)snprintf(w->cursor, sizeof(w->cursor), "%.*s", cursor.len > 0 ? (int)cursor.len : 1,
	    cursor.len > 0 ? (const char *)cursor.ptr : "0");
	api_set_work(a, w, drop_work);
	begin_scan(w);
}

static bool
may_use(struct api *a)
{
	static const char *const needed[][3] = {
	    {"SCAN", "0"}, {"TYPE", "k"}, {"PTTL", "k"}, {"MEMORY", "USAGE", "k"}};
	const char *why = NULL;

	for (size_t i = 0; i < ARRAY_LEN(needed) && why == NULL; i++) {
		struct buf resp;
		bool reads;

		buf_init(&resp, 0);
		why =
		    resp_add_command_str(&resp, needed[i][0], needed[i][1], needed[i][2], NULL) < 0
			? "out of memory"
			: api_refuses(a, buf_slice(&resp), &reads);
		buf_fini(&resp);
		if (why != NULL) {
			api_fail(a, 403, "%s (%s)", why, needed[i][0]);
		}
	}
	return why == NULL;
}

void
api_keys(struct api *a)
{
	struct slice cursor = api_param(a, "cursor", 0), memory = api_param(a, "memory", 0);
	uint64_t database, ignored;

	if (!api_number(a, "count", 1, MOST, 200, &a->count) ||
	    !api_number(a, "db", 0, 65535, 0, &database)) {
		return;
	}
	if (cursor.len > 20 || (cursor.len > 0 && !slice_to_u64(cursor, &ignored))) {
		api_fail(a, 400, "'cursor' must be that of the step before; leave it out to begin");
		return;
	}
	if (memory.ptr != NULL && !slice_eq(memory, "0") && !slice_eq(memory, "1")) {
		api_fail(a, 400, "'memory' must be 0 or 1");
		return;
	}
	if (may_use(a)) {
		api_find_target(a, api_param(a, "target", 0), (uint32_t)database, begin);
	}
}
