/*
 * A client's session against a server of ours: which replies it gets, in which order, and what
 * becomes of it when the server goes away at a bad moment.
 */
#include "unit.h"

#include <sys/socket.h>

#include "backend/scripts.h"
#include "resp/write.h"
#include "session_world.h"

static void
answers_made_here_keep_their_place(void **state)
{
	say("get 1\r\nclient id\r\nget 2\r\nclient setname bob\r\nshutdown\r\nclient "
	    "getname\r\nget 3\r\n");
	expect("$1\r\n1\r\n:42\r\n$1\r\n2\r\n+OK\r\n-ERR SHUTDOWN is not allowed here; proxy.allow "
	       "may name it\r\n"
	       "$3\r\nbob\r\n$1\r\n3\r\n");
}

static void
a_fault_is_told_after_what_was_right(void **state)
{
	say("get 1\r\nget 2\r\n*1\r\n$x\r\nget 3\r\n");
	expect("$1\r\n1\r\n$1\r\n2\r\n-ERR Protocol error: invalid bulk length\r\n");
	fake_run_until(loop, is_hung_up, NULL);
	assert_string_equal(a.seen, "1 get 1;1 get 2;");
}

static void
who_sends_no_more_still_gets_its_answers(void **state)
{
	say("get 1\r\nget 2\r\nset a b\r\n");
	assert_int_equal(shutdown(client, SHUT_WR), 0);
	expect("$1\r\n1\r\n$1\r\n2\r\n+OK\r\n");
	fake_run_until(loop, is_hung_up, NULL);
	assert_true(list_is_empty(&proxy.sessions));
}

static void
a_transaction_goes_over_a_connection_of_its_own(void **state)
{
	say("get 1\r\n");
	expect("$1\r\n1\r\n");
	say("multi\r\nappend 2\r\nexec\r\nget 3\r\n");
	expect("+OK\r\n+QUEUED\r\n*0\r\n$1\r\n3\r\n");
	assert_string_equal(a.seen, "1 get 1;2 multi;2 append 2;2 exec;1 get 3;");
}

/* SELECT within a transaction takes effect with EXEC, where it is not seen: that session stays where it is. */
static void
an_unknown_command_takes_no_connection_away(void **state)
{
	say("multi\r\nMODULE.CMD x\r\nexec\r\nFOO\r\nget 1\r\n");
	expect("+OK\r\n+OK\r\n*0\r\n-ERR unknown command 'FOO', with args beginning with: "
	       "\r\n$1\r\n1\r\n");
	assert_string_equal(a.seen, "1 multi;1 MODULE.CMD x;1 exec;1 FOO;1 get 1;");
}

/* The server knows nothing of it, but EXEC must not go on as if it had not been asked. */
static void
what_is_refused_in_a_transaction_ends_it(void **state)
{
	say("multi\r\nappend 1\r\nshutdown\r\nappend 2\r\nexec\r\nget 3\r\n");
	expect("+OK\r\n+QUEUED\r\n-ERR SHUTDOWN is not allowed here; proxy.allow may name "
	       "it\r\n+QUEUED\r\n"
	       "-EXECABORT Transaction discarded because of previous errors.\r\n$1\r\n3\r\n");
	assert_string_equal(a.seen, "1 multi;1 append 1;1 append 2;1 DISCARD;2 get 3;");
	say("multi\r\nappend 1\r\nexec\r\n");
	expect("+OK\r\n+QUEUED\r\n*0\r\n");
}

static void
an_unknown_command_takes_no_connection_for_good(void **state)
{
	say("get 1\r\nFOO\r\nget 2\r\n");
	expect("$1\r\n1\r\n-ERR unknown command 'FOO', with args beginning with: \r\n$1\r\n2\r\n");
	assert_string_equal(a.seen, "1 get 1;2 FOO;1 get 2;");
	say("MODULE.CMD x\r\nget 3\r\n");
	expect("+OK\r\n$1\r\n3\r\n");
	assert_non_null(
	    strstr(a.seen, "2 MODULE.CMD x;2 get 3;")); /* it may have left state there */
}

static void
a_login_is_asked_of_the_server(void **state)
{
	say("auth bad\r\nauth good\r\nget 1\r\nselect 3\r\nreset\r\nget 2\r\n");
	expect("-WRONGPASS no\r\n+OK\r\n$1\r\n1\r\n+OK\r\n+RESET\r\n$1\r\n2\r\n");
	assert_null(session()->id.password);
	assert_int_equal(session()->id.database, 0);
}

/* Where the server is lost: after MULTI, after a queued command, with EXEC on its way. */
static void
a_transaction_goes_on_at_the_next_master(void **state)
{
	say("multi\r\nappend 1\r\n");
	expect("+OK\r\n+QUEUED\r\n");
	a.mute = true;
	say("append 2\r\n");
	until_seen("append 2");
	name_master(&b);
	say("append 3\r\nexec\r\nget 4\r\n");
	expect("+QUEUED\r\n+QUEUED\r\n*0\r\n$1\r\n4\r\n");
	assert_string_equal(b.seen, "1 multi;1 append 1;1 append 2;1 append 3;1 exec;2 get 4;");
}

static void
a_watched_transaction_that_is_cut_fails_as_if_changed(void **state)
{
	say("watch k\r\nmulti\r\nappend 1\r\n");
	expect("+OK\r\n+OK\r\n+QUEUED\r\n");
	name_master(&b);
	say("append 2\r\nexec\r\nget 4\r\n");
	expect("+QUEUED\r\n*-1\r\n$1\r\n4\r\n");
	assert_string_equal(b.seen, "1 get 4;");
}

/* Too much to be kept is not asked again. */
static void
a_large_transaction_that_is_cut_does_not_happen(void **state)
{
	static char big[100001];

	memset(big, 'x', sizeof(big) - 1);
	say("multi\r\n");
	expect("+OK\r\n");
	for (int i = 0; i < 11; i++) {
		say("*2\r\n$6\r\nappend\r\n$100000\r\n");
		say(big);
		say("\r\n");
		expect("+QUEUED\r\n");
	}
	name_master(&b);
	say("append 2\r\nexec\r\nget 4\r\n");
	expect("+QUEUED\r\n-EXECABORT Transaction discarded because the master was "
	       "lost\r\n$1\r\n4\r\n");
	assert_string_equal(b.seen, "1 get 4;");
}

/* The server became a replica: nothing of it happened there. */
static void
a_refused_transaction_is_asked_again(void **state)
{
	say("multi\r\n");
	expect("+OK\r\n");
	a.readonly = true;
	say("append 1\r\nexec\r\nget 2\r\n");
	until_seen("append 1");
	backend_hold(backend, 10000);
	name_master(&b);
	expect("+QUEUED\r\n*0\r\n$1\r\n2\r\n");
	assert_string_equal(b.seen, "1 multi;1 append 1;1 exec;2 get 2;");
}

/* A planned switchover while EXEC is on its way: the old master has the word. */
static void
an_exec_that_the_old_master_refused_is_asked_again(void **state)
{
	say("multi\r\nappend 1\r\n");
	expect("+OK\r\n+QUEUED\r\n");
	a.mute = true;
	say("exec\r\nget 2\r\n");
	until_seen("exec");
	backend_hold(backend, 10000);
	name_master(&b);
	fake_say_marked(a.fake, "-EXECABORT Transaction discarded because of: READONLY You can't "
				"write against a read only replica.\r\n");
	expect("*0\r\n$1\r\n2\r\n");
	assert_string_equal(b.seen, "1 multi;1 append 1;1 exec;2 get 2;");
}

static void
an_exec_that_the_old_master_answered_is_done(void **state)
{
	say("multi\r\nappend 1\r\n");
	expect("+OK\r\n+QUEUED\r\n");
	a.mute = true;
	say("exec\r\nget 2\r\n");
	until_seen("exec");
	backend_hold(backend, 10000);
	name_master(&b);
	fake_say_marked(a.fake, "*1\r\n:1\r\n");
	expect("*1\r\n:1\r\n$1\r\n2\r\n");
	assert_string_equal(b.seen, "1 get 2;");
}

/* The reply to SUBSCRIBE is still on its way when the master hands over. */
static void
a_subscriber_is_not_cut_before_its_replies(void **state)
{
	say("subscribe x\r\n");
	expect("*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n");
	a.mute = true;
	say("subscribe y\r\n");
	until_seen("subscribe y");
	backend_hold(backend, 10000);
	name_master(&b);
	say("subscribe z\r\n");
	fake_say_marked(a.fake, "*3\r\n$9\r\nsubscribe\r\n$1\r\ny\r\n:2\r\n");
	expect("*3\r\n$9\r\nsubscribe\r\n$1\r\ny\r\n:2\r\n"
	       "*3\r\n$9\r\nsubscribe\r\n$1\r\nz\r\n:1\r\n");
	assert_string_equal(b.seen, "1 SUBSCRIBE y;1 subscribe z;");
}

static void
an_exec_without_an_answer_is_uncertain(void **state)
{
	say("multi\r\nappend 1\r\n");
	expect("+OK\r\n+QUEUED\r\n");
	a.mute = true;
	say("append 2\r\nexec\r\nget 3\r\n");
	until_seen("exec");
	name_master(&b);
	expect("+QUEUED\r\n-UNCERTAIN master lost before it answered; the transaction may or may "
	       "not have "
	       "happened\r\n$1\r\n3\r\n");
}

static void
a_multi_without_an_answer_is_no_gap(void **state)
{
	say("watch k\r\n");
	expect("+OK\r\n");
	a.mute = true;
	say("multi\r\nappend 1\r\n");
	until_seen("append 1");
	name_master(&b);
	expect("+OK\r\n+QUEUED\r\n");
	say("discard\r\nget 2\r\n");
	expect("+OK\r\n$1\r\n2\r\n");
	assert_string_equal(b.seen, "1 get 2;");
}

static void
a_watch_that_crossed_a_failover_fails(void **state)
{
	say("watch k\r\n");
	expect("+OK\r\n");
	name_master(&b);
	say("multi\r\nappend 1\r\nexec\r\nget 2\r\n");
	expect("+OK\r\n+QUEUED\r\n*-1\r\n$1\r\n2\r\n");
	assert_non_null(strstr(b.seen, "DISCARD"));
	assert_null(strstr(b.seen, "exec"));
}

static void
a_subscriber_notices_nothing(void **state)
{
	say("subscribe x y\r\n");
	expect(
	    "*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n*3\r\n$9\r\nsubscribe\r\n$1\r\ny\r\n:2\r\n");
	name_master(&b);
	fake_run_until(loop, b_has_seen, (void *)(uintptr_t) "SUBSCRIBE y");
	fake_say_marked(b.fake, "*3\r\n$7\r\nmessage\r\n$1\r\nx\r\n$2\r\nhi\r\n");
	expect("*3\r\n$7\r\nmessage\r\n$1\r\nx\r\n$2\r\nhi\r\n");
}

static void
a_subscriber_may_come_back(void **state)
{
	say("get 1\r\n");
	expect("$1\r\n1\r\n");
	say("subscribe x\r\nunsubscribe x\r\n");
	expect("*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n*3\r\n$11\r\nunsubscribe\r\n$1\r\nx\r\n:"
	       "0\r\n");
	say("get 2\r\n");
	expect("$1\r\n2\r\n");
	assert_non_null(strstr(a.seen, "1 get 2;"));
	assert_int_equal(session()->own_mode, OWN_NONE);
}

static void
what_was_asked_before_a_reset_is_answered(void **state)
{
	say("subscribe x\r\nunsubscribe x\r\nreset\r\nget 1\r\n");
	expect("*3\r\n$9\r\nsubscribe\r\n$1\r\nx\r\n:1\r\n*3\r\n$11\r\nunsubscribe\r\n$1\r\nx\r\n:"
	       "0\r\n"
	       "+RESET\r\n$1\r\n1\r\n");
	say("subscribe y\r\nquit\r\n");
	expect("*3\r\n$9\r\nsubscribe\r\n$1\r\ny\r\n:1\r\n+OK\r\n");
	fake_run_until(loop, is_hung_up, NULL);
}

static void
a_large_request_goes_over_a_connection_of_its_own(void **state)
{
	static char big[90001];

	memset(big, 'v', sizeof(big) - 1);
	say("get 1\r\n*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$90000\r\n");
	expect("$1\r\n1\r\n");
	say(big);
	say("\r\nget 2\r\n");
	expect("+OK\r\n$1\r\n2\r\n");
	a.seen[20] = '\0';
	assert_string_equal(a.seen, "1 get 1;2 SET vvvvvv");
	assert_int_equal(session()->own_mode, OWN_NONE);
}

/* INFO goes before WAIT on its connection: by it the server takes all that was written before for waited for. HELLO, for the id: once for each. */
static void
wait_is_about_what_was_written_over_another_connection(void **state)
{
	say("set k 1\r\nwait 1 100\r\nwaitaof 1 1 100\r\nwait 1\r\n");
	expect("+OK\r\n:2\r\n*2\r\n:1\r\n:2\r\n:2\r\n");
	assert_string_equal(a.seen, "1 set 1;2 HELLO;2 wait 100;2 waitaof 100;2 wait 1;");
}

static void
wait_confirms_nothing_that_a_restarted_master_may_have_lost(void **state)
{
	say("set k 1\r\n");
	expect("+OK\r\n");
	restart_in_place();
	say("wait 1 100\r\nset k 2\r\nwait 1 100\r\n");
	expect(":0\r\n+OK\r\n:2\r\n");
	restart_in_place();
	say("waitaof 1 1 100\r\n");
	expect("*2\r\n:1\r\n:2\r\n"); /* it was confirmed before */
	say("set k 3\r\n");
	expect("+OK\r\n");
	restart_in_place();
	a.run_id = "one more";
	say("waitaof 1 1 100\r\n");
	expect("*2\r\n:0\r\n:0\r\n");
}

/* A connection that broke alone says nothing about the data. */
static void
wait_counts_after_a_mere_loss_of_connections(void **state)
{
	say("set k 1\r\n");
	expect("+OK\r\n");
	fake_drop_all(a.fake);
	say("wait 1 100\r\n");
	expect(":2\r\n");
}

/* ---- scripts ---- */

/* No server has the scripts of another, nor its own when it is started again. */
static void
the_next_master_is_given_the_scripts(void **state)
{
	say("eval bad 0\r\neval one 0\r\nget 1\r\nscript load two\r\neval one 0\r\n");
	expect("-ERR Error compiling script\r\n:1\r\n$1\r\n1\r\n+OK\r\n:1\r\n");
	assert_int_equal(scripts_count(backend_scripts(backend)), 2);
	name_master(&b);
	say("evalsha x 0\r\n");
	expect("+OK\r\n");
	assert_string_equal(b.seen, "1 SCRIPT one;1 SCRIPT two;2 evalsha 0;");
}

static void
a_restarted_master_is_given_the_scripts(void **state)
{
	say("script load one\r\n");
	expect("+OK\r\n");
	restart_in_place();
	say("evalsha x 0\r\n");
	expect("+OK\r\n");
	assert_non_null(strstr(a.seen, " SCRIPT one;"));
	a.seen[0] = '\0';
	fake_drop_all(a.fake); /* a broken connection alone is no reason */
	say("evalsha x 0\r\n");
	expect("+OK\r\n");
	assert_null(strstr(a.seen, "SCRIPT"));
}

static void
a_transaction_finds_its_scripts_at_the_next_master(void **state)
{
	say("multi\r\nscript load one\r\nappend 1\r\n");
	expect("+OK\r\n+OK\r\n+QUEUED\r\n");
	name_master(&b);
	say("evalsha x 0\r\nexec\r\n");
	expect("+OK\r\n*0\r\n");
	assert_string_equal(
	    b.seen, "1 SCRIPT one;2 multi;2 script one;2 append 1;2 evalsha 0;2 exec;");
}

static void
flushed_scripts_are_forgotten(void **state)
{
	say("script load one\r\nscript flush\r\n");
	expect("+OK\r\n+OK\r\n");
	name_master(&b);
	say("evalsha x 0\r\n");
	expect("+OK\r\n");
	assert_string_equal(b.seen, "1 evalsha 0;");
}

/* ---- durability ---- */

static void
make_durable(void)
{
	proxy.confirms[DOOR_LISTEN] = confirm_new(backend);
	confirm_configure(proxy.confirms[DOOR_LISTEN], 2, 500);
	a.holds_wait = true;
}

static void
nothing_was_heard(void)
{
	hear();
	assert_string_equal(got, "");
}

static void
a_write_is_acknowledged_once_replicas_have_it(void **state)
{
	make_durable();
	say("get 1\r\n");
	expect("$1\r\n1\r\n"); /* a read waits for nobody */
	say("set k 1\r\nget 2\r\nclient id\r\nset k 2\r\n");
	until_seen("WAIT 500");
	until_seen("set 2");
	nothing_was_heard();
	fake_say(a.waiting, ":2\r\n");
	a.seen[0] = '\0';
	until_seen("WAIT 500"); /* for what came meanwhile */
	expect("+OK\r\n$1\r\n2\r\n:42\r\n");
	fake_say(a.waiting, ":3\r\n");
	expect("+OK\r\n");
}

static void
too_few_replicas_are_told(void **state)
{
	make_durable();
	say("set k 1\r\nget 2\r\nquit\r\n");
	until_seen("WAIT 500");
	nothing_was_heard();
	fake_say(a.waiting, ":1\r\n");
	expect(
	    "-NOREPLICAS the master has the write, but not 2 replicas within 500 ms; it may yet be "
	    "lost\r\n$1\r\n2\r\n+OK\r\n");
	fake_run_until(loop, is_hung_up, NULL);
}

static void
an_error_is_not_waited_for(void **state)
{
	make_durable();
	a.readonly = true;
	say("foo\r\n");
	expect("-ERR unknown command 'FOO', with args beginning with: \r\n");
	assert_null(strstr(a.seen, "WAIT"));
}

static void
a_transaction_waits_at_its_end_only(void **state)
{
	make_durable();
	say("multi\r\nappend 1\r\n");
	expect("+OK\r\n+QUEUED\r\n");
	say("exec\r\nget 2\r\n");
	until_seen("WAIT 500");
	nothing_was_heard();
	fake_say(a.waiting, ":2\r\n");
	expect("*0\r\n$1\r\n2\r\n");
	a.seen[0] = '\0';
	say("multi\r\nappend 1\r\nexec\r\nget 2\r\n"); /* as one pipeline */
	until_seen("WAIT 500");
	expect("+OK\r\n+QUEUED\r\n");
	fake_say(a.waiting, ":1\r\n");
	expect(
	    "-NOREPLICAS the master has the write, but not 2 replicas within 500 ms; it may yet be "
	    "lost\r\n$1\r\n2\r\n");
}

/* Killed after it answered the write and before replicas had it. */
static void
a_write_whose_master_dies_before_replicas_have_it_is_uncertain(void **state)
{
	static const char uncertain[] =
	    "-UNCERTAIN master lost before 2 replicas had the write; it may or may "
	    "not be kept\r\n";

	make_durable();
	say("set k 1\r\n");
	until_seen("WAIT 500");
	name_master(&b);
	fake_drop_all(a.fake);
	expect(uncertain);
	say("set k 2\r\n");
	expect("+OK\r\n");
	b.holds_wait = true;
	b.seen[0] = '\0';
	say("set k 3\r\n");
	fake_run_until(loop, b_has_seen, (void *)(uintptr_t) "WAIT 500");
	b.run_id = "another"; /* started again in its place, it answers as if all were well */
	b.holds_wait = false;
	fake_drop_all(b.fake);
	expect(uncertain);
}

/* A broken connection alone is no reason. */
static void
replicas_are_asked_again_when_only_the_connection_broke(void **state)
{
	make_durable();
	say("set k 1\r\n");
	until_seen("WAIT 500");
	a.holds_wait = false;
	fake_drop_all(a.fake);
	expect("+OK\r\n");
}

/* A planned switchover: what the old master has carried out is confirmed there. */
static void
the_old_master_confirms_what_it_has_written(void **state)
{
	make_durable();
	say("set k 1\r\n");
	until_seen("WAIT 500");
	backend_hold(backend, 10000);
	name_master(&b);
	say("get 2\r\nset k 3\r\n");
	fake_run_until(loop, b_has_seen, (void *)(uintptr_t) "WAIT 500");
	nothing_was_heard();
	fake_say(a.waiting, ":2\r\n");
	expect("+OK\r\n$1\r\n2\r\n+OK\r\n");
}

/* … or, since replicas are not asked while it pauses, its successor does; if it is seen to live on. */
static void
the_new_master_confirms_what_the_old_one_has_written(void **state)
{
	make_durable();
	say("set k 1\r\n");
	until_seen("WAIT 500");
	backend_hold(backend, 10000);
	b.holds_wait = true;
	name_master(&b);
	fake_say(a.waiting,
	    "-UNBLOCKED force unblock from blocking operation, instance state changed\r\n");
	fake_run_until(loop, b_has_seen, (void *)(uintptr_t) "WAIT 500");
	nothing_was_heard();
	fake_say(b.waiting, ":2\r\n");
	expect("+OK\r\n");
}

static void
a_master_that_died_while_it_handed_over_has_left_doubt(void **state)
{
	make_durable();
	say("set k 1\r\n");
	until_seen("WAIT 500");
	backend_hold(backend, 10000);
	name_master(&b);
	fake_drop_all(a.fake);
	expect("-UNCERTAIN master lost before 2 replicas had the write; it may or may not be "
	       "kept\r\n");
}

static void
a_browser_is_hung_up_on(void **state)
{
	say("POST / HTTP/1.1\r\nHost: x\r\n\r\nset a b\r\n");
	fake_run_until(loop, is_hung_up, NULL);
	assert_string_equal(got, "");
	assert_string_equal(a.seen, "");
}

static void
add_queued(struct queued *q, size_t at, const char *a1, const char *a2)
{
	struct buf raw;

	buf_init(&raw, 0);
	assert_int_equal(resp_add_command_str(&raw, a1, a2, NULL), 0);
	queued_add(q, at, buf_slice(&raw));
	buf_fini(&raw);
}

static int watched_fd = -1;
static size_t counted_then;

int __real_close(int fd);
int __wrap_close(int fd);

int
__wrap_close(int fd)
{
	counted_then = fd == watched_fd ? proxy.session_count : counted_then;
	return __real_close(fd);
}

/* With proxy.max_clients its place must be free for whoever comes when it sees the end, with another worker, too. */
static void
who_is_closed_is_not_counted_any_more(void **state)
{
	counted_then = 7;
	watched_fd = conn_fd(session()->conn);
	session_close(session());
	watched_fd = -1;
	assert_int_equal(counted_then, 0);
}

/* Wherever the reply is cut. */
static void
exec_is_told_in_the_clients_terms(void **state)
{
	static const char said[] = "*6\r\n+OK\r\n:99\r\n*1\r\n$3\r\nabc\r\n+OK\r\n-ERR "
				   "no\r\n$8\r\nholdfast\r\n";
	static const char want[] =
	    "*6\r\n+OK\r\n:1\r\n*1\r\n$3\r\nabc\r\n+OK\r\n-ERR no\r\n$-1\r\n";

	for (size_t cut = 4; cut < sizeof(said); cut++) {
		struct queued q = {.count = 0};
		struct lane_reply reply = {.raw = {(const uint8_t *)said, cut}, .first = true};
		struct buf out;

		session()->number = 1;
		session()->id.database = 0;
		add_queued(&q, 1, "CLIENT", "ID");
		add_queued(&q, 3, "SELECT", "7");
		add_queued(&q, 4, "SELECT", "8");
		add_queued(&q, 5, "CLIENT", "GETNAME");
		buf_init(&out, 0);
		assert_int_equal(queued_executed(session(), &q, &reply, &out), 0);
		reply = (struct lane_reply){
		    .raw = {(const uint8_t *)said + cut, sizeof(said) - 1 - cut}, .last = true};
		assert_int_equal(queued_executed(session(), &q, &reply, &out), 0);
		assert_int_equal(buf_len(&out), sizeof(want) - 1);
		assert_memory_equal(buf_slice(&out).ptr, want, sizeof(want) - 1);
		assert_int_equal(session()->id.database, 7);
		buf_fini(&out);
		queued_fini(&q);
	}
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(answers_made_here_keep_their_place),
	    TEST(a_fault_is_told_after_what_was_right),
	    TEST(who_sends_no_more_still_gets_its_answers),
	    TEST(a_transaction_goes_over_a_connection_of_its_own),
	    TEST(what_is_refused_in_a_transaction_ends_it),
	    TEST(an_unknown_command_takes_no_connection_away),
	    TEST(an_unknown_command_takes_no_connection_for_good),
	    TEST(a_login_is_asked_of_the_server),
	    TEST(a_transaction_goes_on_at_the_next_master),
	    TEST(a_watched_transaction_that_is_cut_fails_as_if_changed),
	    TEST(a_large_transaction_that_is_cut_does_not_happen),
	    TEST(a_refused_transaction_is_asked_again),
	    TEST(an_exec_that_the_old_master_refused_is_asked_again),
	    TEST(an_exec_that_the_old_master_answered_is_done),
	    TEST(a_subscriber_is_not_cut_before_its_replies),
	    TEST(an_exec_without_an_answer_is_uncertain),
	    TEST(a_multi_without_an_answer_is_no_gap),
	    TEST(exec_is_told_in_the_clients_terms),
	    TEST(who_is_closed_is_not_counted_any_more),
	    TEST(a_watch_that_crossed_a_failover_fails),
	    TEST(a_subscriber_notices_nothing),
	    TEST(a_subscriber_may_come_back),
	    TEST(what_was_asked_before_a_reset_is_answered),
	    TEST(a_large_request_goes_over_a_connection_of_its_own),
	    TEST(wait_is_about_what_was_written_over_another_connection),
	    TEST(wait_confirms_nothing_that_a_restarted_master_may_have_lost),
	    TEST(wait_counts_after_a_mere_loss_of_connections),
	    TEST(the_next_master_is_given_the_scripts),
	    TEST(a_restarted_master_is_given_the_scripts),
	    TEST(a_transaction_finds_its_scripts_at_the_next_master),
	    TEST(flushed_scripts_are_forgotten),
	    TEST(a_write_is_acknowledged_once_replicas_have_it),
	    TEST(too_few_replicas_are_told),
	    TEST(an_error_is_not_waited_for),
	    TEST(a_transaction_waits_at_its_end_only),
	    TEST(a_write_whose_master_dies_before_replicas_have_it_is_uncertain),
	    TEST(replicas_are_asked_again_when_only_the_connection_broke),
	    TEST(the_old_master_confirms_what_it_has_written),
	    TEST(the_new_master_confirms_what_the_old_one_has_written),
	    TEST(a_master_that_died_while_it_handed_over_has_left_doubt),
	    TEST(a_browser_is_hung_up_on),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
