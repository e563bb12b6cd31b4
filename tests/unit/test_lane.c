/*
 * Lanes against two servers of ours, A and B: what is shared, held, sent again, given up and dropped
 * when the master is lost, moved, or says that it is none.
 */
#include "unit.h"

#include <errno.h>

#include "backend/command.h"
#include "lane_world.h"

static void
requesters_share_one_connection(void **state)
{
	struct lane *lane = lane_shared(backend, &nobody), *same = lane_shared(backend, &nobody);
	struct client one, two;

	client_init(&one);
	client_init(&two);
	name_master(&a);
	GET(&one, lane, "1");
	GET(&two, same, "2");
	GET(&one, lane, "3");
	until_replies(&one);
	until_replies(&two);
	assert_ptr_equal(lane, same);
	assert_string_equal(one.got, "$1\r\n1;$1\r\n3;");
	assert_string_equal(two.got, "$1\r\n2;");
	assert_string_equal(a.seen, "GET 1;GET 2;GET 3;");
	assert_int_equal(fake_accepted(a.fake), 2); /* the probe's and this one */
	requester_fini(&one.r);
	requester_fini(&two.r);
	lane_release(&lane);
	lane_release(&same);
}

static void
nothing_is_sent_before_the_role_is_known(void **state)
{
	struct lane *lane = lane_shared(backend, &nobody);
	struct client c;

	a.is_master = false;
	client_init(&c);
	name_master(&a);
	SET(&c, lane, "x");
	until_replies(&c);
	assert_string_equal(c.got, "-MASTERDOWN no master within 300 ms;");
	assert_string_equal(a.seen, "");
	a.is_master = true;
	SET(&c, lane, "y");
	until_replies(&c);
	assert_string_equal(a.seen, "SET y;");
	requester_fini(&c.r);
	lane_release(&lane);
}

static void
a_loading_master_is_waited_for(void **state)
{
	struct lane *lane = lane_shared(backend, &nobody);
	struct client c;

	a.loading = true;
	client_init(&c);
	name_master(&a);
	GET(&c, lane, "x");
	until_replies(&c);
	assert_string_equal(c.got, "-MASTERDOWN no master within 300 ms;");
	assert_string_equal(a.seen, "");
	requester_fini(&c.r);
	lane_release(&lane);
}

static void
what_was_sent_is_sent_again_or_uncertain(void **state)
{
	struct lane *lane = lane_shared(backend, &nobody);
	struct client mixed, writer;

	a.mute = true;
	client_init(&mixed);
	client_init(&writer);
	name_master(&a);
	GET(&mixed, lane, "1");
	SET(&mixed, lane, "2");
	GET(&mixed, lane, "3");
	SET(&writer, lane, "4");
	until_a_has_seen(4);
	a.is_master = false;
	fake_drop_all(a.fake);
	until_replies(&writer);
	assert_string_equal(writer.got,
	    "-UNCERTAIN master lost before it answered; the write may or may not have happened;");
	assert_string_equal(mixed.got, ""); /* the read before the write has no answer yet */
	name_master(&b);
	until_replies(&mixed);
	assert_string_equal(mixed.got,
	    "$1\r\n1;-UNCERTAIN master lost before it answered; the write "
	    "may or may not have happened;$1\r\n3;");
	assert_string_equal(b.seen, "GET 1;GET 3;");
	requester_fini(&mixed.r);
	requester_fini(&writer.r);
	lane_release(&lane);
}

static void
what_was_not_sent_waits_for_the_next_master(void **state)
{
	struct lane *lane = lane_shared(backend, &nobody);
	struct client c;

	client_init(&c);
	name_master(&a);
	fake_run_until(loop, is_routing, NULL);
	a.is_master = false;
	fake_drop_all(a.fake);
	fake_run_until(loop, is_holding, NULL);
	SET(&c, lane, "1");
	GET(&c, lane, "2");
	name_master(&b);
	until_replies(&c);
	assert_string_equal(c.got, "+OK;$1\r\n2;");
	assert_string_equal(b.seen, "SET 1;GET 2;");
	assert_string_equal(a.seen, "");
	requester_fini(&c.r);
	lane_release(&lane);
}

static void
readonly_is_never_shown(void **state)
{
	struct lane *lane = lane_shared(backend, &nobody);
	struct client c, other;

	a.readonly = true;
	client_init(&c);
	client_init(&other);
	name_master(&a);
	SET(&c, lane, "1");
	GET(&c, lane, "2");
	GET(&other, lane, "3");
	until_replies(&other);
	assert_string_equal(other.got, "$1\r\n3;");
	assert_string_equal(c.got, ""); /* its read came back, but the write before it waits */
	a.is_master = false;
	name_master(&b);
	until_replies(&c);
	assert_string_equal(c.got, "+OK;$1\r\n2;");
	assert_string_equal(b.seen, "SET 1;GET 2;");
	requester_fini(&c.r);
	requester_fini(&other.r);
	lane_release(&lane);
}

static void
the_server_refuses_a_login_itself(void **state)
{
	struct lane_key bad = {.password = SLICE_LIT("bad"), .protocol = 2};
	struct lane_key far = {.database = 99, .protocol = 2};
	struct lane_key good = {.password = SLICE_LIT("good"), .database = 3, .protocol = 2};
	struct lane *lanes[3];
	struct client c[3];

	lanes[0] = lane_shared(backend, &bad);
	lanes[1] = lane_shared(backend, &far);
	lanes[2] = lane_shared(backend, &good);
	name_master(&a);
	for (int i = 0; i < 3; i++) {
		client_init(&c[i]);
		GET(&c[i], lanes[i], "x");
	}
	for (int i = 0; i < 3; i++) {
		until_replies(&c[i]);
		requester_fini(&c[i].r);
		lane_release(&lanes[i]);
	}
	assert_string_equal(c[0].got, "-WRONGPASS no;");
	assert_string_equal(c[1].got, "-ERR DB index is out of range;");
	assert_string_equal(c[2].got, "$1\r\nx;");
	assert_string_equal(a.seen, "GET x;");
}

static void
a_requester_may_go_away(void **state)
{
	struct lane *lane = lane_shared(backend, &nobody);
	struct client gone, stays;

	client_init(&gone);
	client_init(&stays);
	name_master(&a);
	fake_run_until(loop, is_routing, NULL);
	GET(&gone, lane, "1");
	GET(&stays, lane, "2");
	GET(&gone, lane, "3");
	GET(&stays, lane, "4");
	requester_fini(&gone.r);
	until_replies(&stays);
	assert_string_equal(gone.got, "");
	assert_string_equal(stays.got, "$1\r\n2;$1\r\n4;");
	requester_fini(&stays.r);
	lane_release(&lane);
}

static void
held_requests_are_bounded(void **state)
{
	struct lane *lane = lane_shared(backend, &nobody);
	struct client c;

	client_init(&c);
	for (int i = 0; i < 5; i++) {
		GET(&c, lane, "1");
	}
	assert_int_equal(lane_send(&c.r, lane, SLICE_LIT("*1\r\n$4\r\nPING\r\n"), 0), -ENOBUFS);
	until_replies(&c);
	assert_int_equal(c.replies, 5);
	requester_fini(&c.r);
	lane_release(&lane);
}

static void
a_planned_hold_finishes_what_is_in_flight(void **state)
{
	struct lane *lane = lane_shared(backend, &nobody);
	struct client before, after;

	client_init(&before);
	client_init(&after);
	name_master(&a);
	fake_run_until(loop, is_routing, NULL);
	SET(&before, lane, "1");
	until_replies(&before);
	SET(&before, lane, "2");
	backend_hold(backend, 10000);
	SET(&after, lane, "3");
	until_replies(&before);
	assert_string_equal(before.got, "+OK;+OK;");
	assert_int_equal(after.replies, 0);
	name_master(&b);
	until_replies(&after);
	assert_string_equal(a.seen, "SET 1;SET 2;");
	assert_string_equal(b.seen, "SET 3;");
	requester_fini(&before.r);
	requester_fini(&after.r);
	lane_release(&lane);
}

static void
a_planned_hold_can_be_called_off(void **state)
{
	struct lane *lane = lane_shared(backend, &nobody);
	struct client c;

	client_init(&c);
	name_master(&a);
	fake_run_until(loop, is_routing, NULL);
	backend_hold(backend, 10000);
	SET(&c, lane, "1");
	assert_false(is_routing(NULL));
	backend_hold(backend, 0);
	until_replies(&c);
	assert_string_equal(a.seen, "SET 1;");
	requester_fini(&c.r);
	lane_release(&lane);
}

/* Four writes are on their way when the old master hands over: done, refused, and two without an answer
 * before it closes. The read behind the refused one waits for it. */
static void
a_planned_switchover_leaves_the_answers_to_the_old_master(void **state)
{
	struct lane *lane = lane_shared(backend, &nobody);
	struct client done, refused, lost, later;

	a.mute = true;
	client_init(&done);
	client_init(&refused);
	client_init(&lost);
	client_init(&later);
	name_master(&a);
	SET(&done, lane, "1");
	SET(&refused, lane, "2");
	GET(&refused, lane, "3");
	SET(&lost, lane, "4");
	until_a_has_seen(4);
	backend_hold(backend, 10000);
	name_master(&b);
	SET(&later, lane, "5");
	until_replies(&later); /* it waits for none of them */
	assert_int_equal(done.replies + refused.replies + lost.replies, 0);
	fake_say(a.last, "+OK\r\n-READONLY You can't write against a read only replica.\r\n"
			 "$1\r\n3\r\n");
	until_replies(&done);
	assert_string_equal(done.got, "+OK;");
	fake_drop_all(a.fake);
	until_replies(&lost);
	until_replies(&refused);
	assert_string_equal(lost.got,
	    "-UNCERTAIN master lost before it answered; the write may or may not have happened;");
	assert_string_equal(refused.got, "+OK;$1\r\n3;");
	assert_string_equal(b.seen, "SET 5;SET 2;GET 3;");
	requester_fini(&done.r);
	requester_fini(&refused.r);
	requester_fini(&lost.r);
	requester_fini(&later.r);
	lane_release(&lane);
}

/* Redis sends a client that blocks away with its master's role, and closes behind that word. */
static void
what_came_behind_a_blocked_request_did_not_happen(void **state)
{
	struct client c;
	struct lane *lane;

	a.mute = true;
	client_init(&c);
	lane = lane_own(backend, &nobody, &c.r);
	name_master(&a);
	send_words(&c, lane, "BLPOP", "1", 0);
	SET(&c, lane, "2");
	until_a_has_seen(2);
	backend_hold(backend, 10000);
	name_master(&b);
	fake_say(a.last, "-UNBLOCKED force unblock from blocking operation, instance state changed "
			 "(master -> replica?)\r\n");
	until_replies(&c);
	assert_string_equal(c.got, "$1\r\n1;+OK;");
	assert_string_equal(b.seen, "BLPOP 1;SET 2;");
	requester_fini(&c.r);
	lane_release(&lane);
}

static void
a_pinned_lane_tells_its_owner(void **state)
{
	struct client c;
	struct lane *lane;

	a.mute = true;
	client_init(&c);
	lane = lane_own(backend, &nobody, &c.r);
	name_master(&a);
	GET(&c, lane, "1");
	until_a_has_seen(1);
	lane_set_pinned(lane, true);
	SET(&c, lane, "2");
	until_a_has_seen(2);
	name_master(&b);
	assert_int_equal(c.lost, 1);
	assert_int_equal(c.dropped, 2);
	assert_int_equal(c.unsent, 0);
	assert_int_equal(c.r.unanswered, 0);
	assert_string_equal(c.got, "");
	requester_fini(&c.r);
	lane_release(&lane);
}

static bool
is_lost(void *arg)
{
	return ((struct client *)arg)->lost > 0;
}

/* What it asked is forgotten with the link, so it need not wait for the next master to be told that there is room. */
static void
a_pinned_lane_that_was_full_has_room_once_it_is_lost(void **state)
{
	static char much[300000];
	struct client c;
	struct lane *lane;

	a.mute = true;
	client_init(&c);
	lane = lane_own(backend, &nobody, &c.r);
	name_master(&a);
	GET(&c, lane, "1");
	until_a_has_seen(1);
	lane_set_pinned(lane, true);
	memset(much, 'm', sizeof(much) - 1);
	SET(&c, lane, much);
	until_a_has_seen(2);
	assert_true(lane_is_full(&c.r, lane));
	assert_int_equal(c.rooms, 0);
	a.is_master = false;
	fake_drop_all(a.fake);
	fake_run_until(loop, is_lost, &c);
	assert_int_equal(c.rooms, 1);
	assert_false(lane_is_full(&c.r, lane));
	requester_fini(&c.r);
	lane_release(&lane);
}

/* While the server works on one batch, the next one gathers; `barrier` shows that the server would have seen it. */
static void
a_batch_gathers_while_one_is_out(void **state)
{
	struct lane *lane = lane_shared(backend, &nobody), *own;
	struct client first, second, barrier;
	struct fake_client *shared;
	char much[5000];

	a.mute = true;
	client_init(&first);
	client_init(&second);
	client_init(&barrier);
	own = lane_own(backend, &nobody, &barrier.r);
	name_master(&a);
	GET(&first, lane, "1");
	until_a_has_seen(1);
	shared = a.last;
	SET(&second, lane, "2");
	GET(&barrier, own, "x");
	until_a_has_seen(2);
	assert_string_equal(a.seen, "GET 1;GET x;");
	fake_say(shared, "$1\r\n1\r\n");
	until_a_has_seen(3);
	assert_string_equal(a.seen, "GET 1;GET x;SET 2;");
	until_replies(&first);
	memset(much, 'm', sizeof(much) - 1);
	much[sizeof(much) - 1] = '\0';
	SET(&first, lane, much);
	until_a_has_seen(4); /* much goes at once */
	SET(&first, lane, "3");
	a.is_master = false;
	fake_drop_all(a.fake);
	name_master(&b);
	until_replies(&first);
	until_replies(&second);
	assert_int_equal(a.count, 4);
	assert_string_equal(b.seen, "GET x;SET 3;"); /* not sent, so it did not happen there */
	assert_non_null(strstr(first.got, "-UNCERTAIN"));
	assert_non_null(strstr(first.got, ";+OK;"));
	requester_fini(&first.r);
	requester_fini(&second.r);
	requester_fini(&barrier.r);
	lane_release(&own);
	lane_release(&lane);
}

static void
a_clean_own_lane_is_used_again(void **state)
{
	struct client one, two;
	struct lane *lane;

	client_init(&one);
	client_init(&two);
	name_master(&a);
	lane = lane_own(backend, &nobody, &one.r);
	GET(&one, lane, "1");
	until_replies(&one);
	lane_return(&lane);
	lane = lane_own(backend, &nobody, &two.r);
	GET(&two, lane, "2");
	until_replies(&two);
	assert_int_equal(fake_accepted(a.fake), 2);
	requester_fini(&one.r);
	requester_fini(&two.r);
	lane_release(&lane);
}

static void
a_streamed_request_that_was_cut_did_not_happen(void **state)
{
	struct client c;
	struct lane *lane;

	client_init(&c);
	lane = lane_own(backend, &nobody, &c.r);
	name_master(&a);
	GET(&c, lane, "1");
	until_replies(&c);
	assert_true(lane_is_ready(lane));
	assert_int_equal(lane_send_piece(&c.r, lane,
			     SLICE_LIT("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$9\r\n123"), true, false, 0),
	    0);
	name_master(&b);
	assert_string_equal(c.got, "$1\r\n1;-MASTERDOWN master lost while the request was on its "
				   "way; it was not executed;");
	assert_int_equal(lane_send_piece(&c.r, lane, SLICE_LIT("456789\r\n"), false, true, 0), 0);
	GET(&c, lane, "2");
	until_replies(&c);
	assert_string_equal(b.seen, "GET 2;");
	requester_fini(&c.r);
	lane_release(&lane);
}

static void
on_prepared(void *arg)
{
	++*(unsigned *)arg;
}

static void
ignore_route(void *arg, const struct endpoint *master)
{
}

static void
ignore_noroute(void *arg, const char *why)
{
}

static bool
is_prepared(void *arg)
{
	return *(unsigned *)arg > 0;
}

/* A switchover is near: what comes in pieces may end, and nothing of that kind begins. */
static void
requests_in_pieces_end_before_a_planned_switchover(void **state)
{
	unsigned prepared = 0;
	struct backend_watcher watch = {.on_route = ignore_route,
	    .on_noroute = ignore_noroute,
	    .on_prepared = on_prepared,
	    .arg = &prepared};
	struct client c;
	struct lane *lane;

	list_init(&watch.link);
	backend_watch(backend, &watch);
	client_init(&c);
	lane = lane_own(backend, &nobody, &c.r);
	name_master(&a);
	GET(&c, lane, "1");
	until_replies(&c);
	assert_true(lane_may_stream(lane));
	assert_int_equal(lane_send_piece(&c.r, lane,
			     SLICE_LIT("*3\r\n$3\r\nSET\r\n$1\r\nk\r\n$9\r\n123"), true, false, 0),
	    0);
	backend_prepare(backend, 10000);
	assert_false(lane_may_stream(lane));
	assert_int_equal(lane_send_piece(&c.r, lane, SLICE_LIT("456789\r\n"), false, true, 0), 0);
	until_a_has_seen(2);
	assert_int_equal(prepared, 0);
	fake_run_until(loop, is_prepared, &prepared);
	assert_string_equal(c.got, "$1\r\n1;+OK;");
	backend_prepare(backend, 0);
	assert_true(lane_may_stream(lane));
	prepared = 0;
	backend_prepare(backend, 10000);
	fake_run_until(loop, is_prepared, &prepared); /* nothing is under way */
	backend_unwatch(&watch);
	requester_fini(&c.r);
	lane_release(&lane);
}

static bool
is_learnt(void *arg)
{
	const struct slice words[] = {slice_str("MOD.CFG"), slice_str("get")};
	const struct command *cmd = command_find(words, 2);

	return cmd != NULL && strcmp(cmd->name, "MOD.CFG GET") == 0;
}

/* A module's commands, too: whether they only read, and so may be sent again. */
static void
what_commands_there_are_is_asked_of_the_server(void **state)
{
	const struct slice words[] = {slice_str("mod.cfg"), slice_str("get")};

	name_master(&a);
	fake_run_until(loop, is_learnt, NULL);
	assert_int_equal(command_find(words, 2)->flags, CMD_READ);
	assert_int_equal(command_find(words, 2)->arity, 3);
	assert_int_equal(command_find(words, 1)->flags, CMD_SUBS | CMD_WRITE);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(requesters_share_one_connection),
	    TEST(nothing_is_sent_before_the_role_is_known),
	    TEST(a_loading_master_is_waited_for),
	    TEST(what_was_sent_is_sent_again_or_uncertain),
	    TEST(what_was_not_sent_waits_for_the_next_master),
	    TEST(readonly_is_never_shown),
	    TEST(the_server_refuses_a_login_itself),
	    TEST(a_requester_may_go_away),
	    TEST(held_requests_are_bounded),
	    TEST(a_planned_hold_finishes_what_is_in_flight),
	    TEST(a_planned_hold_can_be_called_off),
	    TEST(a_planned_switchover_leaves_the_answers_to_the_old_master),
	    TEST(what_came_behind_a_blocked_request_did_not_happen),
	    TEST(a_pinned_lane_tells_its_owner),
	    TEST(a_pinned_lane_that_was_full_has_room_once_it_is_lost),
	    TEST(a_batch_gathers_while_one_is_out),
	    TEST(a_clean_own_lane_is_used_again),
	    TEST(a_streamed_request_that_was_cut_did_not_happen),
	    TEST(requests_in_pieces_end_before_a_planned_switchover),
	    TEST(what_commands_there_are_is_asked_of_the_server),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
