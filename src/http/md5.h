/* MD5 (RFC 1321), for one thing only: an entity tag that changes when the body does, in the form
 * that Webdis clients know. Never for anything that needs to resist an attacker. */
#ifndef HTTP_MD5_H
#define HTTP_MD5_H

#include "base/slice.h"

#define MD5_HEX_BYTES 32

/* 32 lower case hex digits, without a terminator. */
void md5_hex(struct slice bytes, char out[static MD5_HEX_BYTES]);

#endif
