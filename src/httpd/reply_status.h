/* What an error of Redis is as an HTTP status, for clients that asked for it with ?status=1. */
#ifndef HTTPD_REPLY_STATUS_H
#define HTTPD_REPLY_STATUS_H

#include "base/slice.h"

/* Of a reply's first bytes: 404 for a nil, by the table for an error, else 200. */
unsigned reply_status(struct slice raw);
/* Of an error that the lane made up (lane.h), no server said it: given to those who did not ask for statuses, too. */
unsigned reply_status_local(struct slice raw);

#endif
