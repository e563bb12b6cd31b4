/* GET /api/v1/subscribe: what is published, over the subscriptions that all HTTP clients share (hub.h), so it goes on over a failover. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "httpd/acl.h"
#include "httpd/api_command.h"
#include "httpd/exchange.h"
#include "httpd/hub.h"
#include "httpd/sse.h"
#include "httpd/typed.h"
#include "net/conn.h"
#include "resp/reader.h"
#include "resp/write.h"

struct listening {
	struct api *api;     /* borrowed (its owner) */
	struct httpd *httpd; /* borrowed (outlives us) */
	struct subscriber subscriber;
	bool gone; /* within `begin`: the page has gone */
};

static void
drop_listening(void *work)
{
	struct listening *l = work;

	subscriber_fini(&l->subscriber);
	loop_bury(l->httpd->loop, free, l);
	l->gone = true;
}

static void
end(struct listening *l, const char *reason)
{
	struct api *a = l->api;

	api_set_work(a, NULL, NULL);
	drop_listening(l);
	sse_end_with(a, json_pack("{s:s}", "reason", reason));
}

static int
add_member(struct buf *out, const char *name, struct slice value)
{
	int err = buf_addf(out, "%s\"%s\":", buf_len(out) > 1 ? "," : "", name);

	return err < 0 ? err : typed_add_bytes(out, value);
}

/* [message, channel, data], [pmessage, pattern, channel, data], or a confirmation: [subscribe, channel, count]. */
static void
on_message(void *owner, enum hub_kind kind, struct slice raw)
{
	struct listening *l = owner;
	struct resp_cursor c = {raw};
	struct resp_item items[5];
	const char *event = "message";
	struct buf text;
	size_t n = 0;
	int err;

	(void)kind;
	while (n < ARRAY_LEN(items) && resp_cursor_next(&c, &items[n])) {
		n++;
	}
	if (n < 4) {
		return;
	}
	buf_init(&text, 0);
	err = buf_add_str(&text, "{");
	if (slice_eq(items[1].str, "pmessage") && n == 5) {
		err |= add_member(&text, "channel", items[3].str);
		err |= add_member(&text, "pattern", items[2].str);
		err |= add_member(&text, "data", items[4].str);
	} else if (slice_eq(items[1].str, "message")) {
		err |= add_member(&text, "channel", items[2].str);
		err |= add_member(&text, "data", items[3].str);
	} else {
		event = "subscribed";
		err |= add_member(&text,
		    slice_eq(items[1].str, "psubscribe") ? "pattern" : "channel", items[2].str);
	}
	err |= buf_add_str(&text, "}");
	if (err == 0) {
		(void)sse_send(l->api, event, 0, buf_slice(&text));
	}
	buf_fini(&text);
}

static void
on_refused(void *owner, struct slice error, bool local)
{
	(void)error;
	end(owner,
	    local ? "there is no master at the moment" : "the server refuses the subscription");
}

static const struct subscriber_ops subscriber_ops = {
    .on_message = on_message, .on_refused = on_refused};

static void
on_late(void *work)
{
	end(work, "the time is over");
}

static void
begin(struct api *a)
{
	struct httpd *h = a->x->httpd;
	struct lane_key key = httpd_lane_key(h, 0);
	struct listening *l = xcalloc(1, sizeof(*l));

	*l = (struct listening){.api = a, .httpd = h};
	subscriber_init(&l->subscriber, h, &subscriber_ops, l);
	api_set_work(a, l, drop_listening);
	api_limit_work(a, on_late);
	if (!sse_begin(a) || !sse_comment(a)) {
		return;
	}
	/* a confirmation may come at once, and end it; the memory lives until the end of this turn */
	for (size_t i = 0; i < a->param_count && !l->gone; i++) {
		bool channel = slice_eq(a->params[i].name, "channel");

		if ((channel || slice_eq(a->params[i].name, "pattern")) &&
		    hub_subscribe(&l->subscriber, &key, channel ? HUB_CHANNEL : HUB_PATTERN,
			a->params[i].value) < 0) {
			end(l, "too many channels");
			return;
		}
	}
}

void
api_subscribe(struct api *a)
{
	static const char *const names[] = {"channel", "pattern"}, *const commands[] = {
								       "SUBSCRIBE", "PSUBSCRIBE"};
	size_t count = 0;

	if (!api_number(a, "seconds", 1, 3600, 600, &a->seconds)) {
		return;
	}
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (api_param(a, names[i], 0).ptr == NULL) {
			continue;
		}
		count++;
		if (!api_acl_allows(a, commands[i])) {
			api_fail(
			    a, 403, "an access rule ([acl-NAME]) forbids %s to you", commands[i]);
			return;
		}
	}
	if (count == 0) {
		api_fail(a, 400, "name a 'channel' or a 'pattern'");
		return;
	}
	begin(a);
}
