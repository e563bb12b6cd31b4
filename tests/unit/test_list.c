#include "unit.h"

#include "base/list.h"

struct item {
	int number;
	struct list link;
};

static int
number_of(struct list *link)
{
	return CONTAINER_OF(link, struct item, link)->number;
}

/* The numbers on the list, read forwards and backwards. */
static void
assert_numbers(struct list *l, const int *want, size_t count)
{
	size_t i = 0;

	list_for_each (it, l) {
		assert_true(i < count);
		assert_int_equal(number_of(it), want[i++]);
	}
	assert_int_equal(i, count);
	for (struct list *it = l->prev; it != l; it = it->prev) {
		assert_int_equal(number_of(it), want[--i]);
	}
	assert_int_equal(i, 0);
}

static void
fill(struct list *l, struct item *items, int count)
{
	list_init(l);
	for (int i = 0; i < count; i++) {
		items[i].number = i;
		list_push(l, &items[i].link);
	}
}

static void
order_is_kept(void **state)
{
	struct item items[4] = {{.number = 0}};
	struct list l;

	fill(&l, items, 3);
	assert_numbers(&l, (int[]){0, 1, 2}, 3);
	items[3].number = 3;
	list_unshift(&l, &items[3].link);
	assert_numbers(&l, (int[]){3, 0, 1, 2}, 4);
	assert_int_equal(number_of(list_shift(&l)), 3);
	assert_numbers(&l, (int[]){0, 1, 2}, 3);
}

static void
taking_off_is_harmless_twice(void **state)
{
	struct item items[3];
	struct list l;

	fill(&l, items, 3);
	list_del(&items[1].link);
	list_del(&items[1].link);
	assert_true(list_is_empty(&items[1].link));
	assert_numbers(&l, (int[]){0, 2}, 2);
	assert_non_null(list_shift(&l));
	assert_non_null(list_shift(&l));
	assert_null(list_shift(&l));
	assert_true(list_is_empty(&l));
}

static void
the_safe_loop_may_take_items_off(void **state)
{
	struct item items[5];
	struct list l;

	fill(&l, items, 5);
	list_for_each_safe (it, next, &l) {
		if (number_of(it) % 2 == 0) {
			list_del(it);
		}
	}
	assert_numbers(&l, (int[]){1, 3}, 2);
	list_for_each_safe (it, next, &l) {
		list_del(it);
	}
	assert_true(list_is_empty(&l));
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(order_is_kept),
	    cmocka_unit_test(taking_off_is_harmless_twice),
	    cmocka_unit_test(the_safe_loop_may_take_items_off),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
