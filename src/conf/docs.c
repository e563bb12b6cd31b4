/*
 * The documents that are made of the option table: the commented sample, the man page's and the read-me's lists. The
 * man page's words around the options are in docs_man.c.
 */
#include "conf/docs_priv.h"

#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

void
docs_add(struct docs *d, const char *text)
{
	if (d->rc == 0) {
		d->rc = buf_add_str(d->out, text);
	}
}

void
docs_addf(struct docs *d, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	if (d->rc == 0) {
		d->rc = buf_vaddf(d->out, fmt, ap);
	}
	va_end(ap);
}

char *
docs_range(const struct conf_opt *opt)
{
	char *min, *max, *range;
	struct conf_opt number = *opt;

	switch (opt->type) {
	case CONF_PORT:
	case CONF_COUNT:
	case CONF_MS:
	case CONF_S:
	case CONF_BYTES:
		break;
	default:
		return xstrdup("");
	}
	number.words = ""; /* a lower bound of 0 is a number here */
	min = opt->type == CONF_BYTES ? conf_value_format(&number, &opt->min)
				      : xasprintf("%" PRIu64, opt->min);
	max = opt->type == CONF_BYTES ? conf_value_format(&number, &opt->max)
				      : xasprintf("%" PRIu64, opt->max);
	range = xasprintf("%s to %s", min, max);
	free(min);
	free(max);
	return range;
}

/* "; text" in lines of at most 100 columns. */
static void
comment(struct docs *d, const char *text)
{
	size_t column = 0;

	while (*text != '\0') {
		size_t word = strcspn(text, " ");

		if (column > 0 && column + 1 + word > 100) {
			docs_add(d, "\n");
			column = 0;
		}
		docs_addf(d, column == 0 ? "; %.*s" : " %.*s", (int)word, text);
		column += word + (column == 0 ? 2 : 1);
		text += word + strspn(text + word, " ");
	}
	docs_add(d, "\n");
}

static void
sample_option(struct docs *d, const struct conf_opt *opt)
{
	char *range = docs_range(opt), *text;

	docs_add(d, "\n");
	text = xasprintf("%c%s.%s%s%s%s%s", toupper((unsigned char)opt->help[0]), opt->help + 1,
	    opt->more[0] != '\0' ? " " : "", opt->more, range[0] != '\0' ? " Range: " : "", range,
	    range[0] != '\0' ? "." : "");
	comment(d, text);
	/* of sections with names of their own there are none by default: these lines are only shown */
	docs_addf(d, ";%s%s =%s%s\n", opt->scope > SCOPE_REDIS ? " " : "", opt->key,
	    opt->def[0] != '\0' ? " " : "", opt->def);
	free(text);
	free(range);
}

static void
sample(struct docs *d)
{
	docs_add(d, "; Holdfast: the options with their defaults. None of this has to be said; "
		    "take the semicolon away from\n"
		    "; what shall be different. `holdfast check -c FILE` tells what is wrong with "
		    "a file, and\n"
		    "; holdfast.conf(5) explains all of it. A value $NAME is taken from the "
		    "environment, @FILE from a file.\n");
	for (size_t s = 0; s < conf_section_count; s++) {
		const struct conf_section *section = &conf_sections[s];

		docs_add(d, "\n\n");
		comment(d, section->words);
		docs_addf(
		    d, section->scope > SCOPE_REDIS ? "; [%s-NAME]\n" : "[%s]\n", section->name);
		for (size_t i = 0; i < conf_opt_count; i++) {
			if (strcmp(conf_opts[i].section, section->name) == 0) {
				sample_option(d, &conf_opts[i]);
			}
		}
		if (section->scope == SCOPE_REDIS) {
			docs_add(d, "\n; Any other directive of redis.conf, for all "
				    "instances:\n;config.maxclients = 20000\n"
				    ";config.save = 3600 1\n\n"
				    "; And what is different for one of them, the "
				    "second:\n;[redis-2]\n;port = 6391\n"
				    ";config.replica-priority = 50\n");
		}
	}
}

static void
list_md(struct docs *d)
{
	for (size_t s = 0; s < conf_section_count; s++) {
		const struct conf_section *section = &conf_sections[s];

		docs_addf(d, "%s### [%s%s]\n\n%s\n\n| option | default | |\n| --- | --- | --- |\n",
		    s > 0 ? "\n" : "", section->name, section->scope > SCOPE_REDIS ? "-NAME" : "",
		    section->words);
		for (size_t i = 0; i < conf_opt_count; i++) {
			const struct conf_opt *opt = &conf_opts[i];

			if (strcmp(opt->section, section->name) == 0) {
				docs_addf(d, "| %s | %s | %s |\n", opt->key, opt->def, opt->help);
			}
		}
	}
}

int
conf_print_options(const char *kind, struct buf *out)
{
	struct docs d = {.out = out};

	if (strcmp(kind, "ini") == 0) {
		sample(&d);
	} else if (strcmp(kind, "man") == 0) {
		docs_man(&d);
	} else if (strcmp(kind, "md") == 0) {
		list_md(&d);
	} else {
		return -EINVAL;
	}
	return d.rc < 0 ? -ENOBUFS : 0;
}
