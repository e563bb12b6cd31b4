/* The sides of the system that `holdfast check` looks at: programs, ports, folders; with real ones, small and bounded. */
#include <errno.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "cli/check.h"
#include "conf_fixture.h"
#include "ctl/ctl.h"
#include "net/listener.h"
#include "net/loop.h"

static const char *
make_script(struct fixture *f, const char *name, const char *text)
{
	const char *path = scratch_path(f->dir, name);

	fixture_write(f, name, text, strlen(text));
	assert_int_equal(chmod(path, 0755), 0);
	return path;
}

static void
versions(void **state)
{
	struct fixture *f = *state;
	struct errmsg err = ERRMSG_NONE;
	char version[64] = "";

	assert_int_equal(check_version(make_script(f, "r",
					   "#!/bin/sh\necho Redis server v=7.0.15 sha=0 bits=64\n"),
			     version, &err),
	    0);
	assert_string_equal(version, "7.0.15");
	assert_int_equal(
	    check_version(make_script(f, "v", "#!/bin/sh\necho Valkey server v=8.1.0-rc1 x\n"),
		version, &err),
	    0);
	assert_string_equal(version, "8.1.0");
}

static void
programs_that_are_no_servers(void **state)
{
	struct fixture *f = *state;
	struct errmsg err = ERRMSG_NONE;
	char version[64] = "";

	assert_int_equal(
	    check_version(make_script(f, "a", "#!/bin/sh\necho hello\n"), version, &err), -EPROTO);
	assert_non_null(strstr(err.text, "names no version"));
	assert_int_equal(
	    check_version(make_script(f, "b", "#!/bin/sh\necho ' v=1.0'; exit 1\n"), version, &err),
	    -EPROTO);
	assert_int_equal(
	    check_version(
		make_script(f, "c", "#!/bin/sh\nwhile :; do echo ' v=1.0'; done\n"), version, &err),
	    -ENOBUFS);
	assert_non_null(strstr(err.text, "said too much"));
	assert_int_equal(check_version(scratch_path(f->dir, "missing"), version, &err), -ENOENT);
	assert_string_equal(version, "");
}

static void
servers(void **state)
{
	struct fixture *f = *state;
	const char *old = make_script(f, "old", "#!/bin/sh\necho Redis server v=6.0.9 x\n");
	const char *good = make_script(f, "good", "#!/bin/sh\necho Redis server v=6.2.0 x\n");
	char *sets[4];

	sets[0] = xasprintf("redis.server=%s", old);
	sets[1] = xasprintf("sentinel.server=%s", good);
	sets[2] = xasprintf("redis-2.server=%s/missing", f->dir);
	sets[3] = xasprintf("redis-3.server=%s", good);
	assert_loads(f, NULL, NULL, STRINGS(sets[0], sets[1], sets[2], sets[3]));
	check_programs(f->conf, &f->faults);
	assert_fault(f, "old is version 6.0.9", "6.2 or newer");
	assert_fault(f, "redis.server:", "missing is not there");
	assert_int_equal(f->faults.count, 2);
	for (size_t i = 0; i < ARRAY_LEN(sets); i++) {
		free(sets[i]);
	}
}

#define PORTS                                                                                      \
	"[redis]\nport=21010\n[sentinel]\nport=21020\n[proxy]\nlisten=127.0.0.1:21030\n[http]"     \
	"\nlisten=127.0.0.1:21040\n"

static void
ports_of_others(void **state)
{
	struct fixture *f = *state;
	struct endpoint redis = endpoint_tcp("127.0.0.1", 21011),
			http = endpoint_tcp("127.0.0.1", 21040);
	struct errmsg err = ERRMSG_NONE;
	int fds[2];

	assert_loads(f, PORTS, NULL, NULL);
	check_listeners(f->conf, &f->faults);
	assert_int_equal(f->faults.count, 0);
	assert_int_equal(listener_bind(&redis, &fds[0], &err), 0);
	assert_int_equal(listener_bind(&http, &fds[1], &err), 0);
	check_listeners(f->conf, &f->faults);
	assert_fault(f, "redis-2: port 21011", "in use");
	assert_fault(f, "http.listen: port 21040", "in use");
	assert_int_equal(f->faults.count, 2);
	(void)close(fds[0]);
	(void)close(fds[1]);
}

static void
on_status(struct ctl_request *req, const json_t *args, void *owner)
{
	ctl_done(req, json_pack("{s:{s:[]}}", "status", "instances"));
}

/* A supervisor of the folder: answers on the control socket, holds a port and a unix socket. */
static pid_t
start_supervisor(struct fixture *f, const struct endpoint *ep, const char *unix_path)
{
	static const struct ctl_command commands[] = {{"status", on_status}};
	struct endpoint door = {.kind = ENDPOINT_UNIX};
	struct errmsg err = ERRMSG_NONE;
	int ready[2], fd;
	char byte;
	pid_t pid;

	assert_int_equal(pipe(ready), 0);
	pid = fork();
	assert_true(pid >= 0);
	if (pid == 0) {
		struct loop *loop = loop_new();
		char *path = xasprintf("%s/control.sock", f->dir);
		bool good;

		(void)snprintf(door.host, sizeof(door.host), "%s", unix_path);
		good = ctl_server_new(loop, path, commands, 1, NULL, &err) != NULL &&
		       listener_bind(ep, &fd, &err) == 0 && listener_bind(&door, &fd, &err) == 0 &&
		       write(ready[1], "x", 1) == 1;
		if (good) {
			loop_run(loop);
		}
		_exit(1);
	}
	(void)close(ready[1]);
	assert_int_equal(read(ready[0], &byte, 1), 1);
	(void)close(ready[0]);
	return pid;
}

static void
ports_of_our_own_supervisor(void **state)
{
	struct fixture *f = *state;
	struct endpoint ours = endpoint_tcp("127.0.0.1", 21040),
			foreign = endpoint_tcp("127.0.0.1", 21011);
	struct errmsg err = ERRMSG_NONE;
	const char *door = scratch_path(f->dir, "door");
	char *proxy = xasprintf("proxy.listen=unix:%s", door);
	struct stat st;
	pid_t pid;
	int fd;

	pid = start_supervisor(f, &ours, door);
	assert_int_equal(listener_bind(&foreign, &fd, &err), 0);
	assert_loads(f, PORTS, NULL, STRINGS(proxy));
	free(f->conf->data_dir);
	f->conf->data_dir = xstrdup(f->dir);
	check_listeners(f->conf, &f->faults);
	assert_fault(f, "redis-2: port 21011", "in use");
	assert_int_equal(f->faults.count, 1);
	/* Looking must not have taken its unix socket away. */
	assert_int_equal(stat(door, &st), 0);
	(void)close(fd);
	assert_int_equal(kill(pid, SIGKILL), 0);
	assert_int_equal(waitpid(pid, NULL, 0), pid);
	/* With nobody behind the control socket the port is free again, and the socket is a leftover. */
	check_listeners(f->conf, &f->faults);
	assert_int_equal(f->faults.count, 1);
	free(proxy);
}

static void
addresses_of_others(void **state)
{
	struct fixture *f = *state;

	assert_loads(f,
	    "[http]\nlisten = 192.0.2.1:21041\nallow_open = yes\n[proxy]\nlisten = "
	    "unix:/nowhere/at/all\n"
	    "[redis]\nport=21010\n[sentinel]\nport=21020\n",
	    NULL, NULL);
	check_listeners(f->conf, &f->faults);
	assert_fault(f, "http.listen:", "no address of this host");
	assert_fault(f, "proxy.listen:", "unix:/nowhere/at/all");
}

static void
set_dir(struct fixture *f, const char *dir)
{
	assert_loads(f, NULL, NULL, NULL);
	free(f->conf->data_dir);
	f->conf->data_dir = xstrdup(dir);
}

static void
folders(void **state)
{
	struct fixture *f = *state;

	set_dir(f, scratch_path(f->dir, "new/one"));
	check_folders(f->conf, &f->faults);
	assert_int_equal(f->faults.count, 0);
	fixture_write(f, "file", "", 0);
	set_dir(f, scratch_path(f->dir, "file"));
	check_folders(f->conf, &f->faults);
	assert_fault(f, "data folder", "no folder");
	set_dir(f, scratch_path(f->dir, "file/below"));
	check_folders(f->conf, &f->faults);
	assert_fault(f, "data folder", "Not a directory");
}

static void
folders_of_others(void **state)
{
	struct fixture *f = *state;

	if (geteuid() == 0) {
		print_message("left out as root, who may write anywhere\n");
		skip();
	}
	assert_int_equal(mkdir(scratch_path(f->dir, "shut"), 0500), 0);
	set_dir(f, scratch_path(f->dir, "shut/dir"));
	check_folders(f->conf, &f->faults);
	assert_fault(f, "data folder", "cannot be written");
	set_dir(f, f->dir);
	assert_int_equal(mkdir(scratch_path(f->dir, "redis-1"), 0500), 0);
	check_folders(f->conf, &f->faults);
	assert_fault(f, "redis-1", "give it to the user");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)
	    TEST(versions),
	    TEST(programs_that_are_no_servers),
	    TEST(servers),
	    TEST(ports_of_others),
	    TEST(ports_of_our_own_supervisor),
	    TEST(addresses_of_others),
	    TEST(folders),
	    TEST(folders_of_others),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
