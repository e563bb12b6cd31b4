#include "ctl/place.h"

#include <stdlib.h>
#include <string.h>

#include "base/mem.h"

static bool
add_item(json_t *place, struct slice item, const char *own)
{
	const uint8_t *colon = memrchr(item.ptr, ':', item.len);
	struct slice id = item;
	uint64_t value;

	if (colon != NULL) {
		id = (struct slice){colon + 1, (size_t)(item.ptr + item.len - colon - 1)};
	}
	if (!slice_to_u64(id, &value) || value > INT64_MAX ||
	    memchr(item.ptr, 0, item.len) != NULL) {
		return false;
	}
	if (colon == NULL) {
		place_set(place, own, (int64_t)value);
		return true;
	}
	return colon > item.ptr &&
	       json_object_setn_new(place, (const char *)item.ptr, (size_t)(colon - item.ptr),
		   json_integer((json_int_t)value)) == 0; /* it refuses what is not UTF-8 */
}

json_t *
place_parse(struct slice text, const char *own)
{
	json_t *place = json_object();

	do {
		const uint8_t *comma = memchr(text.ptr, ',', text.len);
		size_t len = comma != NULL ? (size_t)(comma - text.ptr) : text.len;

		if (!add_item(place, (struct slice){text.ptr, len}, own)) {
			json_decref(place);
			return NULL;
		}
		len += comma != NULL;
		text = (struct slice){text.ptr + len, text.len - len};
	} while (text.len > 0);
	return place;
}

char *
place_text(const json_t *place)
{
	char *text = xstrdup("");
	const char *host;
	json_t *id;

	json_object_foreach((json_t *)(uintptr_t)place, host, id)
	{
		char *longer = xasprintf("%s%s%s:%lld", text, text[0] != '\0' ? "," : "", host,
		    (long long)json_integer_value(id));

		free(text);
		text = longer;
	}
	return text;
}

int64_t
place_get(const json_t *place, const char *host, int64_t otherwise)
{
	const json_t *id = json_object_get(place, host);

	return id != NULL ? json_integer_value(id) : otherwise;
}

void
place_set(json_t *place, const char *host, int64_t id)
{
	(void)json_object_set_new(place, host, json_integer(id));
}
