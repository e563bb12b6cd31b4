#include "base/nearest.h"

#include <string.h>

#include "base/defs.h"

#define WORD_MAX 48

unsigned
nearest_distance(const char *a, const char *b)
{
	size_t la = strnlen(a, WORD_MAX), lb = strnlen(b, WORD_MAX);
	unsigned d[WORD_MAX + 1][WORD_MAX + 1];

	for (size_t i = 0; i <= la; i++) {
		d[i][0] = (unsigned)i;
	}
	for (size_t j = 0; j <= lb; j++) {
		d[0][j] = (unsigned)j;
	}
	for (size_t i = 1; i <= la; i++) {
		for (size_t j = 1; j <= lb; j++) {
			unsigned changed = a[i - 1] == b[j - 1] ? 0 : 1;
			unsigned best = MIN(d[i - 1][j] + 1, d[i][j - 1] + 1);

			best = MIN(best, d[i - 1][j - 1] + changed);
			if (i > 1 && j > 1 && a[i - 1] == b[j - 2] && a[i - 2] == b[j - 1]) {
				best = MIN(best, d[i - 2][j - 2] + 1);
			}
			d[i][j] = best;
		}
	}
	return d[la][lb];
}
