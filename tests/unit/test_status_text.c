/* The status for people: each sample document against its golden text. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "cli/status_text.h"

static void
check(const char *sample)
{
	const char *srcdir = getenv("HF_SRCDIR");
	char path[1024], golden[16384];
	json_t *status;
	struct buf text;
	size_t n;
	FILE *f;

	(void)snprintf(path, sizeof(path), "%s/tests/unit/golden/status-%s.json",
	    srcdir != NULL ? srcdir : ".", sample);
	status = json_load_file(path, JSON_ALLOW_NUL, NULL);
	assert_non_null(status);
	buf_init(&text, 0);
	assert_int_equal(status_text(status, &text), 0);
	assert_int_equal(buf_add(&text, "", 1), 0);
	(void)snprintf(path, sizeof(path), "%s/tests/unit/golden/status-%s.txt",
	    srcdir != NULL ? srcdir : ".", sample);
	f = fopen(path, "re");
	if (f == NULL) {
		fail_msg("no golden copy %s; the text is:\n%s", path,
		    (const char *)buf_slice(&text).ptr);
	}
	n = fread(golden, 1, sizeof(golden) - 1, f);
	(void)fclose(f);
	golden[n] = '\0';
	assert_string_equal((const char *)buf_slice(&text).ptr, golden);
	json_decref(status);
	buf_fini(&text);
}

static void
test_ready(void **state)
{
	check("ready");
}

static void
test_degraded(void **state)
{
	check("degraded");
}

static void
test_starting_without_a_master(void **state)
{
	check("starting");
}

/* A supervisor of another version, or bytes that would drive a terminal. */
static void
test_document_of_another_shape(void **state)
{
	check("hostile");
}

static void
test_empty_document(void **state)
{
	json_t *status = json_object();
	struct buf text;

	buf_init(&text, 0);
	assert_int_equal(status_text(status, &text), 0);
	assert_true(buf_len(&text) > 0);
	json_decref(status);
	buf_fini(&text);
}

static void
test_bounded_output(void **state)
{
	json_t *status = json_object();
	struct buf text;

	buf_init(&text, 10);
	assert_true(status_text(status, &text) < 0);
	json_decref(status);
	buf_fini(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(test_ready),
	    cmocka_unit_test(test_degraded),
	    cmocka_unit_test(test_starting_without_a_master),
	    cmocka_unit_test(test_document_of_another_shape),
	    cmocka_unit_test(test_empty_document),
	    cmocka_unit_test(test_bounded_output),
	};

	return cmocka_run_group_tests_name("cli: status", tests, NULL, NULL);
}
