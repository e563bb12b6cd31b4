#include "proc/become.h"

#include <errno.h>
#include <signal.h>
#include <unistd.h>

int
become(const char *path, int exe_fd, char *const *argv, char *const *env)
{
	struct sigaction dfl = {.sa_handler = SIG_DFL}, pipe_before;
	sigset_t wait, before;
	int error;

	(void)sigemptyset(&wait);
	(void)sigaddset(&wait, SIGTERM);
	(void)sigaddset(&wait, SIGINT);
	(void)sigaddset(&wait, SIGHUP);
	(void)sigprocmask(SIG_SETMASK, &wait, &before);
	(void)sigaction(SIGPIPE, &dfl, &pipe_before); /* the loop's doing; handlers end with exec */
	if (path != NULL) {
		(void)execve(path, argv, env);
	} else {
		(void)fexecve(exe_fd, argv, env);
	}
	error = errno;
	(void)sigaction(SIGPIPE, &pipe_before, NULL);
	(void)sigprocmask(SIG_SETMASK, &before, NULL);
	return -error;
}
