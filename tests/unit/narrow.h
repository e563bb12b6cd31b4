/*
 * A socket that is full after any number of bytes, to the byte, however large its buffers are: a program that is linked with
 * -Wl,--wrap=send.
 */
#ifndef TESTS_NARROW_H
#define TESTS_NARROW_H

#include <stdbool.h>
#include <stddef.h>

#include "fake_server.h"

/* What this process has connected to `f` takes so many bytes more, all together. */
void narrow_begin(const struct fake *f, size_t bytes);
void narrow_end(void);
/* For fake_run_until: it has taken all of them. */
bool narrow_is_full(void *arg);

#endif
