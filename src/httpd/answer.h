/* Answers that are made here and not by Redis. Each writes one whole response to the client. */
#ifndef HTTPD_ANSWER_H
#define HTTPD_ANSWER_H

#define ANSWER_ALLOW "GET,POST,PUT,OPTIONS,HEAD" /* of a command, as Webdis says it */

struct exchange;

/* {"error":"…","status":N} from the exchange's fault. */
void answer_fault(struct exchange *x);
/* The same for another status, while the exchange is being answered. */
void answer_error(struct exchange *x, unsigned status, const char *why);
void answer_options(struct exchange *x);
/* 302 to the place in x->text. */
void answer_elsewhere(struct exchange *x);

/* Routes (routes.def). */
void answer_health(struct exchange *x);
void answer_ready(struct exchange *x);
void answer_crossdomain(struct exchange *x);
void answer_root(struct exchange *x);
void answer_nothing_here(struct exchange *x);

#endif
