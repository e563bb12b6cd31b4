#include "backend/metrics.h"

#include <assert.h>
#include <stdlib.h>

#include "backend/command.h"
#include "base/mem.h"

#define RECORD_BYTES ((size_t)1024) /* most that one command takes as JSON */

struct record {
	uint64_t calls, errors, held, held_us;
	struct metrics_histogram latency;
};

struct metrics {
	struct record **records; /* owned, as each: by metrics_command; NULL: never asked */
	size_t count;
	uint64_t total;
	uint64_t confirmed[CONFIRM_LOST + 1]; /* writes, by outcome */
	struct metrics_histogram confirm;     /* of each question */
};

static unsigned
bucket(uint64_t us)
{
	unsigned i;

	if (us <= METRICS_FIRST_US) {
		return 0;
	}
	i = 64 - (unsigned)__builtin_clzll((us - 1) / METRICS_FIRST_US);
	return MIN(i, (unsigned)METRICS_BUCKETS - 1);
}

void
metrics_observe(struct metrics_histogram *h, uint64_t us)
{
	h->us += us;
	h->counts[bucket(us)]++;
}

struct metrics *
metrics_new(void)
{
	struct metrics *m = xcalloc(1, sizeof(*m));

	m->count = command_count() + 1;
	m->records = xcalloc(m->count, sizeof(struct record *));
	return m;
}

void
metrics_free(struct metrics **mp)
{
	struct metrics *m = *mp;

	*mp = NULL;
	if (m == NULL) {
		return;
	}
	for (size_t i = 0; i < m->count; i++) {
		free(m->records[i]);
	}
	free(m->records);
	free(m);
}

unsigned
metrics_command(const struct command *cmd)
{
	const struct command *first = command_at(0);

	return cmd >= first && cmd < first + command_count() ? (unsigned)(cmd - first) + 1 : 0;
}

static struct record *
find(struct metrics *m, unsigned command)
{
	assert(command < m->count);
	if (m->records[command] == NULL) {
		m->records[command] = xcalloc(1, sizeof(struct record));
	}
	return m->records[command];
}

void
metrics_add(struct metrics *m, unsigned command, bool error, uint64_t latency_us)
{
	struct record *r = find(m, command);

	r->calls++;
	r->errors += error ? 1 : 0;
	metrics_observe(&r->latency, latency_us);
	m->total++;
}

void
metrics_add_local(struct metrics *m, unsigned command, bool error)
{
	struct record *r = find(m, command);

	r->calls++;
	r->errors += error ? 1 : 0;
	m->total++;
}

void
metrics_add_held(struct metrics *m, unsigned command, uint64_t us)
{
	struct record *r = find(m, command);

	r->held++;
	r->held_us += us;
}

void
metrics_add_confirm(struct metrics *m, enum confirm_outcome outcome, uint64_t writes, uint64_t us)
{
	m->confirmed[outcome] += writes;
	m->total++;
	metrics_observe(&m->confirm, us);
}

uint64_t
metrics_total(const struct metrics *m)
{
	return m->total;
}

/* ---- as JSON ---- */

int
metrics_add_histogram(struct buf *out, const struct metrics_histogram *h)
{
	unsigned n = METRICS_BUCKETS;
	int err = buf_add_str(out, "[");

	while (n > 0 && h->counts[n - 1] == 0) {
		n--;
	}
	for (unsigned i = 0; i < n && err == 0; i++) {
		err = buf_addf(out, "%s%llu", i > 0 ? "," : "", (unsigned long long)h->counts[i]);
	}
	return err < 0 ? err : buf_add_str(out, "]");
}

static int
add_record(struct buf *out, const char *name, const struct record *r)
{
	int err = buf_addf(out,
	    "\"%s\":{\"calls\":%llu,\"errors\":%llu,\"us\":%llu,\"held\":%llu,\"held_us\":%llu,"
	    "\"latency\":",
	    name, (unsigned long long)r->calls, (unsigned long long)r->errors,
	    (unsigned long long)r->latency.us, (unsigned long long)r->held,
	    (unsigned long long)r->held_us);

	if (err == 0) {
		err = metrics_add_histogram(out, &r->latency);
	}
	return err < 0 ? err : buf_add_str(out, "}");
}

static void
sum_up(struct record *sum, const struct record *r)
{
	sum->calls += r->calls;
	sum->errors += r->errors;
	sum->held += r->held;
	sum->held_us += r->held_us;
	sum->latency.us += r->latency.us;
	for (unsigned i = 0; i < METRICS_BUCKETS; i++) {
		sum->latency.counts[i] += r->latency.counts[i];
	}
}

static int
add_commands(const struct metrics *m, struct buf *out)
{
	struct record more = {0};
	const char *comma = "";
	int err = 0;

	for (size_t i = 0; i < m->count && err == 0; i++) {
		if (m->records[i] == NULL) {
			continue;
		}
		if (out->max != 0 && buf_len(out) + 3 * RECORD_BYTES > out->max) {
			sum_up(&more, m->records[i]);
			continue;
		}
		err = buf_add_str(out, comma);
		if (err == 0) {
			err = add_record(
			    out, i == 0 ? "(unknown)" : command_at(i - 1)->name, m->records[i]);
		}
		comma = ",";
	}
	if (err == 0 && more.calls > 0) {
		err = buf_add_str(out, comma);
		if (err == 0) {
			err = add_record(out, "(more)", &more);
		}
	}
	return err;
}

int
metrics_add_json(const struct metrics *m, struct buf *out)
{
	int err = buf_add_str(out, "\"latency_le_us\":[");

	for (unsigned i = 0; i < METRICS_BUCKETS - 1 && err == 0; i++) {
		err = buf_addf(
		    out, "%s%llu", i > 0 ? "," : "", (unsigned long long)METRICS_FIRST_US << i);
	}
	if (err == 0) {
		err = buf_addf(out,
		    "],\"confirm\":{\"kept\":%llu,\"few\":%llu,\"lost\":%llu,\"us\":%llu,"
		    "\"latency\":",
		    (unsigned long long)m->confirmed[CONFIRM_KEPT],
		    (unsigned long long)m->confirmed[CONFIRM_FEW],
		    (unsigned long long)m->confirmed[CONFIRM_LOST],
		    (unsigned long long)m->confirm.us);
	}
	if (err == 0) {
		err = metrics_add_histogram(out, &m->confirm);
	}
	if (err == 0) {
		err = buf_add_str(out, "},\"commands\":{");
	}
	if (err == 0) {
		err = add_commands(m, out);
	}
	return err < 0 ? err : buf_add_str(out, "}");
}

int
metrics_add_backend(const struct backend_stats *b, struct buf *out)
{
#define U(x) ((unsigned long long)(x))
	return buf_addf(out,
	    "\"backend\":{\"lanes\":%zu,\"connects\":%llu,\"losses\":%llu,\"sent\":%llu,"
	    "\"answered\":%llu,\"sent_again\":%llu,\"uncertain\":%llu,\"expired\":%llu,"
	    "\"held_count\":%zu,\"held_bytes\":%zu,\"in_bytes\":%llu,\"out_bytes\":%llu},",
	    b->lanes, U(b->connects), U(b->losses), U(b->sent), U(b->answered), U(b->sent_again),
	    U(b->uncertain), U(b->expired), b->held_count, b->held_bytes, U(b->in_bytes),
	    U(b->out_bytes));
#undef U
}
