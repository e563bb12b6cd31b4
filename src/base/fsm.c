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

/* Whether an earlier row always takes this state's event before row `at` is asked. */
static bool
is_shadowed(const struct fsm *m, size_t at, unsigned state)
{
	for (size_t i = 0; i < at; i++) {
		const struct fsm_row *row = &m->rows[i];

		if (row->event == m->rows[at].event && row->guard == NULL &&
		    (row->state == state || row->state == FSM_ANY)) {
			return true;
		}
	}
	return false;
}

/* A row for any state is drawn from each state that it is reached from. */
static int
dump_arrows(const struct fsm *m, size_t at, struct buf *out)
{
	const struct fsm_row *row = &m->rows[at];
	int err = 0;

	for (unsigned from = 0; err == 0 && from < m->state_count; from++) {
		unsigned to = row->next == FSM_SAME ? from : row->next;

		if (row->state == from || (row->state == FSM_ANY && !is_shadowed(m, at, from))) {
			err = buf_addf(out, "    %s --> %s: %s%s\n", m->states[from], m->states[to],
			    m->events[row->event], row->guard != NULL ? " [guarded]" : "");
		}
	}
	return err;
}

int
fsm_dump(const struct fsm *m, bool mermaid, struct buf *out)
{
	int err = mermaid ? buf_add_str(out, "stateDiagram-v2\n") : buf_addf(out, "%s\n", m->name);

	for (size_t i = 0; err == 0 && i < m->row_count; i++) {
		const struct fsm_row *row = &m->rows[i];
		const char *from = row->state == FSM_ANY ? "*" : m->states[row->state];
		const char *to = row->next == FSM_SAME ? "=" : m->states[row->next];

		err = mermaid
			  ? dump_arrows(m, i, out)
			  : buf_addf(out, "%-12s %-14s -> %-12s %s%s\n", from,
				m->events[row->event], to, row->comment != NULL ? row->comment : "",
				row->guard != NULL ? " [guarded]" : "");
	}
	return err;
}
