#include "httpd/accesslog.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include <ev.h>

#include "base/buf.h"
#include "base/clock.h"
#include "base/jsontext.h"
#include "base/log.h"
#include "base/mem.h"
#include "httpd/exchange.h"
#include "httpd/route.h"
#include "httpd/session.h"

#define UPGRADED   101 /* that request was HTTP still */
#define DELAY_S    0.1
#define HELD_BYTES ((size_t)64 * 1024) /* written at once when it is as much */
#define HELD_MAX   ((size_t)1024 * 1024)

struct accesslog {
	struct loop *loop; /* borrowed */
	ev_timer timer;
	int fd;
	bool json;
	bool failed; /* the last write did, and that was said */
	struct buf out;
};

static void
write_out(struct accesslog *log)
{
	struct slice text = buf_slice(&log->out);
	ssize_t n = text.len > 0 ? write(log->fd, text.ptr, text.len) : 0;

	if (n == -1 && !log->failed) {
		log_warn(
		    "the access log cannot be written, lines are left out: %s", strerror(errno));
	}
	log->failed = n == -1;
	buf_clear(&log->out);
}

static void
on_timer(struct ev_loop *ev, ev_timer *timer, int revents)
{
	(void)ev;
	(void)revents;
	write_out(timer->data);
}

struct accesslog *
accesslog_open(struct loop *loop, const char *path, bool json)
{
	struct accesslog *log;
	int fd;

	if (path == NULL) {
		return NULL;
	}
	fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0640);
	if (fd == -1) {
		log_error("http.access_log %s cannot be opened, requests are not logged: %s", path,
		    strerror(errno));
		return NULL;
	}
	log = xcalloc(1, sizeof(*log));
	*log = (struct accesslog){.loop = loop, .fd = fd, .json = json};
	buf_init(&log->out, HELD_MAX);
	ev_init(&log->timer, on_timer);
	log->timer.data = log;
	return log;
}

void
accesslog_close(struct accesslog **lp)
{
	struct accesslog *log = *lp;

	*lp = NULL;
	if (log == NULL) {
		return;
	}
	write_out(log);
	ev_timer_stop(loop_ev(log->loop), &log->timer);
	(void)close(log->fd);
	buf_fini(&log->out);
	free(log);
}

/* ---- a line ---- */

static const char *
method_of(const struct exchange *x)
{
	static const char *const names[] = {[HTTP_VERB_GET] = "GET",
	    [HTTP_VERB_HEAD] = "HEAD",
	    [HTTP_VERB_POST] = "POST",
	    [HTTP_VERB_PUT] = "PUT",
	    [HTTP_VERB_DELETE] = "DELETE",
	    [HTTP_VERB_OPTIONS] = "OPTIONS",
	    [HTTP_VERB_OTHER] = "-"};

	return x->session->ws != NULL && x->answered != UPGRADED ? "WS" : names[x->verb];
}

/* A route's path, or a command known to the table by its name there; what else a client wrote is not repeated. */
static const char *
what_of(const struct exchange *x)
{
	if (x->route != NULL) {
		return x->route->path;
	}
	return x->call.command != NULL ? x->call.command->name : "-";
}

/* Without the port, and without the brackets of IPv6. */
static struct slice
host_of(const char *peer)
{
	const char *colon = strrchr(peer, ':');
	size_t len = colon != NULL ? (size_t)(colon - peer) : strlen(peer);

	if (len > 1 && peer[0] == '[') {
		peer++;
		len -= 2;
	}
	return (struct slice){(const uint8_t *)peer, len};
}

static int
add_common(struct buf *out, const struct exchange *x, struct slice host)
{
	time_t now = (time_t)(clock_wall_ms() / 1000);
	char when[64] = "";
	struct tm tm;

	if (localtime_r(&now, &tm) != NULL) {
		(void)strftime(when, sizeof(when), "%d/%b/%Y:%H:%M:%S %z", &tm);
	}
	return buf_addf(out, "%.*s - - [%s] \"%s %s%s HTTP/1.%d\" %u %llu\n", (int)host.len,
	    (const char *)host.ptr, when, method_of(x), x->route != NULL ? "" : "/", what_of(x),
	    x->old_version ? 0 : 1, x->answered, (unsigned long long)x->bytes);
}

static int
add_json(struct buf *out, const struct exchange *x, struct slice host, uint64_t now_us)
{
	char when[CLOCK_RFC3339_SIZE];
	int err = buf_addf(out,
	    "{\"time\":\"%s\",\"client\":", clock_rfc3339(clock_wall_ms(), when, sizeof(when)));

	if (err == 0) {
		err = jsontext_add_string(out, host);
	}
	return err < 0 ? err
		       : buf_addf(out,
			     ",\"method\":\"%s\",\"%s\":\"%s\",\"status\":%u,\"bytes\":%llu,\"us\":"
			     "%llu}\n",
			     method_of(x), x->route != NULL ? "route" : "command", what_of(x),
			     x->answered, (unsigned long long)x->bytes,
			     (unsigned long long)(now_us - x->began_us));
}

void
accesslog_add(struct accesslog *log, const struct exchange *x, uint64_t now_us)
{
	char peer[ENDPOINT_TEXT_SIZE];
	size_t at;
	int err;

	if (log == NULL || x->answered == 0) {
		return;
	}
	at = buf_len(&log->out);
	err = log->json ? add_json(&log->out, x, host_of(conn_peer(x->session->conn, peer)), now_us)
			: add_common(&log->out, x, host_of(conn_peer(x->session->conn, peer)));
	if (err < 0) {
		buf_truncate(&log->out, at);
	}
	if (buf_len(&log->out) >= HELD_BYTES) {
		write_out(log);
	} else if (!ev_is_active(&log->timer)) {
		ev_timer_set(&log->timer, DELAY_S, 0.);
		ev_timer_start(loop_ev(log->loop), &log->timer);
	}
}
