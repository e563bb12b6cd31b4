/* The modules: found, files whole, and a trial load on each server program. */
#include "cli/check.h"
#include "instance/module_set.h"
#include "net/loop.h"

void
check_modules(const struct conf *conf, struct conf_faults *faults)
{
	struct module_set *set = module_set_new(conf, faults);
	struct loop *loop;

	if (set->count > 0) {
		loop = loop_new();
		module_judge_now(loop, set, NULL);
		loop_free(&loop);
	}
	for (size_t i = 0; i < set->count; i++) {
		const struct module_item *it = &set->items[i];
		char version[32];

		if (it->good) {
			check_good("module", "%s: %s %s, %s%s%s", it->word, it->name,
			    module_version_text(it->ver, version), it->path,
			    it->args[0] != '\0' ? " " : "", it->args);
		} else if (it->optional) {
			check_good(
			    "module", "%s may be missing, and is left out: %s", it->word, it->why);
		} else {
			conf_faults_add(faults,
			    "redis.modules asks for %s: %s; or write ?%s if it may be missing",
			    it->word, it->why, it->word);
		}
	}
	module_set_free(&set);
}
