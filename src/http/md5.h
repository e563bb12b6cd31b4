/* MD5 (RFC 1321), for one thing only: an entity tag that changes when the body does, in the form
 * that Webdis clients know. Never for anything that needs to resist an attacker. */
#ifndef HTTP_MD5_H
#define HTTP_MD5_H

#include "base/slice.h"

#define MD5_HEX_BYTES 32

/* Plain data, for bytes that come in pieces. */
struct md5 {
	uint32_t state[4];
	uint64_t total;
	uint8_t block[64]; /* the bytes behind the last whole block */
};

void md5_init(struct md5 *m);
void md5_add(struct md5 *m, struct slice bytes);
/* 32 lower case hex digits, without a terminator; `m` is used up. */
void md5_end(struct md5 *m, char out[static MD5_HEX_BYTES]);

/* All at once. */
void md5_hex(struct slice bytes, char out[static MD5_HEX_BYTES]);

#endif
