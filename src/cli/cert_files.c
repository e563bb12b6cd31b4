#include <ctype.h>
#include <errno.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "base/buf.h"
#include "base/mem.h"
#include "cli/cert_files.h"
#include "instance/conf_file.h"

static int
read_text(const char *folder, const char *file, char **ret_text, struct errmsg *err)
{
	char *path = xasprintf("%s/%s", folder, file);
	struct buf bytes;
	int rc;

	buf_init(&bytes, 0);
	rc = conf_file_read(path, &bytes, err);
	if (rc == -ENOENT) {
		errmsg_set(err, "there is no %s", path);
	} else if (rc == 0) {
		struct slice s = buf_slice(&bytes);

		*ret_text = xstrndup(s.len > 0 ? (const char *)s.ptr : "", s.len);
	}
	if (bytes.data != NULL) {
		explicit_bzero(bytes.data, bytes.cap);
	}
	buf_fini(&bytes);
	free(path);
	return rc;
}

int
cert_files_authority(const char *folder, struct tls_pair *ret_pair, struct errmsg *err)
{
	struct tls_pair pair = {0};
	int rc = read_text(folder, CERT_AUTHORITY ".crt", &pair.cert, err);

	if (rc == 0) {
		rc = read_text(folder, CERT_AUTHORITY ".key", &pair.key, err);
	}
	if (rc == 0) {
		*ret_pair = pair;
	} else {
		tls_pair_fini(&pair);
	}
	return rc;
}

static bool
is_there(const char *folder, const char *name, const char *suffix)
{
	char *path = xasprintf("%s/%s%s", folder, name, suffix);
	bool there = access(path, F_OK) == 0;

	free(path);
	return there;
}

bool
cert_files_are_there(const char *folder, const char *name)
{
	return is_there(folder, name, ".crt") || is_there(folder, name, ".key");
}

static int
write_text(
    const char *folder, const char *name, const char *suffix, const char *text, struct errmsg *err)
{
	char *path = xasprintf("%s/%s%s", folder, name, suffix);
	int rc = conf_file_replace(path, slice_str(text), err);

	free(path);
	return rc;
}

int
cert_files_write(
    const char *folder, const char *name, const struct tls_pair *pair, struct errmsg *err)
{
	int rc = pair->key != NULL ? write_text(folder, name, ".key", pair->key, err) : 0;

	return rc < 0 ? rc : write_text(folder, name, ".crt", pair->cert, err);
}

bool
cert_files_name_is_good(const char *name, struct errmsg *err)
{
	size_t len = strlen(name);
	bool good = len > 0 && len <= TLS_NAME_MAX && name[0] != '.';

	for (size_t i = 0; i < len && good; i++) {
		good = isalnum((unsigned char)name[i]) != 0 || strchr("._-", name[i]) != NULL;
	}
	if (!good) {
		errmsg_set(err,
		    "'%.80s' is no name of a host: letters, digits, . _ and -, not a dot first",
		    name);
	} else if (strcmp(name, CERT_AUTHORITY) == 0) {
		errmsg_set(err,
		    "a host cannot be called '%s' here: those are the files of the authority",
		    name);
		good = false;
	}
	return good;
}
