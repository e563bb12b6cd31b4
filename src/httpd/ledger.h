/*
 * What people change in Redis over the operator's interface, for the history: one event for what a user did in a while, with the
 * commands and how often; a single one with what it was about (the key, or the setting), never with values. So a bulk of changes is
 * named and does not push everything else out of the history.
 */
#ifndef HTTPD_LEDGER_H
#define HTTPD_LEDGER_H

#include "base/slice.h"

struct httpd;
struct ledger;

struct ledger *ledger_new(struct httpd *h);
/* What is not told yet is told. */
void ledger_free(struct ledger **l);
/* `by` did this: `command` by its name in the table; `about`: what it was about, or an empty slice; `target`: master or an instance. */
void ledger_add(
    struct ledger *l, const char *by, const char *target, const char *command, struct slice about);

#endif
