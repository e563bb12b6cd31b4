/*
 * The folder of a small authority: ca.crt, ca.key, and NAME.crt with NAME.key for each host, all of mode 0600. Shared by the subcommands that sign.
 */
#ifndef CLI_CERT_FILES_H
#define CLI_CERT_FILES_H

#include <stdbool.h>

#include "base/defs.h"
#include "base/errmsg.h"
#include "net/tls_issue.h"

#define CERT_AUTHORITY "ca"

/* The authority in the folder. 0 with both texts; -ENOENT: there is none; else what reading said. */
int cert_files_authority(
    const char *folder, struct tls_pair *ret_pair, struct errmsg *err) ATTR_WARN_UNUSED;
/* Is NAME.crt or NAME.key there? */
bool cert_files_are_there(const char *folder, const char *name);
/* Writes both (key: may be NULL, then only the certificate), the key first. Each replaces what is there in one step. 0 or negative errno. */
int cert_files_write(const char *folder, const char *name, const struct tls_pair *pair,
    struct errmsg *err) ATTR_WARN_UNUSED;
/* May a host of this name have files of its own? False with the reason. */
bool cert_files_name_is_good(const char *name, struct errmsg *err);

#endif
