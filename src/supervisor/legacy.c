#include "supervisor/legacy.h"

#include <errno.h>
#include <fcntl.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "base/slice.h"
#include "proc/become.h"

#define VARIABLE     "HF_UPGRADE"
#define LEGACY_MAX   ((size_t)16 * 1024 * 1024) /* ARG_MAX and more */
#define FIRST_PASSED 10                         /* a wrapper in shell uses those below for itself */

extern char **environ;

/* ---- arrays of strings ---- */

static void
strings_add(char ***strings, size_t *count, const char *text)
{
	*strings = xreallocarray(*strings, *count + 2, sizeof(**strings));
	(*strings)[(*count)++] = xstrdup(text);
	(*strings)[*count] = NULL;
}

char **
legacy_strings_dup(char *const *strings)
{
	char **copy = xcalloc(1, sizeof(*copy));
	size_t count = 0;

	for (; *strings != NULL; strings++) {
		strings_add(&copy, &count, *strings);
	}
	return copy;
}

void
legacy_strings_free(char **strings)
{
	for (size_t i = 0; strings != NULL && strings[i] != NULL; i++) {
		explicit_bzero(strings[i], strlen(strings[i])); /* settings may be passwords */
		free(strings[i]);
	}
	free(strings);
}

/* ---- what arrived ---- */

static int
take_fd(const char *value)
{
	uint64_t fd;

	if (!slice_to_u64(slice_str(value), &fd) || fd > INT32_MAX ||
	    fcntl((int)fd, F_SETFD, FD_CLOEXEC) == -1) {
		return -1;
	}
	return (int)fd;
}

/* The value when the word has this key, else NULL. */
static const char *
value_of(const char *word, const char *key)
{
	size_t len = strlen(key);

	return strncmp(word, key, len) == 0 && word[len] == '=' ? word + len + 1 : NULL;
}

static void
take_word(struct legacy *l, const char *word, size_t *args, size_t *vars)
{
	const char *value;

	if ((value = value_of(word, "lock")) != NULL) {
		l->lock_fd = take_fd(value);
	} else if ((value = value_of(word, "exe")) != NULL) {
		l->exe_fd = take_fd(value);
	} else if ((value = value_of(word, "client")) != NULL) {
		l->client_fd = take_fd(value);
	} else if ((value = value_of(word, "from")) != NULL) {
		(void)snprintf(l->from, sizeof(l->from), "%s", value);
	} else if ((value = value_of(word, "why")) != NULL) {
		free(l->why);
		l->why = xstrdup(value);
	} else if ((value = value_of(word, "arg")) != NULL) {
		strings_add(&l->argv, args, value);
	} else if ((value = value_of(word, "env")) != NULL) {
		strings_add(&l->env, vars, value);
	}
}

/* The whole file, a NUL behind it: free() it. NULL when it is none of ours. */
static char *
read_file(int fd, size_t *ret_len)
{
	struct stat st;
	char *text;
	ssize_t n;

	if (fd < 0 || fstat(fd, &st) == -1 || !S_ISREG(st.st_mode) ||
	    (size_t)st.st_size > LEGACY_MAX) {
		return NULL;
	}
	text = xcalloc(1, (size_t)st.st_size + 1);
	n = pread(fd, text, (size_t)st.st_size, 0);
	*ret_len = n > 0 ? (size_t)n : 0;
	return text;
}

struct legacy *
legacy_find(void)
{
	const char *number = getenv(VARIABLE);
	int fd = number != NULL ? take_fd(number) : -1;
	size_t len = 0, args = 0, vars = 0;
	char *text = read_file(fd, &len);
	struct legacy *l;

	if (text == NULL) {
		return NULL;
	}
	l = xcalloc(1, sizeof(*l));
	*l = (struct legacy){.lock_fd = -1, .exe_fd = -1, .client_fd = -1};
	for (size_t at = 0; at < len; at += strlen(text + at) + 1) {
		take_word(l, text + at, &args, &vars);
	}
	explicit_bzero(text, len);
	free(text);
	return l;
}

static void
close_fd(int *fd)
{
	if (*fd != -1) {
		(void)close(*fd);
		*fd = -1;
	}
}

void
legacy_free(struct legacy **lp, bool forget)
{
	struct legacy *l = *lp;
	const char *number = getenv(VARIABLE);

	*lp = NULL;
	if (l == NULL) {
		return;
	}
	if (forget) {
		int fd = number != NULL ? take_fd(number) : -1;

		close_fd(&fd);
		(void)unsetenv(VARIABLE);
		close_fd(&l->lock_fd);
		close_fd(&l->exe_fd);
		close_fd(&l->client_fd);
	}
	legacy_strings_free(l->argv);
	legacy_strings_free(l->env);
	free(l->why);
	free(l);
}

/* ---- passing on ---- */

static int
add_word(struct buf *words, const char *key, const char *value)
{
	int rc = buf_addf(words, "%s=", key);

	return rc < 0 ? rc : buf_add(words, value, strlen(value) + 1);
}

/* A copy that passes exec, as a word; *ret_copy is -1 when there is nothing to copy. */
static int
add_fd(struct buf *words, const char *key, int fd, int *ret_copy)
{
	char number[16];

	if (fd == -1) {
		return 0;
	}
	*ret_copy = fcntl(fd, F_DUPFD, FIRST_PASSED);
	if (*ret_copy == -1) {
		return -errno;
	}
	(void)snprintf(number, sizeof(number), "%d", *ret_copy);
	return add_word(words, key, number);
}

static int
add_words(struct buf *words, const char *key, char *const *values)
{
	int rc = 0;

	for (; *values != NULL && rc == 0; values++) {
		/* our own variable is of this exec only */
		rc = value_of(*values, VARIABLE) == NULL ? add_word(words, key, *values) : 0;
	}
	return rc;
}

/* A memory file with the words, which passes exec. */
static int
write_file(struct buf *words, int *ret_fd)
{
	int fd = memfd_create("holdfast-upgrade", 0), passed = -1, rc = 0;

	if (fd == -1) {
		return -errno;
	}
	while (rc == 0 && buf_len(words) > 0) {
		ssize_t n = write(fd, buf_slice(words).ptr, buf_len(words));

		if (n > 0) {
			buf_consume(words, (size_t)n);
		} else if (errno != EINTR) {
			rc = -errno;
		}
	}
	if (rc == 0) {
		passed = fcntl(fd, F_DUPFD, FIRST_PASSED);
		rc = passed == -1 ? -errno : 0;
	}
	(void)close(fd);
	if (rc == 0) {
		*ret_fd = passed;
	}
	return rc;
}

/* `env` with our variable in it. */
static char **
make_env(char *const *env, int fd)
{
	char *variable = xasprintf(VARIABLE "=%d", fd), **made = xcalloc(1, sizeof(*made));
	size_t count = 0;

	for (; *env != NULL; env++) {
		if (value_of(*env, VARIABLE) == NULL) {
			strings_add(&made, &count, *env);
		}
	}
	strings_add(&made, &count, variable);
	free(variable);
	return made;
}

/* All that is passed on; the copies of descriptors go into `passed`. */
static int
add_all(struct buf *words, const struct legacy *l, int *passed)
{
	int rc = add_fd(words, "lock", l->lock_fd, &passed[0]);

	if (rc == 0) {
		rc = add_fd(words, "exe", l->exe_fd, &passed[1]);
	}
	if (rc == 0) {
		rc = add_fd(words, "client", l->client_fd, &passed[2]);
	}
	if (rc == 0) {
		rc = add_word(words, "from", l->from);
	}
	if (rc == 0 && l->why != NULL) {
		rc = add_word(words, "why", l->why);
	}
	if (rc == 0) {
		rc = add_words(words, "arg", l->argv);
	}
	return rc < 0 ? rc : add_words(words, "env", l->env);
}

int
legacy_exec(const struct legacy *l, const char *path, int exe_fd)
{
	int passed[4] = {-1, -1, -1, -1}, rc;
	struct buf words;

	(void)fflush(stdout);
	(void)fflush(stderr);
	buf_init(&words, LEGACY_MAX);
	rc = add_all(&words, l, passed);
	if (rc == 0) {
		rc = write_file(&words, &passed[3]);
	}
	if (words.data != NULL) {
		explicit_bzero(words.data, words.cap); /* settings may be passwords */
	}
	buf_fini(&words);
	if (rc == 0) {
		char **env = make_env(l->env, passed[3]);

		rc = become(path, exe_fd, l->argv, env);
		legacy_strings_free(env);
	}
	for (size_t i = 0; i < ARRAY_LEN(passed); i++) {
		close_fd(&passed[i]);
	}
	return rc;
}
