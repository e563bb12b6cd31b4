#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/log.h"
#include "base/mem.h"
#include "instance/diverged.h"
#include "net/conn.h"
#include "resp/request.h"

#define ANSWER_MS 5000
#define HEAD_MAX  ((size_t)64 * 1024) /* INFO and the answers around it */
/* So much more is asked for, before what is wanted: a beat in it, ten a second, says in which database the stream is. */
#define LEAD_MAX ((size_t)2 * 1024 * 1024)
#define BEAT     "*3\r\n$7\r\nPUBLISH\r\n$17\r\n" DIVERGED_CHANNEL "\r\n"

enum diverged_state { DV_INFO, DV_ASKING, DV_STREAM, DV_THERE };

struct diverged {
	struct loop *loop;              /* borrowed (outlives it) */
	const struct diverged_ops *ops; /* borrowed (static) */
	void *owner;                    /* borrowed */
	struct conn *conn;              /* owned; NULL once it is there */
	struct endpoint replica;
	enum diverged_state state;
	unsigned lines_left; /* of answers before what is waited for */
	char replid[41];
	uint64_t acked;       /* by the replica that has most; 0: by none */
	uint64_t first, last; /* offsets of the stream's first and last byte */
	bool cut_off;
	struct buf stream;
	struct errmsg why;
	size_t begin; /* in it: where a command begins, and all that is wanted lies behind */
};

/* ---- the stream ---- */

/* In pieces or not: is it one that changes no data? */
static bool
is_no_data(const struct resp_request *req)
{
	static const char *const names[] = {"PING", "REPLCONF", "PUBLISH", "SPUBLISH"};

	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (req->kept > 0 && slice_caseeq(req->argv[0], names[i])) {
			return true;
		}
	}
	return false;
}

struct extraction {
	uint64_t from;
	struct buf *out;
	int64_t db, written_db; /* -1: not known; not written yet */
	bool keeps;             /* the present command */
	size_t writes;
};

static int
begin_command(struct extraction *x, const struct resp_request *req, uint64_t offset)
{
	char select[64], number[24];
	bool is_frame = req->kept > 0 &&
			(slice_caseeq(req->argv[0], "MULTI") || slice_caseeq(req->argv[0], "EXEC"));

	x->keeps = false;
	if (req->kept == 2 && slice_caseeq(req->argv[0], "SELECT")) {
		if (!slice_to_i64(req->argv[1], &x->db)) {
			return -EPROTO;
		}
		return 0;
	}
	/* Supervisors are always in database 0, and the stream says when it goes there. */
	if (x->db < 0 && req->kept > 1 && slice_caseeq(req->argv[0], "PUBLISH") &&
	    slice_eq(req->argv[1], DIVERGED_CHANNEL)) {
		x->db = 0;
	}
	if (is_no_data(req) || offset < x->from) {
		return 0;
	}
	x->keeps = true;
	x->writes += !is_frame;
	if (MAX(x->db, 0) == x->written_db) {
		return 0;
	}
	x->written_db = MAX(x->db, 0);
	(void)snprintf(number, sizeof(number), "%lld", (long long)x->written_db);
	(void)snprintf(
	    select, sizeof(select), "*2\r\n$6\r\nSELECT\r\n$%zu\r\n%s\r\n", strlen(number), number);
	return buf_add_str(x->out, select);
}

/* Leaves out a last command that is not there as a whole. */
int
diverged_extract(
    struct slice stream, uint64_t first, uint64_t from, struct buf *out, size_t *ret_writes)
{
	struct extraction x = {.from = from, .out = out, .db = -1, .written_db = -1};
	struct resp_request_scanner scanner;
	struct resp_limits limits = RESP_LIMITS_DEFAULT;
	struct resp_request req;
	struct buf lines;
	size_t at = 0, whole = buf_len(out), whole_writes = 0;
	int rc = 0;

	resp_request_init(&scanner);
	buf_init(&lines, RESP_INLINE_MAX);
	while (rc == 0) {
		enum resp_request_status status = resp_request_scan(&scanner, &limits,
		    (struct slice){stream.ptr + at, stream.len - at}, &lines, &req);

		if (status == RESP_REQUEST_MORE || status == RESP_REQUEST_BAD) {
			rc = status == RESP_REQUEST_BAD ? -EPROTO : 0;
			break;
		}
		if (status != RESP_REQUEST_PIECE) {
			rc = begin_command(&x, &req, first + at);
		}
		at += req.used;
		if (rc == 0 && x.keeps) {
			rc = buf_add_slice(out, req.raw);
		}
		if (req.last) {
			whole = buf_len(out);
			whole_writes = x.writes;
		}
	}
	buf_fini(&lines);
	buf_truncate(out, whole);
	*ret_writes = whole_writes;
	return rc;
}

static int
write_all(const char *path, struct slice bytes, struct errmsg *err)
{
	char *other = xasprintf("%s.new", path);
	int fd = open(other, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600), rc = 0;

	while (fd != -1 && rc == 0 && bytes.len > 0) {
		ssize_t n = write(fd, bytes.ptr, bytes.len);

		if (n == -1 && errno != EINTR) {
			rc = -errno;
		} else if (n > 0) {
			bytes.ptr += n;
			bytes.len -= (size_t)n;
		}
	}
	rc = fd == -1 ? -errno : rc;
	if (fd != -1 && close(fd) == -1 && rc == 0) {
		rc = -errno;
	}
	if (rc == 0 && rename(other, path) == -1) {
		rc = -errno;
	}
	if (rc < 0) {
		errmsg_set(err, "%s: %s", path, strerror(-rc));
		(void)unlink(other);
	}
	free(other);
	return rc;
}

int
diverged_write(const struct diverged *d, uint64_t from, const char *path,
    struct diverged_count *ret_count, struct errmsg *err)
{
	struct diverged_count count = {.cut_off = d->cut_off};
	struct slice stream = buf_slice(&d->stream);
	struct buf out;
	int rc;

	buf_init(&out, 2 * (DIVERGED_MAX + LEAD_MAX));
	rc = diverged_extract((struct slice){stream.ptr + d->begin, stream.len - d->begin},
	    d->first + d->begin, from, &out, &count.writes);
	if (rc < 0) {
		errmsg_set(
		    err, "what the server had for its replicas cannot be read: %s", strerror(-rc));
	} else if (count.writes > 0) {
		count.bytes = buf_len(&out);
		rc = write_all(path, buf_slice(&out), err);
	} else if (unlink(path) == -1 && errno != ENOENT) {
		rc = -errno;
		errmsg_set(err, "%s: %s", path, strerror(-rc));
	}
	buf_fini(&out);
	if (rc == 0) {
		*ret_count = count;
	}
	return rc;
}

const char *
diverged_replid(const struct diverged *d)
{
	return d->replid;
}

uint64_t
diverged_unacknowledged(const struct diverged *d)
{
	return d->acked + 1;
}

/* ---- asking for it ---- */

static void
done(struct diverged *d, int error, const char *why)
{
	d->state = DV_THERE;
	conn_close(&d->conn);
	d->ops->on_done(d->owner, error, why);
}

static bool
field(struct slice info, const char *name, char *text, size_t size)
{
	size_t len = strlen(name);
	const char *at = (const char *)info.ptr;

	for (size_t i = 0; i + len < info.len; i++) {
		if ((i == 0 || at[i - 1] == '\n') && memcmp(at + i, name, len) == 0) {
			const char *value = at + i + len,
				   *end = memchr(value, '\r', info.len - i - len);

			if (end == NULL) {
				return false;
			}
			(void)snprintf(
			    text, size, "%.*s", (int)MIN((size_t)(end - value), size - 1), value);
			return true;
		}
	}
	return false;
}

static uint64_t
number(struct slice info, const char *name)
{
	char text[32];
	uint64_t n;

	return field(info, name, text, sizeof(text)) && slice_to_u64(slice_str(text), &n) ? n : 0;
}

/* slave0:ip=10.0.0.2,port=6381,state=online,offset=4711,lag=0 */
static uint64_t
highest_acknowledged(struct slice info)
{
	uint64_t highest = 0;

	for (unsigned i = 0; i < 64; i++) {
		char name[16], text[256], *at;
		uint64_t n;

		(void)snprintf(name, sizeof(name), "slave%u:", i);
		if (!field(info, name, text, sizeof(text)) ||
		    (at = strstr(text, ",offset=")) == NULL) {
			break;
		}
		at += strlen(",offset=");
		at[strcspn(at, ",")] = '\0';
		if (slice_to_u64(slice_str(at), &n)) {
			highest = MAX(highest, n);
		}
	}
	return highest;
}

/* A command of ours stands at `words`, which ends with NULL. */
static int
say(struct diverged *d, const char *const *words)
{
	struct buf *out = conn_out(d->conn);
	size_t count = 0;
	int rc;

	while (words[count] != NULL) {
		count++;
	}
	rc = buf_addf(out, "*%zu\r\n", count);
	for (size_t i = 0; i < count && rc == 0; i++) {
		rc = buf_addf(out, "$%zu\r\n%s\r\n", strlen(words[i]), words[i]);
	}
	conn_flush(d->conn);
	return rc;
}

static bool
ask_for_stream(struct diverged *d, struct slice info)
{
	uint64_t oldest = number(info, "repl_backlog_first_byte_offset:");
	char port[8];

	d->last = number(info, "master_repl_offset:");
	d->acked = MIN(highest_acknowledged(info), d->last);
	if (!field(info, "master_replid:", d->replid, sizeof(d->replid)) || oldest == 0) {
		done(d, -ENOENT, "the server keeps no backlog");
		return false;
	}
	if (d->acked >= d->last) {
		done(d, 0, "");
		return false;
	}
	d->cut_off = oldest > d->acked + 1;
	d->first = MAX(oldest, d->acked + 1 - MIN(d->acked, (uint64_t)LEAD_MAX));
	(void)snprintf(port, sizeof(port), "%u", d->replica.port);
	d->state = DV_ASKING;
	d->lines_left = 3;
	if (say(d, (const char *const[]){"REPLCONF", "listening-port", port, NULL}) < 0 ||
	    say(d, (const char *const[]){"REPLCONF", "ip-address", d->replica.host, NULL}) < 0 ||
	    say(d, (const char *const[]){"REPLCONF", "capa", "psync2", NULL}) < 0) {
		done(d, -ENOMEM, "no memory");
		return false;
	}
	return true;
}

/* One line, its end included; 0: it is not there yet. */
static size_t
line_of(struct slice in)
{
	const uint8_t *end = memchr(in.ptr, '\n', in.len);

	return end != NULL ? (size_t)(end - in.ptr) + 1 : 0;
}

/* "+OK", then "$len INFO"; returns what is consumed. */
static size_t
take_info(struct diverged *d, struct slice in)
{
	size_t line = line_of(in);
	uint64_t len;

	if (line == 0) {
		return 0;
	}
	if (in.ptr[0] == '+') {
		return line;
	}
	if (in.ptr[0] != '$' || line < 4 ||
	    !slice_to_u64((struct slice){in.ptr + 1, line - 3}, &len) || len > HEAD_MAX) {
		done(d, -EPROTO, "the server does not say how far its replicas are");
		return 0;
	}
	if (in.len < line + len + 2) {
		return 0;
	}
	return ask_for_stream(d, (struct slice){in.ptr + line, (size_t)len})
		   ? line + (size_t)len + 2
		   : 0;
}

/* Answers to REPLCONF, then "+CONTINUE ID". */
static size_t
take_answer(struct diverged *d, struct slice in)
{
	size_t line = line_of(in);

	if (line == 0 || in.ptr[0] == '\n') {
		return line;
	}
	if (d->lines_left > 0) {
		d->lines_left--;
		if (d->lines_left == 0) {
			char offset[24];

			/* Redis takes it only when it has nothing else to say. */
			(void)snprintf(
			    offset, sizeof(offset), "%llu", (unsigned long long)d->first);
			if (say(d, (const char *const[]){"PSYNC", d->replid, offset, NULL}) < 0) {
				done(d, -ENOMEM, "no memory");
				return 0;
			}
		}
		return line;
	}
	if (!slice_begins(in, "+CONTINUE")) {
		errmsg_set(&d->why, "the server does not give it out: %s",
		    LOG_QUOTE(((struct slice){in.ptr, MIN(line, 100)})));
		done(d, -EPROTO, d->why.text);
		return 0;
	}
	d->state = DV_STREAM;
	return line;
}

/* Does a command begin at `to` when one does at `at`? */
static bool
leads_to(struct slice stream, size_t at, size_t to)
{
	struct resp_request_scanner scanner;
	struct resp_limits limits = RESP_LIMITS_DEFAULT;
	struct resp_request req;
	struct buf lines;

	resp_request_init(&scanner);
	buf_init(&lines, RESP_INLINE_MAX);
	while (at < to) {
		enum resp_request_status status = resp_request_scan(&scanner, &limits,
		    (struct slice){stream.ptr + at, stream.len - at}, &lines, &req);

		if (status == RESP_REQUEST_MORE || status == RESP_REQUEST_BAD) {
			break;
		}
		at += req.used;
	}
	buf_fini(&lines);
	return at == to && !resp_request_is_streaming(&scanner);
}

/* What a replica has acknowledged ends where a command ends. Where the stream itself begins is anywhere. */
static bool
find_begin(struct diverged *d)
{
	struct slice stream = buf_slice(&d->stream);
	size_t wanted, best = SIZE_MAX;

	if (d->first > d->acked + 1) {
		const uint8_t *beat = memmem(stream.ptr, stream.len, BEAT, sizeof(BEAT) - 1);

		d->begin = beat != NULL ? (size_t)(beat - stream.ptr) : 0;
		return beat != NULL;
	}
	wanted = (size_t)(d->acked + 1 - d->first);
	for (size_t at = 0; at < wanted;) {
		const uint8_t *beat = memmem(stream.ptr + at, wanted - at, BEAT, sizeof(BEAT) - 1);

		if (beat == NULL) {
			break;
		}
		best = (size_t)(beat - stream.ptr);
		at = best + 1;
	}
	/* A value may hold the same bytes: then it leads nowhere. */
	d->begin = best != SIZE_MAX && leads_to(stream, best, wanted) ? best : wanted;
	return true;
}

static size_t
take_stream(struct diverged *d, struct slice in)
{
	size_t wanted = (size_t)MIN(d->last + 1 - d->first, (uint64_t)(DIVERGED_MAX + LEAD_MAX));
	size_t n = MIN(in.len, wanted - buf_len(&d->stream));

	if (buf_add(&d->stream, in.ptr, n) < 0) {
		done(d, -ENOMEM, "no memory");
		return 0;
	}
	if (buf_len(&d->stream) == wanted) {
		d->cut_off = d->cut_off || wanted < d->last + 1 - d->first;
		if (find_begin(d)) {
			done(d, 0, "");
		} else {
			done(d, -E2BIG,
			    "more was written than it keeps for its replicas (repl-backlog-size)");
		}
		return 0;
	}
	return n;
}

static size_t
on_data(struct conn *c, void *owner, struct slice in)
{
	struct diverged *d = owner;
	size_t used = 0, n = 1;

	while (n > 0 && used < in.len && d->state != DV_THERE) {
		struct slice rest = {in.ptr + used, in.len - used};

		n = d->state == DV_INFO     ? take_info(d, rest)
		    : d->state == DV_ASKING ? take_answer(d, rest)
					    : take_stream(d, rest);
		used += n;
	}
	return used;
}

static void
on_close(struct conn *c, void *owner, int error)
{
	struct diverged *d = owner;

	d->conn = NULL;
	done(d, error != 0 ? error : -EPIPE,
	    error == -ETIMEDOUT ? "the server did not answer in time"
				: "the server closed the connection");
}

static void
on_open(struct conn *c, void *owner)
{
	conn_set_deadline(c, ANSWER_MS);
}

static const struct conn_ops conn_ops = {
    .on_open = on_open, .on_data = on_data, .on_close = on_close};

static void
free_now(void *obj)
{
	struct diverged *d = obj;

	buf_fini(&d->stream);
	free(d);
}

void
diverged_free(struct diverged **dp)
{
	struct diverged *d = *dp;

	*dp = NULL;
	if (d != NULL) {
		conn_close(&d->conn);
		loop_bury(d->loop, free_now, d);
	}
}

struct diverged *
diverged_start(struct loop *loop, const struct diverged_spec *spec, const struct diverged_ops *ops,
    void *owner, struct errmsg *err)
{
	struct diverged *d = xcalloc(1, sizeof(*d));

	*d = (struct diverged){.loop = loop, .ops = ops, .owner = owner, .replica = spec->replica};
	buf_init(&d->stream, DIVERGED_MAX + LEAD_MAX);
	d->conn = conn_connect(loop, &spec->at, ANSWER_MS, &conn_ops, d, err);
	if (d->conn == NULL) {
		free(d);
		return NULL;
	}
	conn_set_limits(d->conn, HEAD_MAX + 1024, HEAD_MAX);
	if (say(d, (const char *const[]){"AUTH", spec->user, spec->password, NULL}) < 0 ||
	    say(d, (const char *const[]){"INFO", "replication", NULL}) < 0) {
		errmsg_set(err, "no memory");
		diverged_free(&d);
	}
	return d;
}
