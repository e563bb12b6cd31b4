#include "httpd/httpd.h"

#include <assert.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "backend/metrics.h"
#include "backend/worker.h"
#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "http/tagmemo.h"
#include "httpd/accesslog.h"
#include "httpd/counts.h"
#include "httpd/exchange.h"
#include "httpd/ledger.h"
#include "httpd/live.h"
#include "httpd/session.h"

#define REFUSED_MS     1000
#define HEAD_BYTES     ((size_t)64 * 1024)
#define LINE_MAX_BYTES ((uint64_t)1 << 30)
#define HELD_FACTOR    4 /* times http.max_request_bytes, for all clients together */
#define HELD_MIN       ((size_t)64 * 1024 * 1024)

static struct httpd *
httpd_of(void *state)
{
	return OBJ_CAST((struct httpd *)state, HTTPD_MAGIC);
}

struct lane_key
httpd_lane_key(const struct httpd *h, uint32_t database)
{
	const char *password = h->conf->redis_password;
	struct lane_key key = {.database = database, .protocol = 2};

	if (password != NULL && password[0] != '\0') {
		key.password = slice_str(password);
	}
	return key;
}

/* ---- the lane that most requests take ---- */

static struct home_lane *
make_home(struct httpd *h)
{
	struct home_lane *home = xcalloc(1, sizeof(*home));
	struct lane_key key = httpd_lane_key(h, h->conf->http_database);

	*home = (struct home_lane){
	    .lane = lane_shared(h->backend, &key), .database = h->conf->http_database, .users = 1};
	return home;
}

void
httpd_home_leave(struct home_lane **homep)
{
	struct home_lane *home = *homep;

	*homep = NULL;
	if (home != NULL && --home->users == 0) {
		lane_release(&home->lane);
		free(home);
	}
}

/* ---- settings ---- */

/* Names under which this server may be asked: its own, and those it was told to listen on or be. */
static void
gather_hosts(struct httpd *h)
{
	const struct conf *c = h->conf;
	size_t count = 0, room = c->http_hosts.count + c->http_announce.count + 3;

	free(h->hosts);
	free(h->announced);
	h->announced = xcalloc(c->http_announce.count + 1, sizeof(*h->announced));
	for (size_t i = 0; i < c->site_count; i++) {
		room += c->sites[i].hosts.count;
	}
	h->hosts = xcalloc(room, sizeof(*h->hosts));
	for (size_t i = 0; i < c->site_count; i++) {
		for (size_t k = 0; k < c->sites[i].hosts.count; k++) {
			h->hosts[count++] = c->sites[i].hosts.items[k];
		}
	}
	for (size_t i = 0; i < c->http_hosts.count; i++) {
		h->hosts[count++] = c->http_hosts.items[i];
	}
	for (size_t i = 0; i < c->http_announce.count; i++) {
		if (endpoint_parse(c->http_announce.items[i], 0, &h->announced[i], NULL) == 0) {
			h->hosts[count++] = h->announced[i].host;
		}
	}
	h->hosts[count++] = c->holdfast_address;
	h->hosts[count++] = c->holdfast_node;
	if (h->own_name[0] != '\0') {
		h->hosts[count++] = h->own_name;
	}
	h->rules = (struct access_rules){
	    .hosts = h->hosts, .host_count = count, .cors_origin = c->http_cors_origin};
}

static void
settle(struct httpd *h)
{
	const struct conf *c = worker_conf(h->worker);

	h->conf = c;
	h->limits = (struct http_limits){
	    .line_bytes = (size_t)MIN(c->http_max_request_bytes, LINE_MAX_BYTES),
	    .head_bytes = HEAD_BYTES,
	    .body_bytes = (size_t)c->http_max_request_bytes,
	    .max_headers = HTTP_MAX_HEADERS};
	h->held_max = MAX((size_t)c->http_max_request_bytes * HELD_FACTOR, HELD_MIN);
	gather_hosts(h);
	accesslog_close(&h->access_log);
	h->access_log =
	    accesslog_open(h->loop, c->http_access_log, strcmp(c->http_access_format, "json") == 0);
	acl_free(&h->acl);
	h->acl = acl_new(c->acls, c->acl_count);
	httpd_home_leave(&h->home);
	h->home = make_home(h);
}

/* ---- readiness ---- */

static void
on_route(void *arg, const struct endpoint *master)
{
	(void)master;
	httpd_of(arg)->why_not[0] = '\0';
}

static void
on_noroute(void *arg, const char *why)
{
	struct httpd *h = httpd_of(arg);
	size_t len = MIN(strlen(why), sizeof(h->why_not) - 1);

	memcpy(h->why_not, why, len);
	h->why_not[len] = '\0';
}

/* ---- the role ---- */

static int
start(struct worker *w, void **ret_state, struct errmsg *err)
{
	struct httpd *h = xcalloc(1, sizeof(*h));
	char name[256] = "";

	(void)err;
	*h = (struct httpd){.magic = HTTPD_MAGIC,
	    .worker = w,
	    .loop = worker_loop(w),
	    .backend = worker_backend(w),
	    .started_ms = clock_mono_ms(),
	    .why_not = "no master is known yet"};
	(void)gethostname(name, sizeof(name) - 1);
	h->own_name = xstrdup(name);
	h->counts = counts_new();
	h->tags = tagmemo_new();
	list_init(&h->sessions);
	list_init(&h->spares);
	list_init(&h->hubs);
	buf_init(&h->rendered, 0);
	buf_init(&h->scratch, 0);
	buf_init(&h->resp, 0);
	settle(h);
	h->ledger = ledger_new(h);
	h->watch =
	    (struct backend_watcher){.on_route = on_route, .on_noroute = on_noroute, .arg = h};
	list_init(&h->watch.link);
	backend_watch(h->backend, &h->watch);
	*ret_state = h;
	return 0;
}

static void
apply(void *state)
{
	settle(httpd_of(state));
}

static void
refuse_client(struct conn *c)
{
	static const char text[] =
	    "HTTP/1.1 503 Service Unavailable\r\nServer: Holdfast\r\nContent-Type: "
	    "application/json\r\n"
	    "Retry-After: 1\r\nConnection: close\r\nContent-Length: 52\r\n\r\n"
	    "{\"error\":\"http.max_clients is reached\",\"status\":503}";

	(void)!conn_write(c, text, sizeof(text) - 1);
	conn_close_after_flush(&c, REFUSED_MS);
	log_peer(LOG_WARN, "client refused: http.max_clients is reached, others are served");
}

static void
on_client(void *state, struct conn *c, unsigned door, const struct endpoint *at)
{
	struct httpd *h = httpd_of(state);

	(void)door;
	if (h->draining || h->session_count >= h->conf->http_max_clients) {
		h->refused++;
		refuse_client(c);
		return;
	}
	h->accepted++;
	session_open(h, c, at);
}

void
httpd_session_gone(struct httpd *h)
{
	assert(h->session_count > 0);
	h->session_count--;
	if (h->draining && h->session_count == 0) {
		worker_drained(h->worker);
	}
}

/* A command that was answered here: refused, or a subscription, which the hub asks for once for all. */
static bool
is_local_command(const struct exchange *x)
{
	return x->call.command != NULL && !x->is_batch &&
	       (x->state == EXCHANGE_LOCAL || x->call.way == CALL_STREAM) && x->events == NULL;
}

void
httpd_note_answer(struct httpd *h, const struct exchange *x)
{
	uint64_t now_us = backend_now_us(h->backend);

	counts_add(h->counts, x, now_us);
	if (is_local_command(x)) {
		metrics_add_local(backend_metrics(h->backend), metrics_command(x->call.command),
		    x->answered >= 400);
	}
	accesslog_add(h->access_log, x, now_us);
}

/* What is so now, of all clients. */
struct present {
	size_t websockets, streams;
	uint64_t out_bytes;
};

static struct present
look_at_clients(const struct httpd *h)
{
	struct present now = {.out_bytes = h->out_bytes};

	list_for_each (item, &h->sessions) {
		const struct session *s = CONTAINER_OF(item, struct session, link);

		now.websockets += s->ws != NULL;
		now.streams += s->streams;
		now.out_bytes += s->conn != NULL ? conn_sent_total(s->conn) : 0;
	}
	return now;
}

/* Nothing is said while nothing happens. */
static bool
report(void *state, bool anew, struct buf *out)
{
	struct httpd *h = httpd_of(state);
	struct present now = look_at_clients(h);
	struct backend_stats b;
	uint64_t sum;
	int err;

	backend_stats(h->backend, &b);
	sum = h->accepted + h->refused + h->in_bytes + now.out_bytes + h->session_count + h->slow +
	      b.connects + b.losses + counts_total(h->counts) +
	      metrics_total(backend_metrics(h->backend));
	if (sum == h->reported && !anew) {
		return false;
	}
	h->reported = sum;
#define U(x) ((unsigned long long)(x))
	err = buf_addf(out,
	    "{\"clients\":{\"now\":%zu,\"websockets\":%zu,\"streams\":%zu,\"accepted\":%llu,"
	    "\"refused\":%llu,\"slow\":%llu,\"in_bytes\":%llu,\"out_bytes\":%llu},"
	    "\"held_bytes\":%zu,",
	    h->session_count, now.websockets, now.streams, U(h->accepted), U(h->refused),
	    U(h->slow), U(h->in_bytes), U(now.out_bytes), h->held_bytes);
#undef U
	if (err == 0) {
		err = metrics_add_backend(&b, out);
	}
	if (err == 0) {
		err = counts_add_json(h->counts, out);
	}
	if (err == 0) {
		err = buf_add_str(out, ",");
	}
	if (err == 0) {
		err = metrics_add_json(backend_metrics(h->backend), out);
	}
	return err == 0 && buf_add_str(out, "}") == 0;
}

static void
drain(void *state)
{
	struct httpd *h = httpd_of(state);

	h->draining = true;
	list_for_each_safe (item, next, &h->sessions) {
		session_wind_up(CONTAINER_OF(item, struct session, link));
	}
	if (h->session_count == 0) {
		worker_drained(h->worker);
	}
}

static void
stop(void *state)
{
	struct httpd *h = httpd_of(state);
	struct list *item;

	h->draining = false;
	list_for_each_safe (link, next, &h->sessions) {
		session_kill(CONTAINER_OF(link, struct session, link));
	}
	while ((item = list_shift(&h->spares)) != NULL) {
		struct exchange *x = CONTAINER_OF(item, struct exchange, link);

		buf_fini(&x->text);
		free(x);
	}
	ledger_free(&h->ledger);
	feed_free(&h->feed);
	backend_unwatch(&h->watch);
	httpd_home_leave(&h->home);
	buf_fini(&h->resp);
	buf_fini(&h->rendered);
	buf_fini(&h->scratch);
	accesslog_close(&h->access_log);
	counts_free(&h->counts);
	tagmemo_free(&h->tags);
	acl_free(&h->acl);
	free(h->hosts);
	free(h->announced);
	free(h->own_name);
	h->magic = 0;
	free(h);
}

static const struct conf_list *
listen_addresses(const struct conf *conf)
{
	return &conf->http_listen;
}

static struct tls_files
tls_files(const struct conf *conf)
{
	return (struct tls_files){
	    .cert = conf->http_tls_cert, .key = conf->http_tls_key, .ca = conf->http_tls_ca};
}

static const struct conf_list *
trusted_proxies(const struct conf *conf)
{
	return &conf->http_proxied_from;
}

static const char *
unix_mode(const struct conf *conf)
{
	return conf->http_unix_mode;
}

static const struct worker_door doors[] = {{"http.listen", listen_addresses}, {0}};

const struct worker_ops httpd_worker_ops = {.role = "http",
    .doors = doors,
    .tls = tls_files,
    .trusted = trusted_proxies,
    .unix_mode = unix_mode,
    .plain_hint =
	"HTTP/1.1 400 Bad Request\r\nServer: Holdfast\r\nContent-Type: application/json\r\n"
	"Connection: close\r\nContent-Length: 65\r\n\r\n"
	"{\"error\":\"TLS is spoken here: the address is https\",\"status\":400}",
    .start = start,
    .accept = on_client,
    .apply = apply,
    .report = report,
    .drain = drain,
    .stop = stop};
