/*
 * What a process said last before it ended without ever being ready: a directive that redis does not know, an address that is taken. The person
 * on call should not have to look for it. Of redis' configuration only the directive's name is told, never its value.
 */
#include <stdio.h>
#include <string.h>

#include "base/log.h"
#include "supervisor/supervisor_priv.h"

static bool
begins(struct slice line, const char *with)
{
	return line.len >= strlen(with) && memcmp(line.ptr, with, strlen(with)) == 0;
}

/* Without the server's "PID:ROLE TIME #". */
static struct slice
message_of(struct slice line)
{
	static const char *const marks[] = {" # ", " * ", " - ", " . "};

	for (size_t i = 0; i < ARRAY_LEN(marks); i++) {
		const uint8_t *at = memmem(line.ptr, MIN(line.len, (size_t)60), marks[i], 3);

		if (at != NULL && line.ptr[0] >= '0' && line.ptr[0] <= '9') {
			return (struct slice){at + 3, line.len - (size_t)(at + 3 - line.ptr)};
		}
	}
	return line;
}

void
lastwords_line(struct unit *u, struct slice line)
{
	if (u->process == NULL || process_state(u->process) != PROCESS_STARTING || line.len == 0) {
		return; /* NULL: it is being freed, and its last output comes */
	}
	if (begins(line, ">>> '")) {
		const uint8_t *name = line.ptr + 5;
		size_t len = 0;

		while (5 + len < line.len && name[len] != ' ' && name[len] != '\'') {
			len++;
		}
		(void)snprintf(u->said_of, sizeof(u->said_of), "%.*s", (int)MIN(len, (size_t)60),
		    (const char *)name);
		return;
	}
	line = message_of(line);
	(void)snprintf(u->said, sizeof(u->said), "%.*s", (int)MIN(line.len, sizeof(u->said) - 1),
	    (const char *)line.ptr);
}

void
lastwords_started(struct unit *u)
{
	u->said[0] = u->said_of[0] = '\0';
}

void
lastwords_ended(struct unit *u, const char *how)
{
	struct slice said = slice_str(u->said);

	if (process_state(u->process) != PROCESS_STARTING) {
		return;
	}
	u->died_young = true;
	if (said.len == 0 || !begins(slice_str(how), "exited with")) {
		return;
	}
	(void)snprintf(u->last_exit, sizeof(u->last_exit), "%s and said %s%s%s", how,
	    LOG_QUOTE(said), u->said_of[0] != '\0' ? " of its directive " : "", u->said_of);
}
