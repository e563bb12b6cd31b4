/* What a session is subscribed to: kept sorted, bounded, and turned into commands again. */
#include "unit.h"

#include <errno.h>

#include "proxy/subs.h"

static enum subs_message
read_text(const char *text, char *ret)
{
	enum subs_kind kind = SUBS_KINDS;
	struct slice name = {(const uint8_t *)"", 0};
	uint64_t left = 99;
	enum subs_message m = subs_read(slice_str(text), &kind, &name, &left);

	(void)snprintf(ret, 64, "%d %.*s %llu", (int)kind, (int)name.len, (const char *)name.ptr,
	    (unsigned long long)left);
	return m;
}

static void
confirmations_are_read_in_both_protocols(void **state)
{
	char said[64];

	assert_int_equal(
	    read_text("*3\r\n$9\r\nsubscribe\r\n$1\r\na\r\n:1\r\n", said), SUBS_SUBSCRIBED);
	assert_string_equal(said, "0 a 1");
	assert_int_equal(
	    read_text(">3\r\n$10\r\npsubscribe\r\n$2\r\na*\r\n:2\r\n", said), SUBS_SUBSCRIBED);
	assert_string_equal(said, "1 a* 2");
	assert_int_equal(
	    read_text("*3\r\n$12\r\nsunsubscribe\r\n$1\r\na\r\n:0\r\n", said), SUBS_UNSUBSCRIBED);
	assert_string_equal(said, "2 a 0");
	assert_int_equal(
	    read_text("*3\r\n$11\r\nunsubscribe\r\n$-1\r\n:0\r\n", said), SUBS_UNSUBSCRIBED);
	assert_string_equal(said, "0  0");
}

static void
messages_and_other_replies_are_told_apart(void **state)
{
	char said[64];

	assert_int_equal(
	    read_text("*3\r\n$7\r\nmessage\r\n$1\r\na\r\n$1\r\nb\r\n", said), SUBS_PUSHED);
	assert_int_equal(
	    read_text("*4\r\n$8\r\npmessage\r\n$1\r\na\r\n$1\r\na\r\n$1\r\nb\r\n", said),
	    SUBS_PUSHED);
	assert_int_equal(read_text(">2\r\n$10\r\ninvalidate\r\n*0\r\n", said), SUBS_PUSHED);
	assert_int_equal(read_text("*2\r\n$4\r\npong\r\n$0\r\n\r\n", said), SUBS_OTHER);
	assert_int_equal(read_text("+PONG\r\n", said), SUBS_OTHER);
	assert_int_equal(read_text("*0\r\n", said), SUBS_OTHER);
	assert_int_equal(read_text("*3\r\n$9\r\nsubscribe\r\n", said), SUBS_OTHER);
	assert_int_equal(read_text("-ERR x\r\n", said), SUBS_OTHER);
}

static void
all_is_subscribed_to_again(void **state)
{
	struct subs subs = {0};
	size_t replies = 0;
	struct buf out;

	buf_init(&out, 0);
	assert_int_equal(subs_add(&subs, SUBS_PATTERN, SLICE_LIT("p*")), 0);
	assert_int_equal(subs_add(&subs, SUBS_CHANNEL, SLICE_LIT("b")), 0);
	assert_int_equal(subs_add(&subs, SUBS_CHANNEL, SLICE_LIT("a")), 0);
	assert_int_equal(subs_add(&subs, SUBS_CHANNEL, SLICE_LIT("b")), 0);
	assert_int_equal(subs_add(&subs, SUBS_CHANNEL, SLICE_LIT("bb")), 0);
	subs_remove(&subs, SUBS_CHANNEL, SLICE_LIT("bb"));
	subs_remove(&subs, SUBS_SHARD, SLICE_LIT("a"));
	assert_int_equal(subs_add_commands(&subs, &out, &replies), 0);
	assert_true(slice_eq(buf_slice(&out), "*3\r\n$9\r\nSUBSCRIBE\r\n$1\r\na\r\n$1\r\nb\r\n*"
					      "2\r\n$10\r\nPSUBSCRIBE\r\n$2\r\np*\r\n"));
	assert_int_equal(replies, 3);
	subs_fini(&subs);
	assert_int_equal(subs_count(&subs), 0);
	buf_fini(&out);
}

static void
many_names_are_spread_over_commands(void **state)
{
	struct subs subs = {0};
	size_t replies = 0;
	struct buf out;
	char name[16];

	buf_init(&out, 0);
	for (int i = 0; i < 2500; i++) {
		(void)snprintf(name, sizeof(name), "c%d", i);
		assert_int_equal(subs_add(&subs, SUBS_CHANNEL, slice_str(name)), 0);
	}
	assert_int_equal(subs_add_commands(&subs, &out, &replies), 0);
	assert_int_equal(replies, 2500);
	assert_non_null(memmem(buf_slice(&out).ptr, buf_len(&out), "*501\r\n", 6));
	subs_fini(&subs);
	buf_fini(&out);
}

static void
they_are_bounded(void **state)
{
	static uint8_t big[1024 * 1024];
	struct subs subs = {0};
	int err = 0;

	for (int i = 0; i < 64 && err == 0; i++) {
		big[0] = (uint8_t)i;
		err = subs_add(&subs, SUBS_CHANNEL, (struct slice){big, sizeof(big)});
	}
	assert_int_equal(err, -ENOBUFS);
	assert_true(subs.bytes <= SUBS_BYTES_MAX);
	subs_fini(&subs);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(confirmations_are_read_in_both_protocols),
	    cmocka_unit_test(messages_and_other_replies_are_told_apart),
	    cmocka_unit_test(all_is_subscribed_to_again),
	    cmocka_unit_test(many_names_are_spread_over_commands),
	    cmocka_unit_test(they_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
