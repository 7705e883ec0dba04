// A child made with CLONE_PARENT is a child of one's parent, who waits for it: the caller of runsbx or runsbx, which must bear it.
#include "escape.h"
int main(void)
{
	pid_t parent = getppid(), pid = syscall(SYS_clone, CLONE_PARENT | SIGUSR1, 0, 0, 0, 0);
	if (pid == 0)
		_exit(42);
	dprintf(1, "%s", pid < 0 ? strerrorname_np(errno) : "done");
	usleep(50000);
	return parent ? 1 : 0;
}
