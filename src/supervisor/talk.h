/*
 * What supervisors hand each other about all hosts: talk.c carries documents, picture.c says what each is and has, remote.c has another one carry out a
 * control command, timeline.c merges the events of all. None of it is needed to decide who is master; hosts.c, voice.c and agree.c do without.
 *
 *   timeline.c ─┐
 *   control.c ──┴▸ remote.c ─┐
 *                picture.c ──┴▸ talk.c ─▸ a redis that both reach
 */
#ifndef SUPERVISOR_TALK_H
#define SUPERVISOR_TALK_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include <jansson.h>

#include "base/errmsg.h"
#include "base/slice.h"
#include "ctl/ctl.h"
#include "store/store.h"

struct host;
struct remote_call;
struct supervisor;

#define TALK_CHANNEL      "__holdfast__:talk"
#define TALK_ID_SIZE      17 /* a random number as text */
#define TALK_DOCUMENT_MAX ((size_t)80 * 1024)

/* ---- talk.c: documents between supervisors ---- */
/* After the secret is known. */
void talk_begin(struct supervisor *s);
void talk_fini(struct supervisor *s);
void talk_make_id(char id[TALK_ID_SIZE]);
/* The random number of this run. */
const char *talk_boot(const struct supervisor *s);
/* The next number of a document; greater than `above`. */
uint64_t talk_number(struct supervisor *s, uint64_t above);
/*
 * Over whose redis to send: `first`, if that is reached now, else one after the other; with each attempt another one is the first. NULL: none is reached.
 */
struct host *talk_way(struct supervisor *s, struct host *first, size_t attempt);
/* Takes over the reference to `doc`. False: it was not sent; true: whether it is heard is not known. `way` may be NULL. */
bool talk_send(struct supervisor *s, const struct host *way, json_t *doc);
/* Heard from the redis of `ear`; any bytes. */
void talk_on_document(struct host *ear, struct slice sealed);

/* ---- picture.c: what each supervisor says of itself ---- */
/* With each pulse. */
void picture_pulse(struct supervisor *s);
/* Something may have changed. */
void picture_touch(struct supervisor *s);
void picture_fini(struct supervisor *s);
void picture_on_document(struct host *sender, const json_t *doc);
/* Its supervisor is heard now. */
bool picture_is_fresh(const struct host *h);
/* How far the redis of a host (any) is behind the master, in bytes, as seen from here; -1: not known. */
int64_t picture_lag(const struct host *h);

/* ---- remote.c: a control command that another host carries out ---- */
/*
 * The end of it, once: 0, and the lines and the last line of the answer; or an error with the reason: -EREMOTEIO: refused there, `reply` is its words;
 * -EHOSTUNREACH: nothing is heard. All borrowed. `cut`: there were more lines, before these, than an answer may have.
 */
typedef void remote_end_fn(
    void *owner, int error, json_t *lines, json_t *reply, bool cut, const char *why);
/*
 * Asks the supervisor of `h`; takes over the reference to `args`. No callback before this returns. NULL, with the reason: it cannot be asked now.
 */
struct remote_call *remote_ask(struct supervisor *s, struct host *h, const char *cmd, json_t *args,
    const char *by, remote_end_fn *fn, void *owner, struct errmsg *err);
/* No callback after this; what was begun goes on there. NULL is fine. */
void remote_cancel(struct remote_call **c);
/* Passes a request on to the host that the name of an instance ("b/redis-1") begins with. False: it is not another host's, nothing was done. */
bool remote_pass_on(struct supervisor *s, struct ctl_request *req, const json_t *args);
/* Of an instance of this host, which may be called by "HOST/NAME", too: its name here. */
const char *remote_own_name(const struct supervisor *s, const char *name);
void remote_init(struct supervisor *s);
void remote_fini(struct supervisor *s);
/* With each pulse. */
void remote_pulse(struct supervisor *s);
void remote_on_question(struct host *ear, struct host *sender, json_t *doc);
void remote_on_answer(const struct host *sender, json_t *doc);

/* ---- timeline.c: the events of all hosts ---- */
void timeline_init(struct supervisor *s);
void timeline_fini(struct supervisor *s);
/* The handler of the control command `events`. */
void timeline_on_events(struct ctl_request *req, const json_t *args, void *owner);
/* An event of this host was written. */
void timeline_on_event(struct supervisor *s, const struct store_event *event);
/* What a host says of itself was heard: are there events that those who follow do not have? */
void timeline_on_picture(struct host *h);
/* Likewise, before that: of another run of its supervisor. */
void timeline_on_boot(struct host *h);

#endif
