/*
 * Configuration files of Redis and Sentinel as lists of lines: reading, and replacing in one step. Redis' own quoting (sdssplitargs in its
 * sources) is known here and nowhere else.
 */
#ifndef INSTANCE_CONF_FILE_H
#define INSTANCE_CONF_FILE_H

#include <stdbool.h>

#include "base/buf.h"
#include "base/defs.h"
#include "base/errmsg.h"
#include "base/slice.h"

/* A larger file is not one that Redis wrote for us. */
#define CONF_FILE_BYTES_MAX ((size_t)4 * 1024 * 1024)
#define CONF_LINE_WORDS_MAX 512 /* a loadmodule line has as many as 1000 bytes can make */

/* A line's words, unquoted. Plain data; words point into `text`. */
struct conf_line {
	struct slice raw; /* the line without its end, borrowed from the file */
	struct slice words[CONF_LINE_WORDS_MAX];
	size_t count; /* 0: empty, a comment, or not to be read as words */
	uint8_t text[4096];
};

/* The whole file into `out` (initialised, no limit below CONF_FILE_BYTES_MAX). 0, -ENOENT, -EFBIG, or what reading said. */
int conf_file_read(const char *path, struct buf *out, struct errmsg *err) ATTR_WARN_UNUSED;
/* Cuts the next line off `rest`. False at the end. A line of more words or bytes than fit has count 0. */
bool conf_file_next(struct slice *rest, struct conf_line *ret_line);
/* Appends `word` as one word in Redis' quoting, plain where it can be. */
int conf_file_add_word(struct buf *out, const char *word) ATTR_WARN_UNUSED;
/*
 * Replaces the file: written beside it with mode 0600, flushed, renamed, the folder flushed. A file that has this content
 * already is left alone. 0 or negative errno; then the old file is as it was.
 */
int conf_file_replace(const char *path, struct slice content, struct errmsg *err) ATTR_WARN_UNUSED;

#endif
