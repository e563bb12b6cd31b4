/* The command line of the worker roles, the same for proxy and http. */
#ifndef CLI_WORKER_H
#define CLI_WORKER_H

#include "backend/worker.h"

/* `holdfast ROLE --worker NAME`, or alone against --sentinel. The exit code. */
int cli_worker(int argc, char **argv, const struct worker_ops *ops);

#endif
