/* What a reload changes. An option of all instances that changed alike is told once; else each
 * instance is named. */
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/conf_priv.h"

#define HIDDEN "(hidden)"

static void
add(struct conf_changes *c, char *option, const char *from, const char *to,
    const struct conf_change *what)
{
	struct conf_change *change;

	c->items = xreallocarray(c->items, c->count + 1, sizeof(*c->items));
	change = &c->items[c->count++];
	*change = *what;
	change->option = option;
	change->from = xstrdup(from);
	change->to = xstrdup(to);
}

/* What the server calls the option, and the value without units; NULL when it is no directive. */
static void
set_directive(struct conf_change *change, const struct conf_opt *opt, const void *after)
{
	if (opt->scope != SCOPE_REDIS || (opt->flags & CONF_RELOAD) == 0) {
		return;
	}
	change->directive = xstrdup(opt->key);
	for (char *c = change->directive; *c != '\0'; c++) {
		*c = *c == '_' ? '-' : *c;
	}
	change->value = opt->type == CONF_BYTES ? xasprintf("%" PRIu64, *(const uint64_t *)after)
						: conf_value_format(opt, after);
}

/* `option` is taken over. Nothing is added when the texts are the same. */
static void
add_option(struct conf_changes *c, const struct conf_opt *opt, char *option, const void *before,
    const void *after, unsigned redis)
{
	char *from = conf_value_format(opt, before), *to = conf_value_format(opt, after);
	bool secret = (opt->flags & CONF_SECRET) != 0;

	if (strcmp(from, to) != 0) {
		add(c, option, secret ? HIDDEN : from, secret ? HIDDEN : to,
		    &(struct conf_change){.alive = (opt->flags & CONF_RELOAD) != 0,
			.target = opt->target,
			.redis = redis});
		set_directive(&c->items[c->count - 1], opt, after);
	} else {
		free(option);
	}
	free(from);
	free(to);
}

static bool
differs(const struct conf_opt *opt, const void *before, const void *after)
{
	char *from = conf_value_format(opt, before), *to = conf_value_format(opt, after);
	bool differs = strcmp(from, to) != 0;

	free(from);
	free(to);
	return differs;
}

static void
diff_redis_option(
    struct conf_changes *c, const struct conf_opt *opt, const struct conf *a, const struct conf *b)
{
	unsigned common = MIN(a->redis_instances, b->redis_instances), changed = 0;

	for (unsigned n = 0; n < common; n++) {
		changed += differs(opt, conf_cfield(&a->redis[n], opt->item_offset),
			       conf_cfield(&b->redis[n], opt->item_offset))
			       ? 1
			       : 0;
	}
	if (changed == common &&
	    differs(opt, conf_cfield(a, opt->offset), conf_cfield(b, opt->offset))) {
		add_option(c, opt, xasprintf("redis.%s", opt->key), conf_cfield(a, opt->offset),
		    conf_cfield(b, opt->offset), 0);
		return;
	}
	for (unsigned n = 0; n < common && changed > 0; n++) {
		add_option(c, opt, xasprintf("redis-%u.%s", n + 1, opt->key),
		    conf_cfield(&a->redis[n], opt->item_offset),
		    conf_cfield(&b->redis[n], opt->item_offset), n + 1);
	}
}

/* All values of the directive in one text, with `between`; NULL when it is not there. */
static char *
directive_text(const struct conf_directives *d, const char *name, const char *between)
{
	char *text = NULL;

	for (size_t i = 0; i < d->count; i++) {
		if (strcmp(d->items[i].name, name) == 0) {
			char *longer = text == NULL
					   ? xstrdup(d->items[i].value)
					   : xasprintf("%s%s%s", text, between, d->items[i].value);

			free(text);
			text = longer;
		}
	}
	return text;
}

/* For people: an empty value is not the same as none. */
static const char *
shown_directive(const char *text, bool secret)
{
	if (text == NULL) {
		return "(not set)";
	}
	return secret ? HIDDEN : text[0] != '\0' ? text : "\"\"";
}

/* Adds the change of one directive in one list; says whether there was one. */
static bool
diff_directive(struct conf_changes *c, const char *name, const struct conf_directives *a,
    const struct conf_directives *b, unsigned redis, bool dry)
{
	static const char *const secrets[] = {"pass", "auth", "secret"};
	char *from = directive_text(a, name, " | "), *to = directive_text(b, name, " | ");
	bool changed = (from == NULL) != (to == NULL) || (from != NULL && strcmp(from, to) != 0);
	bool secret = false;
	char *option;

	for (size_t i = 0; i < ARRAY_LEN(secrets); i++) {
		secret = secret || strstr(name, secrets[i]) != NULL;
	}
	if (changed && !dry) {
		option = redis != 0 ? xasprintf("redis-%u.config.%s", redis, name)
				    : xasprintf("redis.config.%s", name);
		add(c, option, shown_directive(from, secret), shown_directive(to, secret),
		    &(struct conf_change){.alive = to != NULL,
			.target = CONF_REDIS,
			.redis = redis,
			.directive = xstrdup(name),
			/* CONFIG SET takes the repeated ones in one value, one behind the other. */
			.value = directive_text(b, name, " ")});
	}
	free(from);
	free(to);
	return changed;
}

static void
diff_directive_everywhere(
    struct conf_changes *c, const char *name, const struct conf *a, const struct conf *b)
{
	unsigned common = MIN(a->redis_instances, b->redis_instances), changed = 0;

	for (unsigned n = 0; n < common; n++) {
		changed +=
		    diff_directive(c, name, &a->redis[n].config, &b->redis[n].config, n + 1, true)
			? 1
			: 0;
	}
	if (changed == common &&
	    diff_directive(c, name, &a->redis_config, &b->redis_config, 0, false)) {
		return;
	}
	for (unsigned n = 0; n < common && changed > 0; n++) {
		(void)diff_directive(
		    c, name, &a->redis[n].config, &b->redis[n].config, n + 1, false);
	}
}

static void
diff_directives(struct conf_changes *c, const struct conf *a, const struct conf *b)
{
	struct conf_directives seen = {0};

	for (unsigned side = 0; side < 2; side++) {
		const struct conf *conf = side == 0 ? a : b;

		for (unsigned n = 0; n <= conf->redis_instances; n++) {
			const struct conf_directives *d =
			    n == 0 ? &conf->redis_config : &conf->redis[n - 1].config;

			for (size_t i = 0; i < d->count; i++) {
				if (!conf_directives_has(&seen, d->items[i].name)) {
					conf_directives_add(&seen, d->items[i].name, "");
				}
			}
		}
	}
	conf_directives_sort(&seen);
	for (size_t i = 0; i < seen.count; i++) {
		diff_directive_everywhere(c, seen.items[i].name, a, b);
	}
	conf_directives_fini(&seen);
}

struct family {
	enum conf_scope scope;
	const char *name;
	enum conf_target target;
	const void *before, *after;
	size_t before_count, after_count, size;
};

static const char *
item_at(const void *items, size_t n, size_t size)
{
	return (const char *)items + n * size;
}

static const char *
item_name(const char *item)
{
	return *(char *const *)(const void *)item;
}

static const char *
item_find(const void *items, size_t count, size_t size, const char *name)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(item_name(item_at(items, i, size)), name) == 0) {
			return item_at(items, i, size);
		}
	}
	return NULL;
}

/* The order of the sections counts for access rules: rules that changed places are a change too. */
static void
diff_order(struct conf_changes *c, const struct family *f)
{
	bool same = f->before_count == f->after_count;

	for (size_t i = 0; same && i < f->before_count; i++) {
		if (strcmp(item_name(item_at(f->before, i, f->size)),
			item_name(item_at(f->after, i, f->size))) != 0) {
			add(c, xasprintf("%s-*", f->name), "(order)", "(order)",
			    &(struct conf_change){
				.alive = f->target == CONF_HTTP, .target = f->target});
			return;
		}
	}
}

static void
diff_family(struct conf_changes *c, const struct family *f)
{
	struct conf_change change = {.alive = f->target == CONF_HTTP, .target = f->target};

	for (size_t n = 0; n < f->before_count; n++) {
		const char *before = item_at(f->before, n, f->size);
		const char *after = item_find(f->after, f->after_count, f->size, item_name(before));

		if (after == NULL) {
			add(c, xasprintf("%s-%s", f->name, item_name(before)), "(there)", "(gone)",
			    &change);
			continue;
		}
		for (size_t i = 0; i < conf_opt_count; i++) {
			if (conf_opts[i].scope == f->scope) {
				add_option(c, &conf_opts[i],
				    xasprintf(
					"%s-%s.%s", f->name, item_name(before), conf_opts[i].key),
				    before + conf_opts[i].item_offset,
				    after + conf_opts[i].item_offset, 0);
			}
		}
	}
	for (size_t n = 0; n < f->after_count; n++) {
		const char *after = item_at(f->after, n, f->size);

		if (item_find(f->before, f->before_count, f->size, item_name(after)) == NULL) {
			add(c, xasprintf("%s-%s", f->name, item_name(after)), "(not there)",
			    "(new)", &change);
		}
	}
	diff_order(c, f);
}

/* The files have the same names and hold something else. */
static void
diff_tls(struct conf_changes *c, const char *option, enum conf_target target,
    const struct tls_facts *a, const struct tls_facts *b)
{
	char from[224], to[224];

	if (a->subject[0] != '\0' && b->subject[0] != '\0' &&
	    memcmp(a->digest, b->digest, sizeof(a->digest)) != 0) {
		add(c, xstrdup(option), tls_facts_text(a, from, sizeof(from)),
		    tls_facts_text(b, to, sizeof(to)),
		    &(struct conf_change){.alive = true, .target = target});
	}
}

void
conf_diff(const struct conf *a, const struct conf *b, struct conf_changes *ret_changes)
{
	struct conf_changes changes = {0};
	const struct family families[] = {
	    {SCOPE_MODULE, "module", CONF_REDIS, a->modules, b->modules, a->module_count,
		b->module_count, sizeof(struct conf_module)},
	    {SCOPE_ACL, "acl", CONF_HTTP, a->acls, b->acls, a->acl_count, b->acl_count,
		sizeof(struct conf_acl)},
	    {SCOPE_PEER, "peer", CONF_SUPERVISOR, a->peers, b->peers, a->peer_count, b->peer_count,
		sizeof(struct conf_peer)},
	    {SCOPE_SITE, "site", CONF_HTTP, a->sites, b->sites, a->site_count, b->site_count,
		sizeof(struct conf_site)},
	    {SCOPE_USER, "user", CONF_HTTP, a->users, b->users, a->user_count, b->user_count,
		sizeof(struct conf_user)},
	};

	for (size_t i = 0; i < conf_opt_count; i++) {
		const struct conf_opt *opt = &conf_opts[i];

		if (opt->scope == SCOPE_REDIS) {
			diff_redis_option(&changes, opt, a, b);
		} else if (opt->scope == SCOPE_GLOBAL) {
			add_option(&changes, opt, xasprintf("%s.%s", opt->section, opt->key),
			    conf_cfield(a, opt->offset), conf_cfield(b, opt->offset), 0);
		}
	}
	diff_tls(&changes, "redis.tls_cert", CONF_SUPERVISOR, &a->redis_tls, &b->redis_tls);
	diff_tls(&changes, "proxy.tls_cert", CONF_PROXY, &a->proxy_tls, &b->proxy_tls);
	diff_tls(&changes, "http.tls_cert", CONF_HTTP, &a->http_tls, &b->http_tls);
	diff_directives(&changes, a, b);
	for (size_t i = 0; i < ARRAY_LEN(families); i++) {
		diff_family(&changes, &families[i]);
	}
	*ret_changes = changes;
}

void
conf_changes_fini(struct conf_changes *changes)
{
	for (size_t i = 0; i < changes->count; i++) {
		free(changes->items[i].option);
		free(changes->items[i].from);
		free(changes->items[i].to);
		free(changes->items[i].directive);
		free(changes->items[i].value);
	}
	free(changes->items);
	*changes = (struct conf_changes){0};
}
