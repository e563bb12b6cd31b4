/* An intrusive, circular, doubly linked list. Being on a list is a fact about the object: one link
 * per list. */
#ifndef BASE_LIST_H
#define BASE_LIST_H

#include <stdbool.h>

#include "base/defs.h"

struct list {
	struct list *next, *prev; /* borrowed; a link that is on no list points at itself */
};

static inline void
list_init(struct list *l)
{
	l->next = l->prev = l;
}

static inline bool
list_is_empty(const struct list *l)
{
	return l->next == l;
}

static inline void
list_add_before(struct list *at, struct list *item)
{
	item->next = at;
	item->prev = at->prev;
	at->prev->next = item;
	at->prev = item;
}

/* At the end of the list `l`. */
static inline void
list_push(struct list *l, struct list *item)
{
	list_add_before(l, item);
}

/* At the front of the list `l`. */
static inline void
list_unshift(struct list *l, struct list *item)
{
	list_add_before(l->next, item);
}

/* Off whatever list it is on; harmless when it is on none. */
static inline void
list_del(struct list *item)
{
	item->prev->next = item->next;
	item->next->prev = item->prev;
	list_init(item);
}

/* Takes the first item off; NULL when empty. */
static inline struct list *
list_shift(struct list *l)
{
	struct list *item = l->next;

	if (item == l) {
		return NULL;
	}
	list_del(item);
	return item;
}

/*
 * Takes all of `from` to the end of `to`. So callbacks for each may change `from`: shift one off `to`, push it back on
 * `from` if it stays there, call.
 */
static inline void
list_move(struct list *to, struct list *from)
{
	struct list *item;

	while ((item = list_shift(from)) != NULL) {
		list_push(to, item);
	}
}

/* `it` is a struct list *; in the safe form `it` may be taken off inside the loop. */
#define list_for_each(it, l) for (struct list *it = (l)->next; it != (l); it = it->next)
#define list_for_each_safe(it, tmp, l)                                                             \
	for (struct list *it = (l)->next, *tmp = it->next; it != (l); it = tmp, tmp = it->next)

#endif
