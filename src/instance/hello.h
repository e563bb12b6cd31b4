/*
 * The message by which sentinels tell each other who is master (sentinel.c, sentinelSendHello and sentinelProcessHelloMessage):
 *
 *   ADDRESS,PORT,ID of a sentinel , its current epoch , master name , master's ADDRESS,PORT , config-epoch
 *
 * One that is told so in the name of a sentinel it knows takes the higher config-epoch at once. Never in its own name, and never with
 * an id that it does not know: that would make a phantom.
 */
#ifndef INSTANCE_HELLO_H
#define INSTANCE_HELLO_H

#include <stdbool.h>
#include <stdint.h>

#include "topo/link.h"
#include "topo/topo.h"

#define HELLO_PEER_SIZE 320
#define HELLO_SIZE      1024

/* "ADDRESS,PORT,ID" of the first other sentinel in an answer to SENTINEL SENTINELS that has an id; false: there is none. */
bool hello_read_peer(const struct redisReply *peers, char ret_peer[HELLO_PEER_SIZE]);
void hello_format(char ret_hello[HELLO_SIZE], const char *peer, uint64_t current_epoch,
    const char *name, const struct topo_master *master);
/* Tells it over the command link of the sentinel; as link_send. */
int hello_send(
    struct link *l, const char *hello, uint64_t timeout_ms, link_reply_fn *fn, void *arg);

#endif
