/* holdfast version: ours, and those of the libraries, as loaded where they tell. */
#include <stdio.h>

#include <ev.h>
#include <hiredis/hiredis.h>
#include <jansson.h>
#include <msgpack.h>
#include <wslay/wslayver.h>
#include <zlib.h>
#ifdef HAVE_LLHTTP
#include <llhttp.h>
#else
#include <http_parser.h>
#endif

#include "cli/cli.h"
#include "net/tls.h"
#include "store/store.h"

static void
print_http_parser(void)
{
#ifdef HAVE_LLHTTP
	(void)printf("llhttp       %d.%d.%d (when built)\n", LLHTTP_VERSION_MAJOR,
	    LLHTTP_VERSION_MINOR, LLHTTP_VERSION_PATCH);
#else
	unsigned long version = http_parser_version();

	(void)printf(
	    "http-parser  %lu.%lu.%lu\n", version >> 16 & 255, version >> 8 & 255, version & 255);
#endif
}

int
cli_version(int argc, char **argv)
{
	struct cli_opts opts;
	int code = cli_opts_parse(argc, argv, "", 0, 0, &opts);

	if (code < 0) {
		(void)printf("holdfast %s\n\n", PACKAGE_VERSION);
		(void)printf("libev        %d.%d\n", ev_version_major(), ev_version_minor());
		(void)printf("hiredis      %d.%d.%d (when built)\n", HIREDIS_MAJOR, HIREDIS_MINOR,
		    HIREDIS_PATCH);
		(void)printf("sqlite       %s\n", store_library_version());
		(void)printf("jansson      %s\n", jansson_version_str());
		(void)printf("openssl      %s\n", tls_library_version());
		print_http_parser();
		(void)printf("msgpack-c    %s\n", msgpack_version());
		(void)printf("wslay        %s (when built)\n", WSLAY_VERSION);
		(void)printf("zlib         %s\n", zlibVersion());
		code = CLI_OK;
	}
	cli_opts_fini(&opts);
	return code;
}
