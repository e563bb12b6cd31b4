/*
 * What a service manager is told: systemd's notification protocol, datagrams "NAME=value" lines to the unix socket in $NOTIFY_SOCKET. Its
 * manual, sd_notify(3), describes the protocol for such implementations and promises that it stays; it is a single
 * sendmsg(2), so a library for it (libsystemd) would be one more dependency of every container for nothing.
 *
 * Without $NOTIFY_SOCKET everything here does nothing. Nothing waits: a manager that does not read loses messages.
 */
#ifndef PROC_NOTIFY_H
#define PROC_NOTIFY_H

#include <stdbool.h>
#include <stdint.h>

#include "base/defs.h"

struct notify;

/* From the environment, which stays as it is: a program that takes our place by exec finds it again. Never NULL. */
struct notify *notify_new(void);
void notify_free(struct notify **n);

/* Does anybody listen? */
bool notify_is_on(const struct notify *n);
/* How often `WATCHDOG=1` is to be sent at the least, in µs: $WATCHDOG_USEC, if it is meant for this process; 0: never. */
uint64_t notify_watchdog_us(const struct notify *n);

/* Sends one message: lines "NAME=value". A control character within is sent as a blank, line ends apart. At most 1 KiB. */
void notify_send(struct notify *n, const char *fmt, ...) ATTR_PRINTF(2, 3);

#endif
