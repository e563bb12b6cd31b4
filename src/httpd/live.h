/*
 * GET /api/v1/live: the picture of the cluster as it changes, for pages. However many pages look, a worker asks the supervisor once
 * (`watch`, and `logs` if somebody wants lines) and hands each line to all of them.
 *
 *   supervisor ─► watch, logs ─► feed ─► live … live (one for each page)
 *
 * Events have ids, so a page that comes again (Last-Event-ID), or a feed whose supervisor was away, gets those that were missed. A page that
 * reads slowly misses statuses and samples, which the next ones replace, but no event.
 */
#ifndef HTTPD_LIVE_H
#define HTTPD_LIVE_H

struct feed;

/* All pages must have gone. NULL is fine. */
void feed_free(struct feed **f);

#endif
