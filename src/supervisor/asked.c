/* What people ask for over the operator's interface: named in the history; and what would come of a failover. */
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "supervisor/hosts_priv.h"
#include "supervisor/supervisor_priv.h"

/* A failover that only looks. */
struct plan_question {
	struct list link;          /* supervisor.plans */
	struct supervisor *sup;    /* borrowed (its owner) */
	struct ctl_request *req;   /* borrowed; NULL once its client has left */
	struct failover *failover; /* owned; NULL once it has ended */
	bool named;                /* somebody was asked for */
};

void
asked_note(struct supervisor *s, struct ctl_request *req, const char *subject, const char *fmt, ...)
{
	const char *by = req != NULL ? ctl_request_by(req) : "";
	char text[160];
	va_list ap;

	if (by[0] == '\0') {
		return;
	}
	va_start(ap, fmt);
	(void)vsnprintf(text, sizeof(text), fmt, ap);
	va_end(ap);
	history_add(s->history, EVENT_OPERATOR_ASKED, subject,
	    json_pack("{s:s,s:s}", "by", by, "what", text), "%s asks: %s", by, text);
}

void
asked_on_note(struct ctl_request *req, const json_t *args, void *owner)
{
	struct supervisor *s = owner;
	const char *by = ctl_request_by(req), *subject = ctl_arg_text(args, "subject");

	history_add(s->history, EVENT_OPERATOR_CHANGED, subject != NULL ? subject : s->node,
	    json_pack("{s:s}", "by", by), "%s%s%s", by, by[0] != '\0' ? ": " : "",
	    ctl_arg_text(args, "text"));
	ctl_done(req, NULL);
}

/* ---- who would become master ---- */

static void
end_plan(struct plan_question *p)
{
	failover_cancel(&p->failover);
	list_del(&p->link);
	free(p);
}

static void
on_plan_gone(struct ctl_request *req, void *arg)
{
	(void)req;
	end_plan(arg);
}

/* Who could hand over, here or on another host; NULL: nobody is known. */
static const char *
master_name(struct supervisor *s)
{
	const struct host *h = s->master_known ? hosts_at(s, &s->master_at.at) : NULL;

	return s->master != NULL ? s->master->name : h != NULL ? h->redis_name : NULL;
}

/* What speaks for or against it, in words. */
static json_t *
candidate_json(const struct failover_plan *plan, size_t i)
{
	const struct failover_candidate *c = &plan->candidates[i];
	uint64_t lag = plan->master_offset > c->offset ? plan->master_offset - c->offset : 0;
	char why[200];

	if (c->why != NULL) {
		(void)snprintf(why, sizeof(why), "%s", c->why);
	} else {
		(void)snprintf(why, sizeof(why),
		    "in step with the master, priority %u, %llu bytes behind%s", c->priority,
		    (unsigned long long)lag, i == plan->target ? ": the first choice" : "");
	}
	if (!c->answered) {
		return json_pack("{s:s,s:b,s:s,s:n,s:n,s:n}", "name", c->name, "fit",
		    c->why == NULL, "why", why, "offset", "lag_bytes", "priority");
	}
	return json_pack("{s:s,s:b,s:s,s:I,s:I,s:i}", "name", c->name, "fit", c->why == NULL, "why",
	    why, "offset", (json_int_t)c->offset, "lag_bytes", (json_int_t)lag, "priority",
	    (int)c->priority);
}

static void
on_plan(void *owner, const struct failover_plan *plan)
{
	struct plan_question *p = owner;
	struct supervisor *s = p->sup;
	struct ctl_request *req = p->req;
	json_t *candidates = json_array();
	bool named = p->named;
	const char *to = plan->target < plan->count ? plan->candidates[plan->target].name : NULL;
	char why[240];

	p->failover = NULL;
	end_plan(p);
	for (size_t i = 0; i < plan->count; i++) {
		(void)json_array_append_new(candidates, candidate_json(plan, i));
	}
	(void)snprintf(why, sizeof(why), "%s", plan->why);
	if (to != NULL && named) {
		(void)snprintf(why, sizeof(why), "%s is who was named, and it can", to);
	} else if (to != NULL) {
		(void)snprintf(why, sizeof(why),
		    "%s has the least priority number, and of those the most of the master's data",
		    to);
	}
	ctl_done(req, json_pack("{s:{s:s?,s:s?,s:s,s:o}}", "plan", "master", master_name(s), "to",
			  to, "why", why, "candidates", candidates));
}

/* It could not even look. */
static void
on_done(void *owner, int error, const struct topo_master *master, const char *text)
{
	struct plan_question *p = owner;
	struct supervisor *s = p->sup;
	struct ctl_request *req = p->req;

	p->failover = NULL;
	end_plan(p);
	ctl_done(req, json_pack("{s:{s:s?,s:n,s:s,s:[]}}", "plan", "master", master_name(s), "to",
			  "why", text, "candidates"));
}

static const struct failover_ops plan_ops = {.on_plan = on_plan, .on_done = on_done};

void
asked_plan(struct supervisor *s, struct ctl_request *req, const char *to)
{
	struct failover_node nodes[FAILOVER_MAX_NODES];
	struct failover_spec spec = {.to = to, .dry = true};
	struct errmsg err = ERRMSG_NONE;
	struct plan_question *p;

	if (s->failover != NULL || s->succession || master_name(s) == NULL) {
		ctl_done(
		    req, json_pack("{s:{s:s?,s:n,s:s,s:[]}}", "plan", "master", master_name(s),
			     "to", "why",
			     master_name(s) == NULL ? "there is no master here that could hand over"
						    : "a failover is under way",
			     "candidates"));
		return;
	}
	p = xcalloc(1, sizeof(*p));
	*p = (struct plan_question){.sup = s, .req = req, .named = to != NULL};
	list_init(&p->link);
	handover_fill_spec(s, &spec, nodes);
	p->failover = failover_start(s->loop, &spec, &plan_ops, p, &err);
	if (p->failover == NULL) {
		free(p);
		ctl_done(req, json_pack("{s:{s:s?,s:n,s:s,s:[]}}", "plan", "master", master_name(s),
				  "to", "why", err.text, "candidates"));
		return;
	}
	list_push(&s->plans, &p->link);
	ctl_on_gone(req, on_plan_gone, p);
}

void
asked_free(struct supervisor *s)
{
	while (!list_is_empty(&s->plans)) {
		end_plan(CONTAINER_OF(s->plans.next, struct plan_question, link));
	}
}
