/*
 * A configuration file of any bytes: read, checked, and if it is a good one written out and read again, which must
 * change nothing. Nothing is read from other files.
 */
#include <assert.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "base/mem.h"
#include "conf/conf_priv.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t size);

static void
round_trip(const struct conf *conf)
{
	struct errmsg err = ERRMSG_NONE;
	struct conf *copy = NULL;
	struct buf once, twice;
	int rc;

	buf_init(&once, CONF_TEXT_MAX);
	buf_init(&twice, CONF_TEXT_MAX);
	rc = conf_to_ini(conf, &once);
	assert(rc == 0);
	rc = conf_from_ini(buf_slice(&once), &copy, &err);
	assert(rc == 0);
	rc = conf_to_ini(copy, &twice);
	assert(rc == 0);
	assert(buf_len(&once) == buf_len(&twice));
	assert(memcmp(buf_slice(&once).ptr, buf_slice(&twice).ptr, buf_len(&once)) == 0);
	conf_free(&copy);
	buf_fini(&once);
	buf_fini(&twice);
}

int
LLVMFuzzerTestOneInput(const uint8_t *data, size_t size)
{
	static char variable[] = "NAME=value";
	char *const env[] = {variable, NULL};
	struct conf_faults faults;
	struct conf_settings settings = {.env = env, .faults = &faults};
	struct conf *conf;
	uint8_t *text = xcalloc(size + 1, 1);

	for (size_t i = 0; i < size; i++) {
		text[i] = data[i] == '@' ? '%' : data[i];
	}
	conf_faults_init(&faults);
	if (size <= CONF_FILE_MAX) {
		conf_gather_text(&settings, (struct slice){text, size}, "fuzz.ini", SOURCE_FILE);
		conf = conf_build(&settings);
		conf_verify(conf, &settings);
		if (faults.count == 0) {
			round_trip(conf);
		}
		conf_free(&conf);
	}
	conf_settings_fini(&settings);
	conf_faults_fini(&faults);
	free(text);
	return 0;
}
