#include <errno.h>
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "base/mem.h"
#include "instance/module_set.h"
#include "instance/redis_conf.h"

#include "scratch.h"

/* after ev.h, whose EV_NONE is an enumerator */
#include <elf.h>

struct world {
	char *dir;
	struct conf *conf;
	struct module_set *set;
};

static int
set_up(void **state)
{
	struct world *w = xcalloc(1, sizeof(*w));

	w->dir = scratch_make();
	*state = w;
	return w->dir != NULL ? 0 : -1;
}

static int
tear_down(void **state)
{
	struct world *w = *state;

	module_set_free(&w->set);
	conf_free(&w->conf);
	scratch_remove(&w->dir);
	free(w);
	return 0;
}

static char *
in_dir(const struct world *w, const char *name)
{
	return xasprintf("%s/%s", w->dir, name);
}

/* The smallest file that passes for a shared object of this processor, with so many bytes missing of what it names. */
static char *
make_object(const struct world *w, const char *name, mode_t mode, uint16_t type, size_t missing)
{
	char *path = in_dir(w, name);
	FILE *own = fopen("/proc/self/exe", "re"), *f = fopen(path, "we");
	uint8_t part[64] = {0};
	Elf64_Ehdr head;

	assert_non_null(own);
	assert_non_null(f);
	assert_int_equal(fread(&head, sizeof(head), 1, own), 1);
	(void)fclose(own);
	head.e_type = type;
	head.e_phnum = 0;
	head.e_shoff = sizeof(head);
	head.e_shnum = 1;
	head.e_shentsize = sizeof(part);
	assert_int_equal(fwrite(&head, sizeof(head), 1, f), 1);
	assert_int_equal(fwrite(part, sizeof(part) - missing, 1, f), 1);
	(void)fclose(f);
	assert_int_equal(chmod(path, mode), 0);
	return path;
}

static void
assert_file(const char *path, int rc, const char *why)
{
	struct errmsg err = ERRMSG_NONE;
	struct module_print print;

	assert_int_equal(module_file_check(path, &print, &err), rc);
	if (rc != 0 && strstr(err.text, why) == NULL) {
		print_message("%s\n", err.text);
	}
	assert_true(rc == 0 || strstr(err.text, why) != NULL);
}

static void
a_file_is_judged_by_its_head(void **state)
{
	struct world *w = *state;
	char *good = make_object(w, "good.so", 0755, ET_DYN, 0);
	char *program = make_object(w, "program.so", 0755, ET_EXEC, 0);
	char *cut = make_object(w, "cut.so", 0755, ET_DYN, 1);
	char *plain = make_object(w, "plain.so", 0644, ET_DYN, 0);
	char *none = in_dir(w, "none.so");

	assert_file(good, 0, "");
	assert_file(program, -ENOEXEC, "not a shared object");
	assert_file(cut, -ENOEXEC, "is cut short");
	assert_file(plain, -EACCES, "chmod +x");
	assert_file(none, -ENOENT, "is not there");
	assert_file(w->dir, -EISDIR, "is a directory");
	assert_file("/dev/null", -ENOEXEC, "no regular file");
	free(good);
	free(program);
	free(cut);
	free(plain);
	free(none);
}

/* A set of what is asked for, from files in the folder; no server is asked. */
static struct module_set *
make_set(struct world *w, const char *modules)
{
	char *items = xasprintf("redis.modules=%s", modules);
	const char *root = getenv("HF_SRCDIR");
	char *path =
	    xasprintf("redis.module_path=%s %s/modules", w->dir, root != NULL ? root : ".");
	const char *sets[] = {items, path};
	struct conf_sources sources = {.sets = sets, .set_count = 2, .data_dir = w->dir};
	struct conf_faults faults;

	module_set_free(&w->set);
	conf_free(&w->conf);
	conf_faults_init(&faults);
	assert_int_equal(conf_load(&sources, &w->conf, &faults), 0);
	conf_faults_fini(&faults);
	free(items);
	free(path);
	w->set = module_set_new(w->conf, NULL);
	return w->set;
}

/* As a trial would. */
static void
judged(struct module_set *set, size_t i, const char *name, uint64_t ver)
{
	assert_string_equal(set->items[i].why, "");
	(void)snprintf(set->items[i].name, sizeof(set->items[i].name), "%s", name);
	set->items[i].ver = ver;
	set->items[i].good = true;
}

static void
add_server_known(struct module_set *set)
{
	for (size_t i = 0; i < set->server_count; i++) {
		set->servers[i].major = 7;
	}
}

static const char *
lines_of(const struct module_set *set)
{
	static char text[4096];
	struct buf out;

	buf_init(&out, 0);
	assert_int_equal(module_set_lines(set, &out), 0);
	(void)snprintf(text, sizeof(text), "%.*s", (int)buf_slice(&out).len,
	    (const char *)buf_slice(&out).ptr);
	buf_fini(&out);
	return text;
}

static void
files_are_found_and_missing_ones_explained(void **state)
{
	struct world *w = *state;
	char *path = make_object(w, "redisbloom.so", 0755, ET_DYN, 0);
	struct module_set *set =
	    make_set(w, "redis_bloom ERROR_RATE 0.1, ?redis_ai, blom, vectorset");

	assert_int_equal(set->count, 4);
	assert_string_equal(set->items[0].path, path);
	assert_string_equal(set->items[0].args, "ERROR_RATE 0.1");
	assert_string_equal(set->items[0].why, "");
	assert_true(set->items[1].optional);
	assert_non_null(strstr(set->items[1].why, "no redisai.so in the 6 folders"));
	assert_non_null(strstr(set->items[2].why, "is it 'bloom'"));
	assert_non_null(strstr(set->items[3].why, "is part of the server"));
	judged(set, 0, "bf", 20612);
	assert_ptr_equal(module_set_fault(set), &set->items[2]);
	free(path);
}

static void
lines_and_stranded_directives(void **state)
{
	struct world *w = *state;
	char *bloom = make_object(w, "redisbloom.so", 0755, ET_DYN, 0);
	char *own = make_object(w, "my own.so", 0755, ET_DYN, 0);
	char *wanted = xasprintf("loadmodule %s ERROR_RATE 0.1\n", bloom);
	struct module_set *set = make_set(w, "bloom ERROR_RATE 0.1");

	judged(set, 0, "bf", 20612);
	assert_string_equal(lines_of(set), wanted);
	assert_false(module_set_is_stranded(set, SLICE_LIT("bf.timeout")));
	assert_false(module_set_is_stranded(set, SLICE_LIT("bf-error-rate")));
	assert_false(module_set_is_stranded(set, SLICE_LIT("maxmemory")));
	assert_true(module_set_is_stranded(set, SLICE_LIT("graph.timeout")));
	assert_true(module_set_is_stranded(set, SLICE_LIT("search-timeout")));
	set->items[0].leaving = true;
	module_set_drop(set, true);
	assert_string_equal(lines_of(set), "");
	assert_true(module_set_is_stranded(set, SLICE_LIT("bf.timeout")));
	assert_true(module_set_is_stranded(set, SLICE_LIT("bf-error-rate")));
	module_set_drop(set, false);
	assert_string_equal(lines_of(set), wanted);
	free(wanted);
	free(bloom);
	free(own);
}

static void
what_was_judged_is_recalled_while_nothing_changed(void **state)
{
	struct world *w = *state;
	char *path = make_object(w, "redisbloom.so", 0755, ET_DYN, 0);
	struct module_set *set = make_set(w, "bloom, ?ai");
	json_t *json;

	judged(set, 0, "bf", 20612);
	add_server_known(set);
	json = module_set_json(set);

	set = make_set(w, "bloom, ?ai");
	assert_true(module_set_recall(set, json));
	assert_string_equal(set->items[0].name, "bf");
	assert_int_equal(module_set_good(set), 1);
	/* Other arguments, or another file, are another matter. */
	assert_false(module_set_recall(make_set(w, "bloom A 1"), json));
	free(make_object(w, "redisbloom.so", 0755, ET_DYN, 0));
	assert_int_equal(utimensat(AT_FDCWD, path, (struct timespec[]){{1, 0}, {1, 0}}, 0), 0);
	assert_false(module_set_recall(make_set(w, "bloom"), json));
	assert_int_equal(module_set_good(w->set), 0);
	assert_false(module_set_recall(make_set(w, "bloom"), NULL));
	json_decref(json);
	free(path);
}

static void
what_is_no_longer_asked_for_is_leaving(void **state)
{
	struct world *w = *state;
	char *path = make_object(w, "redisbloom.so", 0755, ET_DYN, 0);
	struct module_set *before;
	json_t *json;

	judged(make_set(w, "bloom"), 0, "bf", 20612);
	add_server_known(w->set);
	json = module_set_json(w->set);
	before = module_set_of_json(w->conf, json);
	assert_true(module_set_equal(before, w->set));
	assert_int_equal(module_set_oldest(before), 7);

	module_set_keep(make_set(w, "none"), before);
	assert_int_equal(w->set->count, 1);
	assert_true(module_set_has_leaving(w->set));
	assert_non_null(module_set_find(w->set, "bf"));
	module_set_drop(w->set, true);
	assert_null(module_set_find(w->set, "bf"));
	module_set_forget_dropped(w->set);
	assert_int_equal(w->set->count, 0);
	/* Asked for again, it only stays. */
	judged(make_set(w, "bloom"), 0, "bf", 20612);
	module_set_keep(w->set, before);
	assert_int_equal(w->set->count, 1);
	assert_false(module_set_has_leaving(w->set));
	module_set_free(&before);
	json_decref(json);
	free(path);
}

static void
a_rewritten_redis_conf_loads_each_once(void **state)
{
	static const char *const loopback[] = {"127.0.0.1"};
	struct world *w = *state;
	char *path = make_object(w, "redisbloom.so", 0755, ET_DYN, 0);
	struct redis_spec spec = {.name = "redis-1",
	    .dir = "/d",
	    .bind = loopback,
	    .bind_count = 1,
	    .address = "127.0.0.1",
	    .port = 1,
	    .secret = "s",
	    .modules = make_set(w, "bloom")};
	char *text = xasprintf("loadmodule %s\nLoadModule %s A B C D E F G H I J K L M N O P Q R\n"
			       "graph.timeout 5\nbf.timeout 6\nreplica-priority 0\nmaxclients 99\n",
	    path, path);
	struct errmsg err = ERRMSG_NONE;
	struct buf out;
	char *result;

	judged(w->set, 0, "bf", 20612);
	add_server_known(w->set);
	buf_init(&out, 0);
	assert_int_equal(redis_conf_edit(slice_str(text), &spec, NULL, &out, &err), 0);
	result = xstrndup((const char *)buf_slice(&out).ptr, buf_slice(&out).len);
	assert_non_null(strstr(result, "loadmodule "));
	assert_null(strstr(strstr(result, "loadmodule ") + 1, "loadmodule"));
	assert_null(strstr(result, "LoadModule"));
	assert_null(strstr(result, "graph.timeout"));
	assert_non_null(strstr(result, "bf.timeout 6\n"));
	assert_non_null(strstr(result, "maxclients 99\n"));
	assert_non_null(strstr(result, "replica-priority 0\n"));
	if (w->set->server_count > 0) {
		assert_non_null(strstr(result, "propagation-error-behavior panic-on-replicas\n"));
	}
	free(result);
	buf_fini(&out);

	spec.forgets_priority = true;
	buf_init(&out, 0);
	assert_int_equal(redis_conf_edit(slice_str(text), &spec, NULL, &out, &err), 0);
	result = xstrndup((const char *)buf_slice(&out).ptr, buf_slice(&out).len);
	assert_null(strstr(result, "replica-priority"));
	free(result);
	buf_fini(&out);
	free(text);
	free(path);
}

#define T(f) cmocka_unit_test_setup_teardown(f, set_up, tear_down)

int
main(void)
{
	const struct CMUnitTest tests[] = {
	    T(a_file_is_judged_by_its_head),
	    T(files_are_found_and_missing_ones_explained),
	    T(lines_and_stranded_directives),
	    T(what_was_judged_is_recalled_while_nothing_changed),
	    T(what_is_no_longer_asked_for_is_leaving),
	    T(a_rewritten_redis_conf_loads_each_once),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
