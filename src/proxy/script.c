/*
 * Scripts that are new here are remembered, once the server has taken them, for the next master (backend/scripts.h). One that is known
 * goes the way of any request; a new one waits for its reply, so that it is known whether it was taken. What comes in pieces
 * (RESP_WHOLE_MAX) or among subscriptions is not remembered.
 */
#include <stdlib.h>

#include "backend/scripts.h"
#include "base/mem.h"
#include "proxy/proxy_priv.h"

/* What the server may take with the reply that is due. */
struct lesson {
	bool forget; /* SCRIPT FLUSH */
	struct buf body;
};

void
session_lesson_fini(struct session *s)
{
	if (s->rare->lesson != NULL) {
		buf_fini(&s->rare->lesson->body);
		free(s->rare->lesson);
		session_rare(s)->lesson = NULL;
	}
}

static bool
is_news(const struct session *s, const struct command *cmd, const struct resp_request *req,
    struct slice *ret_body)
{
	size_t at = cmd->id == CMD_EVAL ? 1 : 2;

	*ret_body = (struct slice){NULL, 0};
	if (cmd->id == CMD_SCRIPT_FLUSH) {
		return true;
	}
	*ret_body = req->kept > at ? req->argv[at] : *ret_body;
	return req->kept > at && !scripts_has(backend_scripts(s->backend), *ret_body);
}

enum dispatch
session_script_command(struct session *s, const struct command *cmd, const struct resp_request *req)
{
	struct slice body;
	enum dispatch d;

	session_lesson_fini(s);
	if (!is_news(s, cmd, req, &body)) {
		return session_own_command(s, cmd, req, false);
	}
	if (s->requester.unanswered > 0) {
		return session_wait_for(s, WAIT_REPLIES);
	}
	d = session_own_command(s, cmd, req, false);
	if (d == DISPATCH_DONE && s->requester.unanswered > 0) {
		session_rare(s)->lesson = xcalloc(1, sizeof(*s->rare->lesson));
		s->rare->lesson->forget = cmd->id == CMD_SCRIPT_FLUSH;
		buf_init(&s->rare->lesson->body, RESP_WHOLE_MAX);
		(void)session_wait_for(s, WAIT_REPLIES);
		if (buf_add_slice(&s->rare->lesson->body, body) < 0) {
			session_lesson_fini(s);
		}
	}
	return d;
}

void
session_lesson_answered(struct session *s, bool ok)
{
	struct scripts *scripts = backend_scripts(s->backend);

	if (s->rare->lesson != NULL && ok && s->rare->lesson->forget) {
		scripts_clear(scripts);
	} else if (s->rare->lesson != NULL && ok) {
		scripts_add(scripts, buf_slice(&s->rare->lesson->body));
	}
	session_lesson_fini(s);
}
