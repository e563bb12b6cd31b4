#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "base/mem.h"
#include "instance/manifest.h"

#include "scratch.h"

/* The package's own catalogue. */
static int
set_up(void **state)
{
	static struct catalogue c;
	const char *root = getenv("HF_SRCDIR");
	char *dir = xasprintf("%s/modules", root != NULL ? root : ".");
	const char *dirs[] = {dir};
	struct conf_faults faults;

	conf_faults_init(&faults);
	catalogue_load(&c, dirs, 1, &faults);
	for (size_t i = 0; i < faults.count; i++) {
		print_message("%s\n", faults.items[i]);
	}
	assert_int_equal(faults.count, 0);
	conf_faults_fini(&faults);
	free(dir);
	*state = &c;
	return 0;
}

static int
tear_down(void **state)
{
	catalogue_fini(*state);
	return 0;
}

static const char *
candidate(const struct catalogue *c, const char *word, size_t i)
{
	const struct manifest *m = catalogue_candidate(c, word, i);

	return m != NULL ? m->name : "-";
}

static const char *
identified(const struct catalogue *c, const char *list_name, const char *path)
{
	const struct manifest *m = catalogue_identify(c, list_name, path);

	return m != NULL ? m->name : "-";
}

static void
words_lead_to_candidates(void **state)
{
	const struct catalogue *c = *state;

	assert_string_equal(candidate(c, "redis_bloom", 0), "bloom");
	assert_string_equal(candidate(c, "redis_bloom", 1), "-");
	assert_string_equal(candidate(c, "redis_timeseries", 0), "timeseries");
	assert_string_equal(candidate(c, "ReJSON", 0), "rejson");
	assert_string_equal(candidate(c, "redis_ai", 0), "ai");
	/* Three words stand for two modules each; a name of its own comes first. */
	assert_string_equal(candidate(c, "search", 0), "search");
	assert_string_equal(candidate(c, "search", 1), "search-1");
	assert_string_equal(candidate(c, "search-1", 1), "-");
	assert_string_equal(candidate(c, "graph", 0), "graph");
	assert_string_equal(candidate(c, "redis_graph", 1), "graph");
	assert_string_equal(candidate(c, "redis_graph", 0), "falkordb");
	assert_string_equal(candidate(c, "redis_gears", 1), "gears");
	assert_string_equal(candidate(c, "nothing", 0), "-");
}

static void
what_is_loaded_is_told_by_name_and_file(void **state)
{
	const struct catalogue *c = *state;

	assert_string_equal(
	    identified(c, "ft", "/usr/lib/redis/modules/redisearch.so"), "search-1");
	assert_string_equal(identified(c, "search", "/x/redisearch.so"), "search");
	assert_string_equal(
	    identified(c, "search", "/usr/lib/valkey/libsearch.so"), "valkey-search");
	assert_string_equal(identified(c, "bf", "/x/redisbloom.so"), "bloom");
	assert_string_equal(identified(c, "bf", "/x/libvalkey_bloom.so"), "valkey-bloom");
	assert_string_equal(identified(c, "graph", "/x/falkordb.so"), "falkordb");
	assert_string_equal(identified(c, "ReJSON", "/x/rejson.so"), "rejson");
	assert_string_equal(identified(c, "json", "/x/libjson.so"), "valkey-json");
	assert_string_equal(identified(c, "redisgears_2", "/x/redisgears.so"), "gears-2");
	assert_string_equal(identified(c, "vectorset", ""), "vectorset");
	/* Under another file name the name alone has to do. */
	assert_string_equal(identified(c, "timeseries", "/x/ts.so"), "timeseries");
	assert_string_equal(identified(c, "unheard-of", "/x/redisbloom.so"), "-");
}

static void
types_lead_to_their_modules(void **state)
{
	const struct catalogue *c = *state;

	assert_string_equal(catalogue_of_type(c, "MBbloom--", 0)->name, "bloom");
	assert_string_equal(catalogue_of_type(c, "bloomfltr", 0)->name, "valkey-bloom");
	assert_string_equal(catalogue_of_type(c, "TSDB-TYPE", 0)->name, "timeseries");
	assert_non_null(catalogue_of_type(c, "ft_index0", 1));
	assert_null(catalogue_of_type(c, "ft_index0", 2));
	assert_string_equal(catalogue_of_type(c, "GEARS_DT0", 0)->name, "gears");
	assert_string_equal(catalogue_of_type(c, "AI_TENSOR", 0)->name, "ai");
	assert_null(catalogue_of_type(c, "string", 0));
}

static void
the_nearest_word_is_found(void **state)
{
	assert_string_equal(catalogue_nearest(*state, "serach"), "search");
	assert_string_equal(catalogue_nearest(*state, "timeserie"), "timeseries");
	assert_null(catalogue_nearest(*state, "entirely-different"));
	assert_null(catalogue_nearest(*state, "x"));
}

static void
assert_refused(const char *text, const char *why)
{
	struct errmsg err = ERRMSG_NONE;
	struct manifest *m = manifest_parse(text, "x.ini", &err);

	if (m != NULL || strstr(err.text, why) == NULL) {
		print_message("%s: '%s', not '%s'\n", text, err.text, why);
	}
	assert_null(m);
	assert_non_null(strstr(err.text, why));
}

static void
faults_name_what_is_wrong(void **state)
{
	char longer[400];

	assert_refused("", "needs a name");
	assert_refused("[module]\nname = x\n", "needs a name, and files");
	assert_refused("[modul]\nname = x\n", "has a section [modul]");
	assert_refused("[module]\nname = x\nfile = y\n", "unknown key 'file'");
	assert_refused("[module]\nname = x\nname = y\n", "name does not take 'y'");
	assert_refused(
	    "[module]\nname = x\nfiles = x.so\nstatus = good\n", "status does not take 'good'");
	assert_refused(
	    "[module]\nname = x\nfiles = x.so\naux = maybe\n", "aux does not take 'maybe'");
	assert_refused("[module]\nname\n", "line 2 is neither");
	(void)snprintf(longer, sizeof(longer), "[module]\nname = x\nnote = %0300d\n", 1);
	assert_refused(longer, "more than 180 bytes");
}

static void
a_whole_manifest_is_read(void **state)
{
	struct errmsg err = ERRMSG_NONE;
	struct manifest *m =
	    manifest_parse("[module]\nname = x\nfiles = a.so, b.so\nfiles = c.so\nbuiltin = no\n"
			   "status = frozen\nanswer = text\naux = yes\nlicence = A; B\n",
		"x.ini", &err);

	assert_non_null(m);
	assert_int_equal(m->files.count, 3);
	assert_string_equal(m->files.items[2], "c.so");
	assert_int_equal(m->status, MANIFEST_FROZEN);
	assert_int_equal(m->answer, MANIFEST_TEXT);
	assert_true(m->aux);
	assert_string_equal(m->licence, "A; B");
	assert_null(m->note);
	manifest_free(&m);
}

static void
too_many_are_refused_one_by_one(void **state)
{
	char *dir = scratch_make();
	const char *dirs[] = {dir};
	struct conf_faults faults;
	struct catalogue c;

	for (int i = 0; i < 258; i++) {
		char *path = xasprintf("%s/m%03d.ini", dir, i);
		FILE *f = fopen(path, "we");

		assert_non_null(f);
		(void)fprintf(f, "[module]\nname = m%d\nfiles = m%d.so\n", i, i);
		(void)fclose(f);
		free(path);
	}
	conf_faults_init(&faults);
	catalogue_load(&c, dirs, 1, &faults);
	assert_int_equal(c.count, 256);
	assert_string_equal(c.items[255]->name, "m255");
	assert_int_equal(faults.count, 2);
	assert_non_null(strstr(faults.items[0], "m256.ini is one too many"));
	conf_faults_fini(&faults);
	catalogue_fini(&c);
	scratch_remove(&dir);
}

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    cmocka_unit_test(words_lead_to_candidates),
	    cmocka_unit_test(what_is_loaded_is_told_by_name_and_file),
	    cmocka_unit_test(types_lead_to_their_modules),
	    cmocka_unit_test(the_nearest_word_is_found),
	    cmocka_unit_test(faults_name_what_is_wrong),
	    cmocka_unit_test(a_whole_manifest_is_read),
	    cmocka_unit_test(too_many_are_refused_one_by_one),
	};

	return cmocka_run_group_tests(tests, set_up, tear_down);
}
