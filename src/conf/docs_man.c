/* holdfast.conf(5): words, and between them the options of the table. */
#include "conf/docs_priv.h"

#include <ctype.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static const char before_options[] =
    ".\\\" Made from the option table: `holdfast debug options man`. Do not edit.\n"
    ".TH HOLDFAST.CONF 5 \"\" Holdfast \"File formats\"\n"
    ".SH NAME\n"
    "holdfast.conf \\- configuration of Holdfast\n"
    ".SH SYNOPSIS\n"
    ".B holdfast run \\-c\n"
    ".I FILE\n"
    ".SH DESCRIPTION\n"
    "Holdfast needs no configuration: every option has a default, and\n"
    ".B holdfast run\n"
    "without any file starts a complete cluster on the loopback interface.\n"
    "What shall be different is said in a file in INI form, in the environment or on the command "
    "line.\n"
    ".PP\n"
    ".B holdfast check\n"
    "reads all of that as\n"
    ".B holdfast run\n"
    "would, and prints everything that is wrong, each fault with its place and what to do about "
    "it.\n"
    "An option that does not exist is a fault, never ignored; the message names the nearest one "
    "that does.\n"
    ".SS Where options come from\n"
    "Each source overrides those before it:\n"
    ".IP 1. 3\n"
    "the defaults;\n"
    ".IP 2. 3\n"
    "the file of\n"
    ".BR \\-c ;\n"
    ".IP 3. 3\n"
    "the environment, see\n"
    ".BR ENVIRONMENT ;\n"
    ".IP 4. 3\n"
    ".B \\-s\n"
    ".IR SECTION . KEY = VALUE\n"
    "on the command line, with values as in the file, as often as needed; of the same option twice "
    "the last one counts.\n"
    ".PP\n"
    "What is said of one redis instance, in\n"
    ".BR [redis\\-2] ,\n"
    "always wins over what is said of all of them in\n"
    ".BR [redis] ,\n"
    "whatever sources the two come from.\n"
    ".SS Form of the file\n"
    "A line is a section's name in brackets, an option\n"
    ".IR KEY \" = \" VALUE ,\n"
    "a comment that begins with\n"
    ".B ;\n"
    "or\n"
    ".BR # ,\n"
    "or empty.\n"
    "Blanks at both ends of a line and around the equals sign do not count.\n"
    "A comment may also follow a value, after a blank and a semicolon.\n"
    "A value in double quotes is taken as it stands between them, where\n"
    ".B \\e\"\n"
    "is a quote and\n"
    ".B \\e\\e\n"
    "a backslash.\n"
    "Without quotes two forms stand for something else:\n"
    ".TP\n"
    ".BI $ NAME\n"
    "the value of that variable of the environment; it is a fault when it is not set.\n"
    ".TP\n"
    ".BI @ FILE\n"
    "the text of that file, which must be one line; a relative path begins where the configuration "
    "file is.\n"
    "This is the way to keep a password out of the file and of the process list.\n"
    ".PP\n"
    "No option stands twice in a file, but a section may.\n"
    "A file has at most 64 KiB, a line at most 4096 bytes.\n"
    ".SS Kinds of values\n"
    ".TP\n"
    "durations\n"
    "a number in the unit that the option's name ends with,\n"
    ".B _ms\n"
    "or\n"
    ".BR _s ,\n"
    "or with one of\n"
    ".BR ms ,\n"
    ".BR s ,\n"
    ".BR min ,\n"
    ".BR h ,\n"
    ".BR d\n"
    "behind it, as in\n"
    ".BR \"hold_ms = 5s\" .\n"
    ".TP\n"
    "sizes\n"
    "a number of bytes, or with one of\n"
    ".BR KiB ,\n"
    ".BR MiB ,\n"
    ".BR GiB ,\n"
    ".BR TiB\n"
    "behind it; kb, mb, gb and tb mean the same, as in redis.conf.\n"
    ".TP\n"
    "switches\n"
    ".B yes\n"
    "or\n"
    ".BR no ;\n"
    "true, false, on, off, 1 and 0 are understood.\n"
    ".TP\n"
    "lists\n"
    "items separated by commas or blanks.\n"
    ".TP\n"
    "listeners\n"
    ".IR HOST : PORT ,\n"
    ".RI [ IPv6 ]: PORT\n"
    "or\n"
    ".BI unix: /PATH\n"
    "for a unix socket.\n"
    "In front of the first two may stand tls:, for TLS, and in front of each of them proxied:, for "
    "the PROXY protocol.\n"
    ".PP\n"
    "A listener that others than this host can reach is refused while nobody has to authenticate "
    "there, unless\n"
    ".B allow_open = yes\n"
    "stands in the same section.\n"
    ".SH OPTIONS\n";

static const char after_redis[] =
    ".TP\n"
    ".BI config. DIRECTIVE\n"
    "Any other directive of redis.conf, which is passed through as it is:\n"
    ".B config.maxclients = 20000\n"
    "makes the line\n"
    ".BR \"maxclients 20000\" .\n"
    "The directives\n"
    ".BR save ,\n"
    ".B client\\-output\\-buffer\\-limit\n"
    "and\n"
    ".B rename\\-command\n"
    "may be given more than once; to give an empty value write\n"
    ".BR \"config.save = \\(dq\\(dq\" .\n"
    "Directives that Holdfast itself has to decide, such as port, dir, replicaof, requirepass or "
    "logfile, are refused,\n"
    "with the option to use instead.\n"
    "A change is applied alive where the server allows that.\n"
    ".PP\n"
    "The options\n";

static const char after_options[] =
    ".SH RELOADING\n"
    "After SIGHUP or\n"
    ".B holdfast reload\n"
    "the supervisor reads its sources again.\n"
    "When anything in them is wrong, nothing changes and the faults are reported.\n"
    "Else the options marked \\(lqchanges alive\\(rq take effect at once; for the others it says "
    "what has to be restarted.\n"
    ".SH ENVIRONMENT\n"
    "Every option can be set by a variable\n"
    ".BI HOLDFAST_ SECTION _ KEY\n"
    "in capitals, with\n"
    ".B _\n"
    "for each dash and dot:\n"
    ".BR HOLDFAST_PROXY_LISTEN ,\n"
    ".B HOLDFAST_REDIS_2_PORT\n"
    "for\n"
    ".B port\n"
    "in\n"
    ".BR [redis\\-2] ,\n"
    ".B HOLDFAST_REDIS_CONFIG_MAXCLIENTS\n"
    "for\n"
    ".BR config.maxclients .\n"
    "Their values are taken as they are, without quotes, comments or\n"
    ".B $\n"
    "and\n"
    ".BR @ .\n"
    "A variable that is set but empty counts as not set.\n"
    "A variable that is meant for Holdfast and names no option is a fault.\n"
    ".PP\n"
    "Four more names are understood, which users of other Sentinel containers know:\n"
    ".B REDIS_MASTER\n"
    "(holdfast.name),\n"
    ".B SENTINEL_QUORUM\n"
    "(sentinel.quorum),\n"
    ".B SENTINEL_DOWN_AFTER\n"
    "(sentinel.down_after_ms) and\n"
    ".B SENTINEL_FAILOVER\n"
    "(sentinel.failover_timeout_ms).\n"
    "The longer names win over them.\n"
    ".PP\n"
    ".B HOLDFAST_DIR\n"
    "is the data folder when there is no\n"
    ".BR \\-d .\n"
    "Without both it is /var/lib/holdfast for root, else $XDG_STATE_HOME/holdfast, else "
    "~/.local/state/holdfast.\n"
    "It holds the database, the sockets, and the folders of the instances.\n"
    ".SH EXAMPLES\n"
    "Ports of one's own, a password from a file, 2 GiB for each instance:\n"
    ".PP\n"
    ".nf\n"
    "[redis]\n"
    "port = 7001\n"
    "password = @/etc/holdfast/password\n"
    "maxmemory = 2 GiB\n"
    "maxmemory_policy = allkeys\\-lru\n"
    "config.maxclients = 20000\n"
    "\n"
    "[proxy]\n"
    "listen = 127.0.0.1:6379, unix:/run/holdfast/redis.sock\n"
    ".fi\n"
    ".PP\n"
    "Clients on other hosts, who have to give the password; HTTP stays on this one:\n"
    ".PP\n"
    ".nf\n"
    "[redis]\n"
    "password = $REDIS_PASSWORD\n"
    "\n"
    "[proxy]\n"
    "listen = 0.0.0.0:6379\n"
    ".fi\n"
    ".PP\n"
    "The same without a file:\n"
    ".PP\n"
    ".nf\n"
    "HOLDFAST_REDIS_PASSWORD=... holdfast run \\-s proxy.listen=0.0.0.0:6379\n"
    ".fi\n"
    ".PP\n"
    "A third instance that keeps no append\\-only file and is never promoted:\n"
    ".PP\n"
    ".nf\n"
    "[redis\\-3]\n"
    "appendonly = no\n"
    "config.replica\\-priority = 0\n"
    ".fi\n"
    ".SH SEE ALSO\n"
    ".BR holdfast (8),\n"
    ".BR redis\\-server (1),\n"
    ".BR redis\\-sentinel (1)\n";

/* Text for troff: dashes stay dashes, and nothing of it is a request. */
static void
text(struct docs *d, const char *words)
{
	if (*words == '.' || *words == '\'') {
		docs_add(d, "\\&");
	}
	for (; *words != '\0'; words++) {
		if (*words == '-') {
			docs_add(d, "\\-");
		} else if (*words == '\\') {
			docs_add(d, "\\e");
		} else {
			docs_addf(d, "%c", *words);
		}
	}
}

static void
sentence(struct docs *d, const char *words)
{
	docs_addf(d, "%c", toupper((unsigned char)words[0]));
	text(d, words + 1);
	docs_add(d, ".\n");
}

static void
option(struct docs *d, const struct conf_opt *opt)
{
	static const char *const who[CONF_TARGETS] = {[CONF_SUPERVISOR] = "supervisor",
	    [CONF_REDIS] = "redis instances",
	    [CONF_SENTINEL] = "sentinels",
	    [CONF_PROXY] = "proxy",
	    [CONF_HTTP] = "HTTP front end"};
	char *range = docs_range(opt);

	docs_add(d, ".TP\n.B ");
	text(d, opt->key);
	docs_add(d, "\n");
	sentence(d, opt->help);
	if (opt->more[0] != '\0') {
		text(d, opt->more);
		docs_add(d, "\n");
	}
	docs_add(d, ".br\n");
	if (opt->type == CONF_ENUM) {
		docs_add(d, "One of ");
		text(d, opt->words);
		docs_add(d, ".\n");
	}
	docs_add(d, "Default: ");
	text(d, opt->def[0] != '\0' ? opt->def : "none");
	if (range[0] != '\0') {
		docs_add(d, "; range: ");
		text(d, range);
	}
	if ((opt->flags & CONF_RELOAD) != 0) {
		docs_add(d, "; changes alive.\n");
	} else {
		docs_addf(d, "; needs a restart of the %s.\n", who[opt->target]);
	}
	free(range);
}

/* The keys of the redis section that an instance may have for itself. */
static void
instance_keys(struct docs *d)
{
	bool first = true;

	for (size_t i = 0; i < conf_opt_count; i++) {
		if (conf_opts[i].scope == SCOPE_REDIS) {
			docs_addf(d, "%s.B %s", first ? "" : ",\n", conf_opts[i].key);
			first = false;
		}
	}
	docs_add(d, "\nand\n.BI config. DIRECTIVE\ncan be set in a section\n.BI [redis\\- N ]\nfor "
		    "the N\\-th instance alone.\n");
}

void
docs_man(struct docs *d)
{
	docs_add(d, before_options);
	for (size_t s = 0; s < conf_section_count; s++) {
		const struct conf_section *section = &conf_sections[s];

		docs_addf(d, ".SS [%s%s]\n", section->name,
		    section->scope > SCOPE_REDIS ? "\\-NAME" : "");
		text(d, section->words);
		docs_add(d, "\n");
		for (size_t i = 0; i < conf_opt_count; i++) {
			if (strcmp(conf_opts[i].section, section->name) == 0) {
				option(d, &conf_opts[i]);
			}
		}
		if (section->scope == SCOPE_REDIS) {
			docs_add(d, after_redis);
			instance_keys(d);
		}
	}
	docs_add(d, after_options);
}
