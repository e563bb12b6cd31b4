#include "backend/others.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/defs.h"
#include "base/list.h"
#include "base/mem.h"
#include "ipc/channel.h"

#define ANSWER_MS   2000
#define TEXT_BYTES  ((size_t)96 * 1024) /* of one message */
#define ANSWER_MAX  ((size_t)64 * 1024 * 1024)
#define WORDS_BYTES ((size_t)64 * 1024)

struct others {
	struct loop *loop;       /* borrowed (outlives all) */
	struct channel *channel; /* borrowed; NULL: there is none */
	others_asked_fn *fn;
	void *arg;
	struct list questions; /* struct question.link */
	uint64_t last;
};

struct question {
	struct list link; /* on none once it is over */
	struct others *others;
	uint64_t ticket;
	uint64_t due; /* workers that have not told all; before it is known how many there are: 1 */
	ev_timer late;
	question_fn *fn;
	void *arg;
};

/* ---- asking ---- */

static void
end(struct question *q)
{
	ev_timer_stop(loop_ev(q->others->loop), &q->late);
	list_del(&q->link);
	q->fn(q->arg, NULL);
}

static void
on_late(struct ev_loop *ev, ev_timer *timer, int revents)
{
	end(timer->data);
}

struct question *
question_new(struct others *o, const struct slice *words, size_t count, question_fn *fn, void *arg)
{
	const char *args[IPC_MAX_ARGS];
	char ticket[24];
	struct question *q;
	struct buf text;
	size_t at[IPC_MAX_ARGS];
	int err = 0;

	if (o->channel == NULL || count + 1 > IPC_MAX_ARGS) {
		return NULL;
	}
	buf_init(&text, WORDS_BYTES);
	for (size_t i = 0; i < count && err == 0; i++) {
		at[i] = buf_len(&text);
		err = memchr(words[i].ptr, '\0', words[i].len) != NULL
			  ? -1
			  : buf_add_slice(&text, words[i]);
		err = err == 0 ? buf_add(&text, "", 1) : err;
	}
	for (size_t i = 0; i < count && err == 0; i++) {
		args[i + 1] = (const char *)buf_slice(&text).ptr + at[i];
	}
	(void)snprintf(ticket, sizeof(ticket), "%llu", (unsigned long long)++o->last);
	args[0] = ticket;
	if (err == 0) {
		err = channel_sendv(o->channel, -1, "ask", args, count + 1);
	}
	buf_fini(&text);
	if (err != 0) {
		return NULL;
	}
	q = xcalloc(1, sizeof(*q));
	*q = (struct question){.others = o, .ticket = o->last, .due = 1, .fn = fn, .arg = arg};
	list_push(&o->questions, &q->link);
	ev_timer_init(&q->late, on_late, ANSWER_MS / 1000., 0.);
	q->late.data = q;
	ev_timer_start(loop_ev(o->loop), &q->late);
	return q;
}

static void
free_now(void *obj)
{
	free(obj);
}

void
question_free(struct question **qp)
{
	struct question *q = *qp;

	*qp = NULL;
	if (q != NULL) {
		ev_timer_stop(loop_ev(q->others->loop), &q->late);
		list_del(&q->link);
		loop_bury(q->others->loop, free_now, q);
	}
}

static struct question *
find(struct others *o, const char *ticket)
{
	uint64_t n;

	list_for_each (item, &o->questions) {
		struct question *q = CONTAINER_OF(item, struct question, link);

		if (slice_to_u64(slice_str(ticket), &n) && q->ticket == n) {
			return q;
		}
	}
	return NULL;
}

/* ---- being asked ---- */

static int
tell(struct others *o, const char *name, const char *ticket, struct slice text)
{
	int err = 0;

	while (text.len > 0 && err == 0) {
		size_t len = MIN(text.len, TEXT_BYTES);
		char *part = xstrndup((const char *)text.ptr, len);

		err = channel_send(o->channel, -1, "tell", name, ticket, part, NULL);
		free(part);
		text.ptr += len;
		text.len -= len;
	}
	return err;
}

/* asked NAME TICKET WORD… */
static void
on_asked(struct others *o, const struct channel_msg *msg)
{
	struct buf out;

	if (msg->arg_count < 2) {
		return;
	}
	buf_init(&out, ANSWER_MAX);
	o->fn(o->arg, msg->args + 2, msg->arg_count - 2, &out);
	if (tell(o, msg->args[0], msg->args[1], buf_slice(&out)) == 0) {
		(void)channel_send(o->channel, -1, "told", msg->args[0], msg->args[1], NULL);
	}
	buf_fini(&out);
}

bool
others_on_msg(struct others *o, const struct channel_msg *msg)
{
	struct question *q = msg->arg_count > 0 ? find(o, msg->args[0]) : NULL;
	uint64_t count;

	if (strcmp(msg->verb, "asked") == 0) {
		on_asked(o, msg);
	} else if (strcmp(msg->verb, "asking") == 0) {
		if (q != NULL && msg->arg_count > 1 &&
		    slice_to_u64(slice_str(msg->args[1]), &count)) {
			q->due = count;
			if (count == 0) {
				end(q);
			}
		}
	} else if (strcmp(msg->verb, "tell") == 0) {
		if (q != NULL && msg->arg_count > 1) {
			q->fn(q->arg, msg->args[1]);
		}
	} else if (strcmp(msg->verb, "told") == 0) {
		if (q != NULL && --q->due == 0) {
			end(q);
		}
	} else {
		return false;
	}
	return true;
}

/* ---- life ---- */

struct others *
others_new(struct loop *loop, others_asked_fn *fn, void *arg)
{
	struct others *o = xcalloc(1, sizeof(*o));

	*o = (struct others){.loop = loop, .fn = fn, .arg = arg};
	list_init(&o->questions);
	return o;
}

void
others_free(struct others **op)
{
	if (*op != NULL) {
		free(*op);
		*op = NULL;
	}
}

void
others_set_channel(struct others *o, struct channel *ch)
{
	struct list *item;

	o->channel = ch;
	/* what was asked over the last one is not answered over the next */
	while (!list_is_empty(&o->questions)) {
		item = o->questions.next;
		end(CONTAINER_OF(item, struct question, link));
	}
}
