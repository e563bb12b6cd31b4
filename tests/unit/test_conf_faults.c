/* What is wrong with a configuration: each kind of fault, where it is said to be, and that all are told at once. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "conf_fixture.h"

static void
unknown_names(void **state)
{
	struct fixture *f = *state;

	assert_only_fault(
	    f, "[proxy]\n\nlisen = 127.0.0.1:1\n", "test.ini:3:", "the nearest is proxy.listen");
	assert_only_fault(
	    f, "[porxy]\nlisten = 127.0.0.1:1\nx = 1\n", "test.ini:1:", "the nearest is [proxy]");
	assert_only_fault(f, "[Redis-2]\nport=1\n", "test.ini:1:", "[redis-N]");
	assert_only_fault(f, "[redis-02]\nport=1\n", "test.ini:1:", "[redis-N]");
	assert_only_fault(f, "[acl-]\n", "test.ini:1:", "[acl-NAME]");
	assert_only_fault(
	    f, "[redis]\nhold_ms = 1\n", "test.ini:2:", "hold_ms is an option of [proxy]");
	assert_only_fault(f, "[redis]\nmaxclients = 1\n", "test.ini:2:", "config.maxclients");
	assert_only_fault(f, "[redis-2]\npassword = x\n", "test.ini:2:", "set it in [redis]");
	assert_only_fault(f, "[redis-9]\nport = 1\n", "test.ini:1:", "redis.instances is 3");
	assert_only_fault(f, "[internal]\ndata_dir = /x\n", "test.ini:1:", "no section [internal]");
}

static void
unknown_variables(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(
	    fixture_load(f, NULL,
		STRINGS("HOLDFAST_PROXY_HOLDMS=1", "HOLDFAST_PORXY_LISTEN=1", "HOLDFAST_NAME=x",
		    "HOLDFAST_REDIS_PROT=1", "HOLDFAST_ACL_X_CDIR=1", "HOLDFAST_REDIS_2_PROT=1"),
		NULL),
	    -EINVAL);
	assert_fault(f, "HOLDFAST_PROXY_HOLDMS:", "HOLDFAST_PROXY_HOLD_MS");
	assert_fault(f, "HOLDFAST_PORXY_LISTEN:", "HOLDFAST_PROXY_LISTEN");
	assert_fault(f, "HOLDFAST_NAME:", "HOLDFAST_HOLDFAST_NAME");
	assert_fault(f, "HOLDFAST_REDIS_PROT:", "HOLDFAST_REDIS_PORT");
	assert_fault(f, "HOLDFAST_ACL_X_CDIR:", "no option");
	assert_fault(f, "HOLDFAST_REDIS_2_PROT:", "redis-2.port");
	assert_int_equal(f->faults.count, 6);
}

static void
lines_that_say_nothing(void **state)
{
	struct fixture *f = *state;

	assert_only_fault(f, "[proxy]\nworkers\n", "test.ini:2:", "neither KEY = VALUE");
	assert_only_fault(f, "[proxy]\nworkers", "test.ini:2:", "neither KEY = VALUE");
	assert_only_fault(f, "[proxy\n", "test.ini:1:", "no end");
	assert_only_fault(f, "[proxy] workers = 1\n", "test.ini:1:", "behind [SECTION]");
	assert_only_fault(f, "workers = 1\n", "test.ini:1:", "before any section");
	assert_only_fault(f, "[proxy]\nallow = A\n  B\n", "test.ini:3:", "neither KEY = VALUE");
	assert_only_fault(f, "[redis]\npassword = \"x\n", "test.ini:2:", "quote that does not end");
	assert_only_fault(
	    f, "[redis]\npassword = \"x\" y\n", "test.ini:2:", "quote that does not end");
	assert_only_fault(f, "[redis]\npassword = a\x01z\n", "test.ini:2:", "control character");
	assert_only_fault(f,
	    "[aaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa]\nx = 1\n",
	    "test.ini:1:", "too long");
}

static void
nul_bytes(void **state)
{
	struct fixture *f = *state;
	static const char text[] = "[proxy]\nworkers = 2\0 3\n";
	struct conf_sources src = {.file = f->file, .data_dir = "/data"};

	fixture_write(f, "test.ini", text, sizeof(text) - 1);
	assert_int_equal(conf_load(&src, &f->conf, &f->faults), -EINVAL);
	assert_fault(f, "test.ini:2:", "control character");
}

static void
duplicates(void **state)
{
	struct fixture *f = *state;

	assert_only_fault(f, "[proxy]\nworkers = 1\n[http]\nworkers = 1\n[proxy]\nworkers = 2\n",
	    "test.ini:6:", "test.ini:2: take one");
	assert_only_fault(
	    f, "[redis]\nconfig.hz = 1\nconfig.HZ = 2\n", "test.ini:3:", "test.ini:2");
	assert_only_fault(f, "[redis-1]\nport = 1\nport = 1\n", "test.ini:3:", "test.ini:2");
	assert_only_fault(f, "[proxy]\nlisten = 127.0.0.1:1 127.0.0.1:1\n", "test.ini:2:", "twice");
}

static void
values_out_of_range(void **state)
{
	struct fixture *f = *state;

	assert_only_fault(f, "[redis]\nport = 0\n", "test.ini:2:", "from 1 to 65535");
	assert_only_fault(
	    f, "[redis]\nport = 65536\n", "test.ini:2:", "redis.port does not take \"65536\"");
	assert_only_fault(f, "[redis]\nport =\n", "test.ini:2:", "a port");
	assert_only_fault(f, "[proxy]\nworkers = -1\n", "test.ini:2:", "from 1 to 64");
	assert_only_fault(f, "[proxy]\nworkers = 1.5\n", "test.ini:2:", "a number");
	assert_only_fault(f, "[proxy]\nworkers = 1s\n", "test.ini:2:", "a number");
	assert_only_fault(
	    f, "[proxy]\nhold_ms = 99999999999999999999\n", "test.ini:2:", "milliseconds");
	assert_only_fault(
	    f, "[proxy]\nhold_ms = 18446744073709551615 h\n", "test.ini:2:", "milliseconds");
	/* 64 bits overflow to 384. */
	assert_only_fault(
	    f, "[proxy]\nhold_ms = 18446744073709552 s\n", "test.ini:2:", "milliseconds");
	assert_only_fault(f, "[proxy]\nhold_ms = 2 h\n", "test.ini:2:", "to 3600000");
	assert_only_fault(f, "[proxy]\nmax_request_bytes = 1g\n", "test.ini:2:", "KiB, MiB, GiB");
	assert_only_fault(f, "[redis]\nappendonly = maybe\n", "test.ini:2:", "yes or no");
	assert_only_fault(f, "[holdfast]\nlog_level = loud\n",
	    "test.ini:2:", "one of error warn notice info debug");
	assert_only_fault(f, "[holdfast]\nname = a b\n", "test.ini:2:", "only letters");
	assert_only_fault(f, "[holdfast]\nname = \"\"\n", "test.ini:2:", "must not be empty");
	assert_only_fault(f, "[holdfast]\naddress = 1.2.3\n", "test.ini:2:", "host name");
	assert_only_fault(f, "[redis]\nbind =\n", "test.ini:2:", "must not be empty");
	assert_only_fault(f, "[redis]\nbind = somewhere\n", "test.ini:2:", "no address");
	assert_only_fault(f, "[proxy]\nlisten = 127.0.0.1\n", "test.ini:2:", "no port");
	assert_only_fault(f, "[proxy]\nlisten = unix:x\n", "test.ini:2:", "unix:/PATH");
	assert_only_fault(
	    f, "[proxy]\nlisten = 127.0.0.256:1\n", "test.ini:2:", "no place to listen");
	assert_only_fault(f, "[proxy]\nallow = A/B\n", "test.ini:2:", "no command");
}

static void
redis_directives(void **state)
{
	struct fixture *f = *state;

	assert_only_fault(f, "[redis]\nconfig.port = 1\n", "test.ini:2:", "set redis.port");
	assert_only_fault(
	    f, "[redis-1]\nconfig.REPLICAOF = x 1\n", "test.ini:2:", "Sentinel decides");
	assert_only_fault(
	    f, "[redis]\nconfig.requirepass = x\n", "test.ini:2:", "set redis.password");
	assert_only_fault(
	    f, "[redis]\nconfig.loadmodule = x\n", "test.ini:2:", "set redis.modules");
	assert_only_fault(f, "[redis]\nconfig.include = /x\n", "test.ini:2:", "config.DIRECTIVE");
	assert_only_fault(f, "[redis]\nconfig.a*b = x\n", "test.ini:2:", "no directive");
	assert_only_fault(f, "[redis]\nconfig. = x\n", "test.ini:2:", "no directive");
	assert_only_fault(
	    f, "[redis]\nconfig.rename-command = replicaof \"\"\n", "test.ini:2:", "REPLICAOF");
	assert_loads(f,
	    "[redis]\nconfig.rename-command = FLUSHALL \"\"\nconfig.rename-command = WAITAOF x\n",
	    NULL, NULL);
	assert_int_equal(f->conf->redis_config.count, 2);
}

static void
values_from_elsewhere(void **state)
{
	struct fixture *f = *state;

	assert_only_fault(f, "[redis]\npassword = $MISSING\n", "test.ini:2:", "MISSING");
	assert_only_fault(f, "[redis]\npassword = @missing\n", "test.ini:2:", "No such file");
	fixture_write(f, "two", "a\nb\n", 4);
	assert_only_fault(f, "[redis]\npassword = @two\n", "test.ini:2:", "more than one line");
	fixture_write(f, "nul", "a\0b\n", 4);
	assert_only_fault(f, "[redis]\npassword = @nul\n", "test.ini:2:", "control characters");
}

/* What a fault shows must not be the secret that is wrong. */
static void
secrets_are_not_shown(void **state)
{
	struct fixture *f = *state;
	char *secret = xcalloc(602, 1), *text;

	memset(secret, 'S', 600);
	text = xasprintf("[redis]\npassword = %s\n", secret);
	assert_only_fault(f, text, "test.ini:2:", "too long");
	assert_null(strstr(f->faults.items[0], "SSSS"));
	free(text);
	fixture_write(f, "count", secret, 600);
	assert_only_fault(f, "[proxy]\nworkers = @count\n", "test.ini:2:", "its value");
	assert_null(strstr(f->faults.items[0], "SSSS"));
	text = xasprintf("redis.password=%s", secret);
	assert_int_equal(fixture_load(f, NULL, NULL, STRINGS(text)), -EINVAL);
	assert_null(strstr(f->faults.items[0], "SSSS"));
	free(text);
	free(secret);
}

static void
modules_are_named_once_and_well(void **state)
{
	struct fixture *f = *state;

	assert_loads(f,
	    "[redis]\nmodules = bloom, ?search, /x/y.so A B\nmodule_path = /a /b\n[module-bloom]\n"
	    "path = /z.so\nargs = ERROR_RATE 0.1\n",
	    NULL, NULL);
	assert_only_fault(
	    f, "[redis]\nmodules = ?bl/oom\n", "test.ini:2:", "neither a name of the catalogue");
	assert_only_fault(
	    f, "[redis]\nmodules = bloom, bloom A\n", "test.ini:2:", "names bloom twice");
	assert_only_fault(f, "[redis]\nmodules = /x/\n", "test.ini:2:", "names no file");
	assert_only_fault(f, "[redis]\nmodules = bloom A\n[module-bloom]\nargs = B\n",
	    "test.ini:2:", "stand in two places");
	assert_only_fault(f, "[redis]\nmodules = bloom\n[module-bloom]\npath = x.so\n",
	    "test.ini:2:", "no absolute path");
	assert_only_fault(f, "[redis]\nmodule_path = here\n", "test.ini:2:", "no absolute path");
}

static void
half_of_the_credentials_is_refused(void **state)
{
	struct fixture *f = *state;

	assert_only_fault(f, "[acl-x]\nuser = u\n", "acl-x:", "a user and no password");
	assert_only_fault(f, "[acl-x]\npassword = p\n", "acl-x:", "a password and no user");
	assert_loads(f, "[acl-x]\nuser = u\npassword = p\n", NULL, NULL);
}

static void
defaults_written_out_are_accepted(void **state)
{
	struct fixture *f = *state;

	assert_loads(f,
	    "[proxy]\ntls_cert = none\ndurability = 0\n[redis]\nmodules = none\nprobe_ms = 1s\n",
	    NULL, NULL);
}

#define SECRET "[holdfast]\nsecret = 0123456789abcdef0123456789abcdef\n"
#define HOSTS                                                                                      \
	"[peer-a]\naddress = 10.0.0.1\n[peer-b]\naddress = 10.0.0.2\n[peer-c]\naddress = "         \
	"10.0.0.3\n"                                                                               \
	"[redis]\nallow_open = yes\n"

static void
hosts_that_are_no_cluster(void **state)
{
	struct fixture *f = *state;

	assert_loads(f, SECRET "node = b\n" HOSTS, NULL, NULL);
	assert_loads(f, SECRET "address = 10.0.0.9\n" HOSTS, NULL, NULL);
	assert_only_fault(f, "[holdfast]\nnode = b\n" HOSTS, "holdfast.secret", "is missing");
	assert_only_fault(f, "[holdfast]\nsecret = short\n", "test.ini:2:", "32 to 128 letters");
	assert_only_fault(
	    f, "[holdfast]\nsecret = 0123456789abcdef0123456789abcde>\n", "test.ini:2:", "digits");
	assert_only_fault(f, SECRET "node = x\n" HOSTS, "none of the peers", "'x'");
	assert_only_fault(f, SECRET "address = 10.0.0.2\n" HOSTS, "peer-b", "this host's own");
	assert_only_fault(
	    f, SECRET "node = b\naddress = 10.0.0.9\n" HOSTS, "test.ini:4:", "take it out");
	assert_only_fault(f, SECRET "node = b\n" HOSTS "instances = 2\n", "test.ini:", "must be 1");
	assert_only_fault(
	    f, SECRET "node = b\n" HOSTS "[sentinel]\ninstances = 3\n", "test.ini:", "must be 1");
	assert_only_fault(f, SECRET "node = b\n" HOSTS "[peer-d]\naddress = 10.0.0.3\n",
	    "peer-c and peer-d", "same address");
	/* where nobody is reached */
	assert_only_fault(f, SECRET "node = b\n" HOSTS "[peer-d]\naddress = 0.0.0.0\n",
	    "peer-d.address 0.0.0.0", "no address of a host");
	assert_only_fault(f, SECRET "node = b\n" HOSTS "[peer-d]\naddress = ::\n",
	    "peer-d.address ::", "no address of a host");
}

static void
tls_that_is_not_whole(void **state)
{
	struct fixture *f = *state;
	char *pair =
	    xasprintf("[http]\nlisten = tls:127.0.0.1:1\ntls_cert = %s/c.pem\ntls_key = %s/k.pem\n",
		f->dir, f->dir);

	assert_only_fault(f, "[proxy]\nlisten = 127.0.0.1:1 tls:127.0.0.1:2\n",
	    "test.ini:2:", "tls:127.0.0.1:2 needs proxy.tls_cert and proxy.tls_key");
	assert_only_fault(
	    f, "[http]\nlisten = tls:127.0.0.1:2\ntls_key = /k\n", "test.ini:2:", "http.tls_cert");
	assert_only_fault(f, "[proxy]\nlisten = 127.0.0.1:1\ndurable_listen = tls:127.0.0.1:2\n",
	    "test.ini:3:", "tls:127.0.0.1:2 needs proxy.tls_cert and proxy.tls_key");
	assert_only_fault(f, "[proxy]\nlisten = 127.0.0.1:1\nread_listen = tls:127.0.0.1:2\n",
	    "test.ini:3:", "tls:127.0.0.1:2 needs proxy.tls_cert and proxy.tls_key");
	assert_only_fault(f, "[proxy]\ntls_ca = /x\n",
	    "test.ini:2:", "no address of proxy.listen begins with tls:");
	assert_only_fault(f, "[proxy]\nlisten = tls:127.0.0.1:2\ntls_cert = c.pem\ntls_key = /k\n",
	    "test.ini:3:", "no absolute path");
	assert_only_fault(f, "[proxy]\nlisten = tls:unix:/x\n", "test.ini:2:", "no TLS");
	assert_int_equal(
	    fixture_load(f, "[proxy]\nlisten = 127.0.0.1:2 tls:127.0.0.1:2\n", NULL, NULL),
	    -EINVAL);
	assert_fault(f, "test.ini:2:", "would both listen on");
	assert_only_fault(f, pair, "test.ini:3:", "certificate cannot be read");
	/* nobody listens: nothing is read */
	assert_loads(f, "[proxy]\nlisten = none\ntls_cert = /x\n", NULL, NULL);
	free(pair);
}

static void
ports_that_collide(void **state)
{
	struct fixture *f = *state;

	assert_only_fault(f, "[redis]\nport = 6379\n", "test.ini:2:", "redis-2 and proxy.listen");
	assert_only_fault(
	    f, "[http]\nlisten = 127.0.0.1:6380\n", "test.ini:2:", "proxy.listen and http.listen");
	assert_only_fault(f, "[redis-3]\nport = 6381\n", "test.ini:2:", "redis-1 and redis-3");
	assert_only_fault(
	    f, "[proxy]\nlisten = 0.0.0.0:26381\nallow_open = yes\n", "test.ini:2:", "sentinel-1");
	assert_only_fault(f, "[redis]\nport = 65534\n", "test.ini:2:", "no port for redis-3");
	assert_only_fault(f, "[sentinel]\nport = 65535\n", "test.ini:2:", "no port for sentinel-2");
	assert_only_fault(
	    f, "[proxy]\nlisten = unix:/x\n[http]\nlisten = unix:/x\n", "test.ini:4:", "unix:/x");
	assert_loads(f, "[proxy]\nlisten = [::1]:7379\n", NULL, NULL);
	/* IPv6 sockets here take no IPv4 clients. */
	assert_loads(f, "[proxy]\nlisten = [::]:7379\nallow_open = yes\n", NULL, NULL);
}

/* A contradiction is shown where the value comes from that counts. */
static void
places_of_contradictions(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(
	    fixture_load(f, "[redis-2]\nport = 6380\n", NULL, STRINGS("redis.port=7001")), -EINVAL);
	assert_fault(f, "test.ini:2:", "proxy.listen");
	assert_int_equal(f->faults.count, 1);
	assert_int_equal(
	    fixture_load(f, "[http]\nlisten = 0.0.0.0:1\n", NULL, STRINGS("http.listen=junk")),
	    -EINVAL);
	assert_fault(f, "test.ini:2:", "http.allow_open");
	assert_fault(f, "-s http.listen:", "junk");
	assert_int_equal(
	    fixture_load(f, "[sentinel]\nquorum = 1\n", NULL, STRINGS("sentinel.quorum=4")),
	    -EINVAL);
	assert_fault(f, "-s sentinel.quorum:", "never be reached");
}

/* A password that some rule asks for is no authentication of the listener. */
static void
open_by_rules(void **state)
{
	static const char *const open[] = {
	    "[acl-bob]\nuser = bob\npassword = x\nenabled = *\n",
	    "[acl-all]\ndisabled = DEBUG\n[acl-bob]\nuser = bob\npassword = x\nenabled = DEBUG\n",
	    "[acl-office]\ncidr = 10.0.0.0/8\ndisabled = *\n[acl-bob]\nuser = bob\npassword = "
	    "x\nenabled = *\n",
	    "[acl-all]\ndisabled = *\n[acl-bob]\nuser = bob\npassword = x\n[acl-more]\nenabled = "
	    "*\n",
	    "[acl-all]\ndisabled = *\n[acl-bob]\nuser = bob\npassword = x\n[acl-more]\ncidr = "
	    "0.0.0.0/0\nenabled = *\n",
	    "[acl-all]\ndisabled = *\n[acl-bob]\nuser = bob\npassword = x\n[acl-more]\ncidr = "
	    "::/0\nenabled = *\n",
	    "[acl-bob]\nuser = bob\npassword = x\ndisabled = *\n",
	    "[acl-all]\ndisabled = *\n[acl-office]\ncidr = 10.0.0.0/8\nenabled = *\n",
	};
	static const char *const closed[] = {
	    "[acl-all]\ndisabled = *\n[acl-bob]\nuser = bob\npassword = x\nenabled = *\n",
	    "[acl-all]\nenabled = GET\ndisabled = *\n[acl-bob]\nuser = bob\npassword = x\nenabled "
	    "= *\n",
	    "[acl-all]\ndisabled = *\n[acl-office]\ncidr = 10.0.0.0/8\nenabled = "
	    "*\n[acl-bob]\nuser = "
	    "bob\npassword = x\nenabled = *\n",
	    "[acl-all]\ndisabled = *\n[acl-any]\nenabled = GET, MGET\n[acl-bob]\nuser = "
	    "bob\npassword = "
	    "x\nenabled = *\n",
	};
	struct fixture *f = *state;
	char text[512];

	for (size_t i = 0; i < ARRAY_LEN(open); i++) {
		(void)snprintf(text, sizeof(text), "[http]\nlisten = 0.0.0.0:7379\n%s", open[i]);
		assert_only_fault(f, text, "test.ini:2:", "disabled = *");
	}
	for (size_t i = 0; i < ARRAY_LEN(closed); i++) {
		(void)snprintf(text, sizeof(text), "[http]\nlisten = 0.0.0.0:7379\n%s", closed[i]);
		assert_loads(f, text, NULL, NULL);
	}
}

static void
open_doors(void **state)
{
	struct fixture *f = *state;

	assert_only_fault(f, "[redis]\nbind = 0.0.0.0\n", "test.ini:2:", "redis.allow_open");
	assert_only_fault(f, "[proxy]\nlisten = *:6380\n", "test.ini:2:", "no address");
	assert_only_fault(f, "[proxy]\nlisten = 0.0.0.0:6380\n", "test.ini:2:", "proxy.allow_open");
	assert_only_fault(
	    f, "[proxy]\nlisten = 127.0.0.1:1,[::]:6380\n", "test.ini:2:", "[::]:6380");
	assert_only_fault(f, "[http]\nlisten = 0.0.0.0:7379\n[redis]\npassword=x\n",
	    "test.ini:2:", "http.allow_open");
	assert_only_fault(f, "[sentinel]\nbind = 0.0.0.0\n[redis]\npassword=x\n",
	    "test.ini:2:", "sentinel.allow_open");
	assert_only_fault(f, "[redis-2]\nbind = *\n", "test.ini:2:", "redis.allow_open");
	assert_loads(f, "[proxy]\nlisten = 0.0.0.0:6380\n[redis]\npassword = x\nbind = 0.0.0.0\n",
	    NULL, NULL);
	assert_loads(f, "[proxy]\nlisten = 0.0.0.0:6380\nallow_open = yes\n", NULL, NULL);
	assert_loads(f, "[http]\nlisten = 0.0.0.0:7379\nallow_open = yes\n", NULL, NULL);
	assert_loads(f, "[proxy]\nlisten = unix:/x [::1]:1 127.9.9.9:1 localhost:2\n", NULL, NULL);
}

static void
numbers_that_contradict(void **state)
{
	struct fixture *f = *state;

	assert_only_fault(f, "[sentinel]\nquorum = 4\n", "test.ini:2:", "never be reached by 3");
	assert_only_fault(f, "[sentinel]\ninstances = 2\n", "test.ini:2:", "odd number");
	assert_only_fault(f, "[http]\ndatabase = 16\n", "test.ini:2:", "redis.databases is 16");
	assert_only_fault(f, "[redis]\ndatabases = 4\n[http]\ndatabase = 4\n",
	    "test.ini:4:", "redis.databases is 4");
	assert_only_fault(f,
	    "[holdfast]\naddress = 192.0.2.1\n[sentinel]\nbind = *\nallow_open = "
	    "yes\n[redis]\ninstances=1\n",
	    "test.ini:2:", "redis-1 does not listen on holdfast.address 192.0.2.1");
	assert_loads(f,
	    "[holdfast]\naddress = 192.0.2.1\n[redis]\nbind = *\npassword = x\n[sentinel]\nbind = "
	    "192.0.2.1\n"
	    "allow_open = yes\n",
	    NULL, NULL);
}

static void
sizes_that_are_too_large(void **state)
{
	struct fixture *f = *state;
	char *text, *big = xcalloc(CONF_FILE_MAX + 2, 1);
	struct buf many;

	text = xasprintf("[redis]\n# %5000s\nconfig.hz = %5000s\npassword = ok\n", "x", "x");
	assert_int_equal(fixture_load(f, text, NULL, NULL), -EINVAL);
	assert_fault(f, "test.ini:2:", "too long");
	assert_fault(f, "test.ini:3:", "too long");
	assert_int_equal(f->faults.count, 2);
	free(text);
	memset(big, '\n', CONF_FILE_MAX);
	assert_loads(f, big, NULL, NULL);
	big[CONF_FILE_MAX] = '\n';
	assert_only_fault(f, big, "test.ini:", "too large: at most 65536 bytes");
	free(big);
	buf_init(&many, 0);
	assert_int_equal(buf_add_str(&many, "[redis]\n"), 0);
	for (int i = 0; i <= CONF_CONFIG_MAX; i++) {
		assert_int_equal(buf_addf(&many, "config.x%d = 1\n", i), 0);
	}
	assert_int_equal(buf_add(&many, "", 1), 0);
	assert_int_equal(fixture_load(f, (const char *)buf_slice(&many).ptr, NULL, NULL), -EINVAL);
	assert_fault(f, "test.ini:130:", "at most 128");
	buf_fini(&many);
}

/* The supervisor hands all of it to a worker in one message. */
static void
the_whole_is_bounded(void **state)
{
	struct fixture *f = *state;
	char *value = xcalloc(4001, 1), *variable;
	struct buf text;

	memset(value, 'x', 4000);
	variable = xasprintf("V=%s", value);
	buf_init(&text, 0);
	assert_int_equal(buf_add_str(&text, "[redis]\n"), 0);
	for (int i = 0; i < 30; i++) {
		assert_int_equal(buf_addf(&text, "config.x%d = $V\n", i), 0);
	}
	assert_int_equal(buf_add(&text, "", 1), 0);
	assert_int_equal(
	    fixture_load(f, (const char *)buf_slice(&text).ptr, STRINGS(variable), NULL), -EINVAL);
	assert_fault(f, "the configuration as a whole", "at most 96 KiB");
	buf_fini(&text);
	free(variable);
	free(value);
}

static void
no_file(void **state)
{
	struct fixture *f = *state;
	struct conf_sources src = {
	    .file = scratch_path(f->dir, "missing.ini"), .data_dir = "/data"};

	assert_int_equal(conf_load(&src, &f->conf, &f->faults), -EINVAL);
	assert_fault(f, "missing.ini:", "No such file");
	fixture_forget(f);
	src.file = f->dir;
	assert_int_equal(conf_load(&src, &f->conf, &f->faults), -EINVAL);
	assert_int_equal(f->faults.count, 1);
	assert_non_null(strstr(f->faults.items[0], "directory"));
	/* A fifo that nobody writes into must not stop the supervisor. */
	fixture_forget(f);
	src.file = scratch_path(f->dir, "fifo");
	assert_int_equal(mkfifo(src.file, 0600), 0);
	assert_int_equal(conf_load(&src, &f->conf, &f->faults), -EINVAL);
	assert_fault(f, "fifo:", "no regular file");
}

static void
arguments(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fixture_load(f, NULL, NULL,
			     STRINGS("proxy.workers", "workers=1", ".x=1", "proxy.=1", "=",
				 "proxy.workers=x", "nope.x=1", "proxy.nope=1")),
	    -EINVAL);
	assert_fault(f, "-s proxy.workers:", "SECTION.KEY=VALUE");
	assert_fault(f, "-s workers:", "SECTION.KEY=VALUE");
	assert_fault(f, "-s .x:", "SECTION.KEY=VALUE");
	assert_fault(f, "-s proxy.:", "SECTION.KEY=VALUE");
	assert_fault(f, "-s :", "SECTION.KEY=VALUE");
	assert_fault(f, "-s proxy.workers:", "does not take \"x\"");
	assert_fault(f, "-s nope.x:", "no section");
	assert_fault(f, "-s proxy.nope:", "nearest");
}

static void
all_faults_in_one_run(void **state)
{
	struct fixture *f = *state;

	assert_int_equal(fixture_load(f,
			     "[proxy]\nlisen = 1\nworkers = 0\n[nope]\n[redis]\nport = "
			     "x\nconfig.dir = /\n[sentinel]\nquorum = 5\n",
			     STRINGS("HOLDFAST_HTTP_WORKERS=none", "SENTINEL_FAILOVER=soon"),
			     STRINGS("http.database=-1")),
	    -EINVAL);
	assert_fault(f, "test.ini:2:", "");
	assert_fault(f, "test.ini:3:", "");
	assert_fault(f, "test.ini:4:", "");
	assert_fault(f, "test.ini:6:", "");
	assert_fault(f, "test.ini:7:", "");
	assert_fault(f, "test.ini:9:", "");
	assert_fault(f, "HOLDFAST_HTTP_WORKERS:", "");
	assert_fault(f, "SENTINEL_FAILOVER:", "");
	assert_fault(f, "-s http.database:", "");
	assert_int_equal(f->faults.count, 9);
	/* Those of the file come first, in its order. */
	assert_non_null(strstr(f->faults.items[0], "test.ini:2:"));
	assert_non_null(strstr(f->faults.items[5], "test.ini:9:"));
}

static void
faults_are_bounded(void **state)
{
	struct fixture *f = *state;
	struct buf text;

	buf_init(&text, 0);
	for (int i = 0; i < CONF_FAULTS_MAX + 10; i++) {
		assert_int_equal(buf_addf(&text, "[nope%d]\n", i), 0);
	}
	assert_int_equal(buf_add(&text, "", 1), 0);
	assert_int_equal(fixture_load(f, (const char *)buf_slice(&text).ptr, NULL, NULL), -EINVAL);
	assert_int_equal(f->faults.count, CONF_FAULTS_MAX);
	assert_int_equal(f->faults.dropped, 10);
	buf_fini(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)
	    TEST(unknown_names),
	    TEST(unknown_variables),
	    TEST(lines_that_say_nothing),
	    TEST(nul_bytes),
	    TEST(duplicates),
	    TEST(values_out_of_range),
	    TEST(redis_directives),
	    TEST(values_from_elsewhere),
	    TEST(secrets_are_not_shown),
	    TEST(modules_are_named_once_and_well),
	    TEST(half_of_the_credentials_is_refused),
	    TEST(defaults_written_out_are_accepted),
	    TEST(hosts_that_are_no_cluster),
	    TEST(tls_that_is_not_whole),
	    TEST(ports_that_collide),
	    TEST(places_of_contradictions),
	    TEST(open_doors),
	    TEST(open_by_rules),
	    TEST(numbers_that_contradict),
	    TEST(sizes_that_are_too_large),
	    TEST(the_whole_is_bounded),
	    TEST(no_file),
	    TEST(arguments),
	    TEST(all_faults_in_one_run),
	    TEST(faults_are_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
