/*
 * Which commands a client may use: the sections [acl-NAME], in the order of the file, with Webdis' meaning. All
 * commands are enabled to begin with. A rule that is for this client (its address, and its HTTP Basic
 * credentials where the rule names some) changes that for the commands it names; what it disables wins over
 * what it enables, and a later rule over an earlier one. Unlike Webdis' the names match whole.
 */
#ifndef HTTPD_ACL_H
#define HTTPD_ACL_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "backend/command.h"
#include "base/slice.h"
#include "conf/conf.h"
#include "net/cidr.h"

#define ACL_CREDENTIALS_MAX ((size_t)1024)

struct acl;

/* Plain data. */
struct acl_address {
	bool known; /* false: a unix socket */
	struct cidr at;
};

/* Who asks; slices are borrowed. */
struct acl_client {
	const struct acl_address *address;
	bool has_user;
	struct slice user, password;
};

/* The rules are borrowed and outlive it. NULL when there are none. */
struct acl *acl_new(const struct conf_acl *rules, size_t count);
void acl_free(struct acl **acl);
/* `row` is the command's, or NULL when the table does not know it; `name` as it was sent. */
bool acl_allows(const struct acl *acl, const struct acl_client *client, struct slice name,
    const struct command *row);
/* Is this one of the rules' users, with the right password? */
bool acl_knows(const struct acl *acl, const struct acl_client *client);

/* Of "ADDRESS:PORT" or "[v6]:PORT", else not known. */
struct acl_address acl_address_of(const char *peer);
/*
 * The value of an Authorization header: "Basic" or "Bearer" with user:password in base64, decoded into `text` of
 * ACL_CREDENTIALS_MAX bytes, which the slices point to. False when it is none.
 */
bool acl_credentials(struct slice header, uint8_t *text, struct acl_client *client);

#endif
