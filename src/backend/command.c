#include "backend/command.h"

#include <assert.h>
#include <ctype.h>
#include <string.h>

#include "base/mem.h"

static const struct command table[] = {
#define CMD(name, arity, flags, id) {name, arity, flags, id},
#include "backend/commands.def"
#undef CMD
};

/* Open addressing over the whole names; built at first use. */
#define SLOTS    2048
#define NAME_MAX 64

_Static_assert(
    ARRAY_LEN(table) + COMMANDS_LEARNT_MAX < SLOTS * 3 / 4, "the hash table is too full");

static uint16_t slots[SLOTS]; /* index + 1 into the table, or behind it into what was learnt */
static bool built;
static struct command *learnt[COMMANDS_LEARNT_MAX]; /* owned, as their names, for good */
static size_t learnt_count;

static const struct command *
row(size_t i)
{
	return i < ARRAY_LEN(table) ? &table[i] : learnt[i - ARRAY_LEN(table)];
}

/* FNV-1a of the upper case name. */
static uint32_t
hash(uint32_t h, struct slice s)
{
	for (size_t i = 0; i < s.len; i++) {
		uint8_t c = s.ptr[i];

		h = (h ^ (uint32_t)(c - (c >= 'a' && c <= 'z' ? 32 : 0))) * 16777619u;
	}
	return h;
}

#define HASH_SEED 2166136261u

static void
enter(size_t i)
{
	uint32_t h = hash(HASH_SEED, slice_str(row(i)->name));

	while (slots[h % SLOTS] != 0) {
		h++;
	}
	slots[h % SLOTS] = (uint16_t)(i + 1);
}

static void
build(void)
{
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		assert(strlen(table[i].name) <= NAME_MAX);
		enter(i);
	}
	built = true;
}

static bool
name_eq(const char *full, struct slice word, struct slice sub)
{
	if (strncasecmp(full, (const char *)word.ptr, word.len) != 0) {
		return false;
	}
	full += word.len;
	if (sub.ptr == NULL) {
		return full[0] == '\0';
	}
	return full[0] == ' ' && strncasecmp(full + 1, (const char *)sub.ptr, sub.len) == 0 &&
	       full[1 + sub.len] == '\0';
}

static const struct command *
find(struct slice word, struct slice sub)
{
	uint32_t h = hash(HASH_SEED, word);

	/* a NUL would end the comparison early */
	if (word.len + sub.len + 1 > NAME_MAX || memchr(word.ptr, '\0', word.len) != NULL ||
	    (sub.ptr != NULL && memchr(sub.ptr, '\0', sub.len) != NULL)) {
		return NULL;
	}
	if (sub.ptr != NULL) {
		h = hash(hash(h, SLICE_LIT(" ")), sub);
	}
	for (; slots[h % SLOTS] != 0; h++) {
		const struct command *cmd = row(slots[h % SLOTS] - 1u);

		if (name_eq(cmd->name, word, sub)) {
			return cmd;
		}
	}
	return NULL;
}

const struct command *
command_find(const struct slice *argv, size_t argc)
{
	const struct command *cmd, *sub;

	if (!built) {
		build();
	}
	if (argc == 0) {
		return NULL;
	}
	cmd = find(argv[0], (struct slice){NULL, 0});
	if (cmd != NULL && (cmd->flags & CMD_SUBS) != 0 && argc > 1) {
		sub = find(argv[0], argv[1]);
		cmd = sub != NULL ? sub : cmd;
	}
	return cmd;
}

uint16_t
command_flag_of(struct slice word)
{
	static const struct {
		const char *word;
		uint16_t flag;
	} words[] = {{"write", CMD_WRITE}, {"readonly", CMD_READ}, {"blocking", CMD_BLOCKING},
	    {"pubsub", CMD_OWN}};

	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		if (slice_eq(word, words[i].word)) {
			return words[i].flag;
		}
	}
	return 0;
}

/* "ft.search" and "ft.config|get" as the table writes them. */
static char *
table_name(struct slice name)
{
	char *text = xstrndup((const char *)name.ptr, name.len);

	for (char *c = text; *c != '\0'; c++) {
		*c = *c == '|' ? ' ' : (char)(*c >= 'a' && *c <= 'z' ? *c - 32 : *c);
	}
	return text;
}

bool
command_learn(struct slice name, int64_t arity, uint16_t flags)
{
	const uint8_t *bar = memchr(name.ptr, '|', name.len);
	struct slice word = name, sub = {NULL, 0};
	struct command *cmd;

	if (!built) {
		build();
	}
	if (bar != NULL) {
		word.len = (size_t)(bar - name.ptr);
		sub = (struct slice){bar + 1, name.len - word.len - 1};
	}
	if (name.len == 0 || name.len > NAME_MAX || learnt_count == COMMANDS_LEARNT_MAX ||
	    arity < INT8_MIN || arity > INT8_MAX || arity == 0 ||
	    memchr(name.ptr, '\0', name.len) != NULL || find(word, sub) != NULL) {
		return false;
	}
	if ((flags & (CMD_READ | CMD_WRITE)) == 0) {
		flags |= CMD_WRITE; /* it does not say: it is not to be sent twice */
	}
	cmd = xcalloc(1, sizeof(*cmd));
	cmd->name = table_name(name);
	cmd->arity = (int8_t)arity;
	cmd->flags = flags;
	learnt[learnt_count++] = cmd;
	enter(ARRAY_LEN(table) + learnt_count - 1);
	return true;
}

size_t
command_count(void)
{
	return ARRAY_LEN(table);
}

const struct command *
command_at(size_t i)
{
	assert(i < ARRAY_LEN(table));
	return &table[i];
}

bool
command_is_allowed(const struct command *cmd, const char *const *allowed, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (command_is_named(cmd, allowed[i])) {
			return true;
		}
	}
	return false;
}

bool
command_is_named(const struct command *cmd, const char *words)
{
	size_t container = strcspn(cmd->name, " "), len = strlen(words);

	if (strncasecmp(words, cmd->name, container) != 0 || len == container) {
		return len == container && strncasecmp(words, cmd->name, len) == 0;
	}
	/* a list in the configuration is separated by blanks, so Redis' own "CONFIG|SET" is how it is written there */
	return (words[container] == '|' || words[container] == ' ') &&
	       cmd->name[container] == ' ' &&
	       strcasecmp(words + container + 1, cmd->name + container + 1) == 0;
}
