#include "topo/watcher.h"

#include <assert.h>
#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/clock.h"
#include "base/log.h"
#include "base/mem.h"
#include "topo/link.h"
#include "topo/reply.h"

#define WATCHER_MAGIC 0x57415443U
#define WATCHED_MAGIC 0x57444f4eU
#define ANSWER_MS     3000 /* a sentinel that leaves a question open for so long is gone */
#define EAR_PING_MS   1000
/* Least time between two questions that events lead to: a flood of events is no flood of questions. */
#define ASK_GAP_MS 5

/* One sentinel. */
struct watched {
	uint32_t magic;
	struct watcher *w; /* borrowed; NULL once off the list, waiting for its burial */
	struct link *cmd;  /* owned */
	struct link *ear;  /* owned: subscribed */
	struct watcher_sentinel view;
	struct watcher_sentinel heard; /* the first half of an answer, until the second comes */
	uint64_t asked_ms;
	ev_timer again;            /* the next question, held back by ASK_GAP_MS */
	bool asking, ask_again;    /* an answer is on its way; something happened since */
	bool half_valid, id_asked; /* `heard` is filled in; MYID went out on this link */
};

struct watcher {
	uint32_t magic;
	struct loop *loop; /* borrowed (outlives all) */
	struct topo *topo; /* borrowed (outlives the watcher), or NULL */
	struct watcher_spec spec;
	struct watched **items; /* owned, each too */
	size_t count;
	struct list observers; /* struct watcher_observer.link */
	ev_timer poll;
	/* A majority names this master at an epoch below topo's, since then; 0: it does not. */
	struct topo_master lower;
	uint64_t lower_since_ms;
};

/* Whatever may change who is master, or what a sentinel thinks of it. */
static const char *const channels[] = {"+switch-master", "+config-update-from", "+sdown", "-sdown",
    "+odown", "-odown", "+new-epoch", "+vote-for-leader", "+try-failover", "+elected-leader",
    "+selected-slave", "+promoted-slave", "+failover-end", "+failover-end-for-timeout",
    "-failover-abort-not-elected", "-failover-abort-no-good-slave", "-failover-abort-slave-timeout",
    "+slave", "+slave-reconf-done", "+sentinel", "+sentinel-address-switch", "+role-change",
    "-role-change", "+convert-to-slave", "+reset-master", "+monitor", "-monitor", "+tilt", "-tilt",
    "+reboot", "+set", NULL};

static void ask(struct watched *s);

/* ---- telling ---- */

/*
 * Calls `fn` for each observer that is here now, whatever comes and goes meanwhile: two bookmarks
 * keep the place and the end (see topo.c). A bookmark is an observer without functions.
 */
static void
for_each_observer(struct watcher *w, void (*fn)(struct watcher_observer *o, void *arg), void *arg)
{
	struct watcher_observer place = {.arg = NULL}, end = {.arg = NULL};

	list_init(&place.link);
	list_unshift(&w->observers, &place.link);
	list_init(&end.link);
	list_push(&w->observers, &end.link);
	while (place.link.next != &end.link) {
		struct list *item = place.link.next;

		list_del(&place.link);
		list_unshift(item, &place.link);
		fn(CONTAINER_OF(item, struct watcher_observer, link), arg);
	}
	list_del(&place.link);
	list_del(&end.link);
}

struct news {
	size_t i;
	const struct watcher_sentinel *view;
	struct slice channel, text;
};

static void
tell_change(struct watcher_observer *o, void *arg)
{
	const struct news *news = arg;

	if (o->on_change != NULL) {
		o->on_change(o->arg, news->i, news->view);
	}
}

static void
tell_event(struct watcher_observer *o, void *arg)
{
	const struct news *news = arg;

	if (o->on_event != NULL) {
		o->on_event(o->arg, news->i, news->channel, news->text);
	}
}

static size_t
index_of(const struct watched *s)
{
	size_t i = 0;

	while (s->w->items[i] != s) {
		i++;
		assert(i < s->w->count);
	}
	return i;
}

static bool
same_master(const struct topo_master *a, const struct topo_master *b)
{
	return a->epoch == b->epoch && endpoint_equal(&a->at, &b->at);
}

static bool
same_view(const struct watcher_sentinel *a, const struct watcher_sentinel *b)
{
	return a->connected == b->connected && a->refused == b->refused && a->hears == b->hears &&
	       a->knows == b->knows && same_master(&a->names, &b->names) &&
	       strcmp(a->id, b->id) == 0 && a->others == b->others && a->replicas == b->replicas &&
	       a->quorum == b->quorum && a->down_after_ms == b->down_after_ms &&
	       a->s_down == b->s_down && a->o_down == b->o_down && a->failover == b->failover &&
	       strcmp(a->why, b->why) == 0;
}

/*
 * Sentinels that were set up anew count epochs from 0 again, which the higher epoch of the past
 * would beat for ever. Their word counts when a majority has said the same for a while and no
 * sentinel says otherwise.
 */
static void
check_restart(struct watcher *w)
{
	struct topo_master known, named;
	bool lower = w->topo != NULL && topo_master(w->topo, &known) &&
		     watcher_majority(w, &named) && named.epoch < known.epoch;

	for (size_t i = 0; lower && i < w->count; i++) {
		const struct watcher_sentinel *v = &w->items[i]->view;

		lower = !v->knows || v->names.epoch < known.epoch;
	}
	if (!lower) {
		w->lower_since_ms = 0;
	} else if (w->lower_since_ms == 0 || !same_master(&w->lower, &named)) {
		w->lower = named;
		w->lower_since_ms = clock_mono_ms();
	} else if (clock_mono_ms() - w->lower_since_ms >= w->spec.restart_ms) {
		w->lower_since_ms = 0;
		log_debug("sentinels count epochs anew epoch=%llu was=%llu",
		    (unsigned long long)named.epoch, (unsigned long long)known.epoch);
		(void)topo_restart(w->topo, &named);
	}
}

/*
 * A sentinel that was still at the end of one failover when the next one happened can be left with the old address
 * under the new epoch, for ever. With an equal epoch a majority is right against it.
 */
static bool
is_stray(const struct watcher *w, const struct topo_master *names)
{
	struct topo_master majority;

	return watcher_majority(w, &majority) && majority.epoch == names->epoch &&
	       !endpoint_equal(&majority.at, &names->at);
}

/* The new view of a sentinel: to topo first, then to the observers if they can see a difference. */
static void
set_view(struct watched *s, const struct watcher_sentinel *view)
{
	struct watcher_sentinel now = *view;
	bool changed = !same_view(&s->view, view);
	struct watcher *w = s->w;
	struct news news = {.view = &now};

	s->view = now;
	if (w->topo != NULL && now.knows && !is_stray(w, &now.names)) {
		(void)topo_offer(w->topo, &now.names, TOPO_FROM_SENTINEL);
	}
	check_restart(w);
	if (changed && s->w != NULL) {
		news.i = index_of(s);
		for_each_observer(w, tell_change, &news);
	}
}

static void set_fault(struct watched *s, const char *fmt, ...) ATTR_PRINTF(2, 3);

/* The sentinel does not say who is master, and why. */
static void
set_fault(struct watched *s, const char *fmt, ...)
{
	struct watcher_sentinel view = s->view;
	va_list ap;

	va_start(ap, fmt);
	(void)vsnprintf(view.why, sizeof(view.why), fmt, ap);
	va_end(ap);
	view.knows = false;
	set_view(s, &view);
}

/* ---- questions ---- */

static bool
has_flag(struct slice flags, const char *flag)
{
	size_t len = strlen(flag);

	while (flags.len >= len) {
		const uint8_t *comma = memchr(flags.ptr, ',', flags.len);
		size_t word = comma == NULL ? flags.len : (size_t)(comma - flags.ptr);

		if (word == len && memcmp(flags.ptr, flag, len) == 0) {
			return true;
		}
		if (comma == NULL) {
			break;
		}
		flags.ptr += word + 1;
		flags.len -= word + 1;
	}
	return false;
}

static bool
read_count(const struct redisReply *r, const char *name, unsigned *ret_count)
{
	uint64_t n;

	if (!reply_u64(reply_field(r, name), &n) || n > 1000000) {
		return false;
	}
	*ret_count = (unsigned)n;
	return true;
}

/* The first half: everything but the address. */
static void
on_master(void *arg, const struct redisReply *r, int error)
{
	struct watched *s = OBJ_CAST((struct watched *)arg, WATCHED_MAGIC);
	struct slice flags = reply_text(reply_field(r, "flags"));

	s->half_valid = false;
	if (error != 0 || s->w == NULL) {
		return; /* the second half says so too */
	}
	s->heard = s->view;
	if (reply_is_error(r)) {
		(void)snprintf(
		    s->heard.why, sizeof(s->heard.why), "it answered %s", LOG_QUOTE(reply_text(r)));
		return;
	}
	if (!reply_u64(reply_field(r, "config-epoch"), &s->heard.names.epoch) ||
	    !read_count(r, "num-slaves", &s->heard.replicas) ||
	    !read_count(r, "num-other-sentinels", &s->heard.others) ||
	    !read_count(r, "quorum", &s->heard.quorum)) {
		(void)snprintf(s->heard.why, sizeof(s->heard.why),
		    "it answered SENTINEL MASTER with something else");
		return;
	}
	if (!reply_u64(reply_field(r, "down-after-milliseconds"), &s->heard.down_after_ms)) {
		s->heard.down_after_ms = 0;
	}
	s->heard.s_down = has_flag(flags, "s_down") || has_flag(flags, "o_down");
	s->heard.o_down = has_flag(flags, "o_down");
	s->heard.failover = has_flag(flags, "failover_in_progress");
	s->heard.why[0] = '\0';
	s->half_valid = true;
}

static void
ask_if_due(struct watched *s)
{
	uint64_t since = clock_mono_ms() - s->asked_ms;

	if (since >= ASK_GAP_MS) {
		ask(s);
	} else if (!ev_is_active(&s->again)) {
		ev_timer_set(&s->again, (double)(ASK_GAP_MS - since) / 1000., 0.);
		ev_timer_start(loop_ev(s->w->loop), &s->again);
	}
}

/* The second half. */
static void
on_address(void *arg, const struct redisReply *r, int error)
{
	struct watched *s = OBJ_CAST((struct watched *)arg, WATCHED_MAGIC);

	if (s->w == NULL) {
		return;
	}
	s->asking = false;
	if (error == -ETIMEDOUT) {
		set_fault(s, "no answer for %d ms", ANSWER_MS);
	} else if (error != 0) {
		return; /* on_down tells */
	} else if (!s->half_valid) {
		s->view.answered_ms = clock_mono_ms();
		set_fault(s, "%s", s->heard.why);
	} else if (!reply_endpoint(reply_at(r, 0), reply_at(r, 1), &s->heard.names.at)) {
		s->view.answered_ms = clock_mono_ms();
		set_fault(s, "it names no numeric address of a master");
	} else {
		struct watcher_sentinel view = s->heard;

		view.names.at.tls =
		    s->view.at.tls;   /* a cluster speaks it as a whole (tls-replication) */
		view.at = s->view.at; /* what came in between */
		view.hears = s->view.hears;
		memcpy(view.id, s->view.id, sizeof(view.id));
		view.connected = view.knows = true;
		view.answered_ms = clock_mono_ms();
		set_view(s, &view);
	}
	if (s->w != NULL && s->ask_again) {
		s->ask_again = false;
		ask_if_due(s);
	}
}

static void
on_id(void *arg, const struct redisReply *r, int error)
{
	struct watched *s = OBJ_CAST((struct watched *)arg, WATCHED_MAGIC);
	struct slice id = reply_text(r);
	struct watcher_sentinel view = s->view;

	/* Sentinel before 6.2 has no MYID: then it has no id for us. */
	if (error != 0 || s->w == NULL || reply_is_error(r) || id.len != sizeof(view.id) - 1) {
		return;
	}
	for (size_t i = 0; i < id.len; i++) {
		if (strchr("0123456789abcdef", id.ptr[i]) == NULL || id.ptr[i] == '\0') {
			return;
		}
	}
	memcpy(view.id, id.ptr, id.len);
	view.id[id.len] = '\0';
	set_view(s, &view);
}

static void
ask(struct watched *s)
{
	const char *name = s->w->spec.name;

	ev_timer_stop(loop_ev(s->w->loop), &s->again);
	if (s->asking) {
		s->ask_again = true;
		return;
	}
	if (!link_is_up(s->cmd)) {
		return;
	}
	if (!s->id_asked) {
		s->id_asked = link_send(s->cmd, ANSWER_MS, on_id, s, "SENTINEL", "MYID", NULL) == 0;
	}
	if (link_send(s->cmd, ANSWER_MS, on_master, s, "SENTINEL", "MASTER", name, NULL) < 0) {
		return;
	}
	if (link_send(s->cmd, ANSWER_MS, on_address, s, "SENTINEL", "GET-MASTER-ADDR-BY-NAME", name,
		NULL) == 0) {
		s->asking = true;
		s->asked_ms = clock_mono_ms();
	}
}

static void
on_again(struct ev_loop *ev, ev_timer *timer, int revents)
{
	ask(OBJ_CAST((struct watched *)timer->data, WATCHED_MAGIC));
}

static void
on_poll(struct ev_loop *ev, ev_timer *timer, int revents)
{
	struct watcher *w = OBJ_CAST((struct watcher *)timer->data, WATCHER_MAGIC);

	for (size_t i = 0; i < w->count; i++) {
		ask(w->items[i]);
	}
	check_restart(w);
}

/* ---- links ---- */

static void
on_cmd_up(struct link *l, void *owner)
{
	struct watched *s = OBJ_CAST((struct watched *)owner, WATCHED_MAGIC);
	struct watcher_sentinel view = s->view;

	s->asking = s->ask_again = s->id_asked = false;
	view.connected = true;
	view.refused = false;
	view.why[0] = '\0';
	link_kick(s->ear);
	ask(s);
	set_view(s, &view);
}

static void
on_cmd_down(struct link *l, void *owner, int error, const char *why)
{
	struct watched *s = OBJ_CAST((struct watched *)owner, WATCHED_MAGIC);
	struct watcher_sentinel view = s->view;

	s->asking = s->ask_again = false;
	view.connected = view.knows = false;
	view.refused = error == -EACCES;
	view.id[0] = '\0'; /* it may come back as another one */
	(void)snprintf(view.why, sizeof(view.why), "%s", why);
	set_view(s, &view);
}

static const struct link_ops cmd_ops = {.on_up = on_cmd_up, .on_down = on_cmd_down};

static void
set_hears(struct watched *s, bool hears)
{
	struct watcher_sentinel view = s->view;

	view.hears = hears;
	set_view(s, &view);
}

static void
on_ear_up(struct link *l, void *owner)
{
	struct watched *s = OBJ_CAST((struct watched *)owner, WATCHED_MAGIC);

	ask(s); /* what was missed until now */
	set_hears(s, true);
}

static void
on_ear_down(struct link *l, void *owner, int error, const char *why)
{
	set_hears(OBJ_CAST((struct watched *)owner, WATCHED_MAGIC), false);
}

static void
on_ear_push(struct link *l, void *owner, const struct redisReply *message)
{
	struct watched *s = OBJ_CAST((struct watched *)owner, WATCHED_MAGIC);
	struct news news = {.i = index_of(s),
	    .channel = reply_text(reply_at(message, 1)),
	    .text = reply_text(reply_at(message, 2))};

	if (s->asking) {
		s->ask_again = true;
	} else {
		ask_if_due(s);
	}
	for_each_observer(s->w, tell_event, &news);
}

static const struct link_ops ear_ops = {
    .on_up = on_ear_up, .on_down = on_ear_down, .on_push = on_ear_push};

/* ---- the list ---- */

static struct watched *
watched_new(struct watcher *w, const struct endpoint *at)
{
	struct watched *s = xcalloc(1, sizeof(*s));
	struct link_spec spec = {.at = *at,
	    .user = w->spec.user,
	    .password = w->spec.password,
	    .stall_ms = ANSWER_MS,
	    .reply_max_bytes = (size_t)64 * 1024};

	s->magic = WATCHED_MAGIC;
	s->w = w;
	s->view.at = *at;
	ev_init(&s->again, on_again);
	s->again.data = s;
	s->cmd = link_new(w->loop, &spec, &cmd_ops, s);
	spec.channels = channels;
	spec.ping_ms = EAR_PING_MS;
	s->ear = link_new(w->loop, &spec, &ear_ops, s);
	return s;
}

static void
watched_free_now(void *obj)
{
	struct watched *s = obj;

	s->magic = 0;
	free(s);
}

static void
watched_free(struct watched *s)
{
	struct watcher *w = s->w;

	ev_timer_stop(loop_ev(w->loop), &s->again);
	link_free(&s->cmd);
	link_free(&s->ear);
	s->w = NULL;
	loop_bury(w->loop, watched_free_now, s);
}

static bool
is_listed(struct watched *const *items, size_t count, const struct endpoint *at)
{
	for (size_t i = 0; i < count; i++) {
		if (endpoint_equal(&items[i]->view.at, at)) {
			return true;
		}
	}
	return false;
}

void
watcher_set_user(struct watcher *w, const char *user, const char *password)
{
	w->spec.user = user;
	w->spec.password = password;
	for (size_t i = 0; i < w->count; i++) {
		struct watched *old = w->items[i];

		w->items[i] = watched_new(w, &old->view.at);
		watched_free(old);
	}
}

/* Takes the sentinel at this address off the old list; a new one if it is not there. */
static struct watched *
take_or_new(struct watcher *w, const struct endpoint *at)
{
	for (size_t i = 0; i < w->count; i++) {
		struct watched *s = w->items[i];

		if (s != NULL && endpoint_equal(&s->view.at, at)) {
			w->items[i] = NULL;
			return s;
		}
	}
	return watched_new(w, at);
}

void
watcher_set_sentinels(struct watcher *w, const struct endpoint *sentinels, size_t count)
{
	struct watched **items = xcalloc(MAX(count, (size_t)1), sizeof(struct watched *));
	size_t kept = 0;

	for (size_t i = 0; i < count && kept < WATCHER_MAX_SENTINELS; i++) {
		if (!is_listed(items, kept, &sentinels[i])) {
			items[kept++] = take_or_new(w, &sentinels[i]);
		}
	}
	for (size_t i = 0; i < w->count; i++) {
		if (w->items[i] != NULL) {
			watched_free(w->items[i]);
		}
	}
	free(w->items);
	w->items = items;
	w->count = kept;
	w->lower_since_ms = 0;
}

struct watcher *
watcher_new(struct loop *loop, struct topo *topo, const struct watcher_spec *spec)
{
	struct watcher *w = xcalloc(1, sizeof(*w));
	double every = (double)(spec->poll_ms > 0 ? spec->poll_ms : 1000) / 1000.;

	w->magic = WATCHER_MAGIC;
	w->loop = loop;
	w->topo = topo;
	w->spec = *spec;
	w->spec.restart_ms = spec->restart_ms > 0 ? spec->restart_ms : 5000;
	list_init(&w->observers);
	ev_timer_init(&w->poll, on_poll, every, every);
	w->poll.data = w;
	ev_timer_start(loop_ev(loop), &w->poll);
	watcher_set_sentinels(w, spec->sentinels, spec->count);
	w->spec.sentinels = NULL; /* the caller's */
	return w;
}

static void
free_now(void *obj)
{
	struct watcher *w = obj;

	w->magic = 0;
	free(w);
}

void
watcher_free(struct watcher **wp)
{
	struct watcher *w = *wp;

	*wp = NULL;
	if (w == NULL) {
		return;
	}
	ev_timer_stop(loop_ev(w->loop), &w->poll);
	for (size_t i = 0; i < w->count; i++) {
		watched_free(w->items[i]);
	}
	free(w->items);
	w->items = NULL;
	w->count = 0;
	while (list_shift(&w->observers) != NULL) {
		continue;
	}
	loop_bury(w->loop, free_now, w);
}

void
watcher_watch(struct watcher *w, struct watcher_observer *o)
{
	list_init(&o->link);
	list_push(&w->observers, &o->link);
}

void
watcher_unwatch(struct watcher_observer *o)
{
	list_del(&o->link);
}

size_t
watcher_count(const struct watcher *w)
{
	return w->count;
}

const struct watcher_sentinel *
watcher_get(const struct watcher *w, size_t i)
{
	assert(i < w->count);
	return &w->items[i]->view;
}

struct link *
watcher_link(const struct watcher *w, size_t i)
{
	assert(i < w->count);
	return w->items[i]->cmd;
}

void
watcher_ask(struct watcher *w)
{
	for (size_t i = 0; i < w->count; i++) {
		link_kick(w->items[i]->cmd);
		ask(w->items[i]);
	}
}

bool
watcher_majority(const struct watcher *w, struct topo_master *ret_master)
{
	for (size_t i = 0; i < w->count; i++) {
		const struct watcher_sentinel *mine = &w->items[i]->view;
		size_t same = 0;

		for (size_t k = 0; mine->knows && k < w->count; k++) {
			const struct watcher_sentinel *v = &w->items[k]->view;

			same += v->knows && same_master(&v->names, &mine->names);
		}
		if (same * 2 > w->count) {
			*ret_master = mine->names;
			return true;
		}
	}
	return false;
}
