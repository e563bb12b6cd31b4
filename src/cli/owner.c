/* Root at somebody else's data folder: the service's user would find what root leaves there, and may not read what root may. */
#include <errno.h>
#include <grp.h>
#include <pwd.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "base/mem.h"
#include "cli/cli_priv.h"

/* Another user's folder, in which root has not been running Holdfast already. */
static bool
is_of_another(const char *dir, struct stat *ret_folder)
{
	char *lock = xasprintf("%s/holdfast.lock", dir);
	struct stat held;
	bool another = geteuid() == 0 && stat(dir, ret_folder) == 0 && ret_folder->st_uid != 0 &&
		       (stat(lock, &held) == -1 || held.st_uid != 0);

	free(lock);
	return another;
}

/* As the service manager does it: with the groups that this user has. */
static int
take_groups(const struct stat *folder)
{
	const struct passwd *user = getpwuid(folder->st_uid);

	if (user == NULL) {
		return setgroups(0, NULL) == -1 || setgid(folder->st_gid) == -1 ? -errno : 0;
	}
	return initgroups(user->pw_name, user->pw_gid) == -1 || setgid(user->pw_gid) == -1 ? -errno
											   : 0;
}

int
cli_become_owner(const char *dir, bool for_good, struct errmsg *err)
{
	struct stat folder;
	int rc;

	if (!is_of_another(dir, &folder)) {
		return 0; /* a new folder is root's, as `holdfast run` would make it */
	}
	rc = take_groups(&folder);
	if (rc == 0 &&
	    setresuid(folder.st_uid, folder.st_uid, for_good ? folder.st_uid : 0) == -1) {
		rc = -errno;
	}
	if (rc < 0) {
		errmsg_set(err, "cannot become the user of %s: %s", dir, strerror(-rc));
	}
	return rc < 0 ? rc : 1;
}

const char *
cli_user_name(uid_t uid, char *text, size_t size)
{
	const struct passwd *user = getpwuid(uid);

	if (user != NULL) {
		(void)snprintf(text, size, "%s", user->pw_name);
	} else {
		(void)snprintf(text, size, "user %u", (unsigned)uid);
	}
	return text;
}

bool
cli_be_root(bool root)
{
	return seteuid(root ? 0 : getuid()) == 0;
}

bool
cli_is_foreign_folder(const char *dir, struct errmsg *err)
{
	struct stat folder;
	char name[64];

	if (!is_of_another(dir, &folder)) {
		return false;
	}
	errmsg_set(err,
	    "the data folder %s belongs to %s, who could not use what root makes there: start it "
	    "as that "
	    "user (a service: systemctl start holdfast), name another folder with -d, or give this "
	    "one to "
	    "root with chown",
	    dir, cli_user_name(folder.st_uid, name, sizeof(name)));
	return true;
}
