/*
 * The cookie of a login as text: "NAME.END.NONCE.SIGNATURE", among others in a header. What it says is believed once the signature was
 * compared (identity.c). Pure; all slices are of what was given.
 */
#ifndef HTTPD_COOKIE_H
#define HTTPD_COOKIE_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "base/slice.h"

#define COOKIE_MAX     ((size_t)300) /* bytes of a value */
#define COOKIE_MAC_HEX ((size_t)64)

struct cookie {
	struct slice claim; /* what is signed: NAME.END.NONCE */
	struct slice user;
	uint64_t expires_s; /* since 1970 */
	struct slice mac;   /* COOKIE_MAC_HEX bytes, whatever they are */
};

/* The value of the first cookie of that name that has one, in a header's value. */
bool cookie_find(struct slice header, const char *name, struct slice *ret_value);
bool cookie_read(struct slice value, struct cookie *ret);

#endif
