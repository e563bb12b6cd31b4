#include "proxy/proxy.h"

#include <assert.h>
#include <stdlib.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "conf/conf.h"
#include "proxy/proxy_priv.h"

#define REFUSED_MS 1000

static struct backend_conf
readers_conf(const struct proxy *p)
{
	struct backend_conf conf = {.hold_ms = worker_conf(p->worker)->proxy_hold_ms,
	    .client_name = "holdfast",
	    .metrics = backend_metrics(p->backend),
	    .scripts = backend_scripts(p->backend)};

	conf.near = worker_near(p->worker, &conf.near_count);
	return conf;
}

static void
configure(struct proxy *p)
{
	const struct conf *conf = worker_conf(p->worker);
	unsigned durable =
	    MAX((unsigned)conf->proxy_durable_replicas, (unsigned)conf->proxy_durability);

	p->conf.max_clients = conf->proxy_max_clients;
	p->conf.client_timeout_ms = conf->proxy_client_timeout_s * 1000;
	p->conf.max_output_bytes = conf->proxy_max_output_bytes;
	p->conf.max_memory_bytes = conf->proxy_max_memory_bytes;
	p->conf.output_timeout_s = conf->proxy_output_timeout_s;
	p->conf.max_connects_per_s = conf->proxy_max_connects_per_s;
	p->conf.allow = (const char *const *)conf->proxy_allow.items;
	p->conf.allow_count = conf->proxy_allow.count;
	p->limits = RESP_LIMITS_DEFAULT;
	p->limits.bulk_max = MIN(p->limits.bulk_max, conf->proxy_max_request_bytes);
	confirm_configure(
	    p->confirms[DOOR_LISTEN], conf->proxy_durability, conf->proxy_durability_ms);
	confirm_configure(p->confirms[DOOR_DURABLE],
	    conf->proxy_durable_listen.count > 0 ? durable : 0, conf->proxy_durability_ms);
	if (p->readers != NULL) {
		const struct backend_conf reads = readers_conf(p);

		readers_configure(p->readers, &reads, conf->proxy_max_lag_ms);
		readers_set_secret(p->readers, worker_user(p->worker), worker_secret(p->worker));
	}
	/* what surrounds a value of the largest size is not counted against it */
	p->limits.total_max = conf->proxy_max_request_bytes + RESP_INLINE_MAX;
}

/* Something waits for it, and it has taken nothing of that for so long. */
static bool
is_stuck(struct session *s)
{
	uint32_t sent = (uint32_t)conn_sent_total(s->conn);
	bool waits = conn_unsent(s->conn) > 0 && sent == s->sent_seen;

	s->stuck_s = waits ? s->stuck_s + 1 : 0;
	s->sent_seen = sent;
	return s->proxy->conf.output_timeout_s != 0 && s->stuck_s > s->proxy->conf.output_timeout_s;
}

static void
look_at_session(struct proxy *p, struct session *s, uint64_t now)
{
	uint64_t hold_ms = MAX(worker_conf(p->worker)->proxy_hold_ms, (uint64_t)1000);

	if (session_raw_lost_ms(s, now) > hold_ms) {
		session_close(s); /* it would wait for messages that nobody can send */
	} else if (session_multi_away_ms(s, now) > hold_ms) {
		session_multi_give_up(s);
	} else if (is_stuck(s)) {
		p->stats.slow++;
		log_peer(LOG_INFO, "a client that does not read its replies is closed");
		session_close(s);
	} else if (p->conf.client_timeout_ms != 0 && s->requester.unanswered == 0 &&
		   s->rare->holding == NULL && s->own_mode != OWN_RAW &&
		   (now / 1000 - s->active_s) * 1000 >= p->conf.client_timeout_ms) {
		p->stats.idle++;
		session_close(s);
	}
}

static size_t
memory_of(const struct session *s)
{
	return conn_unsent(s->conn) + session_held_bytes(s);
}

/* Those for whom most is kept go, until the rest is little enough. */
static void
look_at_memory(struct proxy *p)
{
	size_t all = 0;

	list_for_each (item, &p->sessions) {
		all += memory_of(CONTAINER_OF(item, struct session, link));
	}
	while (p->conf.max_memory_bytes != 0 && all > p->conf.max_memory_bytes) {
		struct session *most = NULL;

		list_for_each (item, &p->sessions) {
			struct session *s = CONTAINER_OF(item, struct session, link);

			most = most == NULL || memory_of(s) > memory_of(most) ? s : most;
		}
		if (most == NULL) {
			return;
		}
		all -= memory_of(most);
		p->stats.slow++;
		log_peer(LOG_WARN, "a client is closed: the proxy keeps more than "
				   "proxy.max_memory_bytes, and most of it for this one");
		session_close(most);
	}
}

static void
on_idle_timer(struct ev_loop *ev, ev_timer *timer, int revents)
{
	struct proxy *p = OBJ_CAST((struct proxy *)timer->data, PROXY_MAGIC);
	uint64_t now = clock_mono_ms();

	list_for_each_safe (item, next, &p->sessions) {
		look_at_session(p, CONTAINER_OF(item, struct session, link), now);
	}
	look_at_memory(p);
	(void)proxy_blocked(p); /* the others may want to know */
	if (p->paused) {
		p->paused = false;
		worker_pause_doors(p->worker, false);
	}
	p->connects = 0;
}

static int
proxy_start(struct worker *w, void **ret_state, struct errmsg *err)
{
	struct proxy *p = xcalloc(1, sizeof(*p));

	*p = (struct proxy){.magic = PROXY_MAGIC,
	    .worker = w,
	    .loop = worker_loop(w),
	    .backend = worker_backend(w),
	    .share = worker_share(w),
	    .slot = worker_slot(w),
	    .next_id = 1};
	list_init(&p->sessions);
	buf_init(&p->inline_buf, 8 * RESP_INLINE_MAX);
	p->confirms[DOOR_LISTEN] = confirm_new(p->backend);
	p->confirms[DOOR_DURABLE] = confirm_new(p->backend);
	if (worker_conf(w)->proxy_read_listen.count > 0) {
		const struct backend_conf conf = readers_conf(p);

		p->readers = readers_new(p->loop, worker_topo(w), &conf);
	}
	ev_timer_init(&p->idle_timer, on_idle_timer, 1., 1.);
	p->idle_timer.data = p;
	ev_timer_start(loop_ev(p->loop), &p->idle_timer);
	configure(p);
	*ret_state = p;
	return 0;
}

static void
proxy_accept(void *state, struct conn *c, unsigned door, const struct endpoint *at)
{
	static const char full[] = "-ERR max number of clients reached\r\n";
	struct proxy *p = OBJ_CAST((struct proxy *)state, PROXY_MAGIC);

	if (p->draining || proxy_clients(p) >= p->conf.max_clients ||
	    (door == DOOR_READ && p->readers == NULL)) {
		p->stats.refused++;
		(void)!conn_write(c, full, sizeof(full) - 1);
		conn_close_after_flush(&c, REFUSED_MS);
		return;
	}
	session_new(p, c, (enum proxy_door)door);
	if (++p->connects == p->conf.max_connects_per_s) {
		p->paused = true; /* until the next second */
		worker_pause_doors(p->worker, true);
	}
}

static void
proxy_apply(void *state)
{
	configure(OBJ_CAST((struct proxy *)state, PROXY_MAGIC));
}

static void
all_stats(const struct proxy *p, struct backend_stats *ret_stats)
{
	size_t count = p->readers != NULL ? readers_count(p->readers) : 0;
	struct backend_stats b;

	backend_stats(p->backend, ret_stats);
	for (size_t i = 0; i < count; i++) {
		backend_stats(readers_at(p->readers, i), &b);
		ret_stats->sent += b.sent;
		ret_stats->answered += b.answered;
		ret_stats->sent_again += b.sent_again;
		ret_stats->uncertain += b.uncertain;
		ret_stats->expired += b.expired;
		ret_stats->connects += b.connects;
		ret_stats->losses += b.losses;
		ret_stats->in_bytes += b.in_bytes;
		ret_stats->out_bytes += b.out_bytes;
		ret_stats->held_bytes += b.held_bytes;
		ret_stats->held_count += b.held_count;
		ret_stats->lanes += b.lanes;
	}
}

/* Nothing is said while nothing happens. */
static bool
proxy_report(void *state, bool anew, struct buf *out)
{
	struct proxy *p = OBJ_CAST((struct proxy *)state, PROXY_MAGIC);
	struct backend_stats b;
	uint64_t counted;
	int err;

	all_stats(p, &b);
	counted = p->stats.accepted + p->stats.refused + p->stats.in_bytes + p->stats.out_bytes +
		  p->session_count + b.connects + b.losses +
		  metrics_total(backend_metrics(p->backend));
	if (counted == p->reported && !anew) {
		return false;
	}
	p->reported = counted;
#define U(x) ((unsigned long long)(x))
	err = buf_addf(out,
	    "{\"clients\":{\"now\":%zu,\"accepted\":%llu,\"refused\":%llu,\"idle\":%llu,\"slow\":%"
	    "llu,"
	    "\"violations\":%llu,\"in_bytes\":%llu,\"out_bytes\":%llu},",
	    p->session_count, U(p->stats.accepted), U(p->stats.refused), U(p->stats.idle),
	    U(p->stats.slow), U(p->stats.violations), U(p->stats.in_bytes), U(p->stats.out_bytes));
	if (err == 0) {
		err = buf_addf(out, "\"replicas\":%zu,",
		    p->readers != NULL ? readers_fit(p->readers) : (size_t)0);
	}
#undef U
	if (err == 0) {
		err = metrics_add_backend(&b, out);
	}
	if (err == 0) {
		err = metrics_add_json(backend_metrics(p->backend), out);
	}
	return err == 0 && buf_add_str(out, "}") == 0;
}

static void
proxy_drain(void *state)
{
	struct proxy *p = OBJ_CAST((struct proxy *)state, PROXY_MAGIC);

	p->draining = true;
	list_for_each_safe (item, next, &p->sessions) {
		session_drain(CONTAINER_OF(item, struct session, link));
	}
	if (list_is_empty(&p->sessions)) {
		worker_drained(p->worker);
	}
}

static void
free_now(void *obj)
{
	struct proxy *p = obj;

	buf_fini(&p->inline_buf);
	p->magic = 0;
	free(p);
}

static void
proxy_stop(void *state)
{
	struct proxy *p = OBJ_CAST((struct proxy *)state, PROXY_MAGIC);

	list_for_each_safe (item, next, &p->sessions) {
		session_close(CONTAINER_OF(item, struct session, link));
	}
	for (size_t i = 0; i < DOOR_COUNT; i++) {
		confirm_free(&p->confirms[i]);
	}
	readers_free(&p->readers);
	ev_timer_stop(loop_ev(p->loop), &p->idle_timer);
	loop_bury(p->loop, free_now, p);
}

static const struct conf_list *
listen_addresses(const struct conf *conf)
{
	return &conf->proxy_listen;
}

static const struct conf_list *
durable_addresses(const struct conf *conf)
{
	return &conf->proxy_durable_listen;
}

static const struct conf_list *
read_addresses(const struct conf *conf)
{
	return &conf->proxy_read_listen;
}

static struct tls_files
tls_files(const struct conf *conf)
{
	return (struct tls_files){
	    .cert = conf->proxy_tls_cert, .key = conf->proxy_tls_key, .ca = conf->proxy_tls_ca};
}

static const struct conf_list *
trusted_proxies(const struct conf *conf)
{
	return &conf->proxy_proxied_from;
}

static const char *
unix_mode(const struct conf *conf)
{
	return conf->proxy_unix_mode;
}

static const struct worker_door doors[] = {
    [DOOR_LISTEN] = {.option = "proxy.listen", .addresses = listen_addresses},
    [DOOR_DURABLE] = {.option = "proxy.durable_listen", .addresses = durable_addresses},
    [DOOR_READ] = {.option = "proxy.read_listen", .addresses = read_addresses},
    [DOOR_COUNT] = {.option = NULL}};

const struct worker_ops proxy_worker_ops = {.role = "proxy",
    .doors = doors,
    .tls = tls_files,
    .trusted = trusted_proxies,
    .unix_mode = unix_mode,
    .plain_hint = "-ERR TLS is spoken here: connect with it\r\n",
    .start = proxy_start,
    .accept = proxy_accept,
    .apply = proxy_apply,
    .report = proxy_report,
    .asked = proxy_asked,
    .drain = proxy_drain,
    .stop = proxy_stop};
