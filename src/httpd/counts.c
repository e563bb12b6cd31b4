#include "httpd/counts.h"

#include <stdlib.h>

#include "backend/metrics.h"
#include "base/mem.h"
#include "httpd/exchange.h"
#include "httpd/route.h"
#include "httpd/session.h"

#define STATUS_FIRST 100
#define STATUS_COUNT 500

struct counted {
	uint64_t calls, errors;
	struct metrics_histogram latency;
};

struct counts {
	uint64_t total, errors;
	uint64_t statuses[STATUS_COUNT];
	struct counted kinds[COUNTS_KINDS];
	struct counted routes[]; /* route_count() of them */
};

static const char *const kind_names[] = {[COUNTS_COMMAND] = "(command)",
    [COUNTS_BATCH] = "(batch)",
    [COUNTS_STREAM] = "(stream)",
    [COUNTS_WEBSOCKET] = "(websocket)",
    [COUNTS_REFUSED] = "(refused)"};
_Static_assert(ARRAY_LEN(kind_names) == COUNTS_KINDS, "a name for each kind");

struct counts *
counts_new(void)
{
	return xcalloc(1, sizeof(struct counts) + route_count() * sizeof(struct counted));
}

void
counts_free(struct counts **c)
{
	free(*c);
	*c = NULL;
}

static enum counts_kind
kind_of(const struct exchange *x)
{
	if (x->session->ws != NULL) {
		return COUNTS_WEBSOCKET;
	}
	if (x->call.way == CALL_STREAM && x->call.command != NULL) {
		return COUNTS_STREAM;
	}
	if (x->batch != NULL || x->is_batch) {
		return COUNTS_BATCH;
	}
	return x->call.wish.command.len > 0 ? COUNTS_COMMAND : COUNTS_REFUSED;
}

static struct counted *
find(struct counts *c, const struct exchange *x)
{
	return x->route != NULL ? &c->routes[x->route - route_at(0)] : &c->kinds[kind_of(x)];
}

void
counts_add(struct counts *c, const struct exchange *x, uint64_t now_us)
{
	struct counted *r;

	if (x->answered < STATUS_FIRST || x->answered >= STATUS_FIRST + STATUS_COUNT) {
		return;
	}
	r = find(c, x);
	c->total++;
	c->statuses[x->answered - STATUS_FIRST]++;
	r->calls++;
	if (x->answered >= 400) {
		c->errors++;
		r->errors++;
	}
	if (x->began_us != 0 && r != &c->kinds[COUNTS_STREAM]) {
		metrics_observe(&r->latency, now_us > x->began_us ? now_us - x->began_us : 0);
	}
}

uint64_t
counts_total(const struct counts *c)
{
	return c->total;
}

/* ---- as JSON ---- */

static int
add_counted(struct buf *out, const char **comma, const char *name, const struct counted *r)
{
	int err;

	if (r->calls == 0) {
		return 0;
	}
	err = buf_addf(out,
	    "%s\"%s\":{\"calls\":%llu,\"errors\":%llu,\"us\":%llu,\"latency\":", *comma, name,
	    (unsigned long long)r->calls, (unsigned long long)r->errors,
	    (unsigned long long)r->latency.us);
	*comma = ",";
	if (err == 0) {
		err = metrics_add_histogram(out, &r->latency);
	}
	return err < 0 ? err : buf_add_str(out, "}");
}

int
counts_add_json(const struct counts *c, struct buf *out)
{
	const char *comma = "";
	int err = buf_addf(out, "\"requests\":{\"total\":%llu,\"errors\":%llu,\"statuses\":{",
	    (unsigned long long)c->total, (unsigned long long)c->errors);

	for (unsigned i = 0; i < STATUS_COUNT && err == 0; i++) {
		if (c->statuses[i] > 0) {
			err = buf_addf(out, "%s\"%u\":%llu", comma, STATUS_FIRST + i,
			    (unsigned long long)c->statuses[i]);
			comma = ",";
		}
	}
	if (err == 0) {
		err = buf_add_str(out, "},\"routes\":{");
	}
	comma = "";
	for (size_t i = 0; i < COUNTS_KINDS && err == 0; i++) {
		err = add_counted(out, &comma, kind_names[i], &c->kinds[i]);
	}
	for (size_t i = 0; i < route_count() && err == 0; i++) {
		err = add_counted(out, &comma, route_at(i)->path, &c->routes[i]);
	}
	return err < 0 ? err : buf_add_str(out, "}}");
}
