#include "unit.h"

#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include "loop_until.h"
#include "net/listener.h"

static struct loop *loop;
static char folder[64];

static int
setup(void **state)
{
	loop = loop_new();
	(void)snprintf(folder, sizeof(folder), "/tmp/test_listener.XXXXXX");
	return mkdtemp(folder) != NULL ? 0 : -1;
}

static int
teardown(void **state)
{
	loop_free(&loop);
	return rmdir(folder); /* fails when a test leaves a socket behind */
}

static struct endpoint
unix_endpoint(const char *name)
{
	struct endpoint ep = {.kind = ENDPOINT_UNIX};

	(void)snprintf(ep.host, sizeof(ep.host), "%s/%s", folder, name);
	return ep;
}

/* The port that the kernel chose for port 0. */
static uint16_t
port_of(int fd)
{
	struct sockaddr_in addr;
	socklen_t len = sizeof(addr);

	assert_int_equal(getsockname(fd, (struct sockaddr *)&addr, &len), 0);
	return ntohs(addr.sin_port);
}

static int
connect_to(const struct endpoint *ep)
{
	struct sockaddr_storage addr;
	socklen_t len;
	int fd;

	assert_int_equal(endpoint_resolve(ep, true, &addr, &len, NULL), 0);
	fd = socket(addr.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	assert_true(fd >= 0);
	if (connect(fd, (struct sockaddr *)&addr, len) == -1) {
		int error = errno;

		(void)close(fd);
		return -error;
	}
	return fd;
}

static int
bind_anywhere(struct endpoint *ret_ep)
{
	struct endpoint ep = endpoint_tcp("127.0.0.1", 0);
	struct errmsg err = ERRMSG_NONE;
	int fd;

	assert_int_equal(listener_bind(&ep, &fd, &err), 0);
	*ret_ep = endpoint_tcp("127.0.0.1", port_of(fd));
	return fd;
}

static void
the_socket_listens_and_is_not_inherited(void **state)
{
	struct endpoint ep;
	int fd = bind_anywhere(&ep), client;

	assert_true(fcntl(fd, F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(fd, F_GETFD) & FD_CLOEXEC);
	client = connect_to(&ep);
	assert_true(client >= 0);
	(void)close(client);
	(void)close(fd);
}

static void
a_port_in_use_names_its_holder(void **state)
{
	struct errmsg err = ERRMSG_NONE;
	struct endpoint ep;
	int fd = bind_anywhere(&ep), second = -7;
	char want[64], port[16];

	assert_int_equal(listener_bind(&ep, &second, &err), -EADDRINUSE);
	assert_int_equal(second, -7);
	(void)snprintf(want, sizeof(want), "test_listener (pid %d)", (int)getpid());
	(void)snprintf(port, sizeof(port), "port %u ", ep.port);
	assert_non_null(strstr(err.text, want));
	assert_non_null(strstr(err.text, port));
	err = ERRMSG_NONE;
	assert_int_equal(listener_probe(&ep, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, want));
	(void)close(fd);
	assert_int_equal(listener_probe(&ep, NULL), 0);
	assert_int_equal(listener_probe(&ep, NULL), 0); /* nothing stayed open */
	assert_string_equal(listener_holder(ep.port, want, sizeof(want)), "");
}

/* What a process killed with -9 leaves. */
static void
a_stale_unix_socket_is_replaced(void **state)
{
	struct endpoint ep = unix_endpoint("s");
	struct stat st;
	int fd, client;

	assert_int_equal(listener_bind(&ep, &fd, NULL), 0);
	(void)close(fd);
	assert_int_equal(lstat(ep.host, &st), 0);
	assert_int_equal(connect_to(&ep), -ECONNREFUSED);
	assert_int_equal(listener_bind(&ep, &fd, NULL), 0);
	client = connect_to(&ep);
	assert_true(client >= 0);
	(void)close(client);
	(void)close(fd);
	(void)unlink(ep.host);
}

static void
a_live_unix_socket_and_other_files_are_not(void **state)
{
	struct endpoint live = unix_endpoint("live"), file = unix_endpoint("file");
	struct errmsg err = ERRMSG_NONE;
	struct stat st;
	int fd, second, plain;

	assert_int_equal(listener_bind(&live, &fd, NULL), 0);
	assert_int_equal(listener_bind(&live, &second, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, live.host));
	assert_int_equal(listener_probe(&live, NULL), -EADDRINUSE);
	assert_int_equal(lstat(live.host, &st), 0);
	plain = open(file.host, O_CREAT | O_WRONLY | O_CLOEXEC, 0600);
	assert_true(plain >= 0);
	(void)close(plain);
	err = ERRMSG_NONE;
	assert_int_equal(listener_bind(&file, &second, &err), -EADDRINUSE);
	assert_non_null(strstr(err.text, "remove what is there"));
	assert_int_equal(lstat(file.host, &st), 0);
	assert_true(S_ISREG(st.st_mode));
	(void)close(fd);
	(void)unlink(live.host);
	(void)unlink(file.host);
}

static void
a_probe_leaves_no_socket_file(void **state)
{
	struct endpoint ep = unix_endpoint("p");
	struct stat st;

	assert_int_equal(listener_probe(&ep, NULL), 0);
	assert_int_equal(lstat(ep.host, &st), -1);
}

static void
a_folder_that_is_not_there_is_said(void **state)
{
	struct endpoint ep = unix_endpoint("no/such/folder");
	struct errmsg err = ERRMSG_NONE;
	int fd;

	assert_int_equal(listener_bind(&ep, &fd, &err), -ENOENT);
	assert_non_null(strstr(err.text, ep.host));
	assert_non_null(strstr(err.text, "make its folder"));
}

/* Whatever the mask was, nobody else may connect before he is let in. */
static void
a_unix_socket_is_its_owners_until_others_are_let_in(void **state)
{
	struct endpoint ep = unix_endpoint("mode"), none = unix_endpoint("none");
	struct errmsg err = ERRMSG_NONE;
	mode_t mask = umask(0);
	struct stat st;
	int fd;

	assert_int_equal(listener_bind(&ep, &fd, NULL), 0);
	assert_int_equal(umask(mask), 0);
	assert_int_equal(lstat(ep.host, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0600);
	assert_int_equal(listener_let_in(&ep, 0660, &err), 0);
	assert_int_equal(lstat(ep.host, &st), 0);
	assert_int_equal(st.st_mode & 07777, 0660);
	assert_int_equal(listener_let_in(&none, 0660, &err), -ENOENT);
	assert_non_null(strstr(err.text, none.host));
	(void)close(fd);
	(void)unlink(ep.host);
}

struct acceptor {
	struct listener *listener;
	int fds[128];
	size_t count;
	bool free_at_once, pause_at_once;
};

static void
on_accept(void *owner, int fd)
{
	struct acceptor *a = owner;

	a->fds[a->count++] = fd;
	if (a->free_at_once) {
		listener_free(&a->listener);
	}
	if (a->pause_at_once) {
		listener_pause(a->listener, true);
	}
}

static bool
has_accepted(void *arg)
{
	return ((struct acceptor *)arg)->count > 0;
}

static void
turn(void)
{
	(void)ev_run(loop_ev(loop), EVRUN_NOWAIT);
}

static void
close_all(struct acceptor *a)
{
	while (a->count > 0) {
		(void)close(a->fds[--a->count]);
	}
}

static void
accepted_sockets_are_ready_for_use(void **state)
{
	struct acceptor a = {0};
	struct endpoint ep;
	int on = 0, client;
	socklen_t len = sizeof(on);

	a.listener = listener_new(loop, bind_anywhere(&ep), on_accept, &a);
	client = connect_to(&ep);
	assert_true(loop_until(loop, has_accepted, &a));
	assert_true(fcntl(a.fds[0], F_GETFL) & O_NONBLOCK);
	assert_true(fcntl(a.fds[0], F_GETFD) & FD_CLOEXEC);
	assert_int_equal(getsockopt(a.fds[0], IPPROTO_TCP, TCP_NODELAY, &on, &len), 0);
	assert_int_equal(on, 1);
	(void)close(client);
	close_all(&a);
	listener_free(&a.listener);
	assert_int_equal(connect_to(&ep), -ECONNREFUSED);
}

static void
it_may_be_freed_or_paused_while_accepting(void **state)
{
	struct acceptor a = {.free_at_once = true}, b = {.pause_at_once = true};
	struct endpoint ep;
	int clients[3];

	a.listener = listener_new(loop, bind_anywhere(&ep), on_accept, &a);
	for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
		clients[i] = connect_to(&ep);
	}
	turn();
	turn();
	assert_int_equal(a.count, 1);
	assert_null(a.listener);
	for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
		(void)close(clients[i]);
	}
	close_all(&a);

	b.listener = listener_new(loop, bind_anywhere(&ep), on_accept, &b);
	for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
		clients[i] = connect_to(&ep);
	}
	turn();
	turn();
	assert_int_equal(b.count, 1);
	b.pause_at_once = false;
	listener_pause(b.listener, false);
	turn();
	assert_int_equal(b.count, 3);
	for (size_t i = 0; i < ARRAY_LEN(clients); i++) {
		(void)close(clients[i]);
	}
	close_all(&b);
	listener_free(&b.listener);
}

/* Without file descriptors it neither spins nor gives up. */
static void
out_of_descriptors_it_waits_and_goes_on(void **state)
{
	struct acceptor a = {0};
	struct rlimit before, none;
	struct endpoint ep;
	int client;

	a.listener = listener_new(loop, bind_anywhere(&ep), on_accept, &a);
	client = connect_to(&ep);
	assert_int_equal(getrlimit(RLIMIT_NOFILE, &before), 0);
	none = before;
	none.rlim_cur = (rlim_t)client + 1;
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &none), 0);
	turn();
	turn();
	assert_int_equal(a.count, 0);
	assert_int_equal(setrlimit(RLIMIT_NOFILE, &before), 0);
	assert_true(loop_until(loop, has_accepted, &a));
	assert_int_equal(a.count, 1);
	(void)close(client);
	close_all(&a);
	listener_free(&a.listener);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test_setup_teardown(
		the_socket_listens_and_is_not_inherited, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_port_in_use_names_its_holder, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_stale_unix_socket_is_replaced, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		a_live_unix_socket_and_other_files_are_not, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_probe_leaves_no_socket_file, setup, teardown),
	    cmocka_unit_test_setup_teardown(a_folder_that_is_not_there_is_said, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		a_unix_socket_is_its_owners_until_others_are_let_in, setup, teardown),
	    cmocka_unit_test_setup_teardown(accepted_sockets_are_ready_for_use, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		it_may_be_freed_or_paused_while_accepting, setup, teardown),
	    cmocka_unit_test_setup_teardown(
		out_of_descriptors_it_waits_and_goes_on, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
