#include "cli/cli.h"
#include "cli/worker.h"
#include "httpd/httpd.h"

int
cli_http(int argc, char **argv)
{
	return cli_worker(argc, argv, &httpd_worker_ops);
}
