/* The documents made of the option table say the truth: the sample is a file that loads, and names every option. */
#include <errno.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "conf/conf_priv.h"
#include "conf_fixture.h"

static char *
document(const char *kind)
{
	struct buf text;
	char *copy;

	buf_init(&text, 0);
	assert_int_equal(conf_print_options(kind, &text), 0);
	copy = xstrndup((const char *)buf_slice(&text).ptr, buf_len(&text));
	buf_fini(&text);
	return copy;
}

/* Takes the semicolon off the lines that are options and sections. */
static void
uncomment(char *text)
{
	char *to = text;
	bool start = true;

	for (const char *from = text; *from != '\0'; from++) {
		if (!start || *from != ';' || from[1] == ' ') {
			*to++ = *from;
		}
		start = *from == '\n';
	}
	*to = '\0';
}

static struct conf *
defaults_alone(struct fixture *f)
{
	struct conf *conf;

	assert_loads(f, NULL, NULL, NULL);
	conf = f->conf;
	f->conf = NULL;
	return conf;
}

static void
the_sample_changes_nothing(void **state)
{
	struct fixture *f = *state;
	struct conf *defaults = defaults_alone(f);
	char *text = document("ini");
	struct conf_changes changes;

	assert_loads(f, text, NULL, NULL);
	conf_diff(defaults, f->conf, &changes);
	assert_int_equal(changes.count, 0);
	conf_changes_fini(&changes);
	conf_free(&defaults);
	free(text);
}

static void
every_line_of_the_sample_is_good(void **state)
{
	struct fixture *f = *state;
	struct conf *defaults = defaults_alone(f);
	char *text = document("ini");
	struct conf_changes changes;

	uncomment(text);
	assert_loads(f, text, NULL, NULL);
	conf_diff(defaults, f->conf, &changes);
	/* Only the examples that are no options: redis-2.port and three directives. */
	for (size_t i = 0; i < changes.count; i++) {
		assert_true(strcmp(changes.items[i].option, "redis-2.port") == 0 ||
			    strstr(changes.items[i].option, ".config.") != NULL);
	}
	assert_int_equal(changes.count, 4);
	conf_changes_fini(&changes);
	conf_free(&defaults);
	free(text);
}

static void
every_option_is_told(void **state)
{
	char *sample = document("ini"), *man = document("man"), *md = document("md");

	for (size_t i = 0; i < conf_opt_count; i++) {
		const struct conf_opt *opt = &conf_opts[i];
		char *in_sample =
			 xasprintf("\n;%s%s =", opt->scope > SCOPE_REDIS ? " " : "", opt->key),
		     *in_md = xasprintf("| %s |", opt->key);

		assert_non_null(strstr(sample, in_sample));
		assert_non_null(strstr(man, opt->key));
		assert_non_null(strstr(md, in_md));
		free(in_sample);
		free(in_md);
	}
	free(sample);
	free(man);
	free(md);
}

/* A line of the man page that begins with a dot is a request we wrote, and all of them are known. */
static void
the_man_page_is_troff(void **state)
{
	static const char *const requests[] = {".TH", ".SH", ".SS", ".TP", ".IP", ".PP", ".B",
	    ".BR", ".BI", ".I", ".IR", ".RI", ".nf", ".fi", ".br", ".\\\""};
	char *man = document("man"), *save = NULL;

	for (char *line = strtok_r(man, "\n", &save); line != NULL;
	     line = strtok_r(NULL, "\n", &save)) {
		bool known = line[0] != '.' && line[0] != '\'';
		size_t len = strcspn(line, " ");

		for (size_t i = 0; i < ARRAY_LEN(requests) && !known; i++) {
			known = strlen(requests[i]) == len && strncmp(line, requests[i], len) == 0;
		}
		if (!known) {
			fail_msg("%s", line);
		}
	}
	free(man);
}

static void
faults_of_the_caller(void **state)
{
	struct buf text;

	buf_init(&text, 1000);
	assert_int_equal(conf_print_options("pdf", &text), -EINVAL);
	assert_int_equal(conf_print_options("ini", &text), -ENOBUFS);
	assert_int_equal(conf_print_options("man", &text), -ENOBUFS);
	buf_fini(&text);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
#define TEST(fn) cmocka_unit_test_setup_teardown(fn, fixture_setup, fixture_teardown)
	    TEST(the_sample_changes_nothing),
	    TEST(every_line_of_the_sample_is_good),
	    cmocka_unit_test(every_option_is_told),
	    cmocka_unit_test(the_man_page_is_troff),
	    cmocka_unit_test(faults_of_the_caller),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
