/*
 * The sources. The file goes through inih, which splits sections, names and values. Three things
 * are done around it, in the function that hands it the lines:
 *
 *   - It does not tell line numbers, nor which lines it could not make sense of: lines are counted
 * here, and a line that should have brought a value and did not is a fault.
 *   - Its line buffer has 200 bytes in most builds and longer lines are cut without a word: what
 * does not fit is kept here and joined to the value again.
 *   - It takes " ;" for a comment inside quotes too: semicolons are passed as a byte that no file
 * may contain.
 */
#include "conf/conf_priv.h"

#include <ctype.h>
#include <ini.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "base/log.h"
#include "base/mem.h"

#define SEMICOLON     '\x01'
#define TEXT_LINE_MAX (4 * CONF_LINE_MAX) /* of our own text, where lists have been written out */
#define HEAD_MAX      48                  /* inih keeps 49 bytes of a section's name */
#define BAD_SECTION   "?"

struct reader {
	struct conf_settings *settings;
	struct slice rest; /* what is not read yet */
	const char *name;  /* borrowed: the file's */
	const char *dir;   /* borrowed */
	enum conf_source source;
	unsigned line;
	bool pending;  /* the line should bring a value, and did not yet */
	char *text;    /* owned: the present line, TEXT_LINE_MAX + 1 */
	char *tail;    /* in `text`: what did not fit into inih's buffer */
	bool skipping; /* inside a section that does not exist */
};

static void
reader_fault(struct reader *r, const char *what)
{
	conf_faults_add(r->settings->faults, "%s:%u: %s", r->name, r->line, what);
}

static void
reader_where(const struct reader *r, char *where, size_t size)
{
	(void)snprintf(where, size, "%s:%u", r->name, r->line);
}

/* The next line into r->text, without blanks around it; false at the end, or when the line is
 * refused. */
static bool
next_line(struct reader *r, bool *ret_end)
{
	const uint8_t *end;
	size_t len, max = r->source == SOURCE_TEXT ? TEXT_LINE_MAX : CONF_LINE_MAX;
	struct slice line = r->rest;

	*ret_end = r->rest.len == 0;
	if (*ret_end) {
		return false;
	}
	r->line++;
	end = memchr(line.ptr, '\n', line.len);
	line.len = end != NULL ? (size_t)(end - line.ptr) : line.len;
	len = line.len + (end != NULL ? 1 : 0);
	r->rest = (struct slice){r->rest.ptr + len, r->rest.len - len};
	if (r->line == 1 && line.len >= 3 && memcmp(line.ptr, "\xef\xbb\xbf", 3) == 0) {
		line = (struct slice){line.ptr + 3, line.len - 3};
	}
	while (line.len > 0 && isspace(line.ptr[line.len - 1])) {
		line.len--;
	}
	while (line.len > 0 && isspace(line.ptr[0])) {
		line = (struct slice){line.ptr + 1, line.len - 1};
	}
	if (line.len > max) {
		reader_fault(r, "the line is too long: at most 4096 bytes; a long value can stand "
				"in a file of its own, as KEY = @FILE");
		return false;
	}
	for (size_t i = 0; i < line.len; i++) {
		if (iscntrl(line.ptr[i]) && line.ptr[i] != '\t') {
			reader_fault(r, "the line holds a control character: take it out");
			return false;
		}
	}
	if (line.len > 0) {
		memcpy(r->text, line.ptr, line.len);
	}
	r->text[line.len] = '\0';
	return true;
}

/* "[section]", maybe with a comment behind it. False: it must not be passed on. */
static bool
head_line(struct reader *r)
{
	struct conf_origin from = {.source = r->source, .where = NULL, .dir = r->dir};
	char *end = strchr(r->text, ']'), where[1200];
	const char *behind;

	r->skipping = true;
	if (end == NULL) {
		reader_fault(r, "the name of a section has no end: write [SECTION]");
		return false;
	}
	behind = end + 1 + strspn(end + 1, " \t");
	if (*behind != '\0' && *behind != ';' && *behind != '#') {
		reader_fault(r, "something stands behind [SECTION]: put it on a line of its own");
		return false;
	}
	*end = '\0';
	if (end - r->text > HEAD_MAX) {
		reader_fault(r, "the name of the section is too long: at most 47 bytes");
		return false;
	}
	reader_where(r, where, sizeof(where));
	from.where = where;
	if (r->source == SOURCE_TEXT && strcmp(r->text + 1, "internal") == 0) {
		r->skipping = false;
	} else {
		r->skipping = !conf_setting_head(r->settings, &from, r->text + 1);
	}
	*end = ']';
	end[1] = '\0';
	return !r->skipping;
}

/* Gives inih as much of the line as it has room for, up to a byte that is not a blank. */
static char *
hand_over(struct reader *r, char *str, int num)
{
	size_t len = strlen(r->text), room = (size_t)num - 2;

	for (char *c = r->text; *c != '\0'; c++) {
		*c = *c == ';' ? SEMICOLON : *c;
	}
	r->tail = r->text + len;
	if (len > room) {
		while (room > 0 && isspace((unsigned char)r->text[room - 1])) {
			room--;
		}
		r->tail = r->text + room;
		len = room;
	}
	memcpy(str, r->text, len);
	str[len] = '\n';
	str[len + 1] = '\0';
	return str;
}

static char *
on_inih_line(char *str, int num, void *stream)
{
	struct reader *r = stream;
	bool end, good;

	if (r->pending) {
		reader_fault(r, "the line is neither KEY = VALUE, nor [SECTION], nor a comment");
		r->pending = false;
	}
	good = next_line(r, &end);
	if (end) {
		return NULL;
	}
	if (!good || r->text[0] == ';' || r->text[0] == '#') {
		r->text[0] = '\0';
	} else if (r->text[0] == '[') {
		if (!head_line(r)) {
			memcpy(r->text, "[" BAD_SECTION "]", sizeof("[" BAD_SECTION "]"));
		}
	} else {
		r->pending = r->text[0] != '\0';
	}
	return hand_over(r, str, num);
}

/* A comment begins with a semicolon after a blank, or where the value should begin; not inside
 * quotes. */
static void
cut_comment(char *value)
{
	size_t blanks = strspn(value, " \t");

	memmove(value, value + blanks, strlen(value + blanks) + 1);
	if (value[0] == '"') {
		return;
	}
	for (char *c = value; *c != '\0'; c++) {
		if (*c == ';' && (c == value || isspace((unsigned char)c[-1]))) {
			*c = '\0';
			break;
		}
	}
	for (size_t len = strlen(value); len > 0 && isspace((unsigned char)value[len - 1]); len--) {
		value[len - 1] = '\0';
	}
}

static int
on_inih_value(void *user, const char *section, const char *name, const char *value)
{
	struct reader *r = user;
	struct conf_origin from = {.source = r->source, .dir = r->dir};
	char where[1200], *whole;

	r->pending = false;
	if (r->skipping) {
		return 1;
	}
	if (section[0] == '\0') {
		reader_fault(r, "the option stands before any section: put a [SECTION] above it");
		return 1;
	}
	whole = xasprintf("%s%s", value, r->tail);
	for (char *c = whole; *c != '\0'; c++) {
		*c = *c == SEMICOLON ? ';' : *c;
	}
	cut_comment(whole);
	reader_where(r, where, sizeof(where));
	from.where = where;
	if (strcmp(section, "internal") == 0) {
		char **kept =
		    strcmp(name, "data_dir") == 0 ? &r->settings->data_dir : &r->settings->file;

		free(*kept);
		*kept = conf_unquote(whole);
	} else {
		conf_setting_add(r->settings, &from, section, name, whole);
	}
	free(whole);
	return 1;
}

void
conf_gather_text(
    struct conf_settings *s, struct slice text, const char *name, enum conf_source source)
{
	char *dir = xstrdup(name);
	struct reader r = {.settings = s,
	    .rest = text,
	    .name = name,
	    .dir = dirname(dir),
	    .source = source,
	    .text = xcalloc(TEXT_LINE_MAX + 1, 1)};
	int rc = ini_parse_stream(on_inih_line, &r, on_inih_value, &r);

	if (r.pending) {
		reader_fault(&r, "the line is neither KEY = VALUE, nor [SECTION], nor a comment");
	}
	if (rc == -2) {
		conf_faults_add(s->faults, "%s: out of memory while it was read", name);
	}
	free(r.text);
	free(dir);
}

void
conf_gather_file(struct conf_settings *s, const char *path)
{
	uint8_t *text = xcalloc(CONF_FILE_MAX + 1, 1);
	struct errmsg err = ERRMSG_NONE;
	size_t len;

	if (conf_read_file(path, text, CONF_FILE_MAX, &len, &err) < 0) {
		conf_faults_add(s->faults, "%s", err.text);
	} else {
		conf_gather_text(s, (struct slice){text, len}, path, SOURCE_FILE);
	}
	free(text);
}

void
conf_gather_sets(struct conf_settings *s, const char *const *sets, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		const char *equals = strchr(sets[i], '='), *dot = strchr(sets[i], '.');
		char *name, *where;

		if (equals == NULL || dot == NULL || dot > equals || dot == sets[i] ||
		    dot + 1 == equals) {
			conf_faults_add(s->faults, "-s %.*s: write -s SECTION.KEY=VALUE",
			    equals != NULL ? (int)MIN(equals - sets[i], 60) : 60, sets[i]);
			continue;
		}
		name = xstrndup(sets[i], (size_t)(equals - sets[i]));
		where = xasprintf("-s %.100s", name);
		name[dot - sets[i]] = '\0';
		conf_setting_add(s, &(struct conf_origin){.source = SOURCE_SET, .where = where},
		    name, name + (dot - sets[i]) + 1, equals + 1);
		free(where);
		free(name);
	}
}
