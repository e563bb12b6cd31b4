/* What a small authority signs, and what not; a conversation between two who know the same secret, or do not. */
#include "unit.h"

#include <errno.h>
#include <signal.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include "net/tls_issue.h"
#include "net/tls_shared.h"

#define NOW     1800000000
#define YEAR    (365 * 24 * 3600L)
#define WAIT_MS 5000

static struct tls_pair authority;

static int
setup(void **state)
{
	struct errmsg err = ERRMSG_NONE;

	return tls_issue_authority("tests", NOW, &authority, &err);
}

static int
teardown(void **state)
{
	tls_pair_fini(&authority);
	return 0;
}

static const struct tls_subject who = {.name = "a"};

static void
test_a_host_is_signed_until_the_authority_ends(void **state)
{
	struct tls_pair pair = {0}, late = {0};
	struct errmsg err = ERRMSG_NONE;

	assert_int_equal(tls_issue_host(&authority, &who, NOW, &pair, &err), 0);
	assert_non_null(strstr(pair.cert, "BEGIN CERTIFICATE"));
	assert_non_null(strstr(pair.key, "PRIVATE KEY"));
	assert_int_equal(tls_issue_host(&authority, &who, NOW + 11 * YEAR, &late, &err), -EINVAL);
	assert_non_null(strstr(err.text, "out of date"));
	tls_pair_fini(&pair);
}

static void
test_a_host_is_no_authority(void **state)
{
	struct tls_pair host = {0}, more = {0}, other = {0};
	struct errmsg err = ERRMSG_NONE;

	assert_int_equal(tls_issue_host(&authority, &who, NOW, &host, &err), 0);
	assert_int_equal(tls_issue_host(&host, &who, NOW, &more, &err), -EINVAL);
	assert_non_null(strstr(err.text, "none of an authority"));
	assert_int_equal(tls_issue_authority("others", NOW, &other, &err), 0);
	more = (struct tls_pair){authority.cert, other.key};
	assert_int_equal(tls_issue_host(&more, &who, NOW, &host, &err), -EINVAL);
	assert_non_null(strstr(err.text, "not that of its certificate"));
	tls_pair_fini(&host);
	tls_pair_fini(&other);
}

static void
test_a_request_is_signed_by_its_own_key_only(void **state)
{
	char *key = NULL, *request = NULL, *cert = NULL, *at;
	struct errmsg err = ERRMSG_NONE;

	assert_int_equal(tls_request_new(&key, &request, &err), 0);
	assert_int_equal(tls_issue_asked(&authority, request, &who, NOW, &cert, &err), 0);
	assert_non_null(strstr(cert, "BEGIN CERTIFICATE"));
	free(cert);
	cert = NULL;
	at = strstr(request, "-----\n") + 60; /* within the key */
	*at = *at == 'A' ? 'B' : 'A';
	assert_int_equal(tls_issue_asked(&authority, request, &who, NOW, &cert, &err), -EINVAL);
	assert_int_equal(tls_issue_asked(&authority, "nonsense", &who, NOW, &cert, &err), -EINVAL);
	assert_int_equal(tls_issue_asked(&authority, key, &who, NOW, &cert, &err), -EINVAL);
	assert_null(cert);
	free(key);
	free(request);
}

/* ---- a shared secret ---- */

static const uint8_t one[TLS_SHARED_KEY] = {1}, two[TLS_SHARED_KEY] = {2};

/* The other end, in a process of its own: says `text` and expects it back. Its exit code: 0, or the negative errno of its handshake. */
static pid_t
begin_client(int fds[2], const uint8_t *key, const char *text)
{
	struct errmsg err = ERRMSG_NONE;
	struct tls_shared *t = NULL;
	struct buf got;
	pid_t pid;
	int rc;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	pid = fork();
	if (pid != 0) {
		(void)close(fds[1]);
		return pid;
	}
	(void)close(fds[0]);
	buf_init(&got, 0);
	rc = tls_shared_open(fds[1], false, key, WAIT_MS, &t, &err);
	if (rc == 0 &&
	    (tls_shared_send(t, slice_str(text), &err) < 0 ||
		tls_shared_receive(t, &got, &err) < 0 || !slice_eq(buf_slice(&got), text))) {
		rc = -EBADMSG;
	}
	_exit(-rc);
}

static int
end_client(pid_t pid)
{
	int status = 0;

	assert_int_equal(waitpid(pid, &status, 0), pid);
	return WIFEXITED(status) ? -WEXITSTATUS(status) : -ECHILD;
}

static void
test_who_knows_the_secret_is_heard(void **state)
{
	struct errmsg err = ERRMSG_NONE;
	struct tls_shared *t = NULL;
	struct buf got;
	int fds[2];
	pid_t pid = begin_client(fds, one, "hello");

	buf_init(&got, 0);
	assert_int_equal(tls_shared_open(fds[0], true, one, WAIT_MS, &t, &err), 0);
	assert_int_equal(tls_shared_receive(t, &got, &err), 0);
	assert_true(slice_eq(buf_slice(&got), "hello"));
	assert_int_equal(tls_shared_send(t, buf_slice(&got), &err), 0);
	assert_int_equal(tls_shared_receive(t, &got, &err), -EPIPE);
	tls_shared_close(&t);
	(void)close(fds[0]);
	buf_fini(&got);
	assert_int_equal(end_client(pid), 0);
}

static void
test_who_does_not_is_refused_on_both_sides(void **state)
{
	struct errmsg err = ERRMSG_NONE;
	struct tls_shared *t = NULL;
	int fds[2];
	pid_t pid = begin_client(fds, two, "hello");

	assert_int_equal(tls_shared_open(fds[0], true, one, WAIT_MS, &t, &err), -EACCES);
	assert_null(t);
	(void)close(fds[0]);
	assert_true(end_client(pid) == -EACCES);
}

static void
test_who_says_nothing_or_too_much(void **state)
{
	struct errmsg err = ERRMSG_NONE;
	struct tls_shared *t = NULL;
	struct buf got;
	int fds[2];
	pid_t pid;

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), 0);
	assert_int_equal(tls_shared_open(fds[0], true, one, 50, &t, &err), -ETIMEDOUT);
	(void)close(fds[0]);
	(void)close(fds[1]);
	pid = begin_client(fds, one, "more than four bytes");
	buf_init(&got, 4);
	assert_int_equal(tls_shared_open(fds[0], true, one, WAIT_MS, &t, &err), 0);
	assert_int_equal(tls_shared_receive(t, &got, &err), -EMSGSIZE);
	tls_shared_close(&t);
	(void)close(fds[0]);
	buf_fini(&got);
	assert_int_equal(end_client(pid), -EBADMSG);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_a_host_is_signed_until_the_authority_ends),
	    cmocka_unit_test(test_a_host_is_no_authority),
	    cmocka_unit_test(test_a_request_is_signed_by_its_own_key_only),
	    cmocka_unit_test(test_who_knows_the_secret_is_heard),
	    cmocka_unit_test(test_who_does_not_is_refused_on_both_sides),
	    cmocka_unit_test(test_who_says_nothing_or_too_much),
	};

	(void)signal(SIGPIPE, SIG_IGN);
	return cmocka_run_group_tests(tests, setup, teardown);
}
