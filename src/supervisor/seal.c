#include "supervisor/seal.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include <openssl/evp.h>
#include <openssl/hmac.h>
#include <openssl/rand.h>

#define NUMBER_BYTES ((size_t)12)
#define TAG_BYTES    ((size_t)16)

_Static_assert(SEAL_MORE == NUMBER_BYTES + TAG_BYTES, "what is added");

void
seal_make_key(const char *secret, const char *purpose, uint8_t key[SEAL_KEY_BYTES])
{
	unsigned size = 0;

	if (HMAC(EVP_sha256(), secret, (int)strlen(secret), (const uint8_t *)purpose,
		strlen(purpose), key, &size) == NULL ||
	    size != SEAL_KEY_BYTES) {
		abort(); /* HMAC-SHA256 is always there */
	}
}

int
seal_close(const uint8_t key[SEAL_KEY_BYTES], struct slice plain, struct buf *out)
{
	EVP_CIPHER_CTX *ctx;
	uint8_t *number, *text;
	int err = plain.len > INT32_MAX ? -ENOBUFS : buf_reserve(out, plain.len + SEAL_MORE), n;

	if (err < 0) {
		return err;
	}
	number = buf_tail(out);
	text = number + NUMBER_BYTES;
	ctx = EVP_CIPHER_CTX_new();
	if (ctx == NULL || RAND_bytes(number, (int)NUMBER_BYTES) != 1 ||
	    EVP_EncryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, number) != 1 ||
	    EVP_EncryptUpdate(ctx, text, &n, plain.ptr, (int)plain.len) != 1 ||
	    EVP_EncryptFinal_ex(ctx, text + plain.len, &n) != 1 ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_GET_TAG, (int)TAG_BYTES, text + plain.len) != 1) {
		err = -EIO;
	} else {
		buf_commit(out, plain.len + SEAL_MORE);
	}
	EVP_CIPHER_CTX_free(ctx);
	return err;
}

int
seal_open(const uint8_t key[SEAL_KEY_BYTES], struct slice sealed, struct buf *out)
{
	uint8_t tag[TAG_BYTES];
	EVP_CIPHER_CTX *ctx;
	size_t len;
	int err, n;

	if (sealed.len < SEAL_MORE || sealed.len > INT32_MAX) {
		return -EBADMSG;
	}
	len = sealed.len - SEAL_MORE;
	err = buf_reserve(out, len + 1);
	if (err < 0) {
		return err;
	}
	memcpy(tag, sealed.ptr + NUMBER_BYTES + len, TAG_BYTES);
	ctx = EVP_CIPHER_CTX_new();
	if (ctx == NULL || EVP_DecryptInit_ex(ctx, EVP_aes_256_gcm(), NULL, key, sealed.ptr) != 1 ||
	    EVP_DecryptUpdate(ctx, buf_tail(out), &n, sealed.ptr + NUMBER_BYTES, (int)len) != 1 ||
	    EVP_CIPHER_CTX_ctrl(ctx, EVP_CTRL_GCM_SET_TAG, (int)TAG_BYTES, tag) != 1 ||
	    EVP_DecryptFinal_ex(ctx, buf_tail(out) + len, &n) != 1) {
		err = -EBADMSG;
	} else {
		buf_commit(out, len);
	}
	EVP_CIPHER_CTX_free(ctx);
	return err;
}
