/* Whatever place_parse accepts reads back from its text as the same place; ids are never negative. */
#include <assert.h>
#include <stdlib.h>

#include "ctl/place.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	json_t *place = place_parse((struct slice){data, size}, "own"), *again, *id;
	const char *host;
	char *text;

	if (place == NULL) {
		return 0;
	}
	json_object_foreach(place, host, id)
	{
		assert(place_get(place, host, -1) >= 0);
	}
	text = place_text(place);
	again = place_parse(slice_str(text), "other");
	assert(json_equal(place, again));
	json_decref(again);
	json_decref(place);
	free(text);
	return 0;
}
