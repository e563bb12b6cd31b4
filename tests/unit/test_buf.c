#include "unit.h"

#include <errno.h>

#include "base/buf.h"

static void
assert_holds(const struct buf *b, const char *text)
{
	assert_int_equal(buf_len(b), strlen(text));
	assert_true(slice_eq(buf_slice(b), text));
}

static void
an_empty_buffer_holds_no_memory(void **state)
{
	struct buf b;

	buf_init(&b, 10);
	assert_null(b.data);
	assert_non_null(buf_slice(&b).ptr);
	assert_int_equal(buf_len(&b), 0);
	assert_int_equal(buf_add(&b, NULL, 0), 0);
	assert_null(b.data);
	buf_clear(&b);
	buf_release(&b);
	buf_fini(&b);
}

static void
bytes_come_out_in_order(void **state)
{
	struct buf b;

	buf_init(&b, 0);
	assert_int_equal(buf_add_str(&b, "hello "), 0);
	assert_int_equal(buf_addf(&b, "%s%d", "world", 7), 0);
	assert_int_equal(buf_add_slice(&b, SLICE_LIT("!")), 0);
	assert_holds(&b, "hello world7!");
	buf_consume(&b, 6);
	assert_holds(&b, "world7!");
	buf_truncate(&b, 5);
	assert_holds(&b, "world");
	buf_consume(&b, 5);
	assert_int_equal(b.start, 0);
	buf_release(&b);
	assert_null(b.data);
	buf_fini(&b);
}

static void
long_formats_fit(void **state)
{
	char want[1000];
	struct buf b;

	for (int len = 250; len < 262; len++) { /* around the size that is formatted in place */
		memset(want, 'x', (size_t)len);
		want[len] = '\0';
		buf_init(&b, 0);
		assert_int_equal(buf_addf(&b, "%s", want), 0);
		assert_holds(&b, want);
		buf_fini(&b);
	}
}

static void
past_its_max_nothing_changes(void **state)
{
	struct buf b;

	buf_init(&b, 8);
	assert_int_equal(buf_add_str(&b, "12345678"), 0);
	assert_int_equal(buf_add_str(&b, "9"), -ENOBUFS);
	assert_holds(&b, "12345678");
	buf_consume(&b, 3);
	assert_int_equal(buf_addf(&b, "%s", "abcd"), -ENOBUFS);
	assert_int_equal(buf_add_str(&b, "abc"), 0);
	assert_holds(&b, "45678abc");
	assert_true(b.cap <= 8);
	assert_int_equal(buf_reserve(&b, SIZE_MAX), -ENOBUFS);
	buf_fini(&b);
}

static void
a_lowered_max_counts_at_once(void **state)
{
	struct buf b;

	buf_init(&b, 0);
	assert_int_equal(buf_add_str(&b, "1234"), 0);
	b.max = 6;
	assert_int_equal(buf_add_str(&b, "567"), -ENOBUFS);
	assert_int_equal(buf_add_str(&b, "56"), 0);
	assert_holds(&b, "123456");
	buf_fini(&b);
}

/* A slow reader's queue: nearly full, a little taken, a little added, again and again. */
static void
a_full_queue_is_not_moved_for_every_byte(void **state)
{
	const size_t held = 900 * 1024, step = 64;
	char bytes[64] = {0};
	unsigned moves = 0;
	struct buf b;

	buf_init(&b, 0);
	assert_int_equal(buf_reserve(&b, held), 0);
	memset(buf_tail(&b), 0, held);
	buf_commit(&b, held);
	for (int i = 0; i < 20000; i++) {
		size_t start;

		buf_consume(&b, step);
		start = b.start;
		assert_int_equal(buf_add(&b, bytes, step), 0);
		moves += b.start != start;
		assert_int_equal(buf_len(&b), held);
	}
	assert_in_range(moves, 0, 4);
	assert_true(b.cap <= 4 * held);
	buf_fini(&b);
}

/* Random operations against a plain model. */
static void
it_behaves_as_a_queue(void **state)
{
	static uint8_t model[4096];
	size_t held = 0;
	uint32_t seed = 1;
	uint8_t next = 0;
	struct buf b;

	buf_init(&b, 3000);
	for (int i = 0; i < 20000; i++) {
		size_t n;

		seed = seed * 1103515245 + 12345;
		n = (seed >> 16) % 400;
		if (seed & 0x1000) {
			uint8_t bytes[400];

			for (size_t k = 0; k < n; k++) {
				bytes[k] = (uint8_t)(next + k);
			}
			if (buf_add(&b, bytes, n) == 0) {
				memcpy(model + held, bytes, n);
				held += n;
				next = (uint8_t)(next + n);
			} else {
				assert_true(held + n > 3000);
			}
		} else {
			n = n < held ? n : held;
			buf_consume(&b, n);
			memmove(model, model + n, held - n);
			held -= n;
			buf_release(&b);
		}
		assert_int_equal(buf_len(&b), held);
		if (held > 0) {
			assert_memory_equal(buf_slice(&b).ptr, model, held);
		}
		assert_true(b.start <= b.end && b.end <= b.cap && b.cap <= 3000);
	}
	buf_fini(&b);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(an_empty_buffer_holds_no_memory),
	    cmocka_unit_test(bytes_come_out_in_order),
	    cmocka_unit_test(long_formats_fit),
	    cmocka_unit_test(past_its_max_nothing_changes),
	    cmocka_unit_test(a_lowered_max_counts_at_once),
	    cmocka_unit_test(a_full_queue_is_not_moved_for_every_byte),
	    cmocka_unit_test(it_behaves_as_a_queue),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
