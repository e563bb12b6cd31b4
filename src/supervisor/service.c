/*
 * What the service manager (systemd) is told: ready once every step of the start is over, the state in words whenever it changes, reloads, the
 * beginning of the stop, and from this loop, so that one that hangs is noticed, that we live. While we start or stop, which
 * takes as long as the data is big, we ask for more time once a second: each step has limits of its own.
 */
#include <stdio.h>
#include <string.h>

#include "base/clock.h"
#include "base/mem.h"
#include "supervisor/supervisor.h"
#include "supervisor/supervisor_priv.h"

#define MORE_TIME_US 30000000
#define A_BEAT(us)                                                                                 \
	((double)(us) / 1e6 / 3.) /* the watchdog's time has room for two that are late */

static void
on_beat(struct ev_loop *ev, ev_timer *w, int revents)
{
	const struct supervisor *s = w->data;

	notify_send(s->notify, "WATCHDOG=1");
}

void
service_init(struct supervisor *s)
{
	uint64_t us;

	s->notify = notify_new();
	us = notify_watchdog_us(s->notify);
	ev_init(&s->beat, on_beat);
	s->beat.data = s;
	if (us > 0) {
		notify_send(s->notify, "WATCHDOG=1"); /* we may have taken another binary's place */
		ev_timer_set(&s->beat, A_BEAT(us), A_BEAT(us));
		ev_timer_start(loop_ev(s->loop), &s->beat);
	}
}

void
service_fini(struct supervisor *s)
{
	if (s->notify != NULL) {
		ev_timer_stop(loop_ev(s->loop), &s->beat);
	}
	notify_free(&s->notify);
}

static size_t
count_ready(const struct supervisor *s, size_t *ret_wanted)
{
	size_t ready = 0;

	*ret_wanted = 0;
	for (size_t i = 0; i < s->unit_count; i++) {
		const struct unit *u = s->units[i];

		if (!u->leaving && !u->held_down) {
			(*ret_wanted)++;
			ready += unit_is_ready(u) ? 1 : 0;
		}
	}
	return ready;
}

/* The state in words: what `systemctl status` shows. */
static void
put_state(const struct supervisor *s, const json_t *reasons, char *text, size_t size)
{
	const char *first = json_string_value(json_array_get(reasons, 0));
	size_t wanted, ready = count_ready(s, &wanted), more = json_array_size(reasons);

	if (s->plan > PLAN_RUNNING) {
		(void)snprintf(
		    text, size, "stopping in order: %zu of %zu instances still run", ready, wanted);
	} else if (s->health == HEALTH_READY) {
		(void)snprintf(text, size, "ready: %s takes writes, %zu of %zu instances are ready",
		    s->master != NULL ? s->master->name : "the master", ready, wanted);
	} else if (s->health == HEALTH_STARTING) {
		(void)snprintf(text, size, "starting (%s): %zu of %zu instances are ready",
		    plan_fsm.states[s->plan], ready, wanted);
	} else if (more > 1) {
		(void)snprintf(text, size, "degraded: %s, and %zu more", first, more - 1);
	} else {
		(void)snprintf(text, size, "degraded: %s", first != NULL ? first : "");
	}
}

void
service_state(struct supervisor *s, const json_t *reasons)
{
	char text[sizeof(s->service_status)];

	if (!notify_is_on(s->notify)) {
		return;
	}
	put_state(s, reasons, text, sizeof(text));
	text[strcspn(text, "\n")] = '\0'; /* a message of its own would begin there */
	if (strcmp(text, s->service_status) != 0) {
		(void)snprintf(s->service_status, sizeof(s->service_status), "%s", text);
		notify_send(s->notify, "STATUS=%s", text);
	}
	if (s->plan == PLAN_RUNNING && !s->service_ready) {
		s->service_ready = true;
		notify_send(s->notify, "READY=1");
	} else if (s->plan > PLAN_RUNNING && !s->service_stopping) {
		s->service_stopping = true;
		notify_send(s->notify, "STOPPING=1");
	}
}

void
service_tick(struct supervisor *s)
{
	if (!s->service_ready || s->service_stopping) {
		notify_send(s->notify, "EXTEND_TIMEOUT_USEC=%d", MORE_TIME_US);
	}
}

void
service_reload(struct supervisor *s, bool done)
{
	if (done && s->service_ready) {
		notify_send(s->notify, "READY=1");
	} else if (!done && s->service_ready) {
		notify_send(s->notify, "RELOADING=1\nMONOTONIC_USEC=%llu",
		    (unsigned long long)clock_mono_us());
	}
}
