/* Values: text to field and back. What a text may look like is decided here, for every type once.
 */
#include "conf/conf_priv.h"

#include <arpa/inet.h>
#include <ctype.h>
#include <errno.h>
#include <inttypes.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>

#include "base/mem.h"
#include "net/cidr.h"
#include "net/endpoint.h"

#define NAME_CHARS "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789._-"

struct unit {
	const char *name;
	uint64_t factor;
};

static const struct unit ms_units[] = {
    {"ms", 1}, {"", 1}, {"s", 1000}, {"min", 60000}, {"m", 60000}, {"h", 3600000}, {NULL, 0}};
static const struct unit s_units[] = {
    {"s", 1}, {"", 1}, {"min", 60}, {"m", 60}, {"h", 3600}, {"d", 86400}, {NULL, 0}};
/* The words of redis.conf are among them; its k, m and g, which are powers of 1000, are left out on
 * purpose. */
static const struct unit bytes_units[] = {{"bytes", 1}, {"", 1}, {"B", 1}, {"KiB", 1ull << 10},
    {"kb", 1ull << 10}, {"MiB", 1ull << 20}, {"mb", 1ull << 20}, {"GiB", 1ull << 30},
    {"gb", 1ull << 30}, {"TiB", 1ull << 40}, {"tb", 1ull << 40}, {NULL, 0}};
static const struct unit no_units[] = {{"", 1}, {NULL, 0}};

static const struct unit *
units_of(const struct conf_opt *opt)
{
	switch (opt->type) {
	case CONF_MS:
		return ms_units;
	case CONF_S:
		return s_units;
	case CONF_BYTES:
		return bytes_units;
	default:
		return no_units;
	}
}

/* The option's unit or form, for people: "milliseconds", "yes or no", … */
static const char *
form(const struct conf_opt *opt)
{
	switch (opt->type) {
	case CONF_STR:
		return "text";
	case CONF_NAME:
		return "a name of letters, digits, . _ and -";
	case CONF_HOST:
		return "an address or a host name";
	case CONF_PATH:
		return "a path";
	case CONF_CIDR:
		return "ADDRESS/BITS";
	case CONF_ENUM:
		return "one of the words";
	case CONF_BOOL:
		return "yes or no";
	case CONF_PORT:
		return "a port";
	case CONF_COUNT:
		return "a number";
	case CONF_MS:
		return "milliseconds, or a number with s, min or h";
	case CONF_S:
		return "seconds, or a number with min, h or d";
	case CONF_BYTES:
		return "bytes, or a number with KiB, MiB, GiB or TiB";
	case CONF_HOSTS:
		return "addresses, separated by commas or blanks";
	case CONF_NAMES:
		return "host names, separated by commas or blanks";
	case CONF_CIDRS:
		return "ADDRESS/BITS, separated by commas or blanks";
	case CONF_ENDPOINTS:
		return "HOST:PORT, [IPv6]:PORT, tls:HOST:PORT or unix:PATH, separated by commas or "
		       "blanks";
	case CONF_COMMANDS:
		return "commands, separated by commas or blanks";
	case CONF_WORDS:
		return "some of the words, separated by commas or blanks";
	case CONF_PATHS:
		return "paths, separated by commas or blanks";
	case CONF_MODULES:
		return "modules, separated by commas";
	}
	return "";
}

/* Is `text` one of the words (separated by blanks)? The word as it stands there, as a new string,
 * or NULL. */
static char *
word_of(const char *words, const char *text)
{
	size_t len = strlen(text);

	while (*words != '\0') {
		size_t n = strcspn(words, " ");

		if (len > 0 && n == len && strncasecmp(words, text, len) == 0) {
			return xstrndup(words, n);
		}
		words += n + strspn(words + n, " ");
	}
	return NULL;
}

static bool
is_special_word(const struct conf_opt *opt, const char *text)
{
	char *word =
	    opt->type != CONF_ENUM && opt->type != CONF_WORDS ? word_of(opt->words, text) : NULL;

	free(word);
	return word != NULL;
}

/* A number of 1024s without a remainder is shown with its unit. */
static char *
number_format(const struct conf_opt *opt, uint64_t number)
{
	static const struct unit shown[] = {
	    {"TiB", 1ull << 40}, {"GiB", 1ull << 30}, {"MiB", 1ull << 20}, {"KiB", 1ull << 10}};

	for (size_t i = 0; opt->type == CONF_BYTES && i < ARRAY_LEN(shown); i++) {
		if (number > 0 && number % shown[i].factor == 0) {
			return xasprintf("%" PRIu64 " %s", number / shown[i].factor, shown[i].name);
		}
	}
	return xasprintf("%" PRIu64, number);
}

static int
number_fault(const struct conf_opt *opt, const char *shown, struct errmsg *err)
{
	char *min = number_format(opt, opt->min), *max = number_format(opt, opt->max);
	const char *either = opt->words[0] != '\0' ? ", or " : "";

	errmsg_set(err, "does not take %s: write %s, from %s to %s%s%s", shown, form(opt), min, max,
	    either, opt->words);
	free(min);
	free(max);
	return -EINVAL;
}

static int
number_parse(const struct conf_opt *opt, const char *text, const char *shown, uint64_t *ret_number,
    struct errmsg *err)
{
	size_t digits = strspn(text, "0123456789");
	const char *unit = text + digits + strspn(text + digits, " \t");
	uint64_t number;

	if (is_special_word(opt, text)) {
		*ret_number = 0;
		return 0;
	}
	if (!slice_to_u64((struct slice){(const uint8_t *)text, digits}, &number)) {
		return number_fault(opt, shown, err);
	}
	for (const struct unit *u = units_of(opt); u->name != NULL; u++) {
		if (strcasecmp(u->name, unit) == 0) {
			if (__builtin_mul_overflow(number, u->factor, &number) ||
			    number < opt->min || number > opt->max) {
				break;
			}
			*ret_number = number;
			return 0;
		}
	}
	return number_fault(opt, shown, err);
}

static int
bool_parse(const char *text, const char *shown, bool *ret_value, struct errmsg *err)
{
	static const char *const words[] = {"no", "yes", "false", "true", "off", "on", "0", "1"};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (strcasecmp(words[i], text) == 0) {
			*ret_value = i % 2 == 1;
			return 0;
		}
	}
	errmsg_set(err, "does not take %s: write yes or no", shown);
	return -EINVAL;
}

static bool
is_address(const char *text)
{
	uint8_t bytes[16];

	return inet_pton(AF_INET, text, bytes) == 1 || inet_pton(AF_INET6, text, bytes) == 1;
}

/* A name of the DNS; four numbers that are no address are a slip, not a name. */
static bool
is_host_name(const char *text)
{
	size_t len = strlen(text);

	return len > 0 && len <= 253 && strspn(text, NAME_CHARS) == len &&
	       isalnum((unsigned char)text[0]) && isalnum((unsigned char)text[len - 1]) &&
	       strstr(text, "..") == NULL && strspn(text, "0123456789.") != len;
}

bool
conf_is_host_address(const char *text)
{
	uint8_t bytes[16] = {0};
	static const uint8_t none[16];

	if (is_address(text)) {
		return inet_pton(strchr(text, ':') != NULL ? AF_INET6 : AF_INET, text, bytes) ==
			   1 &&
		       memcmp(bytes, none, sizeof(none)) != 0;
	}
	return is_host_name(text);
}

static bool
is_cidr(const char *text)
{
	struct cidr network;

	return cidr_parse(text, &network) == 0;
}

static int
text_parse(const struct conf_opt *opt, const char *text, const char *shown, char **field,
    struct errmsg *err)
{
	size_t len = strlen(text);
	const char *why = NULL;

	if (len == 0 || is_special_word(opt, text)) {
		if (len == 0 && (opt->flags & CONF_REQUIRED) != 0) {
			errmsg_set(err, "must not be empty: write %s", form(opt));
			return -EINVAL;
		}
		free(*field);
		*field = NULL;
		return 0;
	}
	if (len > opt->max) {
		errmsg_set(err, "is too long: at most %" PRIu64 " bytes", opt->max);
		return -EINVAL;
	}
	if (opt->type == CONF_NAME && strspn(text, NAME_CHARS) != len) {
		why = "only letters, digits and . _ - may stand in a name";
	} else if (opt->type == CONF_HOST && !is_address(text) && !is_host_name(text)) {
		why = "write an IPv4 or IPv6 address, or a host name";
	} else if (opt->type == CONF_CIDR && !is_cidr(text)) {
		why = "write ADDRESS/BITS, as in 10.0.0.0/8";
	}
	if (why != NULL) {
		errmsg_set(err, "does not take %s: %s", shown, why);
		return -EINVAL;
	}
	free(*field);
	*field = xstrdup(text);
	return 0;
}

static int
enum_parse(const struct conf_opt *opt, const char *text, const char *shown, char **field,
    struct errmsg *err)
{
	char *word = word_of(opt->words, text);

	if (word == NULL) {
		errmsg_set(err, "does not take %s: write one of %s", shown, opt->words);
		return -EINVAL;
	}
	free(*field);
	*field = word;
	return 0;
}

static void
list_free(struct conf_list *list)
{
	for (size_t i = 0; i < list->count; i++) {
		free(list->items[i]);
	}
	free(list->items);
	*list = (struct conf_list){0};
}

/* The item as it is kept, in `*item`; or why it is refused. */
static int
item_check(const struct conf_opt *opt, char **item, struct errmsg *err)
{
	const char *text = *item;
	struct endpoint ep;
	char *word;

	switch (opt->type) {
	case CONF_HOSTS:
		text += text[0] == '-' ? 1 : 0; /* redis.conf: no fault if this one is not there */
		if (strcmp(text, "*") != 0 && strcmp(text, "localhost") != 0 && !is_address(text)) {
			errmsg_set(err,
			    "'%s' is no address: write numbers, as in 192.0.2.10, or * for all",
			    *item);
			return -EINVAL;
		}
		return 0;
	case CONF_NAMES:
		if (strcmp(text, "*") != 0 && !is_host_name(text)) {
			errmsg_set(err, "'%s' is no host name", text);
			return -EINVAL;
		}
		return 0;
	case CONF_CIDRS:
		if (!is_cidr(text)) {
			errmsg_set(
			    err, "'%s' is no network: write ADDRESS/BITS, as in 10.0.0.0/8", text);
			return -EINVAL;
		}
		return 0;
	case CONF_ENDPOINTS:
		if (endpoint_parse(text, 0, &ep, err) < 0) {
			return -EINVAL;
		}
		if (ep.kind == ENDPOINT_UNIX ? ep.host[0] != '/'
					     : !is_address(ep.host) && !is_host_name(ep.host)) {
			errmsg_set(err,
			    "'%s' is no place to listen: write HOST:PORT, [IPv6]:PORT, "
			    "tls:HOST:PORT or unix:/PATH",
			    text);
			return -EINVAL;
		}
		free(*item);
		*item = xstrdup(ENDPOINT_TEXT(&ep));
		return 0;
	case CONF_COMMANDS:
		if (strspn(text, NAME_CHARS "|*") != strlen(text)) {
			errmsg_set(err, "'%s' is no command", text);
			return -EINVAL;
		}
		for (char *c = *item; *c != '\0'; c++) {
			*c = (char)toupper((unsigned char)*c);
		}
		return 0;
	case CONF_WORDS:
		word = word_of(opt->words, text);
		if (word == NULL) {
			errmsg_set(
			    err, "'%s' is none of its words: write some of %s", text, opt->words);
			return -EINVAL;
		}
		free(*item);
		*item = word;
		return 0;
	case CONF_PATHS:
		if (text[0] != '/') {
			errmsg_set(err, "'%s' is no absolute path: it has to begin with /", text);
			return -EINVAL;
		}
		return 0;
	default:
		return 0;
	}
}

/* Takes `item` over in any case. */
static int
list_add(const struct conf_opt *opt, struct conf_list *list, char *item, struct errmsg *err)
{
	struct errmsg why = ERRMSG_NONE;

	if (list->count == opt->max) {
		errmsg_set(err, "has too many items: at most %" PRIu64, opt->max);
	} else if (item_check(opt, &item, &why) < 0) {
		errmsg_set(err, "is refused: %s", why.text);
	} else {
		for (size_t i = 0; i < list->count; i++) {
			if (strcmp(list->items[i], item) == 0) {
				errmsg_set(err, "names %s twice: take one out", item);
				goto fail;
			}
		}
		list->items = xreallocarray(list->items, list->count + 1, sizeof(*list->items));
		list->items[list->count++] = item;
		return 0;
	}
fail:
	free(item);
	return -EINVAL;
}

static int
list_parse(
    const struct conf_opt *opt, const char *text, struct conf_list *field, struct errmsg *err)
{
	const char *between = opt->type == CONF_MODULES ? "," : ", \t";
	struct conf_list list = {0};
	int rc = 0;

	bool special = is_special_word(opt, text);

	if (special) {
		text = "";
	}
	while (rc == 0) {
		size_t len;

		text += strspn(text, ", \t");
		len = strcspn(text, between);
		if (len == 0) {
			break;
		}
		while (text[len - 1] == ' ' || text[len - 1] == '\t') {
			len--;
		}
		rc = list_add(opt, &list, xstrndup(text, len), err);
		text += len;
	}
	if (rc == 0 && list.count < opt->min && !special) {
		errmsg_set(err, "must not be empty: write %s", form(opt));
		rc = -EINVAL;
	}
	if (rc < 0) {
		list_free(&list);
		return rc;
	}
	list_free(field);
	*field = list;
	return 0;
}

/* What an option of this type is in struct conf. */
enum storage { AS_BOOL, AS_NUMBER, AS_TEXT, AS_LIST };

static enum storage
storage_of(const struct conf_opt *opt)
{
	switch (opt->type) {
	case CONF_BOOL:
		return AS_BOOL;
	case CONF_PORT:
	case CONF_COUNT:
	case CONF_MS:
	case CONF_S:
	case CONF_BYTES:
		return AS_NUMBER;
	case CONF_HOSTS:
	case CONF_NAMES:
	case CONF_CIDRS:
	case CONF_ENDPOINTS:
	case CONF_COMMANDS:
	case CONF_WORDS:
	case CONF_PATHS:
	case CONF_MODULES:
		return AS_LIST;
	default:
		return AS_TEXT;
	}
}

static uint64_t
number_of(const struct conf_opt *opt, const void *field)
{
	return opt->type == CONF_PORT    ? *(const uint16_t *)field
	       : opt->type == CONF_COUNT ? *(const unsigned *)field
					 : *(const uint64_t *)field;
}

static void
set_number(const struct conf_opt *opt, void *field, uint64_t number)
{
	if (opt->type == CONF_PORT) {
		*(uint16_t *)field = (uint16_t)number;
	} else if (opt->type == CONF_COUNT) {
		*(unsigned *)field = (unsigned)number;
	} else {
		*(uint64_t *)field = number;
	}
}

int
conf_value_parse(const struct conf_opt *opt, const char *text, const char *shown, void *field,
    struct errmsg *err)
{
	uint64_t number = 0;
	int rc;

	switch (storage_of(opt)) {
	case AS_BOOL:
		return bool_parse(text, shown, field, err);
	case AS_NUMBER:
		rc = number_parse(opt, text, shown, &number, err);
		if (rc == 0) {
			set_number(opt, field, number);
		}
		return rc;
	case AS_LIST:
		return list_parse(opt, text, field, err);
	default:
		return opt->type == CONF_ENUM ? enum_parse(opt, text, shown, field, err)
					      : text_parse(opt, text, shown, field, err);
	}
}

/* The word that stands for "nothing", as the first of the option's words; else `otherwise`. */
static char *
nothing_format(const struct conf_opt *opt, const char *otherwise)
{
	return opt->words[0] != '\0' ? xstrndup(opt->words, strcspn(opt->words, " "))
				     : xstrdup(otherwise);
}

static char *
list_format(const struct conf_opt *opt, const struct conf_list *list)
{
	char *text = NULL;

	for (size_t i = 0; i < list->count; i++) {
		char *longer =
		    xasprintf("%s%s%s", i > 0 ? text : "", i > 0 ? ", " : "", list->items[i]);

		free(text);
		text = longer;
	}
	return text != NULL ? text : nothing_format(opt, "");
}

char *
conf_value_format(const struct conf_opt *opt, const void *field)
{
	switch (storage_of(opt)) {
	case AS_BOOL:
		return xstrdup(*(const bool *)field ? "yes" : "no");
	case AS_NUMBER:
		return number_of(opt, field) == 0 ? nothing_format(opt, "0")
						  : number_format(opt, number_of(opt, field));
	case AS_LIST:
		return list_format(opt, field);
	default:
		return *(char *const *)field != NULL ? xstrdup(*(char *const *)field)
						     : nothing_format(opt, "");
	}
}

void
conf_value_copy(const struct conf_opt *opt, void *to, const void *from)
{
	const struct conf_list *list = from;
	struct conf_list copy = {0};

	switch (storage_of(opt)) {
	case AS_BOOL:
		*(bool *)to = *(const bool *)from;
		return;
	case AS_NUMBER:
		set_number(opt, to, number_of(opt, from));
		return;
	case AS_LIST:
		copy.items = list->count > 0 ? xcalloc(list->count, sizeof(*copy.items)) : NULL;
		for (; copy.count < list->count; copy.count++) {
			copy.items[copy.count] = xstrdup(list->items[copy.count]);
		}
		list_free(to);
		*(struct conf_list *)to = copy;
		return;
	default:
		free(*(char **)to);
		*(char **)to = xstrdup(*(char *const *)from);
		return;
	}
}

void
conf_value_free(const struct conf_opt *opt, void *field)
{
	switch (storage_of(opt)) {
	case AS_LIST:
		list_free(field);
		return;
	case AS_TEXT:
		free(*(char **)field);
		*(char **)field = NULL;
		return;
	default:
		return;
	}
}

int
conf_value_quote(const char *value, struct buf *out)
{
	static const char plain[] = NAME_CHARS ":/,+* []|?";
	size_t len = strlen(value);

	if (len > 0 && strspn(value, plain) == len && value[0] != ' ' && value[len - 1] != ' ') {
		return buf_add(out, value, len);
	}
	if (buf_add(out, "\"", 1) < 0) {
		return -ENOBUFS;
	}
	for (const char *c = value; *c != '\0'; c++) {
		if (((*c == '"' || *c == '\\') && buf_add(out, "\\", 1) < 0) ||
		    buf_add(out, c, 1) < 0) {
			return -ENOBUFS;
		}
	}
	return buf_add(out, "\"", 1) < 0 ? -ENOBUFS : 0;
}
