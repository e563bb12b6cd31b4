/* What /proc tells of a process that works, waits, and ends. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "proc/ending.h"
#include "proc/procfs.h"
#include "loop_until.h"

#define MEMORY_BYTES ((size_t)64 << 20)

struct fixture {
	struct loop *loop;
	pid_t child;
	bool ended;
	struct ending *ending;
};

/* It holds some memory, and then works, or waits. */
static void
be_a_child(bool work)
{
	volatile char *memory =
	    mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

	for (size_t i = 0; memory != MAP_FAILED && i < MEMORY_BYTES; i += 4096) {
		memory[i] = 1;
	}
	while (work) {
		memory[0]++;
	}
	for (;;) {
		(void)pause();
	}
}

static void
start_child(struct fixture *f, bool work)
{
	f->child = fork();
	assert_int_not_equal(f->child, -1);
	if (f->child == 0) {
		be_a_child(work);
	}
}

static int
setup(void **state)
{
	static struct fixture f;

	f = (struct fixture){.loop = loop_new()};
	*state = &f;
	return 0;
}

static int
teardown(void **state)
{
	struct fixture *f = *state;

	ending_free(&f->ending);
	if (f->child > 0) {
		(void)kill(f->child, SIGKILL);
		(void)waitpid(f->child, NULL, 0);
	}
	loop_free(&f->loop);
	return 0;
}

static void
on_ending(void *arg)
{
	struct fixture *f = arg;

	assert_false(f->ended);
	f->ended = true;
	ending_free(&f->ending); /* as an owner may */
}

static bool
has_its_memory(void *arg)
{
	return ending_resident_bytes(((struct fixture *)arg)->child) >= MEMORY_BYTES;
}

static bool
has_ended(void *arg)
{
	return ((struct fixture *)arg)->ended;
}

static bool
has_worked(void *arg)
{
	return procfs_cpu_ticks(((struct fixture *)arg)->child) >= 5;
}

static void
the_end_of_a_process_is_seen_once(void **state)
{
	struct fixture *f = *state;

	start_child(f, false);
	assert_true(loop_until(f->loop, has_its_memory, f));
	f->ending = ending_watch(f->loop, f->child, 1, on_ending, f);
	assert_non_null(f->ending);
	assert_true(loop_until(f->loop, has_its_memory, f));
	assert_false(f->ended);
	assert_int_equal(kill(f->child, SIGKILL), 0);
	assert_true(loop_until(f->loop, has_ended, f));
	assert_int_equal(ending_resident_bytes(f->child), 0);
}

static void
one_that_is_not_there_cannot_be_watched(void **state)
{
	struct fixture *f = *state;
	pid_t gone;

	start_child(f, false);
	gone = f->child;
	assert_int_equal(kill(gone, SIGKILL), 0);
	assert_int_equal(waitpid(gone, NULL, 0), gone);
	f->child = 0;
	assert_null(ending_watch(f->loop, gone, 1, on_ending, f));
	assert_int_equal(ending_resident_bytes(gone), 0);
	assert_int_equal(procfs_cpu_ticks(gone), 0);
	assert_false(procfs_is_runnable(gone));
}

static void
a_watch_that_is_given_up_is_silent(void **state)
{
	struct fixture *f = *state;

	start_child(f, false);
	f->ending = ending_watch(f->loop, f->child, 1, on_ending, f);
	ending_free(&f->ending);
	assert_null(f->ending);
	assert_false(f->ended);
}

static bool
is_runnable(void *arg)
{
	return procfs_is_runnable(((struct fixture *)arg)->child);
}

static bool
is_not_runnable(void *arg)
{
	return !is_runnable(arg);
}

static void
one_that_works_is_told_from_one_that_is_stopped(void **state)
{
	struct fixture *f = *state;
	uint64_t ticks;

	start_child(f, true);
	assert_true(loop_until(f->loop, has_worked, f));
	assert_true(loop_until(f->loop, is_runnable, f));
	assert_int_equal(kill(f->child, SIGSTOP), 0);
	assert_true(loop_until(f->loop, is_not_runnable, f));
	ticks = procfs_cpu_ticks(f->child);
	assert_true(loop_until(f->loop, is_not_runnable, f));
	assert_int_equal(procfs_cpu_ticks(f->child), ticks);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	    T(the_end_of_a_process_is_seen_once),
	    T(one_that_is_not_there_cannot_be_watched),
	    T(a_watch_that_is_given_up_is_silent),
	    T(one_that_works_is_told_from_one_that_is_stopped),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
