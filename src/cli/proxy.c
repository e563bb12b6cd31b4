/* holdfast proxy: one proxy worker. */
#include "cli/cli.h"
#include "cli/worker.h"
#include "proxy/proxy.h"

int
cli_proxy(int argc, char **argv)
{
	return cli_worker(argc, argv, &proxy_worker_ops);
}
