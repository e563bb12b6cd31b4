/* The page that workers share: what one writes the others see, and nothing else is taken for one. */
#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

#include "ipc/share.h"

static void
what_one_writes_all_see(void **state)
{
	struct share *one, *two;
	int fd;

	assert_int_equal(share_new(&fd, &one), 0);
	assert_int_equal(share_open(fd, &two), 0);
	share_set(one, 0, SHARE_CLIENTS, 3);
	share_set(two, 63, SHARE_CLIENTS, 4);
	share_set(two, 63, SHARE_BLOCKED, 1);
	assert_int_equal(share_sum(one, SHARE_CLIENTS), 7);
	assert_int_equal(share_sum(two, SHARE_BLOCKED), 1);
	share_clear(one, 63);
	assert_int_equal(share_sum(two, SHARE_CLIENTS), 3);
	assert_int_equal(share_sum(two, SHARE_BLOCKED), 0);
	assert_int_equal(share_next(one), 1);
	assert_int_equal(share_next(two), 2);
	share_close(&one);
	assert_int_equal(share_next(two), 3);
	share_close(&two);
	assert_null(two);
	(void)close(fd);
}

/* Memory that could be taken away from below its readers, or that is of another kind. */
static void
nothing_else_is_taken_for_one(void **state)
{
	struct share *real, *s = NULL;
	int fd = memfd_create("x", MFD_CLOEXEC | MFD_ALLOW_SEALING), real_fd, null;

	assert_int_equal(share_new(&real_fd, &real), 0);
	assert_int_equal(ftruncate(real_fd, 0), -1);
	assert_int_equal(ftruncate(fd, lseek(real_fd, 0, SEEK_END)), 0);
	assert_int_equal(share_open(fd, &s), -EINVAL);
	assert_int_equal(fcntl(fd, F_ADD_SEALS, F_SEAL_SHRINK | F_SEAL_GROW | F_SEAL_SEAL), 0);
	assert_int_equal(share_open(fd, &s), -EINVAL); /* all zero */
	null = open("/dev/null", O_RDWR | O_CLOEXEC);
	assert_int_equal(share_open(null, &s), -EINVAL);
	assert_null(s);
	share_close(&real);
	(void)close(real_fd);
	(void)close(null);
	(void)close(fd);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(what_one_writes_all_see),
	    cmocka_unit_test(nothing_else_is_taken_for_one),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
