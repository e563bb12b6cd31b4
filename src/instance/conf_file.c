#include "instance/conf_file.h"

#include <ctype.h>
#include <errno.h>
#include <fcntl.h>
#include <libgen.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"

int
conf_file_read(const char *path, struct buf *out, struct errmsg *err)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC), rc = 0;

	if (fd == -1) {
		rc = -errno;
		errmsg_set(err, "cannot read %s: %s", path, strerror(-rc));
		return rc;
	}
	for (;;) {
		ssize_t n;

		rc = buf_len(out) > CONF_FILE_BYTES_MAX ? -EFBIG : buf_reserve(out, 16384);
		if (rc < 0) {
			break;
		}
		n = read(fd, buf_tail(out), buf_room(out));
		if (n <= 0) {
			rc = n == 0 ? 0 : -errno;
			break;
		}
		buf_commit(out, (size_t)n);
	}
	(void)close(fd);
	if (rc < 0) {
		errmsg_set(err, "cannot read %s: %s", path, strerror(-rc));
	}
	return rc;
}

/* One escape inside double quotes, `s` behind the backslash. Returns the byte; cuts it off `s`. */
static uint8_t
unescape(struct slice *s)
{
	uint8_t c = s->ptr[0];
	size_t used = 1;

	if (c == 'x' && s->len >= 3 && slice_hex_digit(s->ptr[1]) >= 0 &&
	    slice_hex_digit(s->ptr[2]) >= 0) {
		c = (uint8_t)(slice_hex_digit(s->ptr[1]) * 16 + slice_hex_digit(s->ptr[2]));
		used = 3;
	} else {
		static const char from[] = "nrtba", to[] = "\n\r\t\b\a";
		const char *at = memchr(from, c, sizeof(from) - 1);

		c = at != NULL ? (uint8_t)to[at - from] : c;
	}
	s->ptr += used;
	s->len -= used;
	return c;
}

static uint8_t
take(struct slice *s)
{
	uint8_t c = s->ptr[0];

	s->ptr++;
	s->len--;
	return c;
}

/* One word into line->text from `at` on; false when the quoting is broken or it does not fit. */
static bool
take_word(struct conf_line *line, struct slice *s, size_t *at)
{
	size_t begin = *at;
	uint8_t quote = s->ptr[0] == '"' || s->ptr[0] == '\'' ? take(s) : 0;
	bool closed = quote == 0;

	while (s->len > 0) {
		uint8_t c = take(s);

		if (quote == 0 && isspace(c)) {
			break;
		}
		if (quote != 0 && c == quote) {
			closed = true;
			break;
		}
		if (c == '\\' && quote == '"' && s->len > 0) {
			c = unescape(s);
		} else if (c == '\\' && quote == '\'' && s->len > 0 && s->ptr[0] == '\'') {
			c = take(s);
		}
		if (*at == sizeof(line->text)) {
			return false;
		}
		line->text[(*at)++] = c;
	}
	if (!closed || line->count == CONF_LINE_WORDS_MAX) {
		return false;
	}
	line->words[line->count++] = (struct slice){line->text + begin, *at - begin};
	return true;
}

bool
conf_file_next(struct slice *rest, struct conf_line *ret_line)
{
	const uint8_t *nl;
	struct slice s;
	size_t len, at = 0;

	if (rest->len == 0) {
		return false;
	}
	nl = memchr(rest->ptr, '\n', rest->len);
	len = nl != NULL ? (size_t)(nl - rest->ptr) : rest->len;
	ret_line->raw = (struct slice){rest->ptr, len};
	ret_line->count = 0;
	rest->ptr += MIN(len + 1, rest->len);
	rest->len -= MIN(len + 1, rest->len);

	for (s = ret_line->raw; s.len > 0;) {
		if (isspace(s.ptr[0])) {
			(void)take(&s);
		} else if ((s.ptr[0] == '#' && ret_line->count == 0) ||
			   !take_word(ret_line, &s, &at)) {
			ret_line->count = 0;
			break;
		}
	}
	return true;
}

int
conf_file_add_word(struct buf *out, const char *word)
{
	bool plain = word[0] != '\0' && word[0] != '#';
	int err = 0;

	for (const char *p = word; *p != '\0'; p++) {
		plain =
		    plain && isgraph((unsigned char)*p) && *p != '"' && *p != '\'' && *p != '\\';
	}
	if (plain) {
		return buf_add_str(out, word);
	}
	err |= buf_add(out, "\"", 1);
	for (const char *p = word; *p != '\0' && err == 0; p++) {
		if (*p == '"' || *p == '\\') {
			err = buf_addf(out, "\\%c", *p);
		} else if (isprint((unsigned char)*p)) {
			err = buf_add(out, p, 1);
		} else {
			err = buf_addf(out, "\\x%02x", (unsigned)(unsigned char)*p);
		}
	}
	return err != 0 ? err : buf_add(out, "\"", 1);
}

static bool
has_content(const char *path, struct slice content)
{
	struct buf old;
	bool same;

	buf_init(&old, 0);
	same = conf_file_read(path, &old, NULL) == 0 && buf_len(&old) == content.len &&
	       memcmp(buf_slice(&old).ptr, content.ptr, content.len) == 0;
	buf_fini(&old);
	return same;
}

static int
write_all(int fd, struct slice s)
{
	while (s.len > 0) {
		ssize_t n = write(fd, s.ptr, s.len);

		if (n == -1) {
			return -errno;
		}
		s.ptr += n;
		s.len -= (size_t)n;
	}
	return fsync(fd) == -1 ? -errno : 0;
}

int
conf_file_replace(const char *path, struct slice content, struct errmsg *err)
{
	char *tmp = xasprintf("%s.new", path), *copy = xstrdup(path);
	int rc = 0, fd = -1, dir = -1;

	if (has_content(path, content)) {
		goto out;
	}
	fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	rc = fd == -1 ? -errno : write_all(fd, content);
	if (rc == 0 && rename(tmp, path) == -1) {
		rc = -errno;
	}
	if (rc < 0) {
		errmsg_set(err, "cannot write %s: %s", path, strerror(-rc));
		(void)unlink(tmp);
		goto out;
	}
	dir = open(dirname(copy), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (dir != -1) {
		(void)fsync(dir);
		(void)close(dir);
	}
out:
	if (fd != -1) {
		(void)close(fd);
	}
	free(tmp);
	free(copy);
	return rc;
}
