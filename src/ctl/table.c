/* The table of commands, the check of arguments against it, and the shape of a line. */
#include <errno.h>
#include <string.h>

#include "base/nearest.h"
#include "ctl/ctl.h"
#include "ctl/ctl_priv.h"

#define ARG_TEXT_MAX  1024
#define ARG_COUNT_MAX 1000000
#define ARG_ID_MAX    ((INT64_C(1) << 53) - 1) /* what a double can hold */

static const struct ctl_command_info table[] = {
#define CTL_COMMAND(name, args, longest_ms, help) {#name, args, longest_ms, help},
#include "ctl/commands.def"
#undef CTL_COMMAND
};

const struct ctl_command_info *
ctl_command_at(size_t index)
{
	return index < ARRAY_LEN(table) ? &table[index] : NULL;
}

const struct ctl_command_info *
ctl_command_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(table); i++) {
		if (strcmp(table[i].name, name) == 0) {
			return &table[i];
		}
	}
	return NULL;
}

/* One word of a command's arguments, e.g. "n:count?". */
struct arg {
	struct slice name, type;
	bool optional;
};

/* Takes the next word off `spec`; false when there is none. */
static bool
next_arg(const char **spec, struct arg *ret_arg)
{
	const char *p = *spec + strspn(*spec, " "), *colon = strchr(p, ':');
	size_t len = strcspn(p, " ");

	if (len == 0) {
		return false;
	}
	*ret_arg = (struct arg){.name = {(const uint8_t *)p, (size_t)(colon - p)},
	    .type = {(const uint8_t *)colon + 1, (size_t)(p + len - colon - 1)},
	    .optional = p[len - 1] == '?'};
	if (ret_arg->optional) {
		ret_arg->type.len--;
	}
	*spec = p + len;
	return true;
}

static bool
fits(const json_t *value, struct slice type)
{
	if (slice_eq(type, "text")) {
		size_t len = json_string_length(value);

		return json_is_string(value) && len >= 1 && len <= ARG_TEXT_MAX;
	}
	if (slice_eq(type, "count")) {
		return json_is_integer(value) && json_integer_value(value) >= 0 &&
		       json_integer_value(value) <= ARG_COUNT_MAX;
	}
	if (slice_eq(type, "id")) {
		return json_is_integer(value) && json_integer_value(value) >= 0 &&
		       json_integer_value(value) <= ARG_ID_MAX;
	}
	return json_is_boolean(value);
}

static int
check_given(
    const struct ctl_command_info *info, const char *name, const json_t *value, struct errmsg *err)
{
	const char *spec = info->args;
	struct arg arg;

	while (next_arg(&spec, &arg)) {
		if (!slice_eq(arg.name, name)) {
			continue;
		}
		if (fits(value, arg.type) || (arg.optional && json_is_null(value))) {
			return 0;
		}
		errmsg_set(err, "argument '%s' of %s must be %s", name, info->name,
		    slice_eq(arg.type, "text")    ? "a text of 1 to 1024 bytes"
		    : slice_eq(arg.type, "count") ? "a number of 0 to 1000000"
		    : slice_eq(arg.type, "id")    ? "a number of 0 to 2^53 - 1"
						  : "true or false");
		return -EINVAL;
	}
	errmsg_set(err, "%s has no argument '%.64s': its arguments are: %s", info->name, name,
	    info->args[0] != '\0' ? info->args : "none");
	return -EINVAL;
}

int
ctl_args_check(const struct ctl_command_info *info, json_t *args, struct errmsg *err)
{
	const char *spec = info->args, *name;
	json_t *value;
	struct arg arg;
	int rc = 0;

	if (args != NULL && !json_is_object(args)) {
		errmsg_set(err, "the arguments of %s must be an object", info->name);
		rc = -EINVAL;
	}
	if (rc == 0) {
		json_object_foreach(args, name, value)
		{
			rc = check_given(info, name, value, err);
			if (rc < 0) {
				break;
			}
		}
	}
	while (rc == 0 && next_arg(&spec, &arg)) {
		if (!arg.optional &&
		    json_object_getn(args, (const char *)arg.name.ptr, arg.name.len) == NULL) {
			errmsg_set(err, "%s needs the argument '%.*s'", info->name,
			    (int)arg.name.len, (const char *)arg.name.ptr);
			rc = -EINVAL;
		}
	}
	return rc;
}

const char *
ctl_arg_text(const json_t *args, const char *name)
{
	return json_string_value(json_object_get(args, name));
}

uint64_t
ctl_arg_count(const json_t *args, const char *name, uint64_t otherwise)
{
	const json_t *value = json_object_get(args, name);

	return json_is_integer(value) ? (uint64_t)json_integer_value(value) : otherwise;
}

bool
ctl_arg_bool(const json_t *args, const char *name)
{
	return json_is_true(json_object_get(args, name));
}

static int
add_part(const char *bytes, size_t len, void *arg)
{
	struct buf *b = arg;

	return buf_add(b, bytes, len);
}

int
ctl_add_line(struct buf *b, const json_t *doc)
{
	if (json_dump_callback(doc, add_part, b, JSON_COMPACT) != 0) {
		return -ENOMEM;
	}
	return buf_add(b, "\n", 1);
}
