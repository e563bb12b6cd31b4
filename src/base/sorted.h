/* An array of pointers in order, looked up by halves. What they point to, and the order, are the owner's. Embedded; zero is empty. */
#ifndef BASE_SORTED_H
#define BASE_SORTED_H

#include <stdbool.h>
#include <stddef.h>

struct sorted {
	void **items; /* the array is owned, what it points to is not */
	size_t count, cap;
};

/* Negative, zero or positive as the item comes before the key, is it, or comes behind it. */
typedef int sorted_compare_fn(const void *item, const void *key);

/* Where it is, or belongs. */
size_t sorted_find(
    const struct sorted *s, sorted_compare_fn *compare, const void *key, bool *ret_found);
/* `at` is sorted_find's. */
void sorted_insert(struct sorted *s, size_t at, void *item);
void sorted_remove(struct sorted *s, size_t at);
/* The array alone; empty afterwards. */
void sorted_fini(struct sorted *s);

#endif
