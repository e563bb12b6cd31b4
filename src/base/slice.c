#include "base/slice.h"

bool
slice_to_u64(struct slice s, uint64_t *ret_value)
{
	uint64_t value = 0;

	if (s.len == 0) {
		return false;
	}
	for (size_t i = 0; i < s.len; i++) {
		unsigned digit = (unsigned)s.ptr[i] - '0';

		if (digit > 9 || __builtin_mul_overflow(value, 10, &value) ||
		    __builtin_add_overflow(value, digit, &value)) {
			return false;
		}
	}
	*ret_value = value;
	return true;
}

bool
slice_to_i64(struct slice s, int64_t *ret_value)
{
	bool negative = s.len > 0 && s.ptr[0] == '-';
	uint64_t value;

	if (negative) {
		s.ptr++;
		s.len--;
	}
	if (!slice_to_u64(s, &value) || value > (uint64_t)INT64_MAX + (negative ? 1 : 0)) {
		return false;
	}
	*ret_value = negative ? (int64_t)(0 - value) : (int64_t)value;
	return true;
}
