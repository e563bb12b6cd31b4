/*
 * The command line as a user meets it: each test runs cli_main in a process of its own and looks at
 * exit code, standard output and standard error. Where a supervisor is needed, a child plays it
 * with canned answers over a real control socket.
 */
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>

#include <cmocka.h>

#include "base/mem.h"
#include "cli/cli.h"
#include "ctl/ctl.h"
#include "scratch.h"

static char *dir;
static pid_t supervisor_pid;

/* --- running --------------------------------------------------------------------------------- */

static struct {
	int code;
	char out[16384], err[4096];
} result;

static void
read_back(const char *name, char *into, size_t size)
{
	FILE *f = fopen(scratch_path(dir, name), "re");
	size_t n;

	assert_non_null(f);
	n = fread(into, 1, size - 1, f);
	into[n] = '\0';
	(void)fclose(f);
}

static pid_t
start(int out_fd, int err_fd, const char *const *args)
{
	pid_t pid = fork();

	assert_int_not_equal(pid, -1);
	if (pid == 0) {
		char *argv[32] = {strdup("holdfast")};
		int argc = 1, code;

		for (; args[argc - 1] != NULL; argc++) {
			argv[argc] = strdup(args[argc - 1]);
		}
		(void)dup2(out_fd, STDOUT_FILENO);
		(void)dup2(err_fd, STDERR_FILENO);
		code = cli_main(argc, argv);
		(void)fflush(NULL);
		_exit(code);
	}
	return pid;
}

/* Runs `holdfast ARGS…` and fills `result`; the last argument is NULL. */
static void
run(const char *const *args)
{
	int out = open(scratch_path(dir, "out"), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	int err = open(scratch_path(dir, "err"), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, 0600);
	int status;
	pid_t pid;

	pid = start(out, err, args);
	(void)close(out);
	(void)close(err);
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	result.code = WEXITSTATUS(status);
	read_back("out", result.out, sizeof(result.out));
	read_back("err", result.err, sizeof(result.err));
}

#define RUN(...) run((const char *const[]){__VA_ARGS__, NULL})

static void
assert_says(const char *text, const char *part)
{
	if (strstr(text, part) == NULL) {
		fail_msg("'%s' is not in: %s", part, text);
	}
}

/* A usage error: exit code 2, one line that begins with our name, nothing on standard output. */
static void
assert_usage(const char *part)
{
	assert_says(result.err, part);
	assert_int_equal(result.code, CLI_USAGE);
	assert_int_equal(strncmp(result.err, "holdfast: ", 10), 0);
	assert_string_equal(result.out, "");
}

/* --- the supervisor that is played ----------------------------------------------------------- */

static struct ctl_request *follower;

static json_t *
an_event(int id)
{
	return json_pack("{s:{s:i, s:s, s:s, s:s, s:s, s:{}}}", "event", "id", id, "time",
	    "2026-01-02T03:04:05.678Z", "kind", "instance.ready", "subject", "redis-1", "text",
	    "redis-1 is ready", "detail");
}

static void
on_status(struct ctl_request *req, const json_t *args, void *owner)
{
	bool ready = access(scratch_path(dir, "degraded"), F_OK) == -1;

	ctl_done(
	    req, json_pack("{s:{s:s, s:s, s:[{s:s, s:s, s:i}, {s:s, s:s, s:i}, {s:s, s:s, s:i},"
			   " {s:s, s:s, s:i, s:[s]}]}}",
		     "status", "name", "main", "state", ready ? "ready" : "degraded", "instances",
		     "name", "redis-1", "kind", "redis", "port", 6381, "name", "sentinel-1", "kind",
		     "sentinel", "port", 26381, "name", "http-1", "kind", "http", "port", 7379,
		     "name", "proxy-1", "kind", "proxy", "port", 6380, "listen", "0.0.0.0:6380"));
}

static void
on_events(struct ctl_request *req, const json_t *args, void *owner)
{
	for (uint64_t i = 0; i < ctl_arg_count(args, "n", 0) && i < 3; i++) {
		(void)ctl_send(req, an_event((int)i + 1));
	}
	if (ctl_arg_bool(args, "follow")) {
		follower = req;
	} else {
		ctl_done(req, NULL);
	}
}

static void
on_logs(struct ctl_request *req, const json_t *args, void *owner)
{
	const char *name = ctl_arg_text(args, "name");

	if (name != NULL && strcmp(name, "redis-1") != 0) {
		ctl_fail(req, CTL_EXIT_FAILED, "there is no instance '%s'", name);
		return;
	}
	(void)ctl_send(
	    req, json_pack("{s:{s:s, s:s}}", "log", "name", "redis-1", "line", "a \033[1m"));
	ctl_done(req, NULL);
}

static void
on_failover(struct ctl_request *req, const json_t *args, void *owner)
{
	const char *to = ctl_arg_text(args, "to");

	ctl_done(
	    req, json_pack("{s:{s:s, s:s, s:i, s:i}}", "master", "name",
		     to != NULL ? to : "redis-2", "host", "127.0.0.1", "port", 6382, "epoch", 5));
}

/* start: one more event for the follower; stop: too early; restart: unknown */
static void
on_start(struct ctl_request *req, const json_t *args, void *owner)
{
	if (follower != NULL) {
		(void)ctl_send(follower, an_event(4));
	}
	ctl_done(req, NULL);
}

static void
on_stop(struct ctl_request *req, const json_t *args, void *owner)
{
	ctl_fail(req, CTL_EXIT_NOT_READY, "everything is being stopped");
}

static void
on_reload(struct ctl_request *req, const json_t *args, void *owner)
{
	if (access(scratch_path(dir, "bad"), F_OK) == 0) {
		ctl_fail_with(req, CTL_EXIT_CONFIG,
		    json_pack("{s:[s, s]}", "faults", "a.ini:3: unknown key", "a.ini:9: no number"),
		    "nothing was changed");
		return;
	}
	ctl_done(
	    req, json_pack("{s:[{s:s, s:s, s:s}], s:[{s:s, s:s, s:s, s:s}]}", "applied", "option",
		     "proxy.hold_ms", "from", "1", "to", "2", "restart_needed", "option",
		     "redis.databases", "from", "16", "to", "4", "restart", "redis"));
}

static void
on_rolling(struct ctl_request *req, const json_t *args, void *owner)
{
	(void)ctl_send(req, json_pack("{s:s}", "step", "redis-2: restarts (1 of 6)"));
	ctl_fail(req, CTL_EXIT_FAILED, "the rolling restart stopped");
}

static const struct ctl_command commands[] = {
    {"rolling", on_rolling},
    {"status", on_status},
    {"events", on_events},
    {"logs", on_logs},
    {"failover", on_failover},
    {"start", on_start},
    {"stop", on_stop},
    {"reload", on_reload},
};

static void
play_supervisor(int ready)
{
	struct loop *loop = loop_new();
	struct errmsg err;

	if (ctl_server_new(loop, scratch_path(dir, CTL_SOCKET_NAME), commands, ARRAY_LEN(commands),
		NULL, &err) == NULL ||
	    write(ready, "r", 1) != 1) {
		_exit(1);
	}
	loop_run(loop);
	_exit(0);
}

static void
end_supervisor(void)
{
	if (supervisor_pid > 0) {
		assert_int_equal(kill(supervisor_pid, SIGKILL), 0);
		assert_int_equal(waitpid(supervisor_pid, NULL, 0), supervisor_pid);
		supervisor_pid = 0;
	}
}

static int
setup(void **state)
{
	dir = scratch_make();
	return dir == NULL ? -1 : setenv("HOLDFAST_DIR", dir, 1);
}

static int
setup_with_supervisor(void **state)
{
	int ends[2];
	char c;

	if (setup(state) != 0 || pipe(ends) == -1) {
		return -1;
	}
	supervisor_pid = fork();
	if (supervisor_pid == 0) {
		play_supervisor(ends[1]);
	}
	(void)close(ends[1]);
	assert_int_equal(read(ends[0], &c, 1), 1);
	(void)close(ends[0]);
	return 0;
}

static int
teardown(void **state)
{
	end_supervisor();
	scratch_remove(&dir);
	return 0;
}

static void
make_file(const char *name, const char *text, mode_t mode)
{
	int fd = open(scratch_path(dir, name), O_CREAT | O_TRUNC | O_WRONLY | O_CLOEXEC, mode);

	assert_int_equal(write(fd, text, strlen(text)), strlen(text));
	(void)close(fd);
}

/* --- finding the subcommand ------------------------------------------------------------------ */

static void
test_table_is_well_formed(void **state)
{
	size_t n = 0;

	for (const struct cli_command *c; (c = cli_command_at(n)) != NULL; n++) {
		assert_ptr_equal(cli_command_find(c->name), c);
		assert_true(strlen(c->help) > 10 && strlen(c->help) < 80);
	}
	assert_true(n >= 11);
	assert_null(cli_command_find("Status"));
}

static void
test_no_arguments(void **state)
{
	run((const char *const[]){NULL});
	assert_int_equal(result.code, CLI_USAGE);
	assert_string_equal(result.out, "");
	assert_says(result.err, "usage: holdfast SUBCOMMAND");
}

static void
test_help_lists_every_subcommand(void **state)
{
	static const char *const ways[] = {"help", "--help", "-h"};

	for (size_t w = 0; w < ARRAY_LEN(ways); w++) {
		RUN(ways[w]);
		assert_int_equal(result.code, CLI_OK);
		assert_string_equal(result.err, "");
		for (size_t i = 0; cli_command_at(i) != NULL; i++) {
			assert_says(result.out, cli_command_at(i)->name);
			assert_says(result.out, cli_command_at(i)->help);
		}
	}
}

static void
test_help_of_each_subcommand(void **state)
{
	for (size_t i = 0; cli_command_at(i) != NULL; i++) {
		const struct cli_command *c = cli_command_at(i);
		char *first = xasprintf(
		    "usage: holdfast %s%s%s\n", c->name, c->usage[0] != '\0' ? " " : "", c->usage);

		RUN("help", c->name);
		assert_int_equal(result.code, CLI_OK);
		assert_int_equal(strncmp(result.out, first, strlen(first)), 0);
		assert_says(result.out, "--help");
		RUN(c->name, "--help");
		assert_int_equal(result.code, CLI_OK);
		assert_int_equal(strncmp(result.out, first, strlen(first)), 0);
		free(first);
	}
}

static void
test_mistyped_subcommand(void **state)
{
	RUN("statsu");
	assert_usage("no subcommand 'statsu': did you mean 'status'?");
	RUN("help", "relaod");
	assert_usage("did you mean 'reload'?");
	RUN("quux");
	assert_usage("no subcommand 'quux': `holdfast help` lists all");
}

static void
test_options_before_the_subcommand(void **state)
{
	RUN("-d", "/tmp", "status");
	assert_usage("options follow the subcommand");
}

static void
test_mistyped_options(void **state)
{
	RUN("status", "--jsn");
	assert_usage("status has no option '--jsn': did you mean '--json'?");
	RUN("status", "-q");
	assert_usage("status has no option '-q'");
	RUN("failover", "-f");
	assert_usage("failover has no option '-f'");
	RUN("events", "--n=5");
	assert_usage("events has no option '--n'");
	RUN("events", "-n");
	assert_usage("option '-n' needs a value");
	RUN("events", "-n", "many");
	assert_usage("-n takes a number of 0 to 1000000, not 'many'");
	RUN("events", "-n", "-1");
	assert_usage("-n takes a number");
}

static void
test_number_of_arguments(void **state)
{
	RUN("start");
	assert_usage("start needs more arguments: holdfast start [-d DIR] NAME");
	RUN("stop", "redis-1", "redis-2");
	assert_usage("stop does not take 'redis-2'");
	RUN("version", "now");
	assert_usage("version does not take 'now'");
}

static void
test_options_in_every_shape(void **state)
{
	char *argv[] = {strdup("logs"), strdup("-fn"), strdup("7"), strdup("redis-1"),
	    strdup("--dir=/a b"), strdup("-sredis.port=1"), strdup("-s"), strdup("x=y"),
	    strdup("--"), strdup("-f"), NULL};
	struct cli_opts o;

	assert_int_equal(cli_opts_parse((int)ARRAY_LEN(argv) - 1, argv, "dnfs", 0, 2, &o), -1);
	assert_true(o.follow);
	assert_true(o.has_lines);
	assert_int_equal(o.lines, 7);
	assert_string_equal(o.dir, "/a b");
	assert_int_equal(o.set.count, 2);
	assert_string_equal(o.set.items[0], "redis.port=1");
	assert_string_equal(o.set.items[1], "x=y");
	assert_int_equal(o.arg_count, 2);
	assert_string_equal(o.args[0], "redis-1");
	assert_string_equal(o.args[1], "-f");
	cli_opts_fini(&o);
	for (size_t i = 0; i < ARRAY_LEN(argv); i++) {
		free(argv[i]);
	}
}

static void
test_version_names_the_libraries(void **state)
{
	static const char *const names[] = {
	    ("holdfast " PACKAGE_VERSION), "libev", "hiredis", "sqlite", "jansson"};

	RUN("version");
	assert_int_equal(result.code, CLI_OK);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		assert_says(result.out, names[i]);
	}
	RUN("--version");
	assert_int_equal(result.code, CLI_OK);
}

/* --- asking ---------------------------------------------------------------------------------- */

static void
test_nobody_supervises(void **state)
{
	static const char *const asking[] = {
	    "status", "events", "logs", "failover", "reload", "cli"};
	char *words = xasprintf(
	    "holdfast: nobody supervises %s: start it with `holdfast run -d %s`\n", dir, dir);

	for (size_t i = 0; i < ARRAY_LEN(asking); i++) {
		RUN(asking[i]);
		assert_int_equal(result.code, CLI_NOT_READY);
		assert_string_equal(result.err, words);
		assert_string_equal(result.out, "");
	}
	RUN("stop", "redis-1", "-d", dir);
	assert_int_equal(result.code, CLI_NOT_READY);
	free(words);
}

static void
test_status_exit_code_follows_the_state(void **state)
{
	RUN("status");
	assert_int_equal(result.code, CLI_OK);
	assert_says(result.out, "main is ready");
	make_file("degraded", "", 0600);
	RUN("status");
	assert_int_equal(result.code, CLI_NOT_READY);
	assert_says(result.out, "main is degraded");
	assert_string_equal(result.err, "");
}

static void
test_status_json_is_the_document_on_one_line(void **state)
{
	json_t *status;

	RUN("status", "--json");
	assert_int_equal(result.code, CLI_OK);
	assert_ptr_equal(strchr(result.out, '\n'), result.out + strlen(result.out) - 1);
	status = json_loads(result.out, 0, NULL);
	assert_string_equal(json_string_value(json_object_get(status, "state")), "ready");
	assert_int_equal(json_array_size(json_object_get(status, "instances")), 4);
	json_decref(status);
	make_file("degraded", "", 0600);
	RUN("status", "--json");
	assert_int_equal(result.code, CLI_NOT_READY);
}

/* Reads one line of a pipe; "" at its end. */
static const char *
read_one_line(int fd)
{
	static char line[4096];
	size_t n = 0;

	while (n < sizeof(line) - 1 && read(fd, &line[n], 1) == 1) {
		if (line[n++] == '\n') {
			break;
		}
	}
	line[n] = '\0';
	return line;
}

static void
test_watch_shows_again_after_an_event(void **state)
{
	int ends[2], err = open("/dev/null", O_WRONLY | O_CLOEXEC), status;
	pid_t pid;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid = start(ends[1], err, (const char *const[]){"status", "--json", "--watch", NULL});
	(void)close(ends[1]);
	assert_says(read_one_line(ends[0]), "\"ready\"");
	make_file("degraded", "", 0600);
	RUN("start", "redis-1"); /* tells the follower an event */
	for (int i = 0; i < 100; i++) {
		if (strstr(read_one_line(ends[0]), "\"degraded\"") != NULL) {
			break;
		}
		assert_int_not_equal(i, 99);
	}
	end_supervisor();
	while (read_one_line(ends[0])[0] != '\0') {
		/* until it has seen that */
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFEXITED(status));
	assert_int_equal(WEXITSTATUS(status), CLI_NOT_READY);
	(void)close(ends[0]);
	(void)close(err);
}

static void
test_events_for_people(void **state)
{
	RUN("events", "-n", "2");
	assert_int_equal(result.code, CLI_OK);
	assert_string_equal(result.out,
	    "2026-01-02T03:04:05.678Z  instance.ready       redis-1: redis-1 is ready\n"
	    "2026-01-02T03:04:05.678Z  instance.ready       redis-1: redis-1 is ready\n");
}

static void
test_events_for_machines(void **state)
{
	RUN("events", "--json", "-n", "1");
	assert_string_equal(result.out,
	    "{\"id\":1,\"time\":\"2026-01-02T03:04:05.678Z\",\"kind\":\"instance.ready\","
	    "\"subject\":\"redis-1\",\"text\":\"redis-1 is ready\",\"detail\":{}}\n");
}

static void
test_events_are_followed_until_the_supervisor_goes(void **state)
{
	int ends[2], err = open("/dev/null", O_WRONLY | O_CLOEXEC), status;
	pid_t pid;

	assert_int_equal(pipe2(ends, O_CLOEXEC), 0);
	pid = start(ends[1], err, (const char *const[]){"events", "-f", "--json", "-n1", NULL});
	(void)close(ends[1]);
	assert_says(read_one_line(ends[0]), "\"id\":1");
	RUN("start", "redis-1");
	assert_says(read_one_line(ends[0]), "\"id\":4");
	end_supervisor();
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_int_equal(WEXITSTATUS(status), CLI_NOT_READY);
	(void)close(ends[0]);
	(void)close(err);
}

static void
test_logs_with_and_without_a_name(void **state)
{
	RUN("logs");
	assert_string_equal(result.out, "redis-1     | a \033[1m\n"); /* no terminal: as it is */
	RUN("logs", "redis-1");
	assert_string_equal(result.out, "a \033[1m\n");
	RUN("logs", "redis-9");
	assert_int_equal(result.code, CLI_FAILED);
	assert_string_equal(result.err, "holdfast: there is no instance 'redis-9'\n");
}

static void
test_failover_prints_the_new_master(void **state)
{
	RUN("failover");
	assert_int_equal(result.code, CLI_OK);
	assert_string_equal(result.out, "redis-2 is the master now: 127.0.0.1:6382, epoch 5\n");
	RUN("failover", "--to", "redis-3");
	assert_says(result.out, "redis-3 is the master now");
}

static void
test_control_of_one_instance(void **state)
{
	RUN("start", "redis-1");
	assert_int_equal(result.code, CLI_OK);
	assert_string_equal(result.out, "redis-1 is ready\n");
	RUN("stop", "redis-1");
	assert_int_equal(result.code, CLI_NOT_READY);
	assert_string_equal(result.err, "holdfast: everything is being stopped\n");
	RUN("restart", "redis-1");
	assert_int_equal(result.code, CLI_FAILED);
	assert_says(result.err, "not available");
}

static void
test_a_rolling_restart_tells_each_step(void **state)
{
	RUN("restart", "--rolling");
	assert_int_equal(result.code, CLI_FAILED);
	assert_string_equal(result.out, "redis-2: restarts (1 of 6)\n");
	assert_string_equal(result.err, "holdfast: the rolling restart stopped\n");
	RUN("restart", "--rolling", "redis-1");
	assert_int_equal(result.code, CLI_USAGE);
	RUN("restart");
	assert_int_equal(result.code, CLI_USAGE);
	assert_says(result.err, "--rolling");
}

static void
test_reload_tells_what_changed(void **state)
{
	RUN("reload");
	assert_int_equal(result.code, CLI_OK);
	assert_string_equal(result.out,
	    "applied: proxy.hold_ms: 1 -> 2\nneeds a restart: redis.databases: 16 -> 4\n"
	    "it takes effect with `holdfast restart --rolling`, while clients go on\n");
}

static void
test_reload_tells_every_fault(void **state)
{
	make_file("bad", "", 0600);
	RUN("reload");
	assert_int_equal(result.code, CLI_BAD_CONFIG);
	assert_string_equal(result.err, "holdfast: a.ini:3: unknown key\n"
					"holdfast: a.ini:9: no number\n"
					"holdfast: nothing was changed\n");
}

/* --- redis-cli ------------------------------------------------------------------------------- */

/* A redis-cli that shows what it was given. */
static void
play_redis_cli(void)
{
	make_file("redis-cli",
	    "#!/bin/sh\nfor a in \"$@\"; do printf '[%s]' \"$a\"; done\n"
	    "printf ' auth=%s\\n' \"${REDISCLI_AUTH-none}\"\nexit 7\n",
	    0700);
	assert_int_equal(setenv("PATH", dir, 1), 0);
	make_file("secret", "s3cret\n", 0600);
}

static void
test_cli_goes_to_the_proxy(void **state)
{
	play_redis_cli();
	RUN("cli", "-d", dir, "GET", "--x", "a b");
	assert_int_equal(result.code, 7); /* redis-cli's own */
	assert_string_equal(result.out,
	    "[-h][127.0.0.1][-p][6380][--user][holdfast][--no-auth-warning][GET][--x][a b]"
	    " auth=s3cret\n");
}

static void
test_cli_goes_to_a_named_instance(void **state)
{
	play_redis_cli();
	RUN("cli", "redis-1", "PING");
	assert_string_equal(result.out,
	    "[-h][127.0.0.1][-p][6381][--user][holdfast][--no-auth-warning][PING] auth=s3cret\n");
	RUN("cli", "sentinel-1");
	assert_string_equal(result.out, "[-h][127.0.0.1][-p][26381] auth=none\n");
}

static void
test_cli_as_another_user(void **state)
{
	play_redis_cli();
	RUN("cli", "--user", "ann", "redis-1");
	assert_string_equal(result.out,
	    "[-h][127.0.0.1][-p][6381][--user][ann][--no-auth-warning][--askpass] auth=none\n");
	assert_int_equal(setenv("REDISCLI_AUTH", "hers", 1), 0);
	RUN("cli", "--user", "ann", "redis-1");
	assert_int_equal(unsetenv("REDISCLI_AUTH"), 0);
	assert_string_equal(
	    result.out, "[-h][127.0.0.1][-p][6381][--user][ann][--no-auth-warning] auth=hers\n");
}

static void
test_cli_that_cannot_work(void **state)
{
	assert_int_equal(setenv("PATH", dir, 1), 0);
	RUN("cli");
	assert_int_equal(result.code, CLI_FAILED);
	assert_says(result.err, "secret: No such file");
	make_file("secret", "s3cret\n", 0600);
	RUN("cli");
	assert_int_equal(result.code, CLI_FAILED);
	assert_says(result.err, "neither redis-cli nor valkey-cli is on PATH");
	RUN("cli", "http-1");
	assert_int_equal(result.code, CLI_USAGE);
	assert_says(result.err, "http-1 speaks HTTP");
}

int
main(void)
{
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, setup, teardown)
#define WITH(fn) cmocka_unit_test_setup_teardown(fn, setup_with_supervisor, teardown)
	const struct CMUnitTest tests[] = {
	    TEST(test_table_is_well_formed),
	    TEST(test_no_arguments),
	    TEST(test_help_lists_every_subcommand),
	    TEST(test_help_of_each_subcommand),
	    TEST(test_mistyped_subcommand),
	    TEST(test_options_before_the_subcommand),
	    TEST(test_mistyped_options),
	    TEST(test_number_of_arguments),
	    TEST(test_options_in_every_shape),
	    TEST(test_version_names_the_libraries),
	    TEST(test_nobody_supervises),
	    WITH(test_status_exit_code_follows_the_state),
	    WITH(test_status_json_is_the_document_on_one_line),
	    WITH(test_watch_shows_again_after_an_event),
	    WITH(test_events_for_people),
	    WITH(test_events_for_machines),
	    WITH(test_events_are_followed_until_the_supervisor_goes),
	    WITH(test_logs_with_and_without_a_name),
	    WITH(test_failover_prints_the_new_master),
	    WITH(test_control_of_one_instance),
	    WITH(test_a_rolling_restart_tells_each_step),
	    WITH(test_reload_tells_what_changed),
	    WITH(test_reload_tells_every_fault),
	    WITH(test_cli_goes_to_the_proxy),
	    WITH(test_cli_goes_to_a_named_instance),
	    WITH(test_cli_as_another_user),
	    WITH(test_cli_that_cannot_work),
	};

	return cmocka_run_group_tests_name("cli", tests, NULL, NULL);
}
