/* What can be told of a module's file without loading it, with a message that names the remedy. */
#ifndef INSTANCE_MODULE_FILE_H
#define INSTANCE_MODULE_FILE_H

#include <stdbool.h>
#include <stdint.h>

#include "base/defs.h"
#include "base/errmsg.h"

/* Which file it is, as far as a change of it shows. Plain data. */
struct module_print {
	uint64_t device, inode, bytes, changed_ns;
};

/*
 * Is it a regular file, a shared object for the processor that runs us, whole by its own tables, readable and executable? Redis says
 * "No such file" for a file of another processor, and dies of SIGBUS of one that was cut short. 0 and its print, or a negative errno with
 * `err`: -ENOENT, -EACCES, -EISDIR, -ENOEXEC, or what the system says. Reads some hundred bytes.
 */
int module_file_check(
    const char *path, struct module_print *ret_print, struct errmsg *err) ATTR_WARN_UNUSED;
bool module_print_equal(const struct module_print *a, const struct module_print *b);
/* Of a file that may be anything; zeros when it cannot be looked at. */
void module_print_of(const char *path, struct module_print *ret_print);

#endif
