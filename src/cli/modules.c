/* holdfast modules: what is known, found, wanted and loaded. With a supervisor all of it; without one what needs no server. */
#include <errno.h>
#include <stdio.h>
#include <string.h>

#include "cli/cli_priv.h"
#include "instance/module_show.h"

extern char **environ;

/* ---- asking ---- */

/* Without a supervisor: the catalogue, and the wanted modules by their files. The caller's reference, or NULL when a fault was said. */
static json_t *
look_here(const struct cli_opts *o)
{
	struct conf_sources sources = cli_conf_sources(o);
	struct conf_faults faults;
	struct conf *conf = NULL;
	json_t *json = NULL;

	conf_faults_init(&faults);
	if (conf_load(&sources, &conf, &faults) == 0) {
		struct module_set *set = module_set_new(conf, &faults);

		json = module_show(conf, set);
		module_set_free(&set);
	}
	if (faults.count > 0) {
		(void)cli_say_faults(&faults);
	}
	conf_faults_fini(&faults);
	conf_free(&conf);
	return json;
}

/* CLI_OK with the answer, or an exit code. */
static int
ask(const struct cli_opts *o, json_t **ret_json)
{
	struct ctl_client *client = NULL;
	struct errmsg err = ERRMSG_NONE;
	json_t *reply = NULL;
	char *dir = NULL;
	int rc, code;

	rc = conf_data_dir(o->dir, environ, &dir, &err);
	if (rc == 0) {
		rc = ctl_client_open(dir, &client, &err);
	}
	free(dir);
	if (rc == -ENOTCONN) {
		*ret_json = look_here(o);
		return *ret_json != NULL ? CLI_OK : CLI_BAD_CONFIG;
	}
	ctl_client_close(&client);
	code = cli_ask(o, "modules", NULL, CLI_ANSWER_MS, &reply);
	if (code == CLI_OK) {
		*ret_json = json_incref(json_object_get(reply, "modules"));
	}
	json_decref(reply);
	return code;
}

/* ---- showing ---- */

static const json_t *
find_loaded(const json_t *instance, const char *list_name)
{
	size_t i;
	json_t *one;

	json_array_foreach(json_object_get(instance, "modules"), i, one)
	{
		if (strcmp(cli_text_of(one, "name"), list_name) == 0) {
			return one;
		}
	}
	return NULL;
}

static void
show_wanted(const json_t *json)
{
	const json_t *instances = json_object_get(json, "instances");
	size_t i, k;
	json_t *w, *u;

	if (json_array_size(json_object_get(json, "wanted")) == 0) {
		(void)printf("redis.modules asks for none.\n");
	}
	json_array_foreach(json_object_get(json, "wanted"), i, w)
	{
		const char *state = cli_text_of(w, "state");

		(void)printf("%s%s: ", cli_text_of(w, "word"),
		    json_is_true(json_object_get(w, "required")) ? "" : " (may be missing)");
		if (strcmp(state, "bad") == 0) {
			cli_put_text(cli_text_of(w, "why")[0] != '\0'
					 ? cli_text_of(w, "why")
					 : "its file is there; not tried yet");
			(void)putchar('\n');
			continue;
		}
		(void)printf("%s %s%s, ", cli_text_of(w, "name"), cli_text_of(w, "version"),
		    strcmp(state, "leaving") == 0
			? ", leaves with the next `holdfast restart --rolling`"
			: "");
		cli_put_text(cli_text_of(w, "path"));
		(void)printf(
		    "%s%s\n", cli_text_of(w, "args")[0] != '\0' ? " " : "", cli_text_of(w, "args"));
		json_array_foreach(instances, k, u)
		{
			const json_t *l = find_loaded(u, cli_text_of(w, "name"));
			const char *probe = l != NULL ? cli_text_of(l, "probe") : "";

			(void)printf("    %-10s %s%s%s\n", cli_text_of(u, "name"),
			    l != NULL                                   ? cli_text_of(l, "version")
			    : json_is_true(json_object_get(u, "known")) ? "NOT LOADED"
									: "not known",
			    probe[0] != '\0' ? ", its probe says " : "", probe);
		}
	}
}

/* What servers have beyond what is asked for, and what is wrong with them. */
static void
show_others(const json_t *json)
{
	size_t i;
	json_t *u;

	json_array_foreach(json_object_get(json, "instances"), i, u)
	{
		const char *fault = cli_text_of(u, "fault"), *differs = cli_text_of(u, "differs");

		if (fault[0] != '\0' || differs[0] != '\0') {
			(void)printf("%s: ", cli_text_of(u, "name"));
			cli_put_text(fault[0] != '\0' ? fault : differs);
			(void)putchar('\n');
		}
	}
	if (cli_text_of(json, "why")[0] != '\0') {
		cli_put_text(cli_text_of(json, "why"));
		(void)putchar('\n');
	}
}

static void
show_catalogue(const json_t *json)
{
	size_t i;
	json_t *m;

	(void)printf(
	    "\n%-14s %-12s %-10s %s\n", "KNOWN", "STATUS", "SERVER", "FOUND, OR WHAT IT IS");
	json_array_foreach(json_object_get(json, "catalogue"), i, m)
	{
		const json_t *found = json_object_get(m, "found");
		const char *successor = cli_text_of(m, "successor");

		(void)printf("%-14s %-12s %-10s ", cli_text_of(m, "name"), cli_text_of(m, "status"),
		    cli_text_of(m, "server"));
		cli_put_text(json_array_size(found) > 0
				 ? json_string_value(json_array_get(found, 0))
				 : cli_text_of(m, "title"));
		if (successor[0] != '\0') {
			(void)printf("; successor: %s", successor);
		}
		(void)putchar('\n');
	}
}

int
cli_modules(int argc, char **argv)
{
	json_t *json = NULL;
	struct cli_opts opts;
	int code = cli_opts_parse(argc, argv, "cdsJ", 0, 0, &opts);

	if (code < 0) {
		code = ask(&opts, &json);
		if (code == CLI_OK && opts.json) {
			cli_put_json(json);
		} else if (code == CLI_OK) {
			show_wanted(json);
			show_others(json);
			show_catalogue(json);
		}
	}
	json_decref(json);
	cli_opts_fini(&opts);
	return code;
}
