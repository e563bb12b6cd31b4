/* Lanes whose replies are large, and readers that are slow: nobody else is to wait for them. */
#include "unit.h"

#include "lane_world.h"

#define BIG_BYTES 3000000

static char *
big_reply(void)
{
	char *text = malloc(BIG_BYTES + 32);
	int n;

	assert_non_null(text);
	n = snprintf(text, 32, "$%d\r\n", BIG_BYTES);
	memset(text + n, 'x', BIG_BYTES);
	memcpy(text + n + BIG_BYTES, "\r\n", 3);
	return text;
}

static void
a_slow_reader_slows_only_itself(void **state)
{
	struct lane *lane = lane_shared(backend, &nobody);
	struct client slow, behind, other;
	char *text = big_reply();

	a.big = text;
	client_init(&slow);
	client_init(&behind);
	client_init(&other);
	slow.slow_at_big = true;
	name_master(&a);
	fake_run_until(loop, is_routing, NULL);
	send_words(&slow, lane, "BIG", "1", LANE_READ);
	GET(&behind, lane, "2");
	until_a_has_seen(2);
	fake_run_until(loop, has_bytes, &slow);
	GET(&other, lane, "3");
	until_replies(&other); /* over a fresh connection */
	assert_int_equal(behind.replies, 0);
	until_replies(&behind); /* the slow one had its time, then it must take what comes */
	assert_false(slow.cut);
	assert_int_equal(slow.bytes, strlen(text));
	assert_string_equal(behind.got, "$1\r\n2;");
	requester_fini(&slow.r);
	requester_fini(&behind.r);
	requester_fini(&other.r);
	lane_release(&lane);
	free(text);
}

static void
a_slow_reader_alone_has_all_the_time(void **state)
{
	struct lane *lane = lane_shared(backend, &nobody);
	struct client slow, other;
	char *text = big_reply();

	a.big = text;
	client_init(&slow);
	client_init(&other);
	slow.slow_at_big = true;
	name_master(&a);
	fake_run_until(loop, is_routing, NULL);
	send_words(&slow, lane, "BIG", "1", LANE_READ);
	fake_run_until(loop, has_bytes, &slow);
	GET(&other, lane, "3");
	until_replies(&other);
	requester_set_slow(&slow.r, false);
	until_replies(&slow);
	assert_false(slow.cut);
	assert_int_equal(slow.bytes, strlen(text));
	requester_fini(&slow.r);
	requester_fini(&other.r);
	lane_release(&lane);
	free(text);
}

static void
a_large_reply_is_asked_for_again_elsewhere(void **state)
{
	struct lane *lane = lane_shared(backend, &nobody);
	struct client reader, behind;
	char *text = big_reply();

	a.big = text;
	client_init(&reader);
	reader.r.ops = &large_ops;
	client_init(&behind);
	name_master(&a);
	fake_run_until(loop, is_routing, NULL);
	send_words(&reader, lane, "BIG", "1", LANE_READ);
	GET(&behind, lane, "2");
	until_replies(&behind);
	assert_int_equal(reader.bytes, 0);
	assert_int_equal(reader.r.unanswered, 0);
	assert_string_equal(reader.large, "*2\r\n$3\r\nBIG\r\n$1\r\n1\r\n");
	assert_string_equal(behind.got, "$1\r\n2;");
	requester_fini(&reader.r);
	requester_fini(&behind.r);
	lane_release(&lane);
	free(text);
}

static void
a_reply_that_broke_off_is_not_mended(void **state)
{
	struct lane *lane = lane_shared(backend, &nobody);
	struct client c;

	a.big = "$3000000\r\nonly this much of it ever comes";
	client_init(&c);
	name_master(&a);
	fake_run_until(loop, is_routing, NULL);
	send_words(&c, lane, "BIG", "1", LANE_READ);
	fake_run_until(loop, has_bytes, &c);
	fake_drop_all(a.fake);
	until_replies(&c);
	assert_true(c.cut);
	requester_fini(&c.r);
	lane_release(&lane);
}

int
main(void)
{
#define TEST(f) cmocka_unit_test_setup_teardown(f, world_setup, world_teardown)
	const struct CMUnitTest tests[] = {
	    TEST(a_slow_reader_slows_only_itself),
	    TEST(a_slow_reader_alone_has_all_the_time),
	    TEST(a_large_reply_is_asked_for_again_elsewhere),
	    TEST(a_reply_that_broke_off_is_not_mended),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
