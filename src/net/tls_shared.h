/*
 * One conversation by TLS 1.3 between two ends that know the same secret and nothing else of each other: no certificates. Both prove in the handshake
 * that they know it (RFC 8446 2.2, a pre-shared key with Diffie-Hellman), and it does not cross the wire; who does not know it learns nothing
 * and is not answered. For the command line: these functions wait, each for a bounded time.
 */
#ifndef NET_TLS_SHARED_H
#define NET_TLS_SHARED_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/buf.h"
#include "base/defs.h"
#include "base/errmsg.h"
#include "base/slice.h"

#define TLS_SHARED_KEY 32

struct tls_shared;

/*
 * The handshake on a connected socket (borrowed; it must be blocking and gets time limits of `wait_ms` for each step). 0; -EACCES: the other end
 * does not know the key; -ETIMEDOUT; -EIO.
 */
int tls_shared_open(int fd, bool server, const uint8_t key[TLS_SHARED_KEY], uint64_t wait_ms,
    struct tls_shared **ret_t, struct errmsg *err) ATTR_WARN_UNUSED;
/* Tells the other end that no more comes. NULL is fine. */
void tls_shared_close(struct tls_shared **t);
/* A message: its bytes and how many they are. 0 or negative errno. */
int tls_shared_send(
    struct tls_shared *t, struct slice message, struct errmsg *err) ATTR_WARN_UNUSED;
/* The next message into `out`, whose limit is the largest that is taken. 0; -EPIPE: there is none; -EMSGSIZE; -ETIMEDOUT; -EIO. */
int tls_shared_receive(struct tls_shared *t, struct buf *out, struct errmsg *err) ATTR_WARN_UNUSED;

/* 32 random bytes. False: the system has none. */
bool tls_shared_new_key(uint8_t ret_key[TLS_SHARED_KEY]);

#endif
