#include "http/md5.h"

#include <string.h>

#include "base/defs.h"

/* floor(2^32 * |sin(i + 1)|), RFC 1321 section 3.4. */
static const uint32_t sines[64] = {0xd76aa478, 0xe8c7b756, 0x242070db, 0xc1bdceee, 0xf57c0faf,
    0x4787c62a, 0xa8304613, 0xfd469501, 0x698098d8, 0x8b44f7af, 0xffff5bb1, 0x895cd7be, 0x6b901122,
    0xfd987193, 0xa679438e, 0x49b40821, 0xf61e2562, 0xc040b340, 0x265e5a51, 0xe9b6c7aa, 0xd62f105d,
    0x02441453, 0xd8a1e681, 0xe7d3fbc8, 0x21e1cde6, 0xc33707d6, 0xf4d50d87, 0x455a14ed, 0xa9e3e905,
    0xfcefa3f8, 0x676f02d9, 0x8d2a4c8a, 0xfffa3942, 0x8771f681, 0x6d9d6122, 0xfde5380c, 0xa4beea44,
    0x4bdecfa9, 0xf6bb4b60, 0xbebfbc70, 0x289b7ec6, 0xeaa127fa, 0xd4ef3085, 0x04881d05, 0xd9d4d039,
    0xe6db99e5, 0x1fa27cf8, 0xc4ac5665, 0xf4292244, 0x432aff97, 0xab9423a7, 0xfc93a039, 0x655b59c3,
    0x8f0ccc92, 0xffeff47d, 0x85845dd1, 0x6fa87e4f, 0xfe2ce6e0, 0xa3014314, 0x4e0811a1, 0xf7537e82,
    0xbd3af235, 0x2ad7d2bb, 0xeb86d391};

static uint32_t
rotate(uint32_t x, unsigned n)
{
	return x << n | x >> (32 - n);
}

#define STEP(f, a, b, c, d, word, turn, i) a = b + rotate(a + (f) + sines[i] + (word), turn)
#define FOUR(f1, f2, f3, f4, w1, w2, w3, w4, t1, t2, t3, t4, i)                                    \
	do {                                                                                       \
		STEP(f1, a, b, c, d, w[w1], t1, (i));                                              \
		STEP(f2, d, a, b, c, w[w2], t2, (i) + 1);                                          \
		STEP(f3, c, d, a, b, w[w3], t3, (i) + 2);                                          \
		STEP(f4, b, c, d, a, w[w4], t4, (i) + 3);                                          \
	} while (0)
#define F(x, y, z) ((z) ^ ((x) & ((y) ^ (z))))
#define G(x, y, z) ((y) ^ ((z) & ((x) ^ (y))))
#define H(x, y, z) ((x) ^ (y) ^ (z))
#define I(x, y, z) ((y) ^ ((x) | ~(z)))
/* Four steps of a round: the roles of the four words turn by one each step. */
#define ROUND(fn, w1, w2, w3, w4, t1, t2, t3, t4, i)                                               \
	FOUR(fn(b, c, d), fn(a, b, c), fn(d, a, b), fn(c, d, a), w1, w2, w3, w4, t1, t2, t3, t4, i)

/* Unrolled, so that the indices below are constants. */
static void
block(uint32_t state[4], const uint8_t *p)
{
	uint32_t a = state[0], b = state[1], c = state[2], d = state[3], w[16];

	for (size_t i = 0; i < 16; i++, p += 4) {
		w[i] = (uint32_t)p[0] | (uint32_t)p[1] << 8 | (uint32_t)p[2] << 16 |
		       (uint32_t)p[3] << 24;
	}
#pragma GCC unroll 4
	for (unsigned i = 0; i < 16; i += 4) {
		ROUND(F, i, i + 1, i + 2, i + 3, 7, 12, 17, 22, i);
	}
#pragma GCC unroll 4
	for (unsigned i = 0; i < 16; i += 4) {
		ROUND(G, (5 * i + 1) % 16, (5 * i + 6) % 16, (5 * i + 11) % 16, (5 * i + 16) % 16,
		    5, 9, 14, 20, i + 16);
	}
#pragma GCC unroll 4
	for (unsigned i = 0; i < 16; i += 4) {
		ROUND(H, (3 * i + 5) % 16, (3 * i + 8) % 16, (3 * i + 11) % 16, (3 * i + 14) % 16,
		    4, 11, 16, 23, i + 32);
	}
#pragma GCC unroll 4
	for (unsigned i = 0; i < 16; i += 4) {
		ROUND(I, (7 * i) % 16, (7 * i + 7) % 16, (7 * i + 14) % 16, (7 * i + 21) % 16, 6,
		    10, 15, 21, i + 48);
	}
	state[0] += a;
	state[1] += b;
	state[2] += c;
	state[3] += d;
}

void
md5_init(struct md5 *m)
{
	*m = (struct md5){.state = {0x67452301, 0xefcdab89, 0x98badcfe, 0x10325476}};
}

void
md5_add(struct md5 *m, struct slice bytes)
{
	size_t held = (size_t)(m->total % 64);

	if (bytes.len == 0) {
		return;
	}
	m->total += bytes.len;
	if (held > 0) {
		size_t n = MIN(64 - held, bytes.len);

		memcpy(m->block + held, bytes.ptr, n);
		bytes.ptr += n;
		bytes.len -= n;
		if (held + n < 64) {
			return;
		}
		block(m->state, m->block);
	}
	for (; bytes.len >= 64; bytes.len -= 64, bytes.ptr += 64) {
		block(m->state, bytes.ptr);
	}
	if (bytes.len > 0) {
		memcpy(m->block, bytes.ptr, bytes.len);
	}
}

void
md5_end(struct md5 *m, char out[static MD5_HEX_BYTES])
{
	static const char digits[] = "0123456789abcdef";
	uint8_t last[128] = {0x80}, *p = last;
	size_t held = (size_t)(m->total % 64), padded = held < 56 ? 64 : 128;
	uint64_t bits = m->total * 8;

	memmove(last + held, last, 1);
	memcpy(last, m->block, held);
	for (size_t i = 0; i < 8; i++) {
		last[padded - 8 + i] = (uint8_t)(bits >> 8 * i);
	}
	for (; p < last + padded; p += 64) {
		block(m->state, p);
	}
	for (size_t i = 0; i < 16; i++) {
		uint8_t byte = (uint8_t)(m->state[i / 4] >> 8 * (i % 4));

		out[2 * i] = digits[byte >> 4];
		out[2 * i + 1] = digits[byte & 15];
	}
}

void
md5_hex(struct slice bytes, char out[static MD5_HEX_BYTES])
{
	struct md5 m;

	md5_init(&m);
	md5_add(&m, bytes);
	md5_end(&m, out);
}
