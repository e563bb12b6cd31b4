/* The whole conf as text and back: how a worker learns what the supervisor loaded. */
#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/conf_priv.h"

static int
write_value(struct buf *out, const char *key, const char *value)
{
	if (buf_addf(out, "%s = ", key) < 0 || conf_value_quote(value, out) < 0) {
		return -ENOBUFS;
	}
	return buf_add_str(out, "\n");
}

static int
write_option(struct buf *out, const struct conf_opt *opt, const void *field)
{
	char *text = conf_value_format(opt, field);
	int rc = write_value(out, opt->key, text);

	free(text);
	return rc < 0 ? -ENOBUFS : 0;
}

static int
write_directive(struct buf *out, const struct conf_directive *d)
{
	return buf_addf(out, "config.%s = ", d->name) < 0 || conf_value_quote(d->value, out) < 0 ||
		       buf_add_str(out, "\n") < 0
		   ? -ENOBUFS
		   : 0;
}

/* Are the values of `name` the same in both lists? */
static bool
same_directive(const struct conf_directives *a, const struct conf_directives *b, const char *name)
{
	size_t i = 0, j = 0;

	for (;; i++, j++) {
		for (; i < a->count && strcmp(a->items[i].name, name) != 0; i++) {
		}
		for (; j < b->count && strcmp(b->items[j].name, name) != 0; j++) {
		}
		if (i == a->count || j == b->count) {
			return i == a->count && j == b->count;
		}
		if (strcmp(a->items[i].value, b->items[j].value) != 0) {
			return false;
		}
	}
}

/* [redis-N]: what differs from [redis]. */
static int
write_instance(struct buf *out, const struct conf *conf, const struct conf_redis *redis)
{
	int rc = buf_addf(out, "[%s]\n", redis->name);

	for (size_t i = 0; i < conf_opt_count && rc == 0; i++) {
		const struct conf_opt *opt = &conf_opts[i];
		char *base, *own;

		if (opt->scope != SCOPE_REDIS) {
			continue;
		}
		base = conf_value_format(opt, conf_cfield(conf, opt->offset));
		own = conf_value_format(opt, conf_cfield(redis, opt->item_offset));
		if (strcmp(base, own) != 0) {
			rc = write_value(out, opt->key, own);
		}
		free(base);
		free(own);
	}
	for (size_t i = 0; i < redis->config.count && rc == 0; i++) {
		if (!same_directive(
			&conf->redis_config, &redis->config, redis->config.items[i].name)) {
			rc = write_directive(out, &redis->config.items[i]);
		}
	}
	return rc;
}

static int
write_items(struct buf *out, enum conf_scope scope, const char *family, const void *items,
    size_t count, size_t size)
{
	int rc = 0;

	for (size_t n = 0; n < count && rc == 0; n++) {
		const char *item = (const char *)items + n * size;

		rc = buf_addf(out, "[%s-%s]\n", family, *(char *const *)(const void *)item);
		for (size_t i = 0; i < conf_opt_count && rc == 0; i++) {
			if (conf_opts[i].scope == scope) {
				rc = write_option(
				    out, &conf_opts[i], item + conf_opts[i].item_offset);
			}
		}
	}
	return rc;
}

static int
write_global(struct buf *out, const struct conf *conf)
{
	const char *section = "";
	int rc = 0;

	for (size_t i = 0; i < conf_opt_count && rc == 0; i++) {
		const struct conf_opt *opt = &conf_opts[i];

		if (opt->offset == CONF_NO_OFFSET) {
			continue;
		}
		if (strcmp(section, opt->section) != 0) {
			section = opt->section;
			rc = buf_addf(out, "[%s]\n", section);
		}
		if (rc == 0) {
			rc = write_option(out, opt, conf_cfield(conf, opt->offset));
		}
	}
	return rc;
}

int
conf_to_ini(const struct conf *conf, struct buf *out)
{
	int rc = buf_add_str(out, "[internal]\n");

	if (rc == 0 && conf->data_dir != NULL) {
		rc = write_value(out, "data_dir", conf->data_dir);
	}
	if (rc == 0 && conf->file != NULL) {
		rc = write_value(out, "file", conf->file);
	}
	if (rc == 0) {
		rc = write_global(out, conf);
	}
	if (rc == 0) {
		rc = buf_add_str(out, "[redis]\n");
	}
	for (size_t i = 0; i < conf->redis_config.count && rc == 0; i++) {
		rc = write_directive(out, &conf->redis_config.items[i]);
	}
	for (unsigned n = 0; n < conf->redis_instances && rc == 0; n++) {
		rc = write_instance(out, conf, &conf->redis[n]);
	}
	if (rc == 0) {
		rc = write_items(out, SCOPE_MODULE, "module", conf->modules, conf->module_count,
		    sizeof(*conf->modules));
	}
	if (rc == 0) {
		rc = write_items(
		    out, SCOPE_ACL, "acl", conf->acls, conf->acl_count, sizeof(*conf->acls));
	}
	if (rc == 0) {
		rc = write_items(
		    out, SCOPE_PEER, "peer", conf->peers, conf->peer_count, sizeof(*conf->peers));
	}
	if (rc == 0) {
		rc = write_items(
		    out, SCOPE_SITE, "site", conf->sites, conf->site_count, sizeof(*conf->sites));
	}
	if (rc == 0) {
		rc = write_items(
		    out, SCOPE_USER, "user", conf->users, conf->user_count, sizeof(*conf->users));
	}
	return rc < 0 ? -ENOBUFS : 0;
}

int
conf_from_ini(struct slice text, struct conf **ret_conf, struct errmsg *err)
{
	struct conf_faults faults;
	struct conf_settings settings = {.faults = &faults};
	struct conf *conf;
	int rc = 0;

	conf_faults_init(&faults);
	if (text.len > CONF_TEXT_MAX) {
		errmsg_set(
		    err, "the configuration is too large: at most %zu KiB", CONF_TEXT_MAX / 1024);
		return -EINVAL;
	}
	conf_gather_text(&settings, text, "configuration", SOURCE_TEXT);
	conf = conf_build(&settings);
	conf->data_dir = xstrdup(settings.data_dir);
	conf->file = xstrdup(settings.file);
	if (faults.count > 0) {
		errmsg_set(err, "%s", faults.items[0]);
		conf_free(&conf);
		rc = -EINVAL;
	} else {
		*ret_conf = conf;
	}
	conf_settings_fini(&settings);
	conf_faults_fini(&faults);
	return rc;
}
