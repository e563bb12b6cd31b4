/* The command link against a server that answers right, late, wrong, or not at all. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>
#include <hiredis/hiredis.h>

#include "base/clock.h"
#include "base/mem.h"
#include "fake_server.h"
#include "topo/link.h"
#include "topo/reply.h"

struct fixture {
	struct loop *loop;
	struct fake *server;
	struct link *link;
	struct link_spec spec;
	/* The server's manners. */
	bool mute;             /* answers nothing */
	const char *auth_text; /* the answer to AUTH */
	char auth_heard[128];
	char garbage[64]; /* the answer to GARBAGE */
	/* What the link did. */
	size_t ups, downs, pushes;
	int down_error;
	char down_why[256];
	char pushed[64];
	/* What commands got. */
	size_t answers;
	int error;
	char text[64];
	char order[64];
	bool free_in_answer, free_in_up, free_in_down, rest_in_answer;
};

static void
on_request(void *arg, struct fake_client *c, const struct redisReply *request)
{
	struct fixture *f = arg;
	struct slice verb = reply_text(reply_at(request, 0));

	if (slice_eq(verb, "AUTH")) {
		(void)snprintf(f->auth_heard, sizeof(f->auth_heard), "%s %s",
		    request->element[1]->str,
		    request->elements > 2 ? request->element[2]->str : "-");
		fake_say(c, "%s\r\n", f->auth_text);
	} else if (f->mute) {
		return;
	} else if (slice_eq(verb, "PING")) {
		fake_say(
		    c, f->spec.channels == NULL ? "+PONG\r\n" : "*2\r\n$4\r\npong\r\n$0\r\n\r\n");
	} else if (slice_eq(verb, "ECHO")) {
		fake_say(c, "$%zu\r\n%s\r\n", request->element[1]->len, request->element[1]->str);
	} else if (slice_eq(verb, "GARBAGE")) {
		fake_say(c, "%s", f->garbage);
	} else if (slice_eq(verb, "QUIT")) {
		fake_drop(c);
	} else if (slice_eq(verb, "SUBSCRIBE")) {
		for (size_t i = 1; i < request->elements; i++) {
			fake_say(c, "*3\r\n$9\r\nsubscribe\r\n$%zu\r\n%s\r\n:%zu\r\n",
			    request->element[i]->len, request->element[i]->str, i);
		}
	} else if (slice_eq(verb, "LATE")) {
		return;
	}
}

static void
on_up(struct link *l, void *owner)
{
	struct fixture *f = owner;

	f->ups++;
	if (f->free_in_up) {
		link_free(&f->link);
	}
}

static void
on_down(struct link *l, void *owner, int error, const char *why)
{
	struct fixture *f = owner;

	f->downs++;
	f->down_error = error;
	(void)snprintf(f->down_why, sizeof(f->down_why), "%s", why);
	if (f->free_in_down) {
		link_free(&f->link);
	}
}

static void
on_push(struct link *l, void *owner, const struct redisReply *message)
{
	struct fixture *f = owner;

	f->pushes++;
	(void)snprintf(f->pushed, sizeof(f->pushed), "%s=%s", message->element[1]->str,
	    message->element[2]->str);
}

static const struct link_ops ops = {on_up, on_down, on_push};

static void
on_answer(void *arg, const struct redisReply *reply, int error)
{
	struct fixture *f = arg;
	struct slice text = reply_text(reply);

	f->answers++;
	f->error = error;
	(void)snprintf(f->text, sizeof(f->text), "%.*s", (int)text.len, (const char *)text.ptr);
	if (strlen(f->order) + text.len < sizeof(f->order)) {
		memcpy(f->order + strlen(f->order), text.ptr, text.len);
	}
	if (f->free_in_answer) {
		link_free(&f->link);
	}
	if (f->rest_in_answer) {
		link_rest(f->link, true);
	}
}

static int
setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof(*f));

	f->loop = loop_new();
	f->server = fake_new(f->loop, on_request, f);
	f->auth_text = "+OK";
	f->spec = (struct link_spec){.at = *fake_at(f->server), .retry_min_ms = 1};
	*state = f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	link_free(&f->link);
	fake_free(&f->server);
	loop_free(&f->loop);
	free(f);
	return 0;
}

static bool
is_refused(void *arg)
{
	return link_refused_ms(((struct fixture *)arg)->link) > 0;
}

static bool
is_up(void *arg)
{
	struct fixture *f = arg;

	/* Without a password the link is up before the server has accepted. */
	return f->link != NULL && link_is_up(f->link) && fake_clients(f->server) > 0;
}

static bool
was_up(void *arg)
{
	return ((struct fixture *)arg)->ups > 0;
}

static bool
was_up_twice(void *arg)
{
	return ((struct fixture *)arg)->ups > 1;
}

static bool
was_down(void *arg)
{
	return ((struct fixture *)arg)->downs > 0;
}

static bool
was_answered(void *arg)
{
	return ((struct fixture *)arg)->answers > 0;
}

static bool
was_answered_thrice(void *arg)
{
	return ((struct fixture *)arg)->answers > 2;
}

static bool
was_pushed(void *arg)
{
	return ((struct fixture *)arg)->pushes > 0;
}

static void
start(struct fixture *f)
{
	f->link = link_new(f->loop, &f->spec, &ops, f);
}

static void
start_up(struct fixture *f)
{
	start(f);
	fake_run_until(f->loop, is_up, f);
}

static int
echo(struct fixture *f, const char *text)
{
	return link_send(f->link, 0, on_answer, f, "ECHO", text, NULL);
}

static void
commands_are_answered_in_order(void **state)
{
	struct fixture *f = *state;

	start(f);
	assert_int_equal(echo(f, "x"), -ENOTCONN);
	fake_run_until(f->loop, is_up, f);
	assert_int_equal(echo(f, "a"), 0);
	assert_int_equal(echo(f, "b"), 0);
	assert_int_equal(echo(f, "c"), 0);
	assert_int_equal(f->answers, 0);
	fake_run_until(f->loop, was_answered_thrice, f);
	assert_string_equal(f->order, "abc");
	assert_int_equal(f->ups, 1);
	assert_int_equal(f->downs, 0);
}

static void
user_and_password_come_first(void **state)
{
	struct fixture *f = *state;

	f->spec.user = "holdfast";
	f->spec.password = "s3cret";
	start_up(f);
	assert_string_equal(f->auth_heard, "holdfast s3cret");
}

static void
password_alone_is_for_the_default_user(void **state)
{
	struct fixture *f = *state;

	f->spec.password = "s3cret";
	start_up(f);
	assert_string_equal(f->auth_heard, "s3cret -");
}

static void
refusal_is_told_and_tried_again(void **state)
{
	struct fixture *f = *state;

	f->spec.password = "wrong";
	f->auth_text = "-WRONGPASS invalid username-password pair";
	start(f);
	fake_run_until(f->loop, was_down, f);
	assert_int_equal(f->down_error, -EACCES);
	assert_non_null(strstr(f->down_why, "WRONGPASS"));
	assert_null(strstr(f->down_why, "wrong\""));
	f->auth_text = "+OK";
	fake_run_until(f->loop, is_up, f);
}

static void
nobody_there_is_told_and_tried_again(void **state)
{
	struct fixture *f = *state;

	fake_free(&f->server);
	start(f);
	fake_run_until(f->loop, was_down, f);
	assert_int_equal(f->down_error, -ECONNREFUSED);
	assert_false(link_is_up(f->link));
}

static void
that_nothing_listens_is_known_until_something_does(void **state)
{
	struct fixture *f = *state;
	struct fake *other = fake_new(f->loop, on_request, f);

	start_up(f);
	fake_drop_all(f->server);
	fake_run_until(f->loop, was_down, f);
	assert_int_equal(link_refused_ms(f->link), 0); /* that a connection ends says nothing */
	fake_free(&f->server);
	fake_run_until(f->loop, is_refused, f);
	link_move(f->link, fake_at(other));
	f->server = other;
	assert_int_equal(link_refused_ms(f->link), 0);
	fake_run_until(f->loop, is_up, f);
	assert_int_equal(link_refused_ms(f->link), 0);
}

static void
broken_link_fails_its_commands_and_comes_back(void **state)
{
	struct fixture *f = *state;

	start_up(f);
	assert_int_equal(link_send(f->link, 0, on_answer, f, "QUIT", NULL), 0);
	assert_int_equal(echo(f, "lost"), 0);
	fake_run_until(f->loop, was_down, f);
	assert_int_equal(f->answers, 2);
	assert_true(f->error < 0);
	assert_int_equal(f->error, f->down_error);
	fake_run_until(f->loop, was_up_twice, f);
	assert_int_equal(echo(f, "again"), 0);
	f->answers = 0;
	fake_run_until(f->loop, was_answered, f);
	assert_string_equal(f->text, "again");
}

static void
late_answer_is_thrown_away_and_the_next_one_fits(void **state)
{
	struct fixture *f = *state;

	start_up(f);
	f->mute = true;
	assert_int_equal(link_send(f->link, 5, on_answer, f, "ECHO", "late", NULL), 0);
	fake_run_until(f->loop, was_answered, f);
	assert_int_equal(f->error, -ETIMEDOUT);
	assert_true(link_is_up(f->link));
	f->mute = false;
	fake_say_all(f->server, "$4\r\nlate\r\n");
	f->answers = 0;
	assert_int_equal(echo(f, "next"), 0);
	fake_run_until(f->loop, was_answered, f);
	assert_int_equal(f->error, 0);
	assert_string_equal(f->text, "next");
	assert_int_equal(f->answers, 1);
}

static void
silence_breaks_the_link(void **state)
{
	struct fixture *f = *state;

	f->spec.stall_ms = 20;
	start_up(f);
	f->mute = true;
	assert_int_equal(link_send(f->link, 5, on_answer, f, "ECHO", "x", NULL), 0);
	fake_run_until(f->loop, was_down, f);
	assert_int_equal(f->down_error, -ETIMEDOUT);
	assert_int_equal(f->answers, 1);
}

static void
a_command_with_more_time_is_not_silence(void **state)
{
	struct fixture *f = *state;

	uint64_t began = clock_mono_ms();

	f->spec.stall_ms = 5;
	start_up(f);
	f->mute = true;
	assert_int_equal(link_send(f->link, 60, on_answer, f, "ECHO", "x", NULL), 0);
	fake_run_until(f->loop, was_answered, f);
	assert_int_equal(f->error, -ETIMEDOUT);
	assert_true(clock_mono_ms() - began >= 60);
}

static void
a_silent_server_does_not_let_in(void **state)
{
	struct fixture *f = *state;

	f->spec.password = "x";
	f->spec.connect_ms = 10;
	f->auth_text = "";
	start(f);
	fake_run_until(f->loop, was_down, f);
	assert_int_equal(f->ups, 0);
}

static void
pings_prove_life_and_find_death(void **state)
{
	struct fixture *f = *state;

	f->spec.ping_ms = 2;
	f->spec.stall_ms = 20;
	start_up(f);
	/* Pings are answered: only a command's answer ends this wait. */
	assert_int_equal(link_send(f->link, 60, on_answer, f, "LATE", NULL), 0);
	fake_drop_all(f->server);
	fake_run_until(f->loop, was_up_twice, f);
	f->downs = 0;
	f->mute = true;
	fake_run_until(f->loop, was_down, f);
	assert_int_equal(f->down_error, -ETIMEDOUT);
}

static void
garbage_breaks_the_link(struct fixture *f, const char *garbage, int error)
{
	(void)snprintf(f->garbage, sizeof(f->garbage), "%s", garbage);
	f->downs = 0;
	f->answers = 0;
	fake_run_until(f->loop, is_up, f);
	assert_int_equal(link_send(f->link, 0, on_answer, f, "GARBAGE", NULL), 0);
	fake_run_until(f->loop, was_down, f);
	assert_int_equal(f->down_error, error);
	assert_int_equal(f->answers, 1);
}

static void
no_protocol_breaks_the_link(void **state)
{
	struct fixture *f = *state;

	start(f);
	garbage_breaks_the_link(f, "HTTP/1.1 400 Bad Request\r\n\r\n", -EPROTO);
	garbage_breaks_the_link(f, "*-7\r\n", -EPROTO);
	garbage_breaks_the_link(f, "$-7\r\n", -EPROTO);
	garbage_breaks_the_link(f, "*1000000000\r\n", -EPROTO);
	garbage_breaks_the_link(f, "*2\r\n*1000000000\r\n", -EPROTO);
	garbage_breaks_the_link(
	    f, "*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n*1\r\n", -EPROTO);
	garbage_breaks_the_link(f, "%%1\r\n+a\r\n+b\r\n", -EPROTO);
}

static void
a_reply_to_nothing_breaks_the_link(void **state)
{
	struct fixture *f = *state;

	start_up(f);
	fake_say_all(f->server, "-DENIED Redis is running in protected mode\r\n");
	fake_run_until(f->loop, was_down, f);
	assert_int_equal(f->down_error, -EACCES);
	assert_non_null(strstr(f->down_why, "protected mode"));
}

static void
too_big_a_reply_breaks_the_link(void **state)
{
	struct fixture *f = *state;
	char *big = xcalloc(1, 5000);

	memset(big, 'x', 4999);
	f->spec.reply_max_bytes = 4096;
	start_up(f);
	assert_int_equal(echo(f, "small"), 0);
	fake_run_until(f->loop, was_answered, f);
	f->mute = true;
	assert_int_equal(echo(f, "big"), 0);
	fake_say_all(f->server, "$100000\r\n");
	fake_say_all(f->server, big);
	free(big);
	fake_run_until(f->loop, was_down, f);
	assert_int_equal(f->down_error, -EMSGSIZE);
}

static void
too_many_commands_are_refused(void **state)
{
	struct fixture *f = *state;
	size_t sent = 0;

	start_up(f);
	while (echo(f, "x") == 0) {
		sent++;
	}
	assert_int_equal(sent, 1024);
	assert_int_equal(echo(f, "x"), -ENOBUFS);
}

static const char *const channels[] = {"+switch-master", "+odown", NULL};

static void
a_listener_hears_messages(void **state)
{
	struct fixture *f = *state;

	f->spec.channels = channels;
	start_up(f);
	fake_say_all(f->server, "*3\r\n$7\r\nmessage\r\n$6\r\n+odown\r\n$4\r\nbody\r\n");
	fake_run_until(f->loop, was_pushed, f);
	assert_string_equal(f->pushed, "+odown=body");
}

static void
a_listener_pings_too(void **state)
{
	struct fixture *f = *state;

	f->spec.channels = channels;
	f->spec.ping_ms = 2;
	f->spec.stall_ms = 20;
	start_up(f);
	f->mute = true;
	fake_run_until(f->loop, was_down, f);
	assert_int_equal(f->down_error, -ETIMEDOUT);
}

static void
a_listener_takes_no_nonsense(void **state)
{
	struct fixture *f = *state;
	static const char *const nonsense[] = {"*0\r\n", "*1\r\n:1\r\n", "+OK\r\n", "$-1\r\n",
	    "*2\r\n$7\r\nmessage\r\n$1\r\nx\r\n", "*3\r\n*0\r\n*0\r\n*0\r\n", "-ERR no\r\n"};

	f->spec.channels = channels;
	start(f);
	for (size_t i = 0; i < ARRAY_LEN(nonsense); i++) {
		fake_run_until(f->loop, is_up, f);
		f->downs = 0;
		fake_say_all(f->server, nonsense[i]);
		fake_run_until(f->loop, was_down, f);
		assert_int_equal(f->down_error, -EPROTO);
	}
	assert_int_equal(f->pushes, 0);
}

static void
the_link_may_be_freed_in_any_callback(void **state)
{
	struct fixture *f = *state;

	f->free_in_up = true;
	start(f);
	fake_run_until(f->loop, was_up, f);
	assert_null(f->link);

	f->free_in_up = false;
	start_up(f);
	f->free_in_answer = true;
	assert_int_equal(echo(f, "one"), 0);
	assert_int_equal(echo(f, "two"), 0);
	fake_run_until(f->loop, was_answered, f);
	assert_null(f->link);
	assert_int_equal(f->answers, 1);

	start_up(f);
	f->answers = 0;
	assert_int_equal(link_send(f->link, 0, on_answer, f, "QUIT", NULL), 0);
	assert_int_equal(echo(f, "two"), 0);
	fake_run_until(f->loop, was_answered, f);
	assert_int_equal(f->answers, 1);
	assert_int_equal(f->downs, 0);

	f->free_in_answer = false;
	f->free_in_down = true;
	start_up(f);
	fake_drop_all(f->server);
	fake_run_until(f->loop, was_down, f);
	assert_null(f->link);
}

static void
a_resting_link_stays_away(void **state)
{
	struct fixture *f = *state;

	start_up(f);
	f->rest_in_answer = true;
	assert_int_equal(echo(f, "one"), 0);
	assert_int_equal(echo(f, "two"), 0);
	fake_run_until(f->loop, was_answered, f);
	f->rest_in_answer = false;
	link_kick(f->link);
	assert_false(link_is_up(f->link));
	link_rest(f->link, false);
	fake_run_until(f->loop, was_up_twice, f);
	assert_int_equal(f->answers, 2); /* the second one failed */
	assert_int_equal(f->error, -ECANCELED);
	assert_int_equal(f->downs, 0);
	assert_int_equal(fake_accepted(f->server), 2);
}

static void
a_kick_ends_the_pause(void **state)
{
	struct fixture *f = *state;

	f->spec.retry_min_ms = 3600000;
	f->spec.retry_max_ms = 3600000;
	start_up(f);
	fake_drop_all(f->server);
	fake_run_until(f->loop, was_down, f);
	link_kick(f->link);
	fake_run_until(f->loop, was_up_twice, f);
}

static void
a_moved_link_goes_to_the_other_address(void **state)
{
	struct fixture *f = *state;
	struct fake *other = fake_new(f->loop, on_request, f);

	start_up(f);
	link_move(f->link, fake_at(other));
	assert_false(link_is_up(f->link));
	fake_run_until(f->loop, was_up_twice, f);
	assert_int_equal(fake_accepted(other), 1);
	fake_free(&other);
}

static void
forgotten_answers_do_not_come(void **state)
{
	struct fixture *f = *state;

	start_up(f);
	assert_int_equal(link_send(f->link, 0, on_answer, &f->order, "ECHO", "x", NULL), 0);
	link_forget(f->link, &f->order);
	assert_int_equal(echo(f, "mine"), 0);
	fake_run_until(f->loop, was_answered, f);
	assert_string_equal(f->text, "mine");
	assert_int_equal(f->answers, 1);
}

static void
names_are_not_looked_up(void **state)
{
	struct fixture *f = *state;

	f->spec.at = endpoint_tcp("localhost", fake_at(f->server)->port);
	start(f);
	fake_run_until(f->loop, was_down, f);
	assert_int_equal(f->ups, 0);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	    T(commands_are_answered_in_order),
	    T(user_and_password_come_first),
	    T(password_alone_is_for_the_default_user),
	    T(refusal_is_told_and_tried_again),
	    T(nobody_there_is_told_and_tried_again),
	    T(that_nothing_listens_is_known_until_something_does),
	    T(broken_link_fails_its_commands_and_comes_back),
	    T(late_answer_is_thrown_away_and_the_next_one_fits),
	    T(silence_breaks_the_link),
	    T(a_command_with_more_time_is_not_silence),
	    T(a_silent_server_does_not_let_in),
	    T(pings_prove_life_and_find_death),
	    T(no_protocol_breaks_the_link),
	    T(a_reply_to_nothing_breaks_the_link),
	    T(too_big_a_reply_breaks_the_link),
	    T(too_many_commands_are_refused),
	    T(a_listener_hears_messages),
	    T(a_listener_pings_too),
	    T(a_listener_takes_no_nonsense),
	    T(the_link_may_be_freed_in_any_callback),
	    T(a_resting_link_stays_away),
	    T(a_kick_ends_the_pause),
	    T(a_moved_link_goes_to_the_other_address),
	    T(forgotten_answers_do_not_come),
	    T(names_are_not_looked_up),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
