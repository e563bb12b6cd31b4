/*
 * For each sentinel another one that it knows, in whose name it can be told who is master (hello.h), found out before it is needed: asking for it
 * and trying it out are two ways there and back, which a takeover does not have to wait for then.
 *
 *   every second: SENTINEL SENTINELS ─▸ its first acquaintance ─▸ if that is another one than before: a hello of what the sentinel knows already
 *
 * Borrows the watcher, whose links it uses; what it knows is forgotten when the sentinel has not said so for some seconds.
 */
#ifndef INSTANCE_ACQUAINT_H
#define INSTANCE_ACQUAINT_H

#include <stdbool.h>

#include "instance/hello.h"
#include "net/endpoint.h"
#include "net/loop.h"

struct acquaint;
struct watcher;

/* `name`: Sentinel's master name; borrowed, as the watcher (both outlive it). */
struct acquaint *acquaint_new(struct loop *loop, struct watcher *watcher, const char *name);
/* NULL is fine. */
void acquaint_free(struct acquaint **a);
/* In whose name the sentinel at `at` takes a hello; false: it is not known. */
bool acquaint_get(
    const struct acquaint *a, const struct endpoint *at, char ret_peer[HELLO_PEER_SIZE]);

#endif
