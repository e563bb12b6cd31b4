/*
 * What becomes of each kind of request whose master is lost at each moment: before it was sent, when half of it was, when it was and
 * the answer has not come, when half of the answer has. Every row says what the client hears then, and that its connection is of use
 * afterwards.
 */
#include "unit.h"

#include "backend/backend_priv.h"
#include "narrow.h"
#include "session_world.h"

#define UNCERTAIN                                                                                  \
	"-UNCERTAIN master lost before it answered; the write may or may not have happened\r\n"
#define UNCERTAIN_EXEC                                                                             \
	"-UNCERTAIN master lost before it answered; the transaction may or may not have "          \
	"happened\r\n"
#define CUT     "-MASTERDOWN master lost while the request was on its way; it was not executed\r\n"
#define SUB_X   "*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n"
#define SUB_Y   "*3\r\n$9\r\nsubscribe\r\n$1\r\ny\r\n:2\r\n"
#define MESSAGE "*3\r\n$7\r\nmessage\r\n$1\r\nx\r\n$2\r\nhi\r\n"
#define CLOSED  NULL

#define VALUE_BYTES 90000
#define HALF_BYTES  8 /* fewer than any request has */
#define LONG_REPLY                                                                                 \
	"*3\r\n$30\r\nabcdefghijklmnopqrstuvwxyz0123\r\n$30\r\nabcdefghijklmnopqrstuvwxyz0123\r\n" \
	"$30\r\nabcdefghijklmnopqrstuvwxyz0123\r\n"

enum moment { NOT_SENT, HALF_SENT, SENT, HALF_ANSWERED, MOMENTS };

static const char *const moment_names[MOMENTS] = {"not sent", "half sent", "sent", "half answered"};

struct row {
	const char *name;
	const char *before, *before_reply; /* what was said and answered in peace */
	const char *request;
	const char *seen;              /* by A, when it was sent */
	const char *reply;             /* A's, if it is a special one */
	const char *hears[MOMENTS];    /* CLOSED, or all; "": this cannot be */
	const char *then, *then_reply; /* what it asks afterwards; NULL: anything */
	const char *then_not_sent;  /* the reply to that when it was not sent, if it is another */
	const char *b_saw[MOMENTS]; /* of it, NULL: nothing is to be seen of it there */
	size_t half;                /* so many bytes of it are sent; 0: HALF_BYTES */
	bool large;                 /* request is followed by a value of so many bytes */
	bool durable;
};

static const struct row rows[] = {
    {.name = "a read",
	.request = "get 1\r\n",
	.seen = "get 1",
	.hears = {"$1\r\n1\r\n", "$1\r\n1\r\n", "$1\r\n1\r\n", "$1\r\n1\r\n"},
	.b_saw = {"get 1", "get 1", "get 1", "get 1"}},
    {.name = "a write",
	.request = "set k 1\r\n",
	.seen = "set 1",
	.hears = {"+OK\r\n", "+OK\r\n", UNCERTAIN, UNCERTAIN},
	.b_saw = {"set 1", "set 1"}},
    {.name = "a pipeline",
	.request = "get 1\r\nset k 2\r\nget 3\r\n",
	.seen = "get 3",
	.half = 28, /* in the middle of the write */
	.hears = {"$1\r\n1\r\n+OK\r\n$1\r\n3\r\n", "$1\r\n1\r\n+OK\r\n$1\r\n3\r\n",
	    "$1\r\n1\r\n" UNCERTAIN "$1\r\n3\r\n", ""},
	.b_saw = {"get 1;1 set 2;1 get 3", "get 1;1 set 2;1 get 3", "get 1;1 get 3"}},
    {.name = "SELECT",
	.request = "select 3\r\n",
	.seen = "SELECT 3", /* the connection's own */
	.hears = {"+OK\r\n", "+OK\r\n", "+OK\r\n", "+OK\r\n"},
	.b_saw = {"select 3", "select 3", "select 3", "select 3"}},
    {.name = "MULTI",
	.request = "multi\r\n",
	.seen = "multi",
	.hears = {"+OK\r\n", "+OK\r\n", "+OK\r\n", "+OK\r\n"},
	.then = "append 1\r\nexec\r\n",
	.then_reply = "+QUEUED\r\n*0\r\n",
	.b_saw = {"multi", "multi", "multi", "multi"}},
    {.name = "a queued command",
	.before = "multi\r\n",
	.before_reply = "+OK\r\n",
	.request = "append 1\r\n",
	.seen = "append 1",
	.hears = {"+QUEUED\r\n", "+QUEUED\r\n", "+QUEUED\r\n", "+QUEUED\r\n"},
	.then = "exec\r\n",
	.then_reply = "*0\r\n",
	.b_saw = {"multi;1 append 1", "multi;1 append 1", "multi;1 append 1", "multi;1 append 1"}},
    {.name = "EXEC",
	.before = "multi\r\nappend 1\r\n",
	.before_reply = "+OK\r\n+QUEUED\r\n",
	.request = "exec\r\n",
	.seen = "exec",
	.hears = {"*0\r\n", "*0\r\n", UNCERTAIN_EXEC, UNCERTAIN_EXEC},
	.b_saw = {"multi;1 append 1;1 exec", "multi;1 append 1;1 exec"}},
    {.name = "EXEC with much to tell",
	.before = "multi\r\nappend 1\r\n",
	.before_reply = "+OK\r\n+QUEUED\r\n",
	.request = "exec\r\n",
	.seen = "exec",
	.reply = LONG_REPLY,
	.hears = {"*0\r\n", "*0\r\n", UNCERTAIN_EXEC, CLOSED},
	.b_saw = {"multi;1 append 1;1 exec", "multi;1 append 1;1 exec"}},
    {.name = "WATCH",
	.request = "watch k\r\n",
	.seen = "watch k",
	.hears = {"+OK\r\n", "+OK\r\n", "+OK\r\n", "+OK\r\n"},
	.then_not_sent = "+OK\r\n+QUEUED\r\n*0\r\n",
	.then = "multi\r\nappend 1\r\nexec\r\n",
	.then_reply = "+OK\r\n+QUEUED\r\n*-1\r\n",
	.b_saw = {"watch k", "watch k", "watch k", "watch k"}},
    {.name = "a watched EXEC",
	.before = "watch k\r\nmulti\r\nappend 1\r\n",
	.before_reply = "+OK\r\n+OK\r\n+QUEUED\r\n",
	.request = "exec\r\n",
	.seen = "exec",
	.hears = {"*-1\r\n", "*-1\r\n", UNCERTAIN_EXEC, UNCERTAIN_EXEC}},
    {.name = "a blocking pop",
	.request = "blpop q 0\r\n",
	.seen = "blpop 0",
	.hears = {"+OK\r\n", "+OK\r\n", UNCERTAIN, UNCERTAIN},
	.b_saw = {"blpop 0", "blpop 0"}},
    {.name = "a blocking read",
	.request = "xread block 0 streams s 7\r\n",
	.seen = "xread 7",
	.hears = {"+OK\r\n", "+OK\r\n", "+OK\r\n", "+OK\r\n"},
	.b_saw = {"xread 7", "xread 7", "xread 7", "xread 7"}},
    {.name = "SUBSCRIBE",
	.request = "subscribe x y\r\n",
	.seen = "subscribe y",
	.reply = SUB_X SUB_Y,
	.hears = {SUB_X SUB_Y, SUB_X SUB_Y, SUB_X SUB_Y, SUB_X SUB_Y},
	.then = "ping 9\r\n",
	.then_reply = "$1\r\n9\r\n",
	.b_saw = {"subscribe y", "subscribe y", "subscribe y", "subscribe y"}},
    {.name = "one more SUBSCRIBE",
	.before = "subscribe x\r\n",
	.before_reply = SUB_X,
	.request = "subscribe y\r\nunsubscribe y\r\n",
	.seen = "unsubscribe y",
	.reply = SUB_Y "*3\r\n$11\r\nunsubscribe\r\n$1\r\ny\r\n:1\r\n",
	.hears = {"*3\r\n$9\r\nsubscribe\r\n$1\r\ny\r\n:1\r\n*3\r\n$11\r\nunsubscribe\r\n$"
		  "1\r\ny\r\n:0\r\n",
	    "*3\r\n$9\r\nsubscribe\r\n$1\r\ny\r\n:1\r\n*3\r\n$11\r\nunsubscribe\r\n$"
	    "1\r\ny\r\n:0\r\n",
	    "*3\r\n$9\r\nsubscribe\r\n$1\r\ny\r\n:1\r\n*3\r\n$11\r\nunsubscribe\r\n$1\r\ny\r\n:"
	    "0\r\n",
	    ""},
	.then = "ping 9\r\n",
	.then_reply = "$1\r\n9\r\n",
	.b_saw = {"SUBSCRIBE x", "SUBSCRIBE x", "SUBSCRIBE x"}},
    {.name = "a subscriber's PING",
	.before = "subscribe x\r\n",
	.before_reply = SUB_X,
	.request = "ping 5\r\n",
	.seen = "ping 5",
	.hears = {"$1\r\n5\r\n", "$1\r\n5\r\n", "$1\r\n5\r\n", "$1\r\n5\r\n"},
	.then = "ping 9\r\n",
	.then_reply = "$1\r\n9\r\n",
	.b_saw = {"SUBSCRIBE x;1 ping 5", "SUBSCRIBE x;1 ping 5", "SUBSCRIBE x;1 ping 5",
	    "SUBSCRIBE x;1 ping 5"}},
    {.name = "MONITOR",
	.request = "monitor\r\n",
	.seen = "monitor",
	.hears = {"+OK\r\n", "+OK\r\n", "+OK\r\n", "+OK\r\n"},
	.then = "ping 9\r\n",
	.then_reply = "$1\r\n9\r\n",
	.b_saw = {"1 monitor", "1 monitor", "1 monitor", "1 monitor"}},
    {.name = "MONITOR of a subscriber",
	.before = "hello 3\r\nsubscribe x\r\n",
	.before_reply = "+OK\r\n" SUB_X,
	.request = "monitor\r\n",
	.seen = "monitor",
	.hears = {"+OK\r\n", "+OK\r\n", "+OK\r\n", "+OK\r\n"},
	.then = "ping 9\r\n",
	.then_reply = "$1\r\n9\r\n",
	.b_saw = {"SUBSCRIBE x;1 monitor", "SUBSCRIBE x;1 monitor", "SUBSCRIBE x;1 monitor",
	    "SUBSCRIBE x;1 monitor"}},
    {.name = "PING of one who watches all",
	.before = "monitor\r\n",
	.before_reply = "+OK\r\n",
	.request = "ping 5\r\n",
	.seen = "ping 5",
	.hears = {"$1\r\n5\r\n", "$1\r\n5\r\n", "$1\r\n5\r\n", "$1\r\n5\r\n"},
	.b_saw = {"MONITOR;1 ping 5", "MONITOR;1 ping 5", "MONITOR;1 ping 5", "MONITOR;1 ping 5"}},
    {.name = "WAIT",
	.before = "set k 1\r\n",
	.before_reply = "+OK\r\n",
	.request = "wait 1 100\r\n",
	.seen = "wait 100",
	.hears = {":0\r\n", ":0\r\n", ":0\r\n", ":0\r\n"},
	.b_saw = {"wait 100", "wait 100", "wait 100", "wait 100"}},
    {.name = "a write that replicas must have",
	.request = "set k 1\r\n",
	.seen = "set 1",
	.durable = true,
	.hears = {"+OK\r\n", "+OK\r\n", UNCERTAIN, UNCERTAIN},
	.b_saw = {"set 1;2 WAIT 500", "set 1;2 WAIT 500"}},
    {.name = "a large value",
	.request = "*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$90000\r\n",
	.seen = "SET vvv",
	.large = true,
	.hears = {"+OK\r\n", CUT, UNCERTAIN, UNCERTAIN},
	.b_saw = {"SET vvv"}},
    {.name = "a read with a long answer",
	.request = "get 1\r\n",
	.seen = "get 1",
	.reply = LONG_REPLY,
	.hears = {"$1\r\n1\r\n", "$1\r\n1\r\n", "$1\r\n1\r\n", CLOSED},
	.b_saw = {"get 1", "get 1", "get 1"}},
    {.name = "a command that nobody knows",
	.request = "mod.cmd x\r\n",
	.seen = "mod.cmd x",
	.hears = {"+OK\r\n", "+OK\r\n", UNCERTAIN, UNCERTAIN},
	.b_saw = {"mod.cmd x", "mod.cmd x"}},
};

struct one {
	const struct row *row;
	enum moment moment;
};

static bool
is_taken(void *arg)
{
	struct backend_stats stats;

	hear(); /* a transaction that is lost is answered here */
	backend_stats(backend, &stats);
	return stats.held_count > 0 || session()->wait != WAIT_NOTHING || got[0] != '\0';
}

static bool
is_lost(void *arg)
{
	struct endpoint at;

	return !backend_master(backend, &at);
}

/* A part of a reply has come. */
static bool
has_half(void *arg)
{
	hear();
	if (got[0] != '\0') {
		return true;
	}
	list_for_each (item, &backend->lanes) {
		const struct lane *lane = CONTAINER_OF(item, struct lane, link);

		if (lane->wire != NULL && (lane->wire->scanned > 0 || lane->wire->in_reply)) {
			return true;
		}
	}
	return false;
}

static bool
is_streamed(void *arg)
{
	struct backend_stats stats;

	backend_stats(backend, &stats);
	return stats.out_bytes > VALUE_BYTES / 2;
}

static void
say_value(size_t bytes)
{
	static char text[VALUE_BYTES + 1];

	memset(text, 'v', bytes);
	text[bytes] = '\0';
	say(text);
}

static void
lose_a(void)
{
	a.no_master = true;
	fake_drop_all(a.fake);
	fake_run_until(loop, is_lost, NULL);
}

/* Over a connection that others use as well, or one of its own. */
static void
until_half_sent(const struct row *row)
{
	a.mute = true;
	narrow_begin(a.fake, row->half > 0 ? row->half : HALF_BYTES);
	say(row->request);
	fake_run_until(loop, narrow_is_full, NULL);
	lose_a();
}

static void
say_request(const struct row *row)
{
	say(row->request);
	if (row->large) {
		say_value(VALUE_BYTES);
		say("\r\n");
	}
}

static void
until_moment(const struct row *row, enum moment moment)
{
	a.reply = row->reply;
	switch (moment) {
	case NOT_SENT:
		lose_a();
		say_request(row);
		fake_run_until(loop, is_taken, NULL);
		break;
	case HALF_SENT:
		if (!row->large) {
			until_half_sent(row);
			break;
		}
		say(row->request);
		say_value(VALUE_BYTES * 2 / 3);
		fake_run_until(loop, is_streamed, NULL);
		lose_a();
		say_value(VALUE_BYTES - VALUE_BYTES * 2 / 3);
		say("\r\n");
		break;
	case SENT:
		a.mute = true;
		say_request(row);
		until_seen(row->seen);
		lose_a();
		break;
	default:
		a.half = true;
		say_request(row);
		fake_run_until(loop, has_half, NULL);
		lose_a();
		break;
	}
}

static void
is_as_the_row_says(void **state)
{
	const struct one *one = *state;
	const struct row *row = one->row;

	narrow_end();
	if (row->durable) {
		proxy.confirms[DOOR_LISTEN] = confirm_new(backend);
		confirm_configure(proxy.confirms[DOOR_LISTEN], 2, 500);
	}
	say("get 0\r\n");
	expect("$1\r\n0\r\n");
	if (row->before != NULL) {
		say(row->before);
		expect(row->before_reply);
	}
	until_moment(row, one->moment);
	name_master(&b);
	if (row->hears[one->moment] == CLOSED) {
		fake_run_until(loop, is_hung_up, NULL);
		assert_true(strlen(got) == 0 || strncmp(row->reply, got, strlen(got)) == 0);
		return;
	}
	expect(row->hears[one->moment]);
	if (row->b_saw[one->moment] != NULL) {
		assert_non_null(strstr(b.seen, row->b_saw[one->moment]));
	} else {
		assert_null(strstr(b.seen, row->seen));
	}
	if (row->then != NULL) {
		say(row->then);
		expect(one->moment == NOT_SENT && row->then_not_sent != NULL ? row->then_not_sent
									     : row->then_reply);
	} else {
		say("get 9\r\n");
		expect("$1\r\n9\r\n");
	}
}

/* What is published goes on to be heard, but not the rest of a message that was cut. */
static void
a_message_that_was_cut_ends_the_subscriber(void **state)
{
	static const char head[] = "*3\r\n$7\r\nmessage\r\n$1\r\nx\r\n$50000\r\n";
	static char half[40000];

	say("subscribe x\r\n");
	expect(SUB_X);
	memset(half, 'v', sizeof(half) - 1);
	memcpy(half, head, sizeof(head) - 1);
	fake_say_marked(a.fake, half);
	fake_run_until(loop, has_half, NULL);
	lose_a();
	name_master(&b);
	fake_run_until(loop, is_hung_up, NULL);
	assert_null(strstr(b.seen, "SUBSCRIBE"));
}

static void
a_short_message_that_was_cut_is_missed(void **state)
{
	say("subscribe x\r\n");
	expect(SUB_X);
	fake_say_marked(a.fake, "*3\r\n$7\r\nmessage\r\n$1\r\nx\r\n");
	fake_run_until(loop, has_half, NULL);
	lose_a();
	name_master(&b);
	fake_run_until(loop, b_has_seen, (void *)(uintptr_t) "SUBSCRIBE x");
	fake_say_marked(b.fake, MESSAGE);
	expect(MESSAGE);
}

/* A line of MONITOR answers nothing, and is heard on. */
static void
one_who_watches_all_goes_on(void **state)
{
	static const char line[] = "+1795775561.324617 [0 127.0.0.1:38564] \"ping\"\r\n";

	say("monitor\r\n");
	expect("+OK\r\n");
	a.mute = true;
	say("ping 5\r\n");
	until_seen("ping 5");
	fake_say_marked(a.fake, line);
	expect(line);
	lose_a();
	name_master(&b);
	expect("$1\r\n5\r\n");
	fake_say_marked(b.fake, line);
	expect(line);
}

static void
one_who_may_not_watch_is_like_others(void **state)
{
	a.reply = "-NOPERM no\r\n";
	say("monitor\r\n");
	expect(a.reply);
	a.reply = NULL;
	lose_a();
	name_master(&b);
	say("get 1\r\n");
	expect("$1\r\n1\r\n");
	assert_null(strstr(b.seen, "MONITOR"));
}

/* CLIENT REPLY is the session's own: what was not to be heard is not heard from the next master either. */
static void
who_wants_no_replies_hears_none(void **state)
{
	say("get 0\r\nclient reply off\r\nget 1\r\n");
	expect("$1\r\n0\r\n");
	until_seen("get 1");
	a.mute = true;
	say("set k 2\r\nget 3\r\nclient id\r\n");
	until_seen("get 3");
	lose_a();
	name_master(&b);
	say("client reply on\r\nget 4\r\n");
	expect("+OK\r\n$1\r\n4\r\n");
	assert_string_equal(b.seen, "1 get 3;1 get 4;");
}

static void
one_reply_is_left_out(void **state)
{
	say("get 0\r\n");
	expect("$1\r\n0\r\n");
	a.mute = true;
	say("client reply skip\r\nget 1\r\nget 2\r\nclient reply skip\r\nclient id\r\n");
	until_seen("get 1");
	lose_a();
	name_master(&b);
	say("get 3\r\n");
	expect("$1\r\n2\r\n$1\r\n3\r\n");
	assert_string_equal(b.seen, "1 get 1;1 get 2;1 get 3;");
}

/* In a transaction it would be the server's to carry out. */
static void
none_in_a_transaction(void **state)
{
	say("multi\r\nclient reply off\r\nappend 1\r\nexec\r\n");
	expect("+OK\r\n-ERR CLIENT REPLY inside a transaction is not possible "
	       "here\r\n+QUEUED\r\n"
	       "-EXECABORT Transaction discarded because of previous errors.\r\n");
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	static const struct CMUnitTest others[] = {
	    TEST(a_message_that_was_cut_ends_the_subscriber),
	    TEST(a_short_message_that_was_cut_is_missed),
	    TEST(one_who_watches_all_goes_on),
	    TEST(one_who_may_not_watch_is_like_others),
	    TEST(who_wants_no_replies_hears_none),
	    TEST(one_reply_is_left_out),
	    TEST(none_in_a_transaction),
	};
	static struct CMUnitTest tests[ARRAY_LEN(rows) * MOMENTS + ARRAY_LEN(others)];
	static struct one ones[ARRAY_LEN(rows) * MOMENTS];
	static char names[ARRAY_LEN(tests)][80];
	size_t count = 0;

	for (size_t i = 0; i < ARRAY_LEN(rows) * MOMENTS; i++) {
		const struct row *row = &rows[i / MOMENTS];
		enum moment moment = (enum moment)(i % MOMENTS);

		if (row->hears[moment] != CLOSED && row->hears[moment][0] == '\0') {
			continue;
		}
		ones[count] = (struct one){row, moment};
		(void)snprintf(
		    names[count], sizeof(names[count]), "%s: %s", row->name, moment_names[moment]);
		tests[count] = (struct CMUnitTest){
		    names[count], is_as_the_row_says, world_setup, world_teardown, &ones[count]};
		count++;
	}
	for (size_t i = 0; i < ARRAY_LEN(others); i++) {
		tests[count++] = others[i];
	}
	return _cmocka_run_group_tests("moments", tests, count, NULL, NULL);
}
