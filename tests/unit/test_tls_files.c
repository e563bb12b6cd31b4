/* The files of certificate, key and authorities: what is told of them, and which cannot be used. */
#include "unit.h"

#include <sys/stat.h>
#include <time.h>

#include "tls_own.h"

static struct tls_own own;

static int
setup(void **state)
{
	return tls_own_make(&own);
}

static int
teardown(void **state)
{
	tls_own_free(&own);
	return 0;
}

static void
facts_of_the_files(void **state)
{
	struct tls_facts before = *tls_server_facts(own.server);
	time_t now = time(NULL);
	char text[200];

	assert_string_equal(before.subject, "CN = here.example.org");
	assert_true(before.not_before < now && before.not_after > now);
	assert_false(before.key_is_open);
	assert_non_null(strstr(tls_facts_text(&before, text, sizeof(text)), "until 20"));
	assert_int_equal(tls_own_read(&own, false), 0);
	assert_memory_equal(before.digest, tls_server_facts(own.server)->digest, TLS_DIGEST_BYTES);
	assert_int_equal(tls_own_read(&own, true), 0);
	assert_memory_not_equal(
	    before.digest, tls_server_facts(own.server)->digest, TLS_DIGEST_BYTES);
	assert_int_equal(chmod(own.key, 0644), 0);
	assert_int_equal(tls_own_read(&own, false), 0);
	assert_true(tls_server_facts(own.server)->key_is_open);
}

static void
expect_fault(const char *cert, const char *key, const char *ca, const char *words)
{
	struct errmsg err = ERRMSG_NONE;
	struct tls_files files = {cert, key, ca};
	struct tls_server *none = NULL;

	assert_true(tls_server_new(&files, &none, &err) < 0);
	assert_null(none);
	if (strstr(err.text, words) == NULL) {
		fail_msg("'%s' does not say '%s'", err.text, words);
	}
}

static void
files_that_cannot_be_used(void **state)
{
	const char *other = scratch_path(own.dir, "other.pem"),
		   *locked = scratch_path(own.dir, "locked.pem");
	const char *empty = scratch_path(own.dir, "empty.pem"),
		   *half = scratch_path(own.dir, "half.pem");
	struct tls_issuer *stranger = tls_issuer_new("Stranger", -DAY, DAY);
	char bytes[200];
	FILE *from, *to;

	tls_issuer_write(stranger, NULL, other, NULL);
	tls_issuer_write(own.name, NULL, locked, "secret");
	tls_issuer_free(&stranger);
	(void)fclose(fopen(empty, "we"));
	from = fopen(own.cert, "re");
	to = fopen(half, "we");
	assert_int_equal(fwrite(bytes, 1, fread(bytes, 1, sizeof(bytes), from), to), sizeof(bytes));
	(void)fclose(from);
	(void)fclose(to);
	expect_fault("/no/such/file", own.key, NULL, "/no/such/file: No such file");
	expect_fault(own.cert, "/no/such/key", NULL, "key cannot be read from /no/such/key");
	expect_fault(own.dir, own.key, NULL, "directory");
	expect_fault("/dev/null", own.key, NULL, "/dev/null");
	expect_fault(empty, own.key, NULL, "holds no certificate");
	expect_fault(half, own.key, NULL, "no certificate");
	expect_fault(own.key, own.key, NULL, "holds no certificate");
	expect_fault(own.cert, own.cert, NULL, "no private key");
	expect_fault(own.cert, other, NULL, "is not that of the certificate");
	expect_fault(own.cert, locked, NULL, "passphrase");
	expect_fault(own.cert, own.key, empty, "no certificate");
	expect_fault(own.cert, own.key, "/no/such/ca", "authorities cannot be read");
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define T(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	    T(facts_of_the_files),
	    T(files_that_cannot_be_used),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
