#include "httpd/shape.h"

#include "base/defs.h"

const struct shape shape_plain = {.kind = SHAPE_PLAIN};

static const struct shape shape_info = {.kind = SHAPE_INFO};
static const struct shape shape_hash = {.kind = SHAPE_MAP, .of = &shape_plain};

static const struct shape_field message_fields[] = {{"id", &shape_plain}, {"msg", &shape_hash}};
const struct shape shape_message = {
    .kind = SHAPE_TUPLE, .fields = message_fields, .field_count = ARRAY_LEN(message_fields)};
static const struct shape shape_messages = {.kind = SHAPE_LIST, .of = &shape_message};
static const struct shape shape_streams = {.kind = SHAPE_PAIRS, .of = &shape_messages};

static const struct shape by_consumer = {.kind = SHAPE_PAIRS, .of = &shape_plain};
static const struct shape_field pending_fields[] = {{"msgs", &shape_plain}, {"idmin", &shape_plain},
    {"idmax", &shape_plain}, {"msgsperconsumer", &by_consumer}};
static const struct shape shape_pending = {.kind = SHAPE_TUPLE,
    .skip_null = true,
    .fields = pending_fields,
    .field_count = ARRAY_LEN(pending_fields)};

static const struct shape_field pending_one_fields[] = {{"id", &shape_plain},
    {"owner", &shape_plain}, {"elapsedtime", &shape_plain}, {"deliveries", &shape_plain}};
static const struct shape pending_one = {.kind = SHAPE_TUPLE,
    .fields = pending_one_fields,
    .field_count = ARRAY_LEN(pending_one_fields)};
static const struct shape shape_pending_list = {.kind = SHAPE_LIST, .of = &pending_one};

static const struct shape place = {.kind = SHAPE_PLACE};
static const struct shape shape_places = {.kind = SHAPE_LIST, .of = &place};

static const struct {
	const char *command;
	size_t argc_min, argc_max;
	const struct shape *shape;
} shapes[] = {
#define SHAPE(name, min, max, what) {name, min, max, &what},
#include "httpd/shapes.def"
#undef SHAPE
};

const struct shape *
shape_of(struct slice command, size_t argc)
{
	/* All names begin with one of four letters: most commands are done here. */
	if (command.len == 0 || memchr("IHXGihxg", command.ptr[0], 8) == NULL) {
		return &shape_plain;
	}
	for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
		if (slice_caseeq(command, shapes[i].command) && argc >= shapes[i].argc_min &&
		    argc <= shapes[i].argc_max) {
			return shapes[i].shape;
		}
	}
	return &shape_plain;
}
