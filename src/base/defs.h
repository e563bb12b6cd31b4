/* Small words that every room uses: attributes, sizes, minimum and maximum. Nothing here has state.
 */
#ifndef BASE_DEFS_H
#define BASE_DEFS_H

#include <stddef.h>

#define ATTR_PRINTF(fmt, args) __attribute__((format(printf, fmt, args)))
#define ATTR_WARN_UNUSED       __attribute__((warn_unused_result))
#define ATTR_NONNULL           __attribute__((nonnull))
#define ATTR_NORETURN          __attribute__((noreturn))

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))
#define MIN(a, b)    ((a) < (b) ? (a) : (b))
#define MAX(a, b)    ((a) > (b) ? (a) : (b))

#define CONTAINER_OF(ptr, type, member) ((type *)(void *)((char *)(ptr)-offsetof(type, member)))

/* Long-lived structs start with `uint32_t magic`; OBJ_CAST checks it on entry from a `void *`. */
#define OBJ_CAST(arg, want)                                                                        \
	({                                                                                         \
		__auto_type obj_ = (arg);                                                          \
		assert(obj_ != NULL && obj_->magic == (want));                                     \
		obj_;                                                                              \
	})

#endif
