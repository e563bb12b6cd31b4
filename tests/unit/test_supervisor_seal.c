/* What supervisors hand each other is readable for those with the secret only, and not to be changed by anybody. */
#include <errno.h>
#include <string.h>

#include "unit.h"

#include "supervisor/seal.h"

static uint8_t key[SEAL_KEY_BYTES];
static struct buf sealed, plain;

static int
setup(void **state)
{
	buf_init(&sealed, 0);
	buf_init(&plain, 0);
	seal_make_key("secret", "talk", key);
	return 0;
}

static int
teardown(void **state)
{
	buf_fini(&sealed);
	buf_fini(&plain);
	return 0;
}

static void
test_what_is_sealed_is_opened(void **state)
{
	assert_int_equal(seal_close(key, slice_str("who is there"), &sealed), 0);
	assert_int_equal(buf_len(&sealed), strlen("who is there") + SEAL_MORE);
	assert_int_equal(seal_open(key, buf_slice(&sealed), &plain), 0);
	assert_true(slice_eq(buf_slice(&plain), "who is there"));
}

static void
test_nothing_is_something_too(void **state)
{
	assert_int_equal(seal_close(key, (struct slice){(const uint8_t *)"", 0}, &sealed), 0);
	assert_int_equal(seal_open(key, buf_slice(&sealed), &plain), 0);
	assert_int_equal(buf_len(&plain), 0);
}

static void
test_the_same_looks_different_each_time(void **state)
{
	struct buf again;

	buf_init(&again, 0);
	assert_int_equal(seal_close(key, slice_str("beat"), &sealed), 0);
	assert_int_equal(seal_close(key, slice_str("beat"), &again), 0);
	assert_memory_not_equal(buf_slice(&sealed).ptr, buf_slice(&again).ptr, buf_len(&sealed));
	buf_fini(&again);
}

static void
test_each_changed_bit_is_seen(void **state)
{
	assert_int_equal(seal_close(key, slice_str("stop redis-1"), &sealed), 0);
	for (size_t i = 0; i < buf_len(&sealed) * 8; i++) {
		uint8_t *byte = (uint8_t *)(uintptr_t)buf_slice(&sealed).ptr + i / 8;

		*byte ^= (uint8_t)(1 << i % 8);
		assert_int_equal(seal_open(key, buf_slice(&sealed), &plain), -EBADMSG);
		*byte ^= (uint8_t)(1 << i % 8);
	}
	assert_int_equal(buf_len(&plain), 0);
}

static void
test_what_is_too_short_is_refused(void **state)
{
	uint8_t bytes[SEAL_MORE] = {0};

	for (size_t len = 0; len <= sizeof(bytes); len++) {
		assert_int_equal(seal_open(key, (struct slice){bytes, len}, &plain), -EBADMSG);
	}
}

static void
test_another_secret_or_purpose_is_another_key(void **state)
{
	static const char *const others[][2] = {{"secret2", "talk"}, {"secret", "talk2"}};

	assert_int_equal(seal_close(key, slice_str("x"), &sealed), 0);
	for (size_t i = 0; i < 2; i++) {
		seal_make_key(others[i][0], others[i][1], key);
		assert_int_equal(seal_open(key, buf_slice(&sealed), &plain), -EBADMSG);
	}
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	    T(test_what_is_sealed_is_opened),
	    T(test_nothing_is_something_too),
	    T(test_the_same_looks_different_each_time),
	    T(test_each_changed_bit_is_seen),
	    T(test_what_is_too_short_is_refused),
	    T(test_another_secret_or_purpose_is_another_key),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
