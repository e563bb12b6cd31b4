/* What a session is besides, once it is a WebSocket: queue and state of its own making. */
#include "conf/conf.h"
#include "httpd/exchange.h"
#include "httpd/session.h"
#include "resp/reader.h"

void
session_state_over(struct session *s, bool clean)
{
	if (s->state_lane == NULL || s->requester.unanswered > 0) {
		return;
	}
	lane_set_pinned(s->state_lane, false);
	if (clean && !s->selected) {
		lane_return(&s->state_lane);
	} else {
		lane_release(&s->state_lane);
	}
	s->selected = false;
}

/* SELECT's argument, when it is a database. */
static bool
database_of(const struct httpd *h, uint32_t *ret_database)
{
	struct resp_cursor c = {buf_slice(&h->resp)};
	struct resp_item item;
	uint64_t number;

	for (int i = 0; i < 3; i++) {
		if (!resp_cursor_next(&c, &item)) {
			return false;
		}
	}
	if (!slice_to_u64(item.str, &number) || number > UINT16_MAX) {
		return false;
	}
	*ret_database = (uint32_t)number;
	return true;
}

static void
note_select(struct exchange *x)
{
	struct session *s = x->session;

	if (s->in_multi || s->watching) {
		s->selected = true; /* its lane is of another database now */
	} else {
		x->call.way = CALL_OWN;
	}
	if (database_of(x->httpd, &s->database) && x->call.way == CALL_OWN) {
		x->call.database = s->database; /* the lane's own set-up answers for it */
	}
}

void
session_note_state(struct exchange *x)
{
	struct session *s = x->session;
	unsigned id = x->call.command != NULL ? x->call.command->id : CMD_NONE;

	if (s->in_multi || s->watching) {
		x->call.way = CALL_SESSION;
	}
	switch (id) {
	case CMD_SELECT:
		note_select(x);
		break;
	case CMD_MULTI:
		s->in_multi = true;
		break;
	case CMD_WATCH:
		s->watching = true;
		break;
	case CMD_EXEC:
	case CMD_DISCARD:
		s->in_multi = s->watching = false;
		break;
	case CMD_UNWATCH:
		s->watching = s->in_multi && s->watching;
		break;
	default:
		break;
	}
	x->ends_state = x->call.way == CALL_SESSION && !s->in_multi && !s->watching;
}
