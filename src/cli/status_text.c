#include "cli/status_text.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "cli/cli_priv.h"

#define CELL_SIZE 48
#define ROWS_MAX  1024

enum column { NAME, ROLE, STATE, PORT, LAG, RESTARTS, UP, NOTE, COLUMN_COUNT };

static const struct {
	const char *head;
	bool right; /* numbers end under each other */
} columns[] = {
    [NAME] = {"NAME", false},
    [ROLE] = {"ROLE", false},
    [STATE] = {"STATE", false},
    [PORT] = {"PORT", true},
    [LAG] = {"LAG", true},
    [RESTARTS] = {"RESTARTS", true},
    [UP] = {"UP", true},
    [NOTE] = {"", false},
};

_Static_assert(ARRAY_LEN(columns) == COLUMN_COUNT, "a heading for each column");

typedef char cell[CELL_SIZE];

static int64_t
number_of(const json_t *object, const char *member)
{
	return json_integer_value(json_object_get(object, member));
}

/* "12 s", "3 min 4 s", "2 h 14 min", "5 d 3 h": two steps are enough. */
static void
format_duration(int64_t ms, char *into, size_t size)
{
	long long s = ms > 0 ? ms / 1000 : 0;

	if (s < 60) {
		(void)snprintf(into, size, "%lld s", s);
	} else if (s < 3600) {
		(void)snprintf(into, size, "%lld min %lld s", s / 60, s % 60);
	} else if (s < 86400) {
		(void)snprintf(into, size, "%lld h %lld min", s / 3600, s / 60 % 60);
	} else {
		(void)snprintf(into, size, "%lld d %lld h", s / 86400, s / 3600 % 24);
	}
}

static void
format_bytes(int64_t bytes, char *into, size_t size)
{
	static const char *const units[] = {"KiB", "MiB", "GiB", "TiB"};
	double value = (double)bytes / 1024;
	size_t unit = 0;

	if (bytes < 1024) {
		(void)snprintf(into, size, "%lld B", (long long)bytes);
		return;
	}
	while (value >= 1024 && unit + 1 < ARRAY_LEN(units)) {
		value /= 1024;
		unit++;
	}
	(void)snprintf(into, size, "%.1f %s", value, units[unit]);
}

/* Cells hold plain ASCII: names are ours, and a note's other bytes would spoil the columns. */
static void
format_plain(const char *text, char *into, size_t size)
{
	(void)snprintf(into, size, "%s", text);
	for (char *p = into; *p != '\0'; p++) {
		if (*p < 0x20 || *p > 0x7e) {
			*p = '?';
		}
	}
}

static void
fill_row(const json_t *inst, bool below_master, cell *row)
{
	const json_t *lag = json_object_get(inst, "lag_bytes");
	const char *state = cli_text_of(inst, "state"), *wanted = cli_text_of(inst, "wanted");
	const char *role = cli_text_of(inst, "role");
	bool runs = strcmp(state, "stopped") != 0 && strcmp(state, "failed") != 0;
	cell name;

	format_plain(cli_text_of(inst, "name"), name, sizeof(name) - 2);
	(void)snprintf(
	    row[NAME], sizeof(cell), "%s%.*s", below_master ? "  " : "", CELL_SIZE - 3, name);
	format_plain(role[0] != '\0' ? role : "-", row[ROLE], sizeof(cell));
	format_plain(state, row[STATE], sizeof(cell));
	(void)snprintf(row[PORT], sizeof(cell), "-");
	if (number_of(inst, "port") > 0) {
		(void)snprintf(row[PORT], sizeof(cell), "%lld", (long long)number_of(inst, "port"));
	}
	(void)snprintf(row[LAG], sizeof(cell), "-");
	if (json_is_integer(lag) && json_integer_value(lag) >= 0) {
		format_bytes(json_integer_value(lag), row[LAG], sizeof(cell));
	}
	(void)snprintf(row[RESTARTS], sizeof(cell), "-");
	if (json_object_get(inst, "restarts") != NULL) { /* not known of another host's */
		(void)snprintf(
		    row[RESTARTS], sizeof(cell), "%lld", (long long)number_of(inst, "restarts"));
	}
	(void)snprintf(row[UP], sizeof(cell), "-");
	if (runs && json_object_get(inst, "uptime_ms") != NULL) {
		format_duration(number_of(inst, "uptime_ms"), row[UP], sizeof(cell));
	}
	format_plain(cli_text_of(inst, "note"), row[NOTE], sizeof(cell));
	if (row[NOTE][0] == '\0' && strcmp(wanted, "down") == 0) {
		(void)snprintf(row[NOTE], sizeof(cell), "stopped by hand");
	}
}

/* The order of the table; -1: not in this pass. */
enum pass { PASS_MASTER, PASS_REDIS, PASS_SENTINEL, PASS_PROXY, PASS_HTTP, PASS_OTHER, PASS_COUNT };

static enum pass
pass_of(const json_t *inst)
{
	const char *kind = cli_text_of(inst, "kind");

	if (strcmp(kind, "redis") == 0) {
		return strcmp(cli_text_of(inst, "role"), "master") == 0 ? PASS_MASTER : PASS_REDIS;
	}
	return strcmp(kind, "sentinel") == 0 ? PASS_SENTINEL
	       : strcmp(kind, "proxy") == 0  ? PASS_PROXY
	       : strcmp(kind, "http") == 0   ? PASS_HTTP
					     : PASS_OTHER;
}

static size_t
fill_table(const json_t *instances, cell (*table)[COLUMN_COUNT])
{
	size_t count = 0;
	bool has_master = false;

	for (int pass = 0; pass < PASS_COUNT; pass++) {
		for (size_t i = 0; i < json_array_size(instances) && count < ROWS_MAX; i++) {
			const json_t *inst = json_array_get(instances, i);

			if (!json_is_object(inst) || (int)pass_of(inst) != pass) {
				continue;
			}
			has_master = has_master || pass == PASS_MASTER;
			fill_row(inst, pass == PASS_REDIS && has_master, table[count++]);
		}
	}
	return count;
}

static int
add_row(struct buf *out, const cell *row, const int *widths)
{
	size_t start = buf_len(out);
	int rc = 0;

	for (int c = 0; c < COLUMN_COUNT && rc == 0; c++) {
		rc = buf_addf(out, columns[c].right ? "%s%*s" : "%s%-*s", c > 0 ? "  " : "",
		    widths[c], row[c]);
	}
	if (rc < 0) {
		return rc;
	}
	while (buf_len(out) > start && out->data[out->end - 1] == ' ') {
		out->end--; /* nothing invisible at the end of a line */
	}
	return buf_add(out, "\n", 1);
}

static int
add_table(struct buf *out, const json_t *instances)
{
	cell(*table)[COLUMN_COUNT] = NULL, heads[COLUMN_COUNT];
	size_t count = MIN(json_array_size(instances), (size_t)ROWS_MAX);
	int widths[COLUMN_COUNT], rc;

	table = xcalloc(count + 1, sizeof(*table));
	count = fill_table(instances, table);
	for (int c = 0; c < COLUMN_COUNT; c++) {
		(void)snprintf(heads[c], sizeof(cell), "%s", columns[c].head);
		widths[c] = (int)strlen(heads[c]);
		for (size_t r = 0; r < count; r++) {
			widths[c] = MAX(widths[c], (int)strlen(table[r][c]));
		}
	}
	rc = add_row(out, heads, widths);
	for (size_t r = 0; r < count && rc == 0; r++) {
		rc = add_row(out, table[r], widths);
	}
	free(table);
	return rc;
}

/* Our instances, and what is seen of those on other hosts, under names that say where: the caller's reference. */
static json_t *
all_instances(const json_t *status)
{
	json_t *all = json_array();
	size_t i, k;
	json_t *host, *inst;

	(void)json_array_extend(all, json_object_get(status, "instances"));
	json_array_foreach(json_object_get(status, "hosts"), i, host)
	{
		json_array_foreach(json_object_get(host, "instances"), k, inst)
		{
			json_t *row = json_copy(inst);

			(void)json_object_set_new(row, "name",
			    json_sprintf(
				"%s/%s", cli_text_of(host, "name"), cli_text_of(inst, "name")));
			(void)json_array_append_new(all, row);
		}
	}
	return all;
}

static int
add_headline(struct buf *out, const json_t *status)
{
	const char *state = cli_text_of(status, "state");
	const json_t *master = json_object_get(status, "master");
	json_t *instances = all_instances(status);
	size_t count = json_array_size(instances), ready = 0;
	cell name, word, host;

	for (size_t i = 0; i < count; i++) {
		if (strcmp(cli_text_of(json_array_get(instances, i), "state"), "ready") == 0) {
			ready++;
		}
	}
	json_decref(instances);
	format_plain(cli_text_of(status, "name"), name, sizeof(name));
	format_plain(state, word, sizeof(word));
	if (strcmp(state, "ready") != 0) {
		return buf_addf(
		    out, "%s is %s: %zu of %zu instances are ready\n", name, word, ready, count);
	}
	format_plain(cli_text_of(master, "host"), host, sizeof(host));
	format_plain(cli_text_of(master, "name"), word, sizeof(word));
	return buf_addf(out, "%s is ready: %s takes writes at %s:%lld (epoch %lld)\n", name,
	    word[0] != '\0' ? word : "the master", host, (long long)number_of(master, "port"),
	    (long long)number_of(master, "epoch"));
}

static int
add_reasons(struct buf *out, const json_t *status)
{
	const json_t *reasons = json_object_get(status, "reasons");
	int rc = 0;

	for (size_t i = 0; i < json_array_size(reasons) && rc == 0; i++) {
		const char *text = json_string_value(json_array_get(reasons, i));
		char plain[640];

		if (text != NULL) {
			format_plain(text, plain, sizeof(plain));
			rc = buf_addf(out, "  - %s\n", plain);
		}
	}
	return rc;
}

/* What the master has loaded; of others that differ the reasons speak. */
static int
add_modules(struct buf *out, const json_t *instances)
{
	size_t i, k, count = 0;
	json_t *inst, *module;
	int rc = 0;

	json_array_foreach(instances, i, inst)
	{
		if (strcmp(cli_text_of(inst, "role"), "master") != 0) {
			continue;
		}
		json_array_foreach(json_object_get(inst, "modules"), k, module)
		{
			cell name, version;

			format_plain(cli_text_of(module, "name"), name, sizeof(name));
			format_plain(cli_text_of(module, "version"), version, sizeof(version));
			rc |= buf_addf(
			    out, "%s%s %s", count++ > 0 ? ", " : "modules: ", name, version);
		}
	}
	return count > 0 ? rc | buf_add_str(out, "\n") : rc;
}

/* Where clients connect, on all hosts that have said it. */
static int
add_doors(const json_t *status, struct buf *out)
{
	static const struct {
		const char *option, *words;
	} kinds[] = {
	    {"proxy.listen", "proxy"},
	    {"proxy.durable_listen", "durable"},
	    {"proxy.read_listen", "reads"},
	    {"http.listen", "http"},
	};
	const json_t *doors = json_object_get(status, "doors");
	int rc = json_object_size(doors) > 0 ? buf_add_str(out, "\nfor clients\n") : 0;

	for (size_t k = 0; k < ARRAY_LEN(kinds); k++) {
		const json_t *list = json_object_get(doors, kinds[k].option);

		for (size_t i = 0; i < json_array_size(list); i++) {
			const json_t *door = json_array_get(list, i);
			cell node;
			char at[300];

			format_plain(cli_text_of(door, "node"), node, sizeof(node));
			format_plain(cli_text_of(door, "at"), at, sizeof(at));
			rc |= buf_addf(
			    out, "  %-10s%s on %s\n", i == 0 ? kinds[k].words : "", at, node);
		}
	}
	return rc;
}

int
status_text(const json_t *status, struct buf *out)
{
	cell node, version, up;
	int rc = add_headline(out, status);

	if (rc == 0) {
		rc = add_reasons(out, status);
	}
	format_plain(cli_text_of(status, "node"), node, sizeof(node));
	format_plain(cli_text_of(status, "version"), version, sizeof(version));
	format_duration(number_of(status, "uptime_ms"), up, sizeof(up));
	if (rc == 0) {
		rc = buf_addf(out, "on %s, holdfast %s, up %s\n", node, version, up) |
		     add_modules(out, json_object_get(status, "instances")) |
		     buf_add_str(out, "\n");
	}
	if (rc == 0) {
		json_t *all = all_instances(status);

		rc = add_table(out, all) | add_doors(status, out);
		json_decref(all);
	}
	return rc;
}
