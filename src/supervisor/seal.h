/*
 * Bytes that only those who share a secret can read or make: AES-256-GCM (NIST SP 800-38D), for what supervisors hand each other over a server
 * where others listen and publish, too. Each sealing has a random number of its own (96 bits), so that the same bytes look different each time.
 * Whether they were heard before is for the reader to judge: see talk.c.
 *
 *   number (12 bytes) │ what is sealed │ tag (16 bytes)
 */
#ifndef SUPERVISOR_SEAL_H
#define SUPERVISOR_SEAL_H

#include <stdint.h>

#include "base/buf.h"
#include "base/defs.h"
#include "base/slice.h"

#define SEAL_KEY_BYTES 32
#define SEAL_MORE      ((size_t)28) /* a sealing is so many bytes longer than what is in it */

/* From the secret and a text that says what for: another text, another key. */
void seal_make_key(const char *secret, const char *purpose, uint8_t key[SEAL_KEY_BYTES]);
/* Appends to `out`. 0 or buf.h's errors; -EIO: no random bytes. */
int seal_close(
    const uint8_t key[SEAL_KEY_BYTES], struct slice plain, struct buf *out) ATTR_WARN_UNUSED;
/* Likewise; any bytes are accepted. -EBADMSG: it was not made with this key, or was changed since; then nothing is appended. */
int seal_open(
    const uint8_t key[SEAL_KEY_BYTES], struct slice sealed, struct buf *out) ATTR_WARN_UNUSED;

#endif
