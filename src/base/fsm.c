#include "base/fsm.h"

#include <assert.h>

#include "base/log.h"

const struct fsm_row *
fsm_step(const struct fsm *m, void *obj, unsigned *state, unsigned event)
{
	unsigned from = *state;

	assert(from < m->state_count && event < m->event_count);
	for (size_t i = 0; i < m->row_count; i++) {
		const struct fsm_row *row = &m->rows[i];

		if ((row->state != from && row->state != FSM_ANY) || row->event != event ||
		    (row->guard != NULL && !row->guard(obj))) {
			continue;
		}
		if (row->next != FSM_SAME) {
			*state = row->next;
			if (m->entered != NULL) {
				m->entered(obj, from, row->next, row);
			}
		}
		if (row->action != NULL) {
			row->action(obj);
		}
		return row;
	}
	log_error("no row in a state machine, nothing done machine=%s state=%s event=%s", m->name,
	    m->states[from], m->events[event]);
	return NULL;
}

int
fsm_dump(const struct fsm *m, bool mermaid, struct buf *out)
{
	int err = mermaid ? buf_add_str(out, "stateDiagram-v2\n") : buf_addf(out, "%s\n", m->name);

	for (size_t i = 0; err == 0 && i < m->row_count; i++) {
		const struct fsm_row *row = &m->rows[i];
		const char *from = row->state == FSM_ANY ? "*" : m->states[row->state];
		const char *to = row->next == FSM_SAME ? from : m->states[row->next];
		const char *guard = row->guard != NULL ? " [guarded]" : "";

		if (mermaid && row->state != FSM_ANY) {
			err = buf_addf(
			    out, "    %s --> %s: %s%s\n", from, to, m->events[row->event], guard);
		} else if (!mermaid) {
			err = buf_addf(out, "%-12s %-14s -> %-12s %s%s\n", from,
			    m->events[row->event], row->next == FSM_SAME ? "=" : to, row->comment,
			    guard);
		}
	}
	return err;
}
