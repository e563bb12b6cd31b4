/*
 * The control protocol over a real socket. The server runs in a child with handlers made for the
 * test; each test is its client and sees what a client can see. Counters that only the server knows
 * are its answer to `status`.
 */
#ifndef TESTS_CTL_WORLD_H
#define TESTS_CTL_WORLD_H

#include <stdint.h>
#include <sys/types.h>

#include <jansson.h>

#include "base/errmsg.h"
#include "ctl/ctl.h"

#define PATIENT_MS 60000 /* a bound only: sanitizers on a busy machine take their time */

extern char *home;         /* of the test */
extern pid_t server_pid;   /* of the child */
extern struct errmsg said; /* of the last call that failed */

/* With a server in `home`, which shows at the end whether it cleaned up; or alone. */
int world_setup(void **state);
int world_teardown(void **state);
int world_setup_alone(void **state);
int world_teardown_alone(void **state);

/* Patience of the server: 0 and 0: its own. */
void start_server(const char *path, uint64_t send_ms, uint64_t longest_ms);
/* Ends the server by its own command, so that it shows whether it cleaned up. */
void stop_server(const char *in_dir);

struct ctl_client *connect_client(void);
/* One call on a connection of its own; the result of the call. ret_reply may be NULL. */
int call(const char *cmd, json_t *args, json_t **ret_reply);
int server_counter(const char *name);
/* Asks until the server has noticed, for up to PATIENT_MS; each round is an answer of the server. */
void wait_for_counter(const char *name, int value);

/* A bare connection, for what the client library would never send. */
int raw_connect(void);
void raw_send(int fd, const char *text);
/* All that comes until the server closes. Static. */
const char *raw_read_all(int fd);

#endif
