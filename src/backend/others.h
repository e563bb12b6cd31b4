/*
 * What workers of one role ask each other, by way of their supervisor (ipc/channel.h): each answers for its own clients, and the
 * asker puts the answers together. Without a supervisor, or without other workers, there is nobody to ask.
 */
#ifndef BACKEND_OTHERS_H
#define BACKEND_OTHERS_H

#include <stdbool.h>
#include <stddef.h>

#include "base/buf.h"
#include "base/slice.h"
#include "net/loop.h"

struct channel;
struct channel_msg;
struct others;
struct question;

/* A part of an answer; NULL: that was all, or all that comes in time. */
typedef void question_fn(void *arg, const char *text);
/* We are asked: the answer is to be added to `out`, as text. */
typedef void others_asked_fn(void *arg, const char *const *words, size_t count, struct buf *out);

struct others *others_new(struct loop *loop, others_asked_fn *fn, void *arg);
void others_free(struct others **o);
/* Borrowed; NULL: the supervisor is gone. */
void others_set_channel(struct others *o, struct channel *ch);
/* False: it is about something else. */
bool others_on_msg(struct others *o, const struct channel_msg *msg);

/*
 * `fn` follows, never before this returns; after NULL the question is over, and still to be freed. NULL: it cannot be
 * asked; then nobody else has anything to say.
 */
struct question *question_new(
    struct others *o, const struct slice *words, size_t count, question_fn *fn, void *arg);
/* No callback after this. */
void question_free(struct question **q);

#endif
