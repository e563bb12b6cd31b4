/*
 * The event loop of a process: libev's default loop (so that children can be watched) plus two
 * things every room needs.
 *
 *   one turn:   wait for events → callbacks → hooks (each once, in the order asked) → burials →
 * wait …
 *
 * Hooks let a connection write once a turn however many replies were queued for it. A hook that is
 * asked again after it ran waits for the next turn, which then does not sleep: hooks that feed each
 * other cannot keep events out. Burial is how objects die: nothing is freed inside a callback of its
 * own object; it stops its watchers and is freed when no callback can be on the stack.
 *
 * An object that lives on without an owner (a connection that still sends its last bytes) is on the
 * loop's list of orphans, so that loop_free can end it.
 */
#ifndef NET_LOOP_H
#define NET_LOOP_H

#include <stdbool.h>
#include <stdint.h>

#include <ev.h>

#include "base/list.h"

struct loop;

typedef void loop_hook_fn(void *arg);
typedef void loop_free_fn(void *obj);

/* Embedded in its owner; loop_hook_init before use, loop_hook_cancel before the owner goes. */
struct loop_hook {
	struct list link;
	uint64_t ran; /* the turn it last ran in */
	loop_hook_fn *fn;
	void *arg; /* borrowed */
};

struct loop_orphan {
	struct list link;
	void (*end)(void *obj); /* ends the object now: loop_unorphan, loop_bury */
	void *obj;
};

/* The process' one loop; a second call asserts until loop_free. Ignores SIGPIPE. */
struct loop *loop_new(void);
void loop_free(struct loop **loop);
struct ev_loop *loop_ev(struct loop *loop);

/* Until loop_stop. Buries what is left when it ends. */
void loop_run(struct loop *loop);
void loop_stop(struct loop *loop);

void loop_hook_init(struct loop_hook *hook, loop_hook_fn *fn, void *arg);
/* Calls the hook once before this turn ends; asking twice in a turn is the same as once. Asked again
 * after it ran, it runs once more in the next turn. */
void loop_hook_ask(struct loop *loop, struct loop_hook *hook);
void loop_hook_cancel(struct loop_hook *hook);

/* Calls free_fn(obj) at the end of this turn. The object's watchers must be stopped. */
void loop_bury(struct loop *loop, loop_free_fn *free_fn, void *obj);

/* `o` is embedded in its object; off the list again with loop_unorphan, harmless when on none. */
void loop_orphan(struct loop *loop, struct loop_orphan *o, void (*end)(void *obj), void *obj);
void loop_unorphan(struct loop_orphan *o);

/* Memory for one read, shared by all connections of the loop and valid until the next callback. */
#define LOOP_SCRATCH_BYTES ((size_t)64 * 1024)
uint8_t *loop_scratch(struct loop *loop);

#endif
